// Keeps an open page true: the server tells what changes, and this puts it in its place.

const LOST_MS = 3000; // without a stream for so long, a person is told
const AGAIN_MS = 2000;

const page = document.body.dataset;
const offline = document.getElementById("offline");
let stream;
let followed; // the address of the stream
let wasAway = false;
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
  if (fresh.dataset.number && document.getElementById("jobs")?.dataset.show)
    return refreshSoon(); // the server knows which rows a filter lets through
  if (old) {
    if (isTypedIn(old)) return;
    if (old.contains(document.activeElement) && old.dataset.job) return keep(old, fresh);
    old.replaceWith(fresh);
  } else if (fresh.dataset.number && isNewest(fresh)) {
    document.getElementById("jobs").prepend(fresh);
  } else {
    return;
  }
  htmx.process(fresh);
}

// What somebody fills in stays until they are done.
function isTypedIn(part) {
  if (part.matches(".editing")) return true;
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

function isNewest(row) {
  const jobs = document.getElementById("jobs");
  if (!jobs) return false;
  const first = jobs.querySelector("[data-number]");
  return !first || Number(row.dataset.number) > Number(first.dataset.number);
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
  return page.live.startsWith("#") ? document.querySelector(page.live)?.dataset.live : page.live;
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
    if (wasAway) refresh();
    wasAway = false;
  });
  mine.addEventListener("html", async (event) => {
    await refreshing; // or the news would be lost with the elements that are being replaced
    apply(JSON.parse(event.data));
  });
  mine.addEventListener("over", refresh);
  mine.addEventListener("error", () => {
    wasAway = true;
    lost ??= setTimeout(() => (offline.hidden = false), LOST_MS);
    if (mine.readyState === EventSource.CLOSED && mine === stream) refused();
  });
}

function leave() {
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
  if (status === 401) location.assign(`/sign-in?next=${here}`);
  else if (status === 403 || status === 404) leave();
  else setTimeout(connect, AGAIN_MS);
}

// A hidden page listens to nothing: browsers allow six connections to a server, for all its tabs.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    wasAway = true;
    leave();
  } else connect();
});
addEventListener("pagehide", leave);
addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  wasAway = true;
  connect();
});

let soon;

function refreshSoon() {
  soon ??= setTimeout(() => {
    soon = undefined;
    refresh();
  }, 500);
}

// Not while somebody writes or listens there: then as soon as they are done.
export async function refresh() {
  const part = page.refresh && document.querySelector(page.refresh);
  if (!part) return;
  const audio = part.querySelector("audio");
  if (isTypedIn(part) || part.querySelector(".editing") || (audio && !audio.paused))
    return setTimeout(refresh, AGAIN_MS);
  if (refreshing) {
    again = true;
    return;
  }
  const how = { target: page.refresh, select: page.refresh, swap: "outerHTML" };
  let answered = true;
  refreshing = htmx.ajax("GET", location.href, how).catch(() => (answered = false));
  await refreshing;
  refreshing = undefined;
  if (again && answered) {
    again = false;
    return refresh();
  }
  again = false;
  wasAway ||= !answered;
  if (stream && (!answered || address() !== followed)) {
    leave();
    connect();
  }
}

export function toast(text, kind = "wrong") {
  const box = document.getElementById("toast");
  const line = document.createElement("p");
  line.className = kind;
  line.textContent = text;
  box.replaceChildren(line);
  setTimeout(() => line.remove(), 8000);
}

document.addEventListener("htmx:responseError", (event) =>
  toast(event.detail.xhr.responseText.slice(0, 300) || "The server refused that."),
);
document.addEventListener("htmx:sendError", () => toast("The server does not answer."));
document.documentElement.classList.add("scripts");
connect();

// What needs a script but no server: questions before what cannot be undone, copying, local times.

document.addEventListener("submit", (event) => {
  const question = event.submitter?.dataset.confirm;
  if (question && !confirm(question)) event.preventDefault();
});
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const field = document.getElementById(button.dataset.copy);
  field.select();
  try {
    await navigator.clipboard.writeText(field.value);
  } catch {
    document.execCommand("copy"); // a page by http has no clipboard
  }
  button.textContent = "Copied";
});

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

document.addEventListener("whisperbox:changed", localise);
document.addEventListener("htmx:afterSettle", localise);
localise();
