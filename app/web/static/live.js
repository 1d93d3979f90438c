// Keeps an open page true: the server tells what changes, and this puts it in its place.

const LOST_MS = 3000; // without a stream for so long, a person is told
const AGAIN_MS = 2000;
const TOAST_MS = 8000;
const RECENT_MS = 50000; // a stream begins with what has changed in the last minute

const page = document.body.dataset;
const offline = document.getElementById("offline");
let stream;
let followed; // the address of the stream
let away; // since when the page has not been told what changes
let lost;
let refreshing;
let again = false; // something more has changed while the page was asking

export function apply({ html, more, gone }) {
  const box = document.createElement("template");
  box.innerHTML = html;
  for (const fresh of [...box.content.children]) put(fresh);
  if (more) add(...more);
  for (const id of gone) document.querySelector(`[data-job="${CSS.escape(id)}"]`)?.remove();
  document.dispatchEvent(new CustomEvent("whisperbox:changed"));
}

function put(fresh) {
  const old = document.getElementById(fresh.id);
  if (old) {
    if (isTypedIn(old)) return;
    const open = old.querySelector("details[data-menu][open]"); // somebody is reading it
    if (open) fresh.querySelector("details[data-menu]")?.setAttribute("open", "");
    if (old.contains(document.activeElement) && old.dataset.job) return keep(old, fresh);
    old.replaceWith(fresh);
  } else if (!fresh.dataset.number || !insert(fresh)) {
    return;
  }
  htmx.process(fresh);
}

// At its place among the newer and the older; what is older than all that are here is not shown yet.
function insert(row) {
  const jobs = document.getElementById("jobs");
  if (!jobs) return false;
  const older = [...jobs.querySelectorAll("[data-number]")].find(
    (each) => Number(each.dataset.number) < Number(row.dataset.number),
  );
  if (older) older.before(row);
  else if (!jobs.querySelector(".more")) jobs.append(row);
  else return false;
  return true;
}

// What somebody fills in stays until they are done.
function isTypedIn(part) {
  return [...part.querySelectorAll("form :is(input, select, textarea)")].some(
    (field) => field === document.activeElement || isChanged(field),
  );
}

function isChanged(field) {
  if (field.type === "hidden" || field.readOnly) return false;
  if (field.type === "checkbox") return field.checked !== field.defaultChecked;
  if (field.type === "select-one") {
    const usual = [...field.options].findIndex((each) => each.defaultSelected);
    return field.selectedIndex !== Math.max(usual, 0);
  }
  return field.value !== field.defaultValue;
}

function keep(old, fresh) {
  const label = document.activeElement.getAttribute("aria-label");
  old.replaceWith(fresh);
  htmx.process(fresh);
  for (const each of fresh.querySelectorAll("[aria-label]"))
    if (each.getAttribute("aria-label") === label) each.focus();
}

function add(id, html) {
  const list = document.getElementById(id);
  if (!list) return;
  const box = document.createElement("template");
  box.innerHTML = html;
  const end = window.innerHeight + window.scrollY > document.body.scrollHeight - 80;
  const place = (line) => Number(line?.id.replace("line-", "") ?? -1);
  for (const each of [...box.content.children])
    if (place(each) > place([...list.querySelectorAll(".line")].at(-1))) {
      list.append(each);
      htmx.process(each);
    }
  if (end && list.dataset.follow !== undefined) window.scrollTo(0, document.body.scrollHeight);
}

function address() {
  if (!page.live.startsWith("#")) return page.live;
  const edit = document.querySelector("#lines[data-edit]")?.dataset.edit; // those that the page has by now
  return document.querySelector(page.live)?.dataset.live.replace(/(?<=[?&]edit=)\d+/, (usual) => edit ?? usual);
}

function connect() {
  if (!page.live || stream || document.hidden) return;
  followed = address();
  if (!followed) return;
  const mine = (stream = new EventSource(followed));
  mine.addEventListener("open", () => {
    clearTimeout(lost);
    lost = undefined;
    offline.hidden = true;
    const gap = away === undefined ? 0 : Date.now() - away;
    away = undefined;
    if (gap > RECENT_MS && page.refresh === "#jobs") refresh();
  });
  mine.addEventListener("html", async (event) => {
    await refreshing; // or the news would be lost with the elements that are being replaced
    apply(JSON.parse(event.data));
  });
  mine.addEventListener("there", async (event) => {
    await refreshing;
    const { ids, since, until } = JSON.parse(event.data);
    for (const row of document.querySelectorAll("#jobs [data-number]")) {
      const number = Number(row.dataset.number);
      if (number >= since && number <= until && !ids.includes(row.dataset.job)) row.remove();
    }
    document.dispatchEvent(new CustomEvent("whisperbox:changed"));
  });
  mine.addEventListener("edited", async (event) => {
    await refreshing;
    document.dispatchEvent(new CustomEvent("whisperbox:edited", { detail: JSON.parse(event.data) }));
  });
  mine.addEventListener("over", refresh);
  mine.addEventListener("error", () => {
    away ??= Date.now();
    lost ??= setTimeout(() => (offline.hidden = false), LOST_MS);
    if (mine.readyState === EventSource.CLOSED && mine === stream) refused();
  });
}

