// Reading and editing a transcript in its place. What is typed is saved by itself, and kept in this
// browser until the server has it; every edit is a step that can be undone, whoever made it.

import { ask, clock, copyText, refresh, toast } from "./live.js";
import { play } from "./player.js";

const SAVE_AFTER_MS = 800;
const SAVE_AT_LEAST_MS = 2500; // while somebody goes on typing: a step that is undone is no longer than that
const AGAIN_MS = 3000; // after a request without an answer
const BACK_S = 3;
const AT_ONCE = 50; // lines that are put into the page
const VIEW = "whisperbox.view";

const list = () => document.getElementById("lines");
const lineOf = (number) => document.getElementById(`line-${number}`);
const numberOf = (line) => Number(line.id.slice("line-".length));
const textOf = (line) => line.querySelector(".text");
const parsed = (html) => {
  const box = document.createElement("template");
  box.innerHTML = html;
  return box.content;
};
const words = (text) => text.split(/\s+/).filter(Boolean).join(" ");
const neighbour = (line, step) => {
  do line = step < 0 ? line.previousElementSibling : line.nextElementSibling;
  while (line && !line.matches(".line"));
  return line;
};

const bringing = new WeakSet(); // lists whose missing lines are coming
let job; // the address of the job whose transcript is there now
let typed = new Map(); // line → {was, text}: what the server does not have yet
let fresh = new Map(); // line → its newest HTML, while somebody is in it
let typing; // the line that somebody is in
let base; // its text, as the server has it
let here; // the line that the arrow keys have come to
let seen; // the unsure word that was shown last
let conflicts = new Set();
let timer;
let since; // when the first letter came that is not saved yet
let inFlight; // the line whose text is on its way
let queue = Promise.resolve(); // requests go one after the other
let busy = 0; // commands without an answer yet
let held = []; // keys that came meanwhile: they are for the lines as they will be
let moved = false; // somebody has gone to another line meanwhile
let trouble; // why the last request had no answer

class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

class Unanswered extends Error {}

const LATER = [403, 408, 425, 429]; // of proxies, mostly: the same may be accepted later

async function request(path, options = {}) {
  const since = `${path.includes("?") ? "&" : "?"}since=${list().dataset.edit}`;
  let answer;
  try {
    answer = await fetch(job + path + since, { ...options, headers: { "hx-request": "true", ...options.headers } });
  } catch {
    throw new Unanswered("the server does not answer");
  }
  if (answer.status === 401) throw new Unanswered("you are signed out, sign in in another tab");
  if (answer.status >= 500 || LATER.includes(answer.status)) throw new Unanswered("the server refuses it for now");
  if (!answer.ok) throw new Refused(answer.status, (await answer.text()).slice(0, 300));
  return answer;
}

async function send(edit, keepalive = false) {
  const headers = { "content-type": "application/json" };
  const answer = await request("/edits", { method: "POST", headers, body: JSON.stringify(edit), keepalive });
  try {
    return await answer.json();
  } catch {
    throw new Unanswered("something between here and the server answered in its place");
  }
}

// What the server tells of edits: ours, those of others, and those of our other tabs.

function apply(news) {
  const lines = list();
  if (!lines || news.last <= Number(lines.dataset.edit)) return;
  if (news.all) return refresh(); // too much to tell: as soon as nobody types here
  lines.dataset.edit = news.last;
  for (const number of news.gone) {
    const line = lineOf(number);
    if (line && typed.has(number)) disagree(number, null);
    else {
      if (line === typing) typing = undefined;
      line?.remove();
    }
  }
  for (const { number, after, html } of news.lines) put(number, after, html);
  undo.toggle(news.undo, news.redo);
  const form = document.getElementById("restore");
  if (form) form.hidden = !news.corrected;
  const corrected = document.getElementById("corrected");
  if (corrected) corrected.textContent = `${news.corrected} ${news.corrected === 1 ? "line" : "lines"}`;
  tidy();
}

