// Sends every chosen file and address as a job of its own, shows how far each is, and remembers
// the options for the next time. Without it the form sends one of them, as forms do.

import { toast } from "./live.js";

const form = document.getElementById("submit");
const files = document.getElementById("media_file");
const urls = document.getElementById("source_url");
const uploads = document.getElementById("uploads");
const AT_ONCE = 2;
const KEY = "whisperbox.options";
const waiting = [];
let under_way = 0;

files.multiple = true;

// Options

function options() {
  return [...form.querySelectorAll("#options select, #options input:not([type=hidden])")].filter(
    (field) => field.name !== "source_label",
  );
}

function remember() {
  const kept = {};
  for (const field of options())
    kept[field.id] =
      field.type === "checkbox"
        ? field.checked
        : field.multiple
          ? [...field.selectedOptions].map((each) => each.value)
          : field.value;
  localStorage.setItem(KEY, JSON.stringify(kept));
  say();
}

function recall() {
  let kept = {};
  try {
    kept = JSON.parse(localStorage.getItem(KEY) ?? "{}");
  } catch {
    localStorage.removeItem(KEY);
  }
  for (const field of options()) {
    const value = kept[field.id];
    if (value === undefined) continue;
    if (field.type === "checkbox") field.checked = value;
    else if (field.multiple)
      for (const each of field.options) each.selected = value.includes(each.value);
    else if (field.tagName !== "SELECT" || [...field.options].some((o) => o.value === value))
      field.value = value;
  }
  say();
}

function say() {
  const model = document.getElementById("model-name").selectedOptions[0]?.text;
  const language = document.getElementById("language");
  const parts = [model, language.value ? language.selectedOptions[0].text : "any language"];
  if (document.getElementById("task").value === "translate") parts.push("into English");
  document.getElementById("chosen").textContent = parts.join(" · ");
}

// Sending

// `over` is told whether the server has it. The same `key` is the same recording, however often it is sent.
export function enqueue(name, field, value, over = () => {}, key = undefined) {
  const data = new FormData(form);
  data.delete("media_file");
  data.delete("source_url");
  const row = document.createElement("li");
  row.className = "job working";
  row.innerHTML =
    '<div class="what"><span class="title" dir="auto"></span><p class="facts"><span class="badge working">Uploading</span> <span class="detail">waiting</span></p><progress max="1" value="0"></progress></div><div class="doing"><button type="button" class="small">Cancel</button></div>';
  row.querySelector(".title").textContent = name;
  row.querySelector("progress").setAttribute("aria-label", `Upload of ${name}`);
  const request = new XMLHttpRequest();
  row.querySelector("button").onclick = () => {
    const at = waiting.findIndex((each) => each.row === row);
    if (at >= 0) waiting.splice(at, 1);
    if (at >= 0 || request.readyState !== XMLHttpRequest.DONE) over(false);
    request.abort();
    row.remove();
  };
  uploads.append(row);
  const address = field === "source_url" && value;
  waiting.push({ row, request, address, over, key, data: () => (data.append(field, value), data) });
  next();
}

function next() {
  if (under_way >= AT_ONCE || !waiting.length) return;
  under_way += 1;
  const { row, request, data, address, over, key } = waiting.shift();
  const detail = row.querySelector(".detail");
  request.open("POST", form.action);
  request.setRequestHeader("HX-Request", "true");
  if (key) request.setRequestHeader("Idempotency-Key", key);
  request.upload.onprogress = ({ loaded, total }) => {
    row.querySelector("progress").value = total ? loaded / total : 0;
    detail.textContent = `${Math.floor((100 * loaded) / (total || 1))} %`;
  };
  request.onload = () => {
    over(request.status === 200);
    if (request.status === 200) accepted(row, request.responseText);
    else if (request.status === 401) location.reload();
    else failed(row, request.responseText, address);
  };
  request.onerror = () => {
    over(false);
    failed(row, "The server does not answer.", address);
  };
  request.onloadend = () => {
    under_way -= 1;
    next();
  };
  request.send(data());
}

