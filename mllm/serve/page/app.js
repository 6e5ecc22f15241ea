// @ts-check
// The page: joins what is written, what the server answers, and what is shown.

import { answerTo, ApiError, modelName } from "./api.js";
import { startAppearance } from "./appearance.js";
import { Composer } from "./composer.js";
import { messagesOf } from "./conversation.js";
import { byId, make } from "./dom.js";
import { startDropping } from "./drop.js";
import { partWithContent } from "./recording.js";
import { share } from "./share.js";
import { TurnView } from "./turn.js";

const EXAMPLES = [
  "Describe this recording.",
  "What key is it in?",
  "How fast is it?",
  "Which instruments do you hear?",
  "Is it in 3/4?",
];
const NEAR_PIXELS = 120;

/**
 * @typedef {import("./conversation.js").Turn} Turn
 * @typedef {import("./composer.js").Draft} Draft
 * @typedef {import("./player.js").Player} Player
 */

/** @type {{turn: Turn, view: TurnView}[]} */
const conversation = [];
/** @type {Player[]} of all turns, the oldest first */
let players = [];
let model = "";
/** @type {AbortController | null} of the answer that is being said */
let answering = null;

const composer = new Composer(ask);

/** @param {Draft} draft */
async function ask(draft) {
  const own = draft.attached.map(({ player }) => player);
  const before = players;
  players = [...players, ...own];
  const turn = { question: draft.question, recordings: draft.attached.map(({ recording }) => recording), answer: "" };
  const view = new TurnView(draft.question, own, players, () => answer(turn, view));
  conversation.push({ turn, view });
  show();
  byId("turns", HTMLOListElement).append(view.element);
  if (await answer(turn, view)) return;
  // Nothing was said: the question goes back to where it can be changed, and is no part of the conversation.
  conversation.pop();
  players = before;
  view.element.remove();
  composer.restore(draft);
  show();
}

/** @param {Turn} turn the last one @param {TurnView} view @returns {Promise<boolean>} whether there is an answer */
async function answer(turn, view) {
  const before = turn.answer;
  const notes = [];
  turn.answer = "";
  answering = new AbortController();
  composer.setAnswering(true);
  composer.tell("");
  view.begin();
  scrollToEnd(true);
  try {
    model ||= await modelName();
    showModel();
    const messages = await messagesOf(conversation.map((one) => one.turn), partWithContent);
    const pieces = answerTo({ model, messages, signal: answering.signal });
    for (;;) {
      const { value, done } = await pieces.next();
      if (done) {
        if (value.partly) notes.push(`The model ${value.partly}.`);
        if (value.cutOff) notes.push("The answer reached the longest that this server allows.");
        if (!turn.answer) notes.push("The model said nothing.");
        break;
      }
      turn.answer += value;
      view.grow(value);
      scrollToEnd(false);
    }
    view.end(turn.answer, notes);
    return true;
  } catch (error) {
    const isStopped = answering.signal.aborted;
    if (!isStopped && !(error instanceof Error)) throw error;
    const reason = isStopped ? "Stopped." : /** @type {Error} */ (error).message;
    const hasBegun = Boolean(turn.answer);
    turn.answer ||= before;
    view.end(turn.answer, hasBegun ? [reason] : []);
    if (!hasBegun) composer.tell(isStopped ? "" : reason);
    return Boolean(turn.answer);
  } finally {
    answering = null;
    composer.setAnswering(false);
    scrollToEnd(false);
  }
}

function show() {
  byId("welcome", HTMLElement).hidden = conversation.length > 0;
  byId("share", HTMLButtonElement).hidden = conversation.length === 0;
  conversation.forEach(({ view }, i) => {
    view.regenerateButton.hidden = i < conversation.length - 1;
  });
}

function showModel() {
  byId("model", HTMLParagraphElement).textContent = model === "mllm" ? "" : model;
}

/** @param {boolean} always even if the reader has scrolled away from the end */
function scrollToEnd(always) {
  const root = document.documentElement;
  const isNear = root.scrollHeight - root.clientHeight - root.scrollTop < NEAR_PIXELS;
  if (always || isNear) root.scrollTop = root.scrollHeight;
}

function showExamples() {
  const buttons = EXAMPLES.map((question) => {
    const button = make("button", "example", question);
    button.type = "button";
    button.addEventListener("click", () => composer.write(question));
    return make("li", "", button);
  });
  byId("examples", HTMLUListElement).append(...buttons);
}

startAppearance();
startDropping((files) => composer.addFiles(files));
showExamples();
byId("stop", HTMLButtonElement).addEventListener("click", () => answering?.abort());
byId("share", HTMLButtonElement).addEventListener("click", () => share(model, conversation.map(({ turn }) => turn)));
modelName().then(
  (name) => {
    model = name;
    showModel();
  },
  (error) => {
    if (!(error instanceof ApiError)) throw error;
    composer.tell(error.message);
  },
);