function put(number, after, html) {
  const made = parsed(html).querySelector(".line");
  const before = after === null ? null : lineOf(after);
  const old = lineOf(number);
  if (after !== null && !before) return old?.remove(); // it comes with the lines around it
  if (old && typed.has(number)) return; // ours is newer, or the server will say that they disagree
  if (old === typing && old && words(textOf(old).textContent) === words(textOf(made).textContent)) {
    fresh.set(number, html);
    base = textOf(made).textContent;
    old.dataset.start = made.dataset.start;
    old.dataset.end = made.dataset.end;
    return;
  }
  const caret = old && old === typing ? caretIn(textOf(old)) : null;
  if (old === typing) typing = undefined;
  const stays = old && (old.previousElementSibling === before || (!before && !old.previousElementSibling));
  if (stays) old.replaceWith(made);
  else {
    old?.remove();
    if (before) before.after(made);
    else list().prepend(made);
  }
  if (here === old) here = made;
  if (caret !== null) open(made, caret);
}

// Saving by itself.

const stored = () => `whisperbox.typed:${document.body.dataset.account}:${job}`;
let mine = new Set(); // lines that this tab has put there

// Other tabs keep theirs in the same place.
function remember() {
  const all = kept();
  for (const number of mine) if (!typed.has(number)) all.delete(number);
  for (const [number, what] of typed) all.set(number, what);
  mine = new Set(typed.keys());
  if (all.size) localStorage.setItem(stored(), JSON.stringify([...all]));
  else localStorage.removeItem(stored());
  show();
}

const kept = () => new Map(JSON.parse(localStorage.getItem(stored()) ?? "[]"));

function changed() {
  const number = numberOf(typing);
  const text = textOf(typing).textContent;
  const was = typed.get(number)?.was ?? base;
  if (words(text) === words(was) && inFlight !== number) typed.delete(number);
  else typed.set(number, { was, text });
  remember();
  since ??= Date.now();
  clearTimeout(timer);
  timer = setTimeout(flush, Math.min(SAVE_AFTER_MS, Math.max(0, since + SAVE_AT_LEAST_MS - Date.now())));
}

const unsent = () => [...typed.keys()].some((number) => !conflicts.has(number));

// Resolves with whether the server has everything now, but for what people have to choose.
function flush({ keepalive = false } = {}) {
  clearTimeout(timer);
  since = undefined;
  if (unsent())
    queue = queue.then(() => saveTyped(keepalive)).catch((error) => {
      trouble = error.message;
      timer = setTimeout(flush, AGAIN_MS);
      show();
    });
  return queue.then(() => !unsent());
}

async function saveTyped(keepalive) {
  for (const [number, { was, text }] of [...typed]) {
    if (conflicts.has(number)) continue;
    try {
      inFlight = number;
      const news = await send({ kind: "text", line: number, was, text }, keepalive);
      trouble = undefined;
      const now = typed.get(number);
      if (now?.text === text) typed.delete(number);
      else if (now) {
        now.was = text;
        timer = setTimeout(flush, SAVE_AFTER_MS);
      }
      if (typing && numberOf(typing) === number) base = text;
      apply(news);
    } catch (error) {
      if (error instanceof Unanswered) {
        trouble = error.message;
        timer = setTimeout(flush, AGAIN_MS);
        break;
      }
      if (!(error instanceof Refused)) throw error;
      trouble = undefined;
      if (error.status === 409) await askWhatIsThere(number);
      else if (error.status === 404) disagree(number, null);
      else {
        conflicts.add(number); // it is not sent again until it is another text
        toast(error.message);
      }
    } finally {
      inFlight = undefined;
    }
  }
  remember();
}

async function askWhatIsThere(number) {
  const there = await request(`/lines/${number}`).then((answer) => answer.text()).catch(() => null);
  const line = parsed(there ?? "").querySelector(".line");
  disagree(number, line && textOf(line).textContent);
}

