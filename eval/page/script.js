// @ts-check
// The browser of cases: filters, searches and pages through what is in the element "cases", the worst first. Every text
// from there is set as text, never as HTML.

/** @typedef {{text: string, credit?: number, confidence?: number, read?: string}} Answer */
/** @typedef {{path: string, clip: number | null}} Sound */
/** @typedef {{task: string, id: string, question: string, truth?: unknown, references?: string[], choices?: string[],
 *   correct?: number, label?: string, groups?: Record<string, string>, sounds: Sound[],
 *   blind: Record<string, Answer>}} Question */
/** @typedef {{question: number, model: string, answers: Record<string, Answer>}} Case */

const HEARD = "heard";
const ON_A_PAGE = 20;

/** @type {{questions: Question[], cases: Case[], clips: {address: string | null, note: string}[],
 *   conditions: Record<string, string>}} */
const data = JSON.parse(byId("cases").textContent ?? "{}");
const task = /** @type {HTMLSelectElement} */ (byId("task"));
const model = /** @type {HTMLSelectElement} */ (byId("model"));
const condition = /** @type {HTMLSelectElement} */ (byId("condition"));
const credit = /** @type {HTMLSelectElement} */ (byId("credit"));
const search = /** @type {HTMLInputElement} */ (byId("search"));
const playable = /** @type {HTMLInputElement} */ (byId("playable"));
const before = /** @type {HTMLButtonElement} */ (byId("before"));
const after = /** @type {HTMLButtonElement} */ (byId("after"));
const titles = Object.fromEntries([...task.options].map((option) => [option.value, option.text]));
const texts = new Map(data.cases.map((one) => [one, textOf(one).toLowerCase()]));

/** @type {Case[]} */
let found = [];
let first = 0;

/** @param {string} id */
function byId(id) {
  const element = document.getElementById(id);
  if (!element) throw new Error(`there is no ${id}`);
  return element;
}

/**
 * @param {string} name of the element
 * @param {string} [className]
 * @param {...(Node | string)} inside
 */
function make(name, className, ...inside) {
  const element = document.createElement(name);
  if (className) element.className = className;
  element.append(...inside);
  return element;
}

/** @param {Case} one */
function textOf(one) {
  const asked = data.questions[one.question];
  const said = Object.values(one.answers).map((answer) => answer.text);
  const { sounds, blind, ...plain } = asked;
  return [JSON.stringify(plain), asked.question, plainly(asked.truth), ...said, ...sounds.map((sound) => sound.path)].join("\n");
}

/** @param {unknown} value */
function plainly(value) {
  return typeof value === "string" ? value : Array.isArray(value) ? value.join(", ") : JSON.stringify(value) ?? "";
}

/** @param {Answer | undefined} answer */
function grade(answer) {
  if (answer?.credit === undefined) return "none";
  return answer.credit <= 0 ? "wrong" : answer.credit >= 1 ? "right" : "partly";
}

/** Finds the cases that the filters let through, the worst first. */
function filter() {
  const hears = condition.value;
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  found = data.cases.filter((one) => {
    const asked = data.questions[one.question];
    const answer = one.answers[hears];
    return (
      answer !== undefined &&
      (task.value === "" || asked.task === task.value) &&
      (model.value === "" || one.model === model.value) &&
      (credit.value === "" || grade(answer) === credit.value) &&
      (!playable.checked || asked.sounds.some((sound) => address(sound) !== null)) &&
      words.every((word) => texts.get(one)?.includes(word))
    );
  });
  const worth = (/** @type {Case} */ one) => one.answers[hears]?.credit ?? 2;
  const sure = (/** @type {Case} */ one) => one.answers[hears]?.confidence ?? 0;
  found.sort((one, other) => worth(one) - worth(other) || sure(other) - sure(one));
  first = 0;
  show();
}

/** @param {Sound} sound */
function address(sound) {
  return sound.clip === null ? null : data.clips[sound.clip]?.address ?? null;
}

function show() {
  byId("list").replaceChildren(...found.slice(first, first + ON_A_PAGE).map(card));
  const last = Math.min(first + ON_A_PAGE, found.length);
  byId("shown").textContent = `${found.length.toLocaleString("en")} of ${data.cases.length.toLocaleString("en")} cases`;
  byId("place").textContent = found.length ? `${first + 1} to ${last} of ${found.length.toLocaleString("en")}` : "no case fits";
  before.disabled = first === 0;
  after.disabled = last >= found.length;
}

