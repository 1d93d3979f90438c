// A page that nobody looks at says when a recording is done: in its title, its icon, and if the
// person wants it by a notification of the system.

const ASK_MS = 20000;
const KEY = "whisperbox.notify";
const base = document.body.dataset.base;
const icon = document.querySelector("link[rel=icon]");
const usual = { title: document.title, icon: icon.href };
const wish = document.getElementById("notify");
let open = new Set(); // ids of jobs that had not ended when the page was left
let timer;

function leave() {
  usual.title = document.title;
  const rows = document.querySelectorAll(".job:is(.working, .waiting)[data-job]");
  open = new Set([...rows].map((row) => row.dataset.job));
  if (open.size) timer = setTimeout(ask, ASK_MS);
}

function comeBack() {
  clearTimeout(timer);
  if (icon.href === usual.icon) return;
  document.title = usual.title;
  icon.href = usual.icon;
}

async function ask() {
  try {
    const answer = await fetch(`${base}/whisper/ended?jobs=${[...open].join(",")}`);
    if (!answer.ok || !answer.headers.get("content-type").includes("json")) return;
    const ended = await answer.json();
    if (ended.length) tell(ended);
    for (const { id } of ended) open.delete(id);
  } catch {
    // the server is away: it will be asked again
  }
  if (open.size && document.hidden) timer = setTimeout(ask, ASK_MS);
}

function tell(ended) {
  const [{ title, status }] = ended;
  const what = ended.length === 1 ? `${status}: ${title}` : `${ended.length} recordings are done`;
  document.title = `✓ ${what}`;
  icon.href = usual.icon.replace("icon.svg", "icon-done.svg");
  if (wish?.checked && Notification.permission === "granted") {
    const note = new Notification(ended.length === 1 ? title : "Whisperbox", { body: ended.length === 1 ? status : what, tag: "whisperbox" });
    note.onclick = () => {
      focus();
      note.close();
    };
  }
}

document.addEventListener("visibilitychange", () => (document.hidden ? leave() : comeBack()));
if (wish) {
  wish.closest("p").hidden = !("Notification" in window);
  wish.checked = localStorage.getItem(KEY) === "yes" && window.Notification?.permission === "granted";
  wish.onchange = async () => {
    if (wish.checked) wish.checked = (await Notification.requestPermission()) === "granted";
    localStorage.setItem(KEY, wish.checked ? "yes" : "no");
  };
}
