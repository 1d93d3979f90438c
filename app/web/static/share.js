// A shared transcript beside its recording: a click on a time or a word plays from there, and what is
// being said is marked. Without it the browser's own player stands there.

const audio = document.querySelector("audio");
const lines = [...document.querySelectorAll(".line")];
const EARLY_S = 0.05;
let marked = [];

document.addEventListener("click", (event) => {
  const at = event.target.closest("[data-s]") ?? event.target.closest("[data-start]");
  if (!at || !getSelection().isCollapsed) return;
  audio.currentTime = Number(at.dataset.s ?? at.dataset.start);
  audio.play();
});

audio.addEventListener("timeupdate", () => {
  const now = audio.currentTime + EARLY_S;
  const line = lines.findLast((each) => Number(each.dataset.start) <= now);
  const word = [...(line?.querySelectorAll("[data-s]") ?? [])].findLast((each) => Number(each.dataset.s) <= now);
  for (const each of marked) each.classList.remove("spoken", "now");
  marked = [line, word].filter(Boolean);
  line?.classList.add("spoken");
  word?.classList.add("now");
});
document.documentElement.classList.add("plays");
