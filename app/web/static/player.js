// The recording beside its transcript: a waveform, the line and the word that are being spoken,
// and any of them a click away. Without it the browser's own player stands there.

import WaveSurfer from "../assets/wavesurfer/wavesurfer.esm.js";
import { clock, toast } from "./live.js";

const STEP_S = 5;
const BEFORE_S = 4; // a line that is played may have begun so long before
const SILENCE_S = 1.5; // a pause that is skipped
const RUN_UP_S = 0.3;
const SKIP = "whisperbox.skip";
const calm = matchMedia("(prefers-reduced-motion: reduce)");
let player; // of the part of the page that is there now

class Player {
  constructor(box) {
    this.box = box;
    this.audio = box.querySelector("audio");
    this.audio.controls = false;
    this.lines = document.getElementById("lines");
    const loud = Uint8Array.from(atob(box.dataset.waveform), (c) => c.charCodeAt(0));
    const style = getComputedStyle(document.documentElement);
    this.wave = WaveSurfer.create({
      container: "#wave",
      media: this.audio,
      peaks: [Float32Array.from(loud, (n) => n / 255)],
      duration: Number(box.dataset.duration),
      height: 56,
      barWidth: 3,
      barGap: 2,
      barRadius: 2,
      cursorWidth: 2,
      waveColor: resolved("--quiet", style),
      progressColor: resolved("--accent", style),
      cursorColor: resolved("--accent", style),
      cspNonce: document.body.dataset.nonce,
    });
    this.seeker = document.getElementById("seek");
    this.seeker.oninput = () => {
      this.audio.currentTime = Number(this.seeker.value);
      this.show();
    };
    const track = box.querySelector(".track");
    const hover = document.getElementById("hover");
    track.onpointermove = ({ clientX }) => {
      const { left, width } = track.getBoundingClientRect();
      const share = Math.min(Math.max((clientX - left) / width, 0), 1);
      hover.textContent = clock(share * Number(box.dataset.duration));
      hover.style.insetInlineStart = `${100 * share}%`;
    };
    this.skips = document.getElementById("skip-silence");
    this.skips.checked = localStorage.getItem(SKIP) === "yes";
    this.skips.onchange = () => localStorage.setItem(SKIP, this.skips.checked ? "yes" : "no");
    this.follows = true; // until the reader scrolls
    this.button = document.getElementById("play");
    this.button.onclick = () => this.audio.paused ? this.play() : this.audio.pause();
    document.getElementById("rate").onchange = (e) => (this.audio.playbackRate = e.target.value);
    this.audio.addEventListener("timeupdate", () => this.show());
    this.audio.addEventListener("play", () => this.say("Pause"));
    this.audio.addEventListener("pause", () => {
      this.say("Play");
      this.follow(true);
    });
    this.audio.addEventListener("error", () =>
      toast("This browser cannot play the recording; the transcript is complete."),
    );
  }

  goOnFrom(before) {
    this.audio.currentTime = before.audio.currentTime;
    this.audio.playbackRate = before.audio.playbackRate;
    document.getElementById("rate").value = String(before.audio.playbackRate);
    const unsure = document.getElementById("show-unsure");
    if (unsure && before.lines.classList.contains("show-unsure")) unsure.click();
    this.show();
  }

  say(label) {
    this.button.classList.toggle("playing", label === "Pause");
    this.button.setAttribute("aria-label", label);
  }

  async play() {
    this.follow(true);
    try {
      await this.audio.play();
    } catch (error) {
      if (error.name === "NotSupportedError") toast("This browser cannot play the recording.");
    }
  }

  follow(follows) {
    this.follows = follows;
    document.getElementById("back-to-now").hidden = follows || this.audio.paused;
  }

  lead() {
    this.line?.scrollIntoView({ block: "nearest", behavior: calm.matches ? "auto" : "smooth" });
  }

  seek(seconds) {
    this.audio.currentTime = seconds;
    this.play();
    this.show();
  }