// Somebody else has changed a line in which something is typed here; `theirs`: null if they removed it.
function disagree(number, theirs) {
  const line = lineOf(number);
  const text = typed.get(number)?.text ?? "";
  conflicts.add(number);
  document.getElementById(`conflict-${number}`)?.remove();
  const note = document.createElement("div");
  note.id = `conflict-${number}`;
  note.className = "conflict problem";
  note.setAttribute("role", "alert");
  const settle = () => {
    typed.delete(number);
    conflicts.delete(number);
    note.remove();
    remember();
  };
  if (theirs === null) {
    note.append("Somebody else has removed the line in which you typed “", quoted(text), "”. ");
    note.append(button("Copy mine", () => copyText(text)), " ", button("Discard mine", () => {
      settle();
      lineOf(number)?.remove();
    }));
  } else {
    note.append("Somebody else has changed this line to “", quoted(theirs), "”. ");
    note.append(button("Keep mine", () => {
      typed.set(number, { was: theirs, text: typed.get(number)?.text ?? text });
      conflicts.delete(number);
      note.remove();
      flush();
    }), " ", button("Take theirs", () => {
      settle();
      const here = lineOf(number);
      if (!here) return;
      textOf(here).textContent = theirs;
      if (typing === here) base = theirs;
      open(here, Infinity);
    }));
  }
  if (line) line.append(note);
  else document.querySelector(".edit-bar")?.before(note);
  show();
}

function quoted(text) {
  return Object.assign(document.createElement("bdi"), { textContent: text });
}

function button(label, act) {
  const made = document.createElement("button");
  made.type = "button";
  made.className = "small";
  made.textContent = label;
  made.onclick = act;
  return made;
}

function show() {
  const state = document.getElementById("saved");
  if (!state) return;
  state.classList.toggle("wrong", Boolean(trouble));
  state.textContent = trouble
    ? `Not saved yet: ${trouble}. What you typed is kept here.`
    : typed.size
      ? unsent()
        ? "Saving …"
        : "A line has two versions: choose one"
      : "Saved";
}

// Commands: everything but typing. What was typed before goes to the server first.

async function command(edit, then) {
  busy += 1;
  moved = false;
  try {
    if (!(await flush())) return toast(`This is not done: ${trouble ?? "what you typed is not saved yet"}.`);
    const answer = queue.then(() => send(edit));
    queue = answer.catch(() => {});
    const news = await answer;
    apply(news);
    if (!moved) then?.(news);
  } catch (error) {
    if (!(error instanceof Refused || error instanceof Unanswered)) throw error;
    toast(error.message[0].toUpperCase() + error.message.slice(1));
  } finally {
    busy -= 1;
    replay();
  }
}

// The keys that came while the server had not answered, in their order.
function replay() {
  while (held.length && !busy) {
    const key = held.shift();
    key.target = typing ? textOf(typing) : (here ?? document.body);
    const act = (typing && keyInText(key)) ?? keyAnywhere(key);
    if (act) act();
    else if (typing && key.key.length === 1 && !key.ctrlKey && !key.metaKey) document.execCommand("insertText", false, key.key);
    else if (typing && MOVES[key.key]) {
      const [way, step] = MOVES[key.key];
      getSelection().modify(key.shiftKey ? "extend" : "move", way, key.ctrlKey && step === "character" ? "word" : step);
    } else if (typing && (key.key === "Backspace" || key.key === "Delete"))
      document.execCommand(key.key === "Backspace" ? "delete" : "forwardDelete");
  }
}

const MOVES = {
  ArrowLeft: ["left", "character"],
  ArrowRight: ["right", "character"],
  Home: ["backward", "lineboundary"],
  End: ["forward", "lineboundary"],
};

function split() {
  const line = typing;
  const text = textOf(line).textContent;
  const at = [...text.slice(0, caretIn(textOf(line)) ?? text.length)].length; // the server counts code points
  const number = numberOf(line);
  command({ kind: "split", line: number, was: text, text, at }, () => open(neighbour(lineOf(number), 1), 0));
}

function join(line) {
  const before = neighbour(line, -1);
  if (!before) return;
  const right = words(textOf(line).textContent).length;
  const number = numberOf(before);
  command({ kind: "join", line: numberOf(line) }, () => {
    const whole = lineOf(number);
    open(whole, textOf(whole).textContent.length - right);
  });
}

