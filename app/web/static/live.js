// Keeps an open page true: the server tells what changes, and this puts it in its place.

const LOST_S = 3; // without a stream for so long, a person is told
const AGAIN_MS = 2000;

const page = document.body.dataset;
const offline = document.getElementById("offline");
let wasAway = false;
let lost;
let refreshing;

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
    if (old.matches(".editing")) return; // what somebody types stays until they are done
    if (old.contains(document.activeElement) && old.dataset.job) return keep(old, fresh);
    old.replaceWith(fresh);
  } else if (fresh.dataset.number && isNewest(fresh)) {
    document.getElementById("jobs").prepend(fresh);
  } else {
    return;
  }
  htmx.process(fresh);
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
  if (!jobs || jobs.dataset.show) return false;
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

function connect() {
  const stream = new EventSource(page.live);
  stream.addEventListener("open", () => {
    clearTimeout(lost);
    lost = undefined;
    offline.hidden = true;
    if (wasAway) refresh();
    wasAway = false;
  });
  stream.addEventListener("html", async (event) => {
    await refreshing; // or the news would be lost with the elements that are being replaced
    apply(JSON.parse(event.data));
  });
  stream.addEventListener("over", refresh);
  stream.addEventListener("error", () => {
    wasAway = true;
    lost ??= setTimeout(() => (offline.hidden = false), LOST_S * 1000);
    if (stream.readyState === EventSource.CLOSED) setTimeout(connect, AGAIN_MS); // it was refused
  });
  addEventListener("pagehide", () => stream.close(), { once: true });
}

export function refresh() {
  const part = page.refresh;
  if (part)
    refreshing = htmx.ajax("GET", location.href, { target: part, select: part, swap: "outerHTML" });
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
if (page.live) connect();

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
