// Records in the browser. Every two seconds of sound are put into the browser's own database, and
// leave it when the server has the recording: a closed tab, a crash or a lost network costs nothing.

import { ask, clock, toast } from "./live.js";
import { enqueue } from "./submit.js";

const PART_MS = 2000;
const QUIET_AFTER_S = 8; // without any sound, a person is told
const FORMS = [
  ["audio/webm;codecs=opus", "webm"],
  ["audio/mp4", "m4a"],
  ["audio/ogg;codecs=opus", "ogg"],
];

// What is kept in the browser.

const kept = {
  database: undefined,
  open() {
    this.database ??= new Promise((done, failed) => {
      const request = indexedDB.open("whisperbox", 1);
      request.onupgradeneeded = () => {
        request.result.createObjectStore("recordings", { keyPath: "id" });
        request.result.createObjectStore("parts", { keyPath: ["id", "n"] });
      };
      request.onsuccess = () => done(request.result);
      request.onerror = () => failed(request.error);
    });
    return this.database;
  },
  async do(mode, act) {
    const transaction = (await this.open()).transaction(["recordings", "parts"], mode);
    const request = act(transaction.objectStore("recordings"), transaction.objectStore("parts"));
    await new Promise((done, failed) => {
      transaction.oncomplete = done;
      transaction.onabort = transaction.onerror = () => failed(transaction.error);
    });
    return request?.result;
  },
  begin: (recording) => kept.do("readwrite", (recordings) => recordings.put(recording)),
  add: (id, n, sound) => kept.do("readwrite", (_, parts) => parts.put({ id, n, sound })),
  all: () => kept.do("readonly", (recordings) => recordings.getAll()),
  parts: (id) => kept.do("readonly", (_, parts) => parts.getAll(IDBKeyRange.bound([id, 0], [id, Infinity]))),
  forget: (id) =>
    kept.do("readwrite", (recordings, parts) => {
      recordings.delete(id);
      parts.delete(IDBKeyRange.bound([id, 0], [id, Infinity]));
    }),
  async file({ id, name, type }) {
    const parts = await this.parts(id);
    return new File(parts.map((part) => part.sound), name, { type: type.split(";")[0] });
  },
};

const lockOf = (id) => `whisperbox.recording.${id}`;

// Whether this tab or another one is recording it, or sends it.
async function isInUse(id) {
  const { held } = await navigator.locks.query();
  return held.some((lock) => lock.name === lockOf(id));
}

function send(recording) {
  navigator.locks.request(lockOf(recording.id), async () => {
    const file = await kept.file(recording);
    if (!file.size) return; // another tab has sent it
    await new Promise((over) => {
      const told = async (accepted) => {
        if (accepted) await kept.forget(recording.id);
        over();
      };
      enqueue(recording.name, "media_file", file, told, recording.id);
    });
  }).then(showUnsent);
}

// The dialog.

const dialog = document.getElementById("recorder");
const part = (name) => dialog.querySelector(`[data-part=${name}]`);
let now; // what is being recorded
let starting = false; // the browser asks whether it may

async function start() {
  if (now || starting) return;
  starting = true;
  part("start").disabled = true;
  try {
    await begin();
  } finally {
    starting = false;
    part("start").disabled = false;
  }
}