/** @param {Case} one */
function card(one) {
  const asked = data.questions[one.question];
  const heard = one.answers[condition.value];
  const head = make("div", "head", make("h3", "", titles[asked.task] ?? asked.task), make("span", "chip plain", one.model));
  head.append(make("span", `chip ${grade(heard)}`, heard.credit === undefined ? "not judged alone" : `credit ${heard.credit.toFixed(2)}`));
  if (heard.confidence !== undefined) head.append(make("span", "chip plain", `confidence ${heard.confidence.toFixed(2)}`));
  for (const [kind, group] of Object.entries(asked.groups ?? {})) head.append(make("span", "chip plain", `${kind}: ${plainly(group)}`));
  const article = make("article", "card case", head, make("p", "asked-text", asked.question));
  article.setAttribute("aria-label", `${titles[asked.task] ?? asked.task}, ${asked.id}`);
  article.append(...asked.sounds.flatMap(player), facts(asked, one));
  const others = Object.entries(one.answers).filter(([name]) => name !== condition.value);
  if (others.length || Object.keys(asked.blind).length) article.append(beside(others, Object.entries(asked.blind)));
  return article;
}

/**
 * @param {Question} asked
 * @param {Case} one
 */
function facts(asked, one) {
  const list = make("dl");
  const add = (/** @type {string} */ name, /** @type {Node | string} */ value, className = "") =>
    list.append(make("div", "", make("dt", "", name), make("dd", className, value)));
  const heard = one.answers[condition.value];
  add(condition.value === HEARD ? "answer" : `answer to ${condition.value}`, heard.text, "own");
  if (heard.read !== undefined) add("understood as", heard.read);
  if (asked.truth !== undefined && asked.truth !== null) add("truth", plainly(asked.truth));
  const right = (asked.references ?? []).filter((text) => text !== asked.truth);
  if (right.length) add(right.length > 1 ? "right answers" : "right answer", right.join("\n"));
  if (asked.choices) {
    const items = asked.choices.map((choice, place) => make("li", place === asked.correct ? "is-right" : "", choice));
    add("choices", make("ol", "", ...items));
  }
  add("id", make("code", "", asked.id));
  return list;
}

/**
 * @param {[string, Answer][]} others under other conditions
 * @param {[string, Answer][]} blind
 */
function beside(others, blind) {
  const list = make("dl");
  for (const [name, answer] of [...others, ...blind]) {
    const earned = answer.credit === undefined ? "" : ` credit ${answer.credit.toFixed(2)}`;
    list.append(make("div", "", make("dt", "", name), make("dd", "", answer.text, make("span", "credit", earned))));
  }
  const box = make("details", "", make("summary", "", "What it says without this recording, and blind answerers"), list);
  /** @type {HTMLDetailsElement} */ (box).open = true;
  return box;
}

/** @param {Sound} sound */
function player(sound) {
  const name = make("p", "soft small", make("code", "", sound.path));
  const clip = sound.clip === null ? null : data.clips[sound.clip];
  if (!clip) {
    name.append(" (not inside this page)");
    return [name];
  }
  if (clip.note) name.append(` ${clip.note}`);
  if (!clip.address) return [name];
  const audio = document.createElement("audio");
  audio.controls = true;
  audio.preload = "metadata";
  audio.src = clip.address;
  audio.setAttribute("aria-label", sound.path);
  return [audio, name];
}

/** @param {number} step */
function turn(step) {
  first = Math.min(Math.max(first + step * ON_A_PAGE, 0), Math.max(found.length - 1, 0));
  show();
  byId("browser").scrollIntoView();
}

for (const [name, what] of Object.entries(data.conditions)) {
  if (!data.cases.some((one) => one.answers[name])) continue;
  const option = new Option(name, name, name === HEARD, name === HEARD);
  option.title = what;
  condition.add(option);
}
for (const one of [task, model, condition, credit, playable]) one.addEventListener("change", filter);
search.addEventListener("input", filter);
byId("filter").addEventListener("submit", (event) => event.preventDefault());
before.addEventListener("click", () => turn(-1));
after.addEventListener("click", () => turn(1));
for (const link of document.querySelectorAll("a[data-only]")) {
  link.addEventListener("click", () => {
    task.value = /** @type {HTMLElement} */ (link).dataset.only ?? "";
    filter();
  });
}
document.addEventListener(
  "play",
  (event) => {
    for (const other of document.querySelectorAll("audio")) if (other !== event.target) other.pause();
  },
  true,
);
filter();
