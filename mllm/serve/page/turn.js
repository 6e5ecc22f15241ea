// @ts-check
// One turn on the page: the question with its recordings, the answer as it grows, and what can be done with it.

import { announce, make, makeButton } from "./dom.js";
import { putText } from "./moments.js";

/** @typedef {import("./player.js").Player} Player */

export class TurnView {
  #text = make("p", "text");
  #notes = make("div", "notes");
  /** Where recommended items stand, as cards. */
  #items = make("div", "items");
  #tools = make("div", "tools");
  #answer;
  #players;

  /**
   * @param {string} question
   * @param {Player[]} own recordings that came with this question
   * @param {Player[]} players all recordings so far, the oldest first
   * @param {() => void} regenerate
   */
  constructor(question, own, players, regenerate) {
    this.#players = players;
    const asked = make("p", "text");
    const sent = own.map((player) => make("li", "", player.element));
    const list = make("ul", "sent", ...sent);
    list.setAttribute("aria-label", "Recordings of this question");
    this.#answer = make("article", "answer", make("h2", "unseen", "Answer"), this.#text, this.#notes, this.#items, this.#tools);
    this.element = make(
      "li",
      "turn",
      make("article", "question", make("h2", "unseen", "Question"), ...(sent.length ? [list] : []), asked),
      this.#answer,
    );
    putText(asked, question, players);
    this.regenerateButton = makeButton({ icon: "again", className: "quiet", words: "Regenerate", press: regenerate });
    this.#tools.append(
      makeButton({ icon: "copy", className: "quiet", words: "Copy", press: () => this.#copy() }),
      this.regenerateButton,
    );
  }

  /** The answer is about to come. */
  begin() {
    this.#text.replaceChildren();
    this.#notes.replaceChildren();
    this.#tools.hidden = true;
    this.#answer.classList.add("busy");
    this.#answer.setAttribute("aria-busy", "true");
    announce("The model is answering.");
  }

  /** @param {string} piece of the answer */
  grow(piece) {
    this.#text.append(piece);
  }

  /** @param {string} text the whole answer @param {string[]} notes what is said beside it */
  end(text, notes) {
    this.#answer.classList.remove("busy");
    this.#answer.removeAttribute("aria-busy");
    putText(this.#text, text, this.#players);
    this.#notes.replaceChildren(...notes.map((note) => make("p", "note", note)));
    this.#tools.hidden = false;
    announce([text, ...notes].join(" "));
  }

  async #copy() {
    const text = this.#text.textContent ?? "";
    if (navigator.clipboard) {
      await navigator.clipboard.writeText(text);
      announce("Copied.");
      return;
    }
    // Over plain http from another machine, browsers let no page write to the clipboard.
    getSelection()?.selectAllChildren(this.#text);
    announce("The answer is selected; copy it with Ctrl+C.");
  }
}