function leave() {
  if (stream) away ??= Date.now();
  stream?.close();
  stream = undefined;
  clearTimeout(lost);
  lost = undefined;
}

// The server answered, but with no stream: its status says whether to come again.
async function refused() {
  stream = undefined;
  const stop = new AbortController();
  let status = 0;
  try {
    ({ status } = await fetch(followed, { signal: stop.signal }));
    stop.abort();
  } catch {
    // it is away again
  }
  const here = encodeURIComponent(location.pathname + location.search);
  if (status === 401) location.assign(new URL(`../sign-in?next=${here}`, import.meta.url));
  else if (status === 403 || status === 404) leave();
  else setTimeout(connect, AGAIN_MS);
}

// A hidden page listens to nothing: browsers allow six connections to a server, for all its tabs.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) leave();
  else connect();
});
addEventListener("pagehide", leave);
addEventListener("pageshow", (event) => {
  if (event.persisted) connect();
});

// Not while somebody writes or listens there: then as soon as they are done.
export async function refresh() {
  const part = page.refresh && document.querySelector(page.refresh);
  if (!part) return;
  const audio = part.querySelector("audio");
  if (isTypedIn(part) || part.querySelector(".typing") || (audio && !audio.paused))
    return setTimeout(refresh, AGAIN_MS);
  if (refreshing) {
    again = true;
    return;
  }
  refreshing = (part.id === "jobs" ? merged(part) : replaced()).catch(() => false);
  const answered = await refreshing;
  refreshing = undefined;
  if (again && answered) {
    again = false;
    return refresh();
  }
  again = false;
  const other = (one) => one?.replace(/[?&]edit=\d+/, "");
  if (stream && (!answered || other(address()) !== other(followed))) {
    leave();
    if (!answered) away = 0;
    setTimeout(connect, answered ? 0 : AGAIN_MS);
  }
}

async function replaced() {
  await htmx.ajax("GET", location.href, { target: page.refresh, select: page.refresh, swap: "outerHTML" });
  return true;
}

// The newest rows as the server has them now; older ones, and where one has scrolled to, stay.
async function merged(list) {
  const answer = await fetch(location.href);
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("jobs");
  if (!answer.ok || !fresh) return false;
  const rows = [...fresh.querySelectorAll("[data-number]")];
  const oldest = fresh.querySelector(".more") ? Number(rows.at(-1).dataset.number) : 0;
  for (const row of [...list.querySelectorAll("[data-number]")])
    if (Number(row.dataset.number) >= oldest && !fresh.querySelector(`#${row.id}`)) row.remove();
  if (!list.querySelector("[data-number]")) list.replaceChildren(...fresh.children);
  else for (const row of rows) put(document.importNode(row, true));
  htmx.process(list);
  document.dispatchEvent(new CustomEvent("whisperbox:changed"));
  return true;
}

// `offer`: what can still be done about it, `{label, act}`.
export function toast(text, kind = "wrong", offer = undefined) {
  const box = document.getElementById("toast");
  const line = document.createElement("p");
  line.className = kind;
  line.textContent = text;
  if (offer) {
    const button = Object.assign(document.createElement("button"), { type: "button", className: "small", textContent: offer.label });
    button.onclick = () => {
      line.remove();
      offer.act();
    };
    line.append(" ", button);
  }
  // What can still be taken back stays until its time is over.
  for (const old of [...box.children]) if (!old.querySelector("button")) old.remove();
  box.append(line);
  if (box.showPopover) {
    box.togglePopover(false);
    box.showPopover(); // above any dialog
  }
  setTimeout(() => {
    line.remove();
    if (!box.children.length) box.togglePopover?.(false);
  }, TOAST_MS);
}

document.addEventListener("htmx:responseError", (event) =>
  toast(event.detail.xhr.responseText.slice(0, 300) || "The server refused that."),
);
// Where the focus goes when the row that has it goes.
let next;
document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  const row = detail.target;
  if (!row.matches?.(".job") || detail.xhr.responseText || !row.contains(document.activeElement)) return;
  next = row.nextElementSibling ?? row.previousElementSibling;
});
document.addEventListener("htmx:afterSettle", () => {
  next?.querySelector("a")?.focus();
  next = undefined;
});
// A menu whose button makes it anew stays open.
document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  if (detail.target.querySelector?.("details[data-menu][open]"))
    detail.serverResponse = detail.serverResponse.replace("<details ", "<details open ");
});
document.addEventListener("htmx:sendError", () => toast("The server does not answer."));
document.documentElement.classList.add("scripts");
connect();