function remove(line) {
  const next = neighbour(line, -1) ?? neighbour(line, 1);
  const goesOn = line === typing && next;
  command({ kind: "remove", line: numberOf(line) }, () => {
    if (goesOn) open(next, textOf(next).textContent.length);
    else if (next) go(next);
  });
}

const undo = {
  take(kind) {
    const inside = typing && numberOf(typing);
    command({ kind }, (news) => {
      const line = lineOf(news.lines[0]?.number);
      line?.scrollIntoView({ block: "nearest" });
      if (typing) return;
      if (inside !== undefined) open(lineOf(inside) ?? line, Infinity);
      else if (line) go(line);
    });
  },
  toggle(can, again) {
    const [back, on] = [document.getElementById("undo"), document.getElementById("redo")];
    if (back) back.disabled = !can;
    if (on) on.disabled = !again;
  },
};

// In a line.

const isEditing = () => list()?.classList.contains("in-place");

function open(line, caret) {
  if (!line || !isEditing()) return;
  const text = textOf(line);
  if (typing !== line) {
    close();
    typing = line;
    base = typed.get(numberOf(line))?.was ?? text.textContent;
    line.classList.add("typing");
    try {
      text.contentEditable = "plaintext-only";
    } catch {
      text.contentEditable = "true"; // an older Firefox; what is pasted is made plain below
    }
    text.setAttribute("role", "textbox");
    text.setAttribute("aria-label", `Text at ${line.querySelector(".time").textContent}`);
    point(line);
  }
  if (caret === undefined) return;
  text.focus();
  place(text, caret);
  line.scrollIntoView({ block: "nearest" });
}

function close() {
  const line = typing;
  if (!line) return;
  typing = undefined;
  const text = textOf(line);
  const number = numberOf(line);
  line.classList.remove("typing");
  for (const name of ["contenteditable", "role", "aria-label"]) text.removeAttribute(name);
  if (fresh.has(number) && !typed.has(number) && line.isConnected) {
    const made = parsed(fresh.get(number)).querySelector(".line");
    line.replaceWith(made);
    if (here === line) point(made);
    tidy();
  }
  fresh.delete(number);
  flush();
}

function caretIn(text) {
  const selection = getSelection();
  if (!selection.rangeCount || !text.contains(selection.focusNode)) return null;
  const before = document.createRange();
  before.selectNodeContents(text);
  before.setEnd(selection.focusNode, selection.focusOffset);
  return before.toString().length;
}

function place(text, offset, length = 0) {
  const spot = (at) => {
    const nodes = document.createTreeWalker(text, NodeFilter.SHOW_TEXT);
    let last;
    for (let node; (node = nodes.nextNode()); last = node) {
      if (at <= node.length) return [node, Math.max(at, 0)];
      at -= node.length;
    }
    return last ? [last, last.length] : [text, 0];
  };
  getSelection().setBaseAndExtent(...spot(offset), ...spot(offset + length));
}

// The caret is in the first or the last row of its line.
function atEdge(text, step) {
  const selection = getSelection();
  if (!selection.isCollapsed) return false;
  const all = text.getBoundingClientRect();
  const at = selection.getRangeAt(0).getBoundingClientRect();
  if (!at.height) return true;
  return step < 0 ? at.top - all.top < at.height : all.bottom - at.bottom < at.height;
}

// Outside of the text: one line has the focus, and one stop for the Tab key is enough for all.

function go(line) {
  point(line);
  line.focus({ preventScroll: true });
  line.scrollIntoView({ block: "nearest" });
}

function point(line) {
  if (here && here !== line) reach(here, -1);
  here = line;
  reach(line, 0);
}

function reach(line, index) {
  line.tabIndex = index;
  for (const each of line.querySelectorAll(".time, .edit")) each.tabIndex = index;
}

function tidy() {
  const lines = list();
  if (!lines || !job) return;
  for (const each of lines.querySelectorAll(".line:not([tabindex])")) reach(each, -1);
  if (!here?.isConnected) here = lines.querySelector(".line.spoken, .line:target") ?? lines.querySelector(".line");
  if (here) reach(here, 0);
}