async function begin() {
  const wanted = { mic: part("mic").checked, tab: part("tab").checked };
  if (!wanted.mic && !wanted.tab) return toast("Choose a microphone or the sound of a tab.");
  const streams = [];
  try {
    if (wanted.tab) streams.push(await soundOfATab());
    if (wanted.mic) {
      const chosen = part("device").value;
      const audio = chosen ? { deviceId: { exact: chosen } } : true;
      streams.push(await navigator.mediaDevices.getUserMedia({ audio }));
    }
  } catch (error) {
    stopAll(streams);
    return toast(whyNot(error));
  }
  if (!dialog.open) return stopAll(streams); // it was closed while the browser asked
  const context = new AudioContext();
  const meter = context.createAnalyser();
  const mixed = context.createMediaStreamDestination();
  for (const stream of streams) {
    const source = context.createMediaStreamSource(stream);
    source.connect(meter);
    source.connect(mixed);
  }
  const [type, ending] = FORMS.find(([each]) => MediaRecorder.isTypeSupported(each)) ?? ["", "webm"];
  const recorder = new MediaRecorder(mixed.stream, type ? { mimeType: type } : {});
  const begun = new Date();
  const recording = {
    id: crypto.randomUUID(),
    name: `Recording ${stamp(begun)}.${ending}`,
    type: recorder.mimeType || type,
    begun: begun.getTime(),
    account: document.body.dataset.account,
  };
  try {
    await kept.begin(recording);
  } catch (error) {
    stopAll(streams);
    context.close();
    return toast(`This browser cannot keep a recording: ${error?.message ?? "it has no room"}.`);
  }
  now = { recording, recorder, streams, context, meter, count: 0, secs: 0, silent: 0, last: performance.now() };
  const mine = now;
  navigator.locks.request(lockOf(recording.id), () => new Promise((over) => (mine.unlock = over)));
  mine.written = Promise.resolve();
  recorder.ondataavailable = ({ data }) => {
    if (!data.size) return;
    const n = mine.count++;
    mine.written = mine.written.then(() => kept.add(recording.id, n, data)).catch((error) => {
      toast(`This browser cannot keep more of the recording: ${error.message}`);
      stop();
    });
  };
  for (const stream of streams) for (const track of stream.getAudioTracks()) track.onended = stop; // unplugged, or the tab is closed
  recorder.start(PART_MS);
  mine.awake = await navigator.wakeLock?.request("screen").catch(() => undefined);
  show("recording");
  draw();
}

async function soundOfATab() {
  const stream = await navigator.mediaDevices.getDisplayMedia({ audio: true, video: true });
  for (const track of stream.getVideoTracks()) {
    track.stop();
    stream.removeTrack(track);
  }
  if (stream.getAudioTracks().length) return stream;
  throw new Error("That has no sound. Choose a tab, and share its sound with it.");
}

function whyNot(error) {
  if (error.name === "NotAllowedError") return "The browser was not allowed to record. Allow it in the address bar, then try again.";
  if (error.name === "NotFoundError") return "There is no microphone.";
  if (error.name === "NotReadableError") return "Another program is using the microphone.";
  return error.message;
}

function stopAll(streams) {
  for (const stream of streams) for (const track of stream.getTracks()) track.stop();
}

// Ends it; resolves once all of it is in the browser's database.
async function finish() {
  const mine = now;
  if (!mine) return undefined;
  now = undefined;
  if (mine.recorder.state !== "inactive") {
    const over = new Promise((done) => mine.recorder.addEventListener("stop", done, { once: true }));
    mine.recorder.stop();
    await over;
  }
  await mine.written;
  stopAll(mine.streams);
  mine.context.close();
  mine.awake?.release();
  mine.unlock?.();
  show("choosing");
  return mine;
}

async function stop() {
  const mine = await finish();
  if (!mine) return;
  dialog.close();
  if (mine.count) send(mine.recording);
  else await kept.forget(mine.recording.id);
}

async function discard() {
  if (now && now.secs > 5 && !(await ask("Discard this recording?", part("discard")))) return;
  const mine = await finish();
  if (mine) await kept.forget(mine.recording.id);
  dialog.close();
}

function pause() {
  if (!now) return;
  const paused = now.recorder.state === "paused";
  if (paused) now.recorder.resume();
  else now.recorder.pause();
  part("pause").textContent = paused ? "Pause" : "Go on";
  dialog.classList.toggle("paused", !paused);
}

function show(state) {
  for (const each of ["choosing", "recording"]) part(each).hidden = each !== state;
  part("pause").textContent = "Pause";
  dialog.classList.remove("paused");
  document.title = document.title.replace(/^● /, "");
  if (state === "recording") {
    document.title = `● ${document.title}`;
    part("stop").focus();
  }
}

