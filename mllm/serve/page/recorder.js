// @ts-check
// Records from the microphone.

const TYPE = "audio/webm;codecs=opus";

export class Recorder {
  /** @type {MediaRecorder | null} */
  #recorder = null;
  #count = 0;

  get isRecording() {
    return this.#recorder !== null;
  }

  /** Begins; fails with a sentence where there is no microphone, or none may be used. */
  async start() {
    if (!navigator.mediaDevices) {
      throw new Error("Browsers record only on https pages and on this machine's own address (http://127.0.0.1). Add a file instead.");
    }
    const stream = await navigator.mediaDevices
      .getUserMedia({ audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false } })
      .catch((error) => {
        throw new Error(`The microphone cannot be used (${error.name}). Allow it for this page, or add a file instead.`);
      });
    const isUsual = MediaRecorder.isTypeSupported(TYPE);
    this.#recorder = new MediaRecorder(stream, isUsual ? { mimeType: TYPE } : {});
    this.#recorder.start();
  }

  /** @returns {Promise<import("./recording.js").Recording>} what was recorded */
  stop() {
    const recorder = this.#recorder;
    if (!recorder) throw new Error("nothing is being recorded");
    this.#recorder = null;
    return new Promise((resolve) => {
      recorder.ondataavailable = ({ data }) => {
        for (const track of recorder.stream.getTracks()) track.stop();
        const ending = data.type.includes("mp4") ? "m4a" : data.type.includes("ogg") ? "ogg" : "webm";
        this.#count += 1;
        resolve({ name: `recording-${this.#count}.${ending}`, blob: data });
      };
      recorder.stop();
    });
  }
}