// Unsure words.

function unsure(step) {
  const all = [...list().querySelectorAll(".unsure")];
  const from = typing ? anchorIn(typing) : seen?.isConnected ? seen : here;
  const side = step < 0 ? Node.DOCUMENT_POSITION_PRECEDING : Node.DOCUMENT_POSITION_FOLLOWING;
  const isOther = (each) => from && from.compareDocumentPosition(each) & side && !each.contains(from);
  const found = step < 0 ? all.findLast(isOther) : all.find(isOther);
  if (!found) return toast(`There is no unsure word ${step < 0 ? "before this" : "after this"}.`, "good");
  seen = found;
  const line = found.closest(".line");
  document.getElementById("show-unsure").checked = true;
  list().classList.add("show-unsure");
  if (!isEditing()) {
    getSelection().selectAllChildren(found);
    point(line);
    return found.scrollIntoView({ block: "center" });
  }
  const before = document.createRange();
  before.selectNodeContents(textOf(line));
  before.setEndBefore(found);
  open(line, 0);
  place(textOf(line), before.toString().length, found.textContent.length);
  line.scrollIntoView({ block: "center" });
}

function anchorIn(line) {
  const node = getSelection().focusNode;
  return node && line.contains(node) ? node : line;
}

// The dialogs.

// Where somebody was, to be there again after a dialog.
function whereabouts() {
  const number = typing ? numberOf(typing) : undefined;
  const caret = typing && caretIn(textOf(typing));
  const line = here && numberOf(here);
  return () =>
    setTimeout(() => {
      if (number !== undefined && lineOf(number)) open(lineOf(number), caret ?? Infinity);
      else if (lineOf(line)) go(lineOf(line));
    });
}

async function lineDialog(line) {
  const number = numberOf(line);
  const dialog = document.getElementById("line-dialog");
  const back = whereabouts();
  if (!(await flush())) return toast("What you typed is not saved yet, so the rest has to wait.");
  try {
    dialog.innerHTML = await (await request(`/lines/${number}/edit`)).text();
  } catch (error) {
    return toast(error.message);
  }
  document.dispatchEvent(new CustomEvent("whisperbox:changed")); // for the times in it
  dialog.showModal();
  dialog.onclose = back;
  dialog.oncancel = async (event) => {
    const form = dialog.querySelector("form");
    const fields = [...form.querySelectorAll("textarea, input:not([type=hidden], [type=checkbox])")];
    if (!fields.some((field) => field.value !== field.defaultValue)) return;
    event.preventDefault();
    if (await ask("Close without saving what you changed?")) dialog.close();
  };
}

async function exportDialog() {
  const dialog = document.getElementById("export-dialog");
  await flush();
  try {
    dialog.innerHTML = await (await request("/export")).text();
  } catch (error) {
    return toast(error.message);
  }
  htmx.process(dialog);
  dialog.showModal();
}

async function sendLine(form, submitter) {
  const dialog = form.closest("dialog");
  const body = new URLSearchParams(new FormData(form, submitter));
  try {
    const answer = await request(new URL(form.action).pathname.slice(job.length), { method: "POST", body });
    if (answer.headers.get("content-type").includes("json")) {
      apply(await answer.json());
      dialog.close();
    } else dialog.innerHTML = await answer.text();
  } catch (error) {
    const problem = form.querySelector("[data-problem]");
    problem.hidden = false;
    problem.textContent = error.message;
  }
}

