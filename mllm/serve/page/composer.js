// @ts-check
// The question that is being written: its text, and its recordings from files, drops and the microphone.

import { clock } from "./clock.js";
import { announce, byId, changeIcon, make, makeButton } from "./dom.js";
import { Player } from "./player.js";
import { Recorder } from "./recorder.js";

/**
 * @typedef {import("./recording.js").Recording} Recording
 * @typedef {{recording: Recording, player: Player}} Attached
 * @typedef {{question: string, attached: Attached[]}} Draft
 */

export class Composer {
  /** @type {Attached[]} */
  #attached = [];
  #recorder = new Recorder();
  #isChanging = false;
  #box = byId("question", HTMLTextAreaElement);
  #list = byId("draft", HTMLUListElement);
  #alert = byId("alert", HTMLDivElement);
  #record = byId("record", HTMLButtonElement);
  #files = byId("files", HTMLInputElement);

  /** @param {(draft: Draft) => void} send called with what is to be asked */
  constructor(send) {
    const form = byId("composer", HTMLFormElement);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit(send);
    });
    this.#box.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      form.requestSubmit();
    });
    this.#box.addEventListener("input", () => this.#fit());
    for (const id of ["add", "choose"]) byId(id, HTMLButtonElement).addEventListener("click", () => this.#files.click());
    this.#files.addEventListener("change", () => {
      this.addFiles(this.#files.files ?? []);
      this.#files.value = "";
    });
    this.#record.addEventListener("click", () => this.#toggleRecording());
  }

  /** @param {Iterable<File>} files */
  addFiles(files) {
    this.tell("");
    const added = [...files];
    for (const file of added) this.#attach({ recording: { name: file.name, blob: file }, player: null });
    if (added.length) announce(`Added ${added.map((file) => file.name).join(", ")}.`);
  }

  /** @param {string} question */
  write(question) {
    this.#box.value = question;
    this.#fit();
    this.#box.focus();
  }

  /** Gives back a question that was not answered, unless another is being written. @param {Draft} draft */
  restore({ question, attached }) {
    for (const one of attached) this.#attach(one);
    if (!this.#box.value) this.write(question);
  }

  /** @param {string} sentence shown and said at once; an empty one takes the last away */
  tell(sentence) {
    this.#alert.textContent = sentence;
  }

  /** @param {boolean} isAnswering whether the button stops the answer instead of sending */
  setAnswering(isAnswering) {
    const [send, stop] = [byId("send", HTMLButtonElement), byId("stop", HTMLButtonElement)];
    const hasFocus = document.activeElement === send || document.activeElement === stop;
    send.hidden = isAnswering;
    stop.hidden = !isAnswering;
    if (hasFocus) (isAnswering ? stop : send).focus();
  }

  /** @param {(draft: Draft) => void} send */
  #submit(send) {
    const question = this.#box.value.trim();
    if (byId("send", HTMLButtonElement).hidden) return;
    if (this.#recorder.isRecording) return this.tell("Stop the recording first.");
    if (!question) {
      this.tell("Write a question first.");
      this.#box.focus();
      return;
    }
    this.tell("");
    const attached = this.#attached;
    this.#attached = [];
    this.#list.replaceChildren();
    for (const { player } of attached) player.tools.replaceChildren();
    this.#box.value = "";
    this.#fit();
    send({ question, attached });
  }

  /** @param {{recording: Recording, player: Player | null}} given */
  #attach({ recording, player: known }) {
    const player = known ?? new Player(recording);
    const one = { recording, player };
    const row = make("li", "", player.element);
    const remove = () => {
      const next = row.nextElementSibling ?? row.previousElementSibling;
      this.#attached = this.#attached.filter((other) => other !== one);
      player.close();
      row.remove();
      announce(`Removed ${recording.name}.`);
      const target = next?.querySelector(".remove") ?? byId("add", HTMLButtonElement);
      if (target instanceof HTMLElement) target.focus();
    };
    player.tools.replaceChildren(
      makeButton({ icon: "remove", className: "quiet remove", name: `Remove ${recording.name}`, press: remove }),
    );
    this.#attached.push(one);
    this.#list.append(row);
  }

  async #toggleRecording() {
    if (this.#isChanging) return; // pressed again while the browser asks: a second microphone would stay open
    this.#isChanging = true;
    this.tell("");
    try {
      if (this.#recorder.isRecording) this.#attach({ recording: await this.#recorder.stop(), player: null });
      else await this.#recorder.start();
    } catch (error) {
      this.tell(error instanceof Error ? error.message : String(error));
    }
    this.#isChanging = false;
    this.#showRecording();
  }

  #showRecording() {
    const isRecording = this.#recorder.isRecording;
    const words = this.#record.querySelector("span");
    changeIcon(this.#record, isRecording ? "stop" : "record");
    this.#record.classList.toggle("recording", isRecording);
    announce(isRecording ? "Recording." : "Recording stopped.");
    const began = performance.now();
    const count = () => {
      if (!words) return;
      words.textContent = this.#recorder.isRecording ? `Stop recording ${clock((performance.now() - began) / 1000)}` : "Record";
      if (this.#recorder.isRecording) setTimeout(count, 250);
    };
    count();
  }

  #fit() {
    this.#box.style.height = "auto";
    this.#box.style.height = `${this.#box.scrollHeight}px`;
  }
}