  show() {
    const now = this.audio.currentTime;
    document.getElementById("now").textContent = clock(now);
    this.seeker.value = now;
    this.seeker.setAttribute("aria-valuetext", clock(now));
    const lines = [...this.lines.querySelectorAll("[data-start]")];
    const line = lines.findLast((each) => Number(each.dataset.start) <= now + 0.05);
    if (line !== this.line) {
      this.line?.classList.remove("spoken");
      this.line?.removeAttribute("aria-current");
      line?.classList.add("spoken");
      line?.setAttribute("aria-current", "true");
      this.line = line;
      if (!this.audio.paused && this.follows && !document.querySelector(".typing")) this.lead();
    }
    const next = lines[lines.indexOf(line) + 1];
    const quiet = next && now > Number(line?.dataset.end ?? 0) + 0.3;
    if (this.skips.checked && !this.audio.paused && quiet && Number(next.dataset.start) - now > SILENCE_S)
      this.audio.currentTime = Number(next.dataset.start) - RUN_UP_S;
    const word = [...(line?.querySelectorAll("[data-s]") ?? [])].findLast(
      (each) => Number(each.dataset.s) <= now + 0.05,
    );
    if (word !== this.word) {
      this.word?.classList.remove("now");
      word?.classList.add("now");
      this.word = word;
    }
  }
}

// Whoever scrolls while it plays wants to read elsewhere.
function scrolled(event) {
  if (event.target.closest?.("dialog")) return;
  if (player && !player.audio.paused) player.follow(false);
}
addEventListener("wheel", scrolled, { passive: true });
addEventListener("touchmove", scrolled, { passive: true });
addEventListener("keydown", (event) => {
  if (["PageUp", "PageDown", "Home", "End"].includes(event.key) && !event.target.closest("input, [contenteditable]")) scrolled(event);
});

// For the editor: the recording by keys.
export const play = {
  from(line) {
    player?.seek(Number(line.dataset.start));
  },
  // On and off; from the line's beginning if it is somewhere else.
  within(line) {
    if (!player) return;
    const { currentTime, paused } = player.audio;
    const inside = currentTime >= Number(line.dataset.start) - BEFORE_S && currentTime < Number(line.dataset.end);
    if (!paused) player.audio.pause();
    else if (inside) player.play();
    else this.from(line);
  },
  back(seconds) {
    if (player) player.audio.currentTime -= seconds;
  },
};

// A canvas knows no light-dark(): what the browser makes of the variable does.
function resolved(name, style) {
  const probe = document.createElement("i");
  probe.className = "probe" + name;
  document.body.append(probe);
  const colour = getComputedStyle(probe).color;
  probe.remove();
  return colour || style.getPropertyValue(name);
}

function begin() {
  const box = document.getElementById("player");
  if (!box || player?.box === box) return;
  const before = player;
  player = new Player(box);
  if (before) return player.goOnFrom(before); // the same page, made anew
  const led = location.hash.startsWith("#line-") && document.getElementById(location.hash.slice(1));
  if (led && led.dataset.start) {
    player.audio.currentTime = Number(led.dataset.start);
    player.show();
  }
}

document.addEventListener("click", (event) => {
  if (event.target.closest("#back-to-now")) {
    player?.follow(true);
    player?.lead();
  }
  const at = event.target.closest("[data-seek], [data-s]");
  if (!at || !player) return;
  if (at.closest(".in-place .text") && !event.altKey) return; // it is to be typed in
  player.seek(Number(at.dataset.seek ?? at.dataset.s));
  if (event.detail) at.blur(); // of a mouse: the space bar is to pause, not to go back there
});
document.addEventListener("change", (event) => {
  if (event.target.id === "show-unsure")
    document.getElementById("lines").classList.toggle("show-unsure", event.target.checked);
});
document.addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
  if (!player || event.target.closest("input, select, textarea, a, summary, [contenteditable], dialog")) return;
  const step = { ArrowLeft: -STEP_S, ArrowRight: STEP_S }[event.key];
  if (event.key === " " && !event.target.closest("button")) player.button.click();
  else if (step) player.audio.currentTime += step;
  else return;
  event.preventDefault();
});
document.addEventListener("htmx:afterSettle", () => {
  begin();
  player?.show();
});
document.addEventListener("submit", (event) => {
  // Downloads are plain requests, though the form's other way is a preview.
  if (event.submitter?.hasAttribute("data-plain")) {
    event.preventDefault();
    event.stopImmediatePropagation();
    const form = event.target;
    const query = new URLSearchParams(new FormData(form));
    const path = event.submitter.getAttribute("formaction") ?? form.getAttribute("action");
    location.assign(`${path}?${query}`);
  }
}, true);
begin();