const replacing = {
  field: (id) => document.getElementById(id),
  options() {
    return {
      find: this.field("find").value,
      match_case: this.field("match-case").checked,
      whole_words: this.field("whole-words").checked,
    };
  },
  async start() {
    const chosen = typing ? getSelection().toString() : "";
    const back = whereabouts();
    if (!(await flush())) return;
    if (chosen) this.field("find").value = chosen;
    const dialog = this.field("replace-dialog");
    dialog.showModal();
    dialog.onclose = back;
    this.field("find").select();
    this.preview();
  },
  async preview() {
    const { find, match_case, whole_words } = this.options();
    const query = new URLSearchParams({ find, match_case, whole_words });
    let told;
    try {
      told = await (await request(`/edits/preview?${query}`)).json();
    } catch (error) {
      return toast(error.message);
    }
    if (find !== this.field("find").value) return; // there is a newer one
    const { count, places } = told;
    const more = count > places.length ? `, of which the first ${places.length} are shown` : "";
    this.field("found-count").textContent = find.trim()
      ? `${count} ${count === 1 ? "place" : "places"}${more}`
      : "";
    this.field("replace-all").disabled = !count;
    this.field("found").replaceChildren(...places.map((place) => this.place(place)));
  },
  place({ start, text: [left, found, right] }) {
    const row = document.createElement("li");
    const time = Object.assign(document.createElement("span"), { className: "time", textContent: clock(start) });
    const text = document.createElement("span");
    text.dir = "auto";
    const gone = Object.assign(document.createElement("del"), { textContent: found });
    const by = Object.assign(document.createElement("ins"), { textContent: this.field("replace-by").value });
    text.append(left.length > 40 ? `… ${left.slice(-40)}` : left, gone, " ", by, right);
    row.append(time, " ", text);
    return row;
  },
  all() {
    const by = this.field("replace-by").value;
    const count = this.field("found-count").textContent.split(",")[0];
    command({ kind: "replace", by, ...this.options() }, () => toast(`${count} replaced. Ctrl+Z takes it back.`, "good"));
  },
};

// The views.

function choose(view) {
  const lines = list();
  if (view !== "edit") close();
  lines.classList.toggle("in-place", view === "edit");
  lines.classList.toggle("reading", view !== "edit");
  const bar = document.querySelector(".edit-bar");
  if (bar) bar.hidden = view !== "edit";
  const choice = document.getElementById(`view-${view}`);
  if (choice) choice.checked = true;
  localStorage.setItem(VIEW, view);
  tidy();
}

// The text of lines, in the paragraphs that one sees.
function inParagraphs(lines, textOfLine) {
  const paragraphs = [];
  for (const line of lines) {
    const text = textOfLine(line);
    if (!paragraphs.length || line.matches(".paragraph")) paragraphs.push(text);
    else paragraphs.push(`${paragraphs.pop()} ${text}`);
  }
  return paragraphs.join("\n\n");
}

function transcript() {
  return inParagraphs(list().querySelectorAll(".line"), (line) => {
    const speaker = line.matches(".paragraph") && line.querySelector(".speaker")?.textContent;
    return (speaker ? `${speaker}: ` : "") + words(textOf(line).textContent);
  });
}

async function copy(control) {
  await copyText(transcript());
  toast("The transcript is copied.", "good");
  control.focus();
}

// What is selected in the reading view.
function selected() {
  const part = getSelection().getRangeAt(0).cloneContents();
  for (const each of part.querySelectorAll(".time, .edit")) each.remove();
  return inParagraphs(part.querySelectorAll(".line"), (line) => words(line.textContent));
}

function begin() {
  const lines = list();
  if (lines && !bringing.has(lines)) {
    bringing.add(lines);
    conflicts.clear(); // their notes are gone with the list that was there before
    retype();
    bring();
  }
  if (!lines?.dataset.job) return (job = undefined);
  if (job !== lines.dataset.job) {
    job = lines.dataset.job;
    restore();
  }
  if (!lines.matches(".reading, .in-place")) choose(localStorage.getItem(VIEW) === "edit" ? "edit" : "read");
  tidy();
}

// The lines that the page did not come with, so that the browser's own search and print have them.
// Few at a time, since a long pause is felt; htmx would look at all that is there each time.
async function bring() {
  const lines = list();
  let more;
  while ((more = lines.querySelector("[data-more]")) && lines.isConnected) {
    let text;
    try {
      // Counted anew: lines may have been joined or split meanwhile.
      const after = lines.querySelectorAll(".line").length;
      const address = more.dataset.more.replace(/(?<=[?&]start=)\d+/, after);
      const answer = await fetch(address, { headers: { "hx-request": "true" } });
      if (!answer.ok) return;
      text = await answer.text();
    } catch {
      await pause(AGAIN_MS);
      continue;
    }
    const fresh = [...parsed(text).children].filter((each) => !lineOf(each.id.slice("line-".length)));
    while (fresh.length) {
      more.before(...fresh.splice(0, AT_ONCE));
      tidy();
      retype();
      await pause(0);
    }
    more.remove();
  }
}