function accepted(row, html) {
  row.remove();
  const box = document.createElement("template");
  box.innerHTML = html;
  const fresh = box.content.firstElementChild;
  const jobs = document.getElementById("jobs");
  if (jobs.dataset.show) return toast("It is queued: see “All”.", "good");
  if (document.getElementById(fresh.id)) return;
  jobs.prepend(fresh);
  htmx.process(fresh);
  document.dispatchEvent(new CustomEvent("whisperbox:changed"));
}

function failed(row, text, address) {
  if (address && !urls.value.includes(address)) urls.value = `${urls.value}\n${address}`.trim();
  const words = new DOMParser().parseFromString(text, "text/html").body.textContent.trim();
  row.className = "job failed";
  row.querySelector(".badge").className = "badge failed";
  row.querySelector(".badge").textContent = "Not sent";
  row.querySelector(".detail").setAttribute("role", "alert");
  row.querySelector(".detail").textContent = words.replace(/\s+/g, " ");
  row.querySelector("progress").remove();
  row.querySelector("button").textContent = "Dismiss";
}

function send(list) {
  for (const file of list) enqueue(file.name, "media_file", file);
}

// A folder has other files, too: the server would refuse each of them.
const isRecording = (file) => /^(audio|video)\//.test(file.type) || /\.(opus|oga|mka|mkv|amr|wma|m4b|caf)$/i.test(file.name);

const note = document.getElementById("chosen-files");
const usual = note.textContent;

function sayChosen() {
  const names = [...files.files].map((file) => file.name);
  note.textContent = names.length > 3 ? `${names.length} files chosen` : names.join(", ") || usual;
  form.classList.toggle("chosen", names.length > 0);
}

document.getElementById("choose-folder").onclick = () => {
  const folder = document.createElement("input");
  folder.type = "file";
  folder.webkitdirectory = true;
  folder.onchange = () => sendAll([...folder.files], "folder");
  folder.click();
};

function sendAll(list, where) {
  const heard = list.filter(isRecording);
  if (!heard.length) toast(`There are no recordings in the ${where}.`);
  send(heard);
}

async function filesOf(entry) {
  if (entry.isFile) return [await new Promise((done, failed) => entry.file(done, failed))];
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    const some = await new Promise((done, failed) => reader.readEntries(done, failed)); // up to 100
    if (!some.length) return found;
    for (const each of some) if (!each.name.startsWith(".")) found.push(...(await filesOf(each)));
  }
}

async function sendDropped(dropped) {
  const entries = [...dropped.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.some((entry) => entry.isDirectory)) return send(dropped.files);
  try {
    sendAll((await Promise.all(entries.map(filesOf))).flat(), "folder");
  } catch (error) {
    toast(`The folder cannot be read: ${error.message}`);
  }
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const addresses = urls.value.split("\n").map((line) => line.trim()).filter(Boolean);
  if (!files.files.length && !addresses.length)
    return toast("Choose a recording first, or paste an address.");
  send(files.files);
  for (const address of addresses) enqueue(address, "source_url", address);
  files.value = urls.value = document.getElementById("source_label").value = "";
  sayChosen();
});
form.addEventListener("change", remember);
files.addEventListener("change", sayChosen);
addEventListener("pageshow", recall);

// Files dropped anywhere, and pasted ones

let depth = 0;
const carriesFiles = (event) => event.dataTransfer?.types.includes("Files");
addEventListener("dragenter", (event) => {
  if (carriesFiles(event) && ++depth) document.body.classList.add("dropping");
});
addEventListener("dragleave", (event) => {
  if (carriesFiles(event) && --depth <= 0) document.body.classList.remove("dropping");
});
addEventListener("dragover", (event) => carriesFiles(event) && event.preventDefault());
addEventListener("drop", (event) => {
  if (!carriesFiles(event)) return;
  event.preventDefault();
  depth = 0;
  document.body.classList.remove("dropping");
  sendDropped(event.dataTransfer);
});
addEventListener("paste", (event) => {
  if (event.target.closest?.("input, textarea")) return;
  const heard = [...(event.clipboardData?.files ?? [])].filter((file) => /^(audio|video)/.test(file.type));
  send(heard);
});
addEventListener("beforeunload", (event) => {
  if (under_way) event.preventDefault();
});