// Level and time. Speech at a usual distance is at -30 to -12 dB of full scale.
function draw() {
  if (!now) return;
  const samples = new Float32Array(now.meter.fftSize);
  now.meter.getFloatTimeDomainData(samples);
  const loudest = samples.reduce((most, each) => Math.max(most, Math.abs(each)), 0);
  const level = Math.max(0, 1 + Math.log10(Math.max(loudest, 1e-3)) / 3); // 0: -60 dB, 1: full scale
  const moment = performance.now();
  const passed = (moment - now.last) / 1000;
  now.last = moment;
  if (now.recorder.state === "recording") {
    now.secs += passed;
    now.silent = loudest < 0.002 ? now.silent + passed : 0;
  }
  part("level").value = now.recorder.state === "recording" ? level : 0;
  part("time").textContent = clock(now.secs);
  part("silent").hidden = now.silent < QUIET_AFTER_S;
  setTimeout(draw, 60); // a hidden tab draws no frames, and its time goes on
}

function stamp(moment) {
  const two = (n) => String(n).padStart(2, "0");
  const day = [moment.getFullYear(), two(moment.getMonth() + 1), two(moment.getDate())].join("-");
  return `${day} ${two(moment.getHours())}.${two(moment.getMinutes())}`;
}

async function openDialog() {
  show(now ? "recording" : "choosing");
  part("tab-choice").hidden = !navigator.mediaDevices.getDisplayMedia;
  const devices = (await navigator.mediaDevices.enumerateDevices()).filter((each) => each.kind === "audioinput" && each.deviceId);
  const chosen = part("device").value;
  part("device").replaceChildren(
    new Option("Usual microphone", ""),
    ...devices.filter((each) => each.label && each.deviceId !== "default").map((each) => new Option(each.label, each.deviceId)),
  );
  part("device").value = chosen;
  part("device").closest("p").hidden = part("device").options.length < 2;
  dialog.showModal();
}

// Recordings that a closed tab or a lost network has left here.

async function showUnsent() {
  const list = document.getElementById("unsent");
  const rows = [];
  for (const recording of await kept.all()) {
    if (recording.account !== document.body.dataset.account || (await isInUse(recording.id))) continue;
    const parts = await kept.parts(recording.id);
    if (!parts.length) {
      await kept.forget(recording.id);
      continue;
    }
    rows.push(unsent(recording, parts.length * PART_MS / 1000));
  }
  list.replaceChildren(...rows);
}

function unsent(recording, seconds) {
  const row = document.createElement("li");
  row.className = "job waiting";
  row.innerHTML =
    '<div class="what"><span class="title"></span><p class="facts"><span class="badge waiting">Not sent</span> <span class="detail"></span></p></div><div class="doing"><button type="button" class="small primary">Transcribe</button><button type="button" class="small">Save as a file</button><button type="button" class="small delete">Discard</button></div>';
  row.querySelector(".title").textContent = recording.name;
  row.querySelector(".detail").textContent = `about ${clock(seconds)}, kept in this browser alone`;
  const [go, save, away] = row.querySelectorAll("button");
  go.onclick = () => {
    row.remove();
    send(recording);
  };
  save.onclick = async () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await kept.file(recording));
    link.download = recording.name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  };
  away.onclick = async () => {
    if (!(await ask(`Discard “${recording.name}”?`, away))) return;
    await kept.forget(recording.id);
    row.remove();
  };
  return row;
}

const opener = document.getElementById("record");
if (navigator.mediaDevices?.getUserMedia && window.MediaRecorder) {
  opener.onclick = openDialog;
  showUnsent();
} else {
  opener.onclick = () => toast(isSecureContext ? "This browser cannot record." : "Browsers record on pages with HTTPS alone, or on this computer itself (http://127.0.0.1).");
}
part("start").onclick = start;
part("pause").onclick = pause;
part("stop").onclick = stop;
part("discard").onclick = discard;
part("cancel").onclick = () => dialog.close();
dialog.addEventListener("cancel", (event) => {
  if (now) event.preventDefault(); // Escape ends no recording
});
addEventListener("beforeunload", (event) => {
  if (now) event.preventDefault();
});