const pause = (ms) => new Promise((over) => setTimeout(over, ms));

// Lines that come from the server do not have what was typed here and is not saved.
function retype() {
  for (const [number, { text }] of typed) {
    const line = lineOf(number);
    if (line && line !== typing) textOf(line).textContent = text;
  }
}

// What was typed when the browser or the server went away.
async function restore() {
  const before = kept();
  if (!before.size) return;
  typed = before;
  choose("edit");
  retype();
  if (await flush()) toast("What you had typed here before is saved now.", "good");
}

// What people do.

document.addEventListener("pointerdown", (event) => {
  const text = event.target.closest(".lines.in-place .text");
  if (!text || event.button !== 0 || event.altKey) return;
  moved = true;
  held = [];
  open(text.closest(".line"));
});
document.addEventListener("mousedown", (event) => {
  if (event.target.closest(".edit-bar")) event.preventDefault(); // the caret stays where it is
});
document.addEventListener("focusout", (event) => {
  if (typing && event.target === textOf(typing) && document.hasFocus()) close();
});
document.addEventListener("focusin", (event) => {
  if (event.target.matches?.("#lines > .line")) point(event.target);
});
document.addEventListener("input", (event) => {
  if (typing && event.target === textOf(typing)) {
    conflicts.delete(numberOf(typing));
    changed();
  } else if (event.target.closest("#replace-dialog")) replacing.preview();
});
document.addEventListener("beforeinput", (event) => {
  if (!typing || event.target !== textOf(typing)) return;
  if (event.inputType === "historyUndo" || event.inputType === "historyRedo") {
    event.preventDefault();
    undo.take(event.inputType === "historyUndo" ? "undo" : "redo");
  } else if (event.inputType.startsWith("format")) event.preventDefault();
});
document.addEventListener("copy", (event) => {
  const selection = getSelection();
  if (selection.isCollapsed || !document.querySelector(".lines.reading")?.contains(selection.getRangeAt(0).commonAncestorContainer)) return;
  const text = selected();
  if (!text) return; // within one line
  event.clipboardData.setData("text/plain", text);
  event.preventDefault();
});
document.addEventListener("paste", (event) => {
  if (!typing || event.target.closest?.(".text") !== textOf(typing)) return;
  event.preventDefault();
  document.execCommand("insertText", false, words(event.clipboardData.getData("text/plain")));
});
document.addEventListener("submit", (event) => {
  if (event.target.matches("#line-dialog form")) {
    event.preventDefault();
    sendLine(event.target, event.submitter);
  } else if (event.target.matches("#replace-dialog form") && event.submitter?.id === "replace-all") replacing.all();
});
document.addEventListener("click", (event) => {
  const at = (selector) => event.target.closest(selector);
  const control = at("#undo, #redo");
  if (control) undo.take(control.id);
  else if (at("#split")) typing ? split() : toast("Click into a line first, where it is to be split.");
  else if (at("#find-and-replace")) replacing.start();
  else if (at("#next-unsure")) unsure(1);
  else if (at("#keys")) document.getElementById("keys-dialog").showModal();
  else if (at("#copy-transcript")) copy(at("#copy-transcript"));
  else if (at("[data-put-back]")) {
    const control = at("[data-put-back]");
    command({ kind: "put_back", left_out: Number(control.dataset.putBack) }, (news) => {
      control.closest("li").remove();
      go(lineOf(news.lines[0].number));
    });
  } else if (job && at(".line .edit")) {
    event.preventDefault();
    lineDialog(at(".line"));
  } else if (job && at("#export")) {
    event.preventDefault();
    exportDialog();
  } else if (at("dialog [data-leave]")) {
    event.preventDefault();
    at("dialog").close();
  }
});
document.addEventListener("change", (event) => {
  if (event.target.name === "view") choose(event.target.value);
});
document.addEventListener("keydown", (event) => {
  if (!job || event.isComposing || document.querySelector("dialog[open]")) {
    if (event.key === "Enter" && !event.isComposing && event.target.matches("#line-dialog textarea")) {
      event.preventDefault();
      event.target.form.requestSubmit();
    }
    return;
  }
  const within = event.target === document.body || event.target.closest("#lines");
  if (busy && within && !["Shift", "Control", "Alt", "Meta"].includes(event.key)) {
    const { key, shiftKey, ctrlKey, metaKey, altKey } = event;
    held.push({ key, shiftKey, ctrlKey, metaKey, altKey });
    return event.preventDefault();
  }
  const field = event.target.matches("input:not([type=radio], [type=checkbox], [type=range]), select, textarea");
  const act = (typing && event.target === textOf(typing) ? keyInText(event) : undefined) ?? (field ? undefined : keyAnywhere(event));
  if (!act) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  act();
});

