// Several recordings at once: export, restart, delete. What is deleted can be brought back for some
// seconds: until then the server is not told.

import { toast } from "./live.js";

const UNDO_MS = 9000; // a little longer than the offer is shown
const chosen = new Set(); // ids of jobs
const leaving = new Map(); // id → how to delete it
const bar = document.getElementById("selection");
const list = document.getElementById("jobs");
let last; // the box that was ticked last, for a range

const rows = () => [...list.querySelectorAll(".job[data-job]")];
const boxOf = (row) => row.querySelector(".pick");
const deletion = (row) => row.querySelector('form[action$="/delete"]')?.action;

// Rows come anew whenever something changes: they get their tick, or stay away.
function settle() {
  if (!chosen.size && !leaving.size && bar.hidden && !list.querySelector(".job[hidden]")) return;
  const here = new Set(rows().map((row) => row.dataset.job));
  for (const id of chosen) if (!here.has(id)) chosen.delete(id);
  for (const row of rows()) {
    const id = row.dataset.job;
    row.hidden = leaving.has(id);
    const box = boxOf(row);
    if (box) box.checked = chosen.has(id);
    row.classList.toggle("picked", chosen.has(id));
  }
  bar.hidden = !chosen.size;
  list.classList.toggle("picking", chosen.size > 0);
  document.getElementById("selected-count").textContent = `${chosen.size} selected`;
  const restart = bar.querySelector("[data-act=restart]");
  restart.hidden = !picked().some((row) => row.querySelector('form[action$="/restart"]'));
}

const picked = () => rows().filter((row) => chosen.has(row.dataset.job));

function pick(box, event) {
  const boxes = rows().filter((row) => !row.hidden).map(boxOf);
  const [from, to] = [boxes.indexOf(last), boxes.indexOf(box)].sort((a, b) => a - b);
  const range = event.shiftKey && from >= 0 ? boxes.slice(from, to + 1) : [box];
  for (const each of range) {
    const id = each.closest(".job").dataset.job;
    if (box.checked) chosen.add(id);
    else chosen.delete(id);
  }
  last = box;
  settle();
}

async function restart() {
  for (const row of picked()) {
    const form = row.querySelector('form[action$="/restart"]');
    if (form) await htmx.ajax("POST", form.action, { target: `#${row.id}`, swap: "outerHTML" });
  }
  clear();
}

function exported() {
  const query = new URLSearchParams({ jobs: [...chosen].join(","), form: document.getElementById("export-form").value });
  Object.assign(document.createElement("a"), { href: `${bar.dataset.base}/export.zip?${query}`, download: "" }).click();
}

function clear() {
  chosen.clear();
  settle();
}

function deleteLater(gone) {
  const able = gone.filter(deletion);
  const kept = gone.length - able.length;
  if (kept) toast(`${kept === 1 ? "One is" : `${kept} are`} being processed. Cancel first.`);
  if (!able.length) return;
  const focus = able.at(-1).nextElementSibling ?? able[0].previousElementSibling;
  const ids = able.map((row) => row.dataset.job);
  for (const row of able) {
    leaving.set(row.dataset.job, deletion(row));
    chosen.delete(row.dataset.job);
  }
  settle();
  focus?.querySelector("a")?.focus();
  const timer = setTimeout(() => deleteNow(ids), UNDO_MS);
  const name = able.length === 1 ? `“${able[0].querySelector(".title").textContent}”` : `${able.length} recordings`;
  toast(`${name} deleted.`, "good", {
    label: "Undo",
    act() {
      clearTimeout(timer);
      for (const id of ids) leaving.delete(id);
      settle();
    },
  });
}

async function deleteNow(ids) {
  await Promise.all(ids.filter((id) => leaving.has(id)).map(deleteOne));
  document.dispatchEvent(new CustomEvent("whisperbox:changed"));
}

async function deleteOne(id) {
  const headers = { "hx-request": "true", "hx-target": `job-${id}` };
  const answer = await fetch(leaving.get(id), { method: "POST", headers }).catch(() => undefined);
  leaving.delete(id);
  if (answer?.ok || answer?.status === 404) list.querySelector(`[data-job="${CSS.escape(id)}"]`)?.remove();
  else toast(answer ? (await answer.text()).slice(0, 300) : "The server does not answer: nothing was deleted.");
}

list.addEventListener("click", (event) => {
  if (event.target.matches(".pick")) pick(event.target, event);
});
document.addEventListener(
  "submit",
  (event) => {
    const row = event.target.closest("#jobs .job");
    if (!row || !event.target.action.endsWith("/delete")) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    deleteLater([row]);
  },
  true,
);
bar.addEventListener("click", (event) => {
  const act = event.target.closest("[data-act]")?.dataset.act;
  if (act === "export") exported();
  else if (act === "restart") restart();
  else if (act === "delete") deleteLater(picked());
  else if (act === "clear") clear();
});
// Whoever leaves the page does not take it back; a beacon outlasts the page, and a request may not.
addEventListener("pagehide", () => {
  for (const address of leaving.values()) navigator.sendBeacon(address);
  leaving.clear();
});
document.addEventListener("whisperbox:changed", settle);
document.addEventListener("htmx:afterSettle", settle);
settle();