// What needs a script but no server: questions before what cannot be undone, copying, local times.

const dialog = document.getElementById("ask");

export function ask(question, button) {
  document.getElementById("question").textContent = question;
  const sure = document.getElementById("sure");
  sure.textContent = button?.dataset.label ?? button?.textContent ?? "OK";
  sure.classList.toggle("destroys", Boolean(button?.matches(".delete, .danger")));
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((answer) => {
    dialog.addEventListener("close", () => answer(dialog.returnValue === "yes"), { once: true });
  });
}

document.addEventListener("htmx:confirm", async (event) => {
  const { question, elt, issueRequest } = event.detail;
  if (!question) return;
  event.preventDefault();
  if (await ask(question, elt.querySelector("button"))) issueRequest(true);
});
document.addEventListener(
  "submit",
  async (event) => {
    const button = event.submitter;
    const question = button?.dataset.confirm;
    if (!question || button.dataset.sure) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (!(await ask(question, button))) return;
    button.dataset.sure = "yes";
    event.target.requestSubmit(button);
    delete button.dataset.sure;
  },
  true,
);

// A menu with a field is there to be typed in.
document.addEventListener("toggle", (event) => {
  if (event.target.matches("details.rename[open]")) event.target.querySelector("input").select();
}, true);

// Menus close at a click elsewhere and by Escape; only one is open.
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details[data-menu][open]"))
    if (!menu.contains(event.target)) menu.open = false;
});
document.addEventListener("keydown", (event) => {
  const menu = event.key === "Escape" && document.querySelector("details[data-menu][open]");
  if (!menu) return;
  menu.open = false;
  menu.querySelector("summary").focus();
});

const themes = document.querySelectorAll("[name=theme]");
for (const choice of themes) {
  choice.checked = choice.value === (localStorage.getItem("whisperbox.theme") ?? "");
  choice.onchange = () => {
    if (choice.value) localStorage.setItem("whisperbox.theme", choice.value);
    else localStorage.removeItem("whisperbox.theme");
    document.documentElement.dataset.theme = choice.value;
  };
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const field = document.getElementById(button.dataset.copy);
  await copyText(field.value);
  field.select();
  button.textContent = "Copied";
});

export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = Object.assign(document.createElement("textarea"), { value: text }); // a page by http has no clipboard
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}

// 02:03, or 01:02:03 from an hour on.
export function clock(seconds) {
  const whole = Math.floor(seconds);
  const parts = [Math.floor(whole / 60) % 60, whole % 60];
  if (whole >= 3600) parts.unshift(Math.floor(whole / 3600));
  return parts.map((n) => String(n).padStart(2, "0")).join(":");
}

const DAY = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

function localise() {
  for (const time of document.querySelectorAll("time[datetime]:not([title])")) {
    time.title = time.dateTime;
    const moment = new Date(time.dateTime);
    if (!time.closest(".log")) time.textContent = DAY.format(moment);
  }
  for (const time of document.querySelectorAll("time[data-epoch]:empty"))
    time.textContent = DAY.format(new Date(time.dataset.epoch * 1000));
}

const WEEKDAY = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });

function dayName(moment) {
  const midnight = (date) => new Date(date.getFullYear(), date.getMonth(), date.getDate());
  const ago = Math.round((midnight(new Date()) - midnight(moment)) / 86400000);
  if (ago < 2) return ago < 1 ? "Today" : "Yesterday";
  const key = moment.toDateString();
  if (!names.has(key)) names.set(key, longName(moment));
  return names.get(key);
}

const names = new Map(); // of days: the browser takes long to write one

function longName(moment) {
  return moment.getFullYear() === new Date().getFullYear()
    ? WEEKDAY.format(moment)
    : new Intl.DateTimeFormat(undefined, { dateStyle: "long" }).format(moment);
}

// Each day's jobs under its name: the day is the reader's, which the server does not know.
function days() {
  const list = document.querySelector("#jobs");
  if (!list) return;
  let before;
  for (const row of [...list.children]) {
    const name = row.dataset.at && dayName(new Date(row.dataset.at));
    const heading = row.previousElementSibling?.matches(".day") ? row.previousElementSibling : undefined;
    if (row.matches(".day")) {
      if (!row.nextElementSibling?.dataset.at) row.remove();
    } else if (!name || name === before) {
      heading?.remove();
    } else if (heading) {
      heading.firstElementChild.textContent = name;
    } else {
      const made = document.createElement("li");
      made.className = "day";
      made.append(Object.assign(document.createElement("h2"), { textContent: name }));
      row.before(made);
    }
    before = name ?? before;
  }
}

function settle() {
  localise();
  days();
}

document.addEventListener("whisperbox:changed", settle);
document.addEventListener("htmx:afterSettle", settle);
settle();