function keyInText(event) {
  const text = textOf(typing);
  const line = typing;
  const plain = !(event.ctrlKey || event.metaKey || event.altKey);
  const collapsed = getSelection().isCollapsed;
  const caret = caretIn(text);
  const next = neighbour(line, 1);
  const before = neighbour(line, -1);
  switch (plain && event.key) {
    case "Enter":
      if (event.shiftKey) return split;
      return () => (next ? open(next, 0) : flush());
    case "Escape":
      return () => {
        text.blur();
        go(lineOf(numberOf(line)));
      };
    case "Tab":
      return () => (event.shiftKey ? play.back(BACK_S) : play.within(line));
    case "Backspace":
      if (!text.textContent.trim()) return () => remove(line);
      return collapsed && caret === 0 && before ? () => join(line) : undefined;
    case "Delete":
      return collapsed && caret === text.textContent.length && next ? () => join(next) : undefined;
    case "ArrowUp":
      return !event.shiftKey && before && atEdge(text, -1) ? () => open(before, caret) : undefined;
    case "ArrowDown":
      return !event.shiftKey && next && atEdge(text, 1) ? () => open(next, caret) : undefined;
    default:
      return undefined;
  }
}

function keyAnywhere(event) {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const inText = typing && event.target === textOf(typing);
  const line = inText ? typing : (event.target.closest?.("#lines > .line") ?? (event.target === document.body ? here : null));
  if ((event.ctrlKey || event.metaKey) && !event.altKey) {
    if (!isEditing()) return undefined;
    if (key === "z") return () => undo.take(event.shiftKey ? "redo" : "undo");
    if (key === "y") return () => undo.take("redo");
    if (key === "h" && !event.shiftKey) return () => replacing.start();
    return undefined;
  }
  if (event.altKey) return undefined;
  if (key === "F8" && document.getElementById("show-unsure")) return () => unsure(event.shiftKey ? -1 : 1);
  if (key === "F2" && line) return () => lineDialog(line);
  if (inText) return undefined;
  if (key === "?") return () => document.getElementById("keys-dialog").showModal();
  if (key === "e") return () => choose(isEditing() ? "read" : "edit");
  if (!line || event.target.closest("button, a")) return undefined;
  const step = { ArrowUp: -1, ArrowDown: 1 }[key];
  if (step) return () => go(neighbour(line, step) ?? line);
  if (key === "Enter") return () => (isEditing() ? open(line, Infinity) : play.from(line));
  if (key === "Delete" && isEditing()) return () => remove(line);
  return undefined;
}

addEventListener("pagehide", () => flush({ keepalive: true }));
document.addEventListener("visibilitychange", () => {
  if (document.hidden) flush({ keepalive: true });
});
addEventListener("online", () => flush());
document.addEventListener("whisperbox:edited", (event) => apply(event.detail));
document.addEventListener("htmx:afterSettle", begin);
begin();
