// @ts-check
// What a visitor does on the page of statistics: filter questions by task, play one recording at a time, seek.

const LABEL_WIDTH = 120; // of the names left of a timeline, as charts.py draws them
const WIDTH = 640 * 0.98;

/** @param {string} task of the questions that are shown; empty: all */
function show(task) {
  let samples = 0;
  let questions = 0;
  for (const sample of document.querySelectorAll(".sample")) {
    let left = 0;
    for (const asked of /** @type {NodeListOf<HTMLElement>} */ (sample.querySelectorAll(".asked li"))) {
      asked.hidden = task !== "" && asked.dataset.task !== task;
      if (!asked.hidden) left += 1;
    }
    /** @type {HTMLElement} */ (sample).hidden = task !== "" && left === 0;
    if (left > 0 || task === "") samples += 1;
    questions += left;
  }
  const told = document.getElementById("shown");
  if (told) told.textContent = `${samples} recordings, ${questions} conversations`;
}

/** @param {HTMLElement} sample */
function prepare(sample) {
  const audio = sample.querySelector("audio");
  const box = /** @type {HTMLElement | null} */ (sample.querySelector(".timeline-box"));
  if (!audio || !box) return;
  const now = box.querySelector(".now");
  const seconds = Number(box.dataset.seconds);
  const move = () => {
    const x = String(LABEL_WIDTH + WIDTH * Math.min(audio.currentTime / seconds, 1));
    now?.setAttribute("x1", x);
    now?.setAttribute("x2", x);
  };
  audio.addEventListener("timeupdate", move);
  audio.addEventListener("seeking", move);
  box.addEventListener("click", (event) => {
    const drawn = /** @type {SVGSVGElement} */ (box.querySelector("svg"));
    const edges = drawn.getBoundingClientRect();
    const x = ((event.clientX - edges.left) / edges.width) * drawn.viewBox.baseVal.width - LABEL_WIDTH;
    if (x < 0 || !Number.isFinite(audio.duration)) return;
    audio.currentTime = Math.min((x / WIDTH) * seconds, audio.duration);
  });
}

for (const sample of document.querySelectorAll(".sample")) prepare(/** @type {HTMLElement} */ (sample));
document.addEventListener(
  "play",
  (event) => {
    for (const other of document.querySelectorAll("audio")) if (other !== event.target) other.pause();
  },
  true,
);
const tasks = /** @type {HTMLSelectElement | null} */ (document.getElementById("task"));
tasks?.addEventListener("change", () => show(tasks.value));
show("");
