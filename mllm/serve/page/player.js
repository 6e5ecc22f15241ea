// @ts-check
// Plays one recording: a button, a waveform that is a slider, and the time.

import { clock, spoken } from "./clock.js";
import { changeIcon, make, makeButton } from "./dom.js";
import { draw, waveformOf } from "./waveform.js";

const STEP_SECONDS = 1;
const PAGE_SECONDS = 10;
const BEYOND_SECONDS = 1e7;

export class Player {
  /** @type {Player | null} the one that sounds: never two at once */
  static #sounding = null;

  #audio = new Audio();
  #canvas = make("canvas", "wave");
  #slider = make("div", "seek", this.#canvas);
  #time = make("span", "time");
  #button = makeButton({ icon: "play", className: "play round", press: () => this.toggle() });
  /** @type {Float32Array} */
  #peaks = new Float32Array(1);
  #seconds = 0;
  #isPlayable = true;
  #redraw = () => this.#show();

  /** @param {import("./recording.js").Recording} recording */
  constructor(recording) {
    this.name = recording.name;
    const title = make("span", "title", recording.name);
    title.title = recording.name;
    this.tools = make("span", "player-tools");
    const head = make("div", "player-head", title, this.#time, this.tools);
    this.element = make("div", "player", this.#button, make("div", "player-body", head, this.#slider));
    this.element.setAttribute("role", "group");
    this.element.setAttribute("aria-label", recording.name);
    this.#canvas.setAttribute("aria-hidden", "true");
    this.#prepareSlider();
    this.#prepareAudio(recording.blob);
    document.addEventListener("appearance", this.#redraw);
    new ResizeObserver(this.#redraw).observe(this.#canvas);
    this.ready = this.#measure(recording.blob);
    this.#show();
  }

  /** Length in seconds; 0 while it is not known. */
  get seconds() {
    return this.#seconds;
  }

  toggle() {
    if (this.#audio.paused) this.play();
    else this.#audio.pause();
  }

  play() {
    if (!this.#isPlayable) return;
    if (Player.#sounding !== this) Player.#sounding?.pause();
    Player.#sounding = this;
    this.#audio.play().catch(() => this.#show()); // refused by the browser: the button still says "Play"
  }

  pause() {
    this.#audio.pause();
  }

  /** @param {number} seconds from the beginning */
  seek(seconds) {
    this.#audio.currentTime = Math.min(Math.max(0, seconds), this.#seconds || seconds);
    this.#show();
  }

  /** The recording is not needed any more. */
  close() {
    this.pause();
    document.removeEventListener("appearance", this.#redraw);
    URL.revokeObjectURL(this.#audio.src);
    this.element.remove();
  }

  /** @param {Blob} blob */
  async #measure(blob) {
    try {
      const { peaks, seconds } = await waveformOf(blob);
      this.#peaks = peaks;
      this.#seconds = seconds;
    } catch {
      this.#peaks = new Float32Array(1);
    }
    this.#show();
  }

  /** @param {Blob} blob */
  #prepareAudio(blob) {
    const audio = this.#audio;
    audio.preload = "metadata";
    audio.src = URL.createObjectURL(blob);
    audio.addEventListener("loadedmetadata", () => {
      // A recorder's file declares no length, and a browser cannot seek in it until it has seen its end.
      if (audio.duration === Infinity) audio.currentTime = BEYOND_SECONDS;
      else this.#seconds ||= audio.duration;
    });
    audio.addEventListener("durationchange", () => {
      if (Number.isFinite(audio.duration) && audio.currentTime >= audio.duration && audio.paused) audio.currentTime = 0;
    });
    audio.addEventListener("error", () => {
      this.#isPlayable = false;
      this.#button.disabled = true;
      this.#slider.replaceWith(make("p", "unplayable", "This browser cannot play it. The model may still hear it."));
    });
    for (const event of ["play", "pause", "ended", "seeked", "timeupdate"]) audio.addEventListener(event, this.#redraw);
    audio.addEventListener("play", () => this.#follow());
  }

  #prepareSlider() {
    const slider = this.#slider;
    slider.tabIndex = 0;
    slider.setAttribute("role", "slider");
    slider.setAttribute("aria-label", `Position in ${this.name}`);
    slider.setAttribute("aria-valuemin", "0");
    slider.addEventListener("keydown", (event) => this.#press(event));
    slider.addEventListener("pointerdown", (event) => {
      slider.setPointerCapture(event.pointerId);
      this.#point(event);
    });
    slider.addEventListener("pointermove", (event) => {
      if (slider.hasPointerCapture(event.pointerId)) this.#point(event);
    });
  }

  /** @param {PointerEvent} event */
  #point(event) {
    const { left, width } = this.#slider.getBoundingClientRect();
    this.seek(((event.clientX - left) / width) * this.#seconds);
  }

  /** @param {KeyboardEvent} event */
  #press(event) {
    const now = this.#audio.currentTime;
    /** @type {Record<string, () => void>} */
    const keys = {
      ArrowLeft: () => this.seek(now - STEP_SECONDS),
      ArrowDown: () => this.seek(now - STEP_SECONDS),
      ArrowRight: () => this.seek(now + STEP_SECONDS),
      ArrowUp: () => this.seek(now + STEP_SECONDS),
      PageDown: () => this.seek(now - PAGE_SECONDS),
      PageUp: () => this.seek(now + PAGE_SECONDS),
      Home: () => this.seek(0),
      End: () => this.seek(this.#seconds),
      " ": () => this.toggle(),
      Enter: () => this.toggle(),
    };
    if (!(event.key in keys)) return;
    event.preventDefault();
    keys[event.key]();
  }

  #follow() {
    this.#show();
    if (!this.#audio.paused) requestAnimationFrame(() => this.#follow());
  }

  #show() {
    const now = Math.min(this.#audio.currentTime, this.#seconds || Infinity);
    const isPlaying = !this.#audio.paused;
    changeIcon(this.#button, isPlaying ? "pause" : "play");
    this.#button.setAttribute("aria-label", `${isPlaying ? "Pause" : "Play"} ${this.name}`);
    this.#time.textContent = `${clock(now)} / ${clock(this.#seconds)}`;
    this.#slider.setAttribute("aria-valuemax", this.#seconds.toFixed(1));
    this.#slider.setAttribute("aria-valuenow", now.toFixed(1));
    this.#slider.setAttribute("aria-valuetext", `${spoken(now)} of ${spoken(this.#seconds)}`);
    draw(this.#canvas, this.#peaks, this.#seconds ? now / this.#seconds : 0);
  }
}
