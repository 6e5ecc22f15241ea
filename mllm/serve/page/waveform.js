// @ts-check
// The waveform of a recording: its peaks, and their drawing.

const PEAKS = 800;
const RATE_HZ = 8000; // enough to see; a long recording takes less memory than at its own rate
const [BAR_PIXELS, STEP_PIXELS] = [2, 4];

/** @typedef {{peaks: Float32Array, seconds: number}} Waveform peaks in [0, 1], the loudest is 1 */

/** @param {Blob} blob @returns {Promise<Waveform>} fails where the browser cannot decode it */
export async function waveformOf(blob) {
  const sound = await new OfflineAudioContext(1, 1, RATE_HZ).decodeAudioData(await blob.arrayBuffer());
  const samples = sound.getChannelData(0);
  const peaks = new Float32Array(PEAKS);
  for (let i = 0; i < samples.length; i++) {
    const place = Math.floor((i * PEAKS) / samples.length);
    peaks[place] = Math.max(peaks[place], Math.abs(samples[i]));
  }
  const loudest = Math.max(...peaks) || 1;
  return { peaks: peaks.map((peak) => peak / loudest), seconds: sound.duration };
}

/**
 * @param {HTMLCanvasElement} canvas whose CSS `color` and `fill` are those of the bars to come and of those played
 * @param {Float32Array} peaks
 * @param {number} played in [0, 1]
 */
export function draw(canvas, peaks, played) {
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  canvas.width = width * devicePixelRatio;
  canvas.height = height * devicePixelRatio;
  const context = canvas.getContext("2d");
  if (!context || !width) return;
  context.scale(devicePixelRatio, devicePixelRatio);
  const { color, fill } = getComputedStyle(canvas);
  const bars = Math.floor(width / STEP_PIXELS);
  for (let bar = 0; bar < bars; bar++) {
    const [first, last] = [bar, bar + 1].map((edge) => Math.floor((edge * peaks.length) / bars));
    const peak = Math.max(...peaks.subarray(first, Math.max(last, first + 1)));
    const length = Math.max(BAR_PIXELS, peak * height);
    context.fillStyle = (bar + 0.5) / bars <= played ? fill : color;
    context.beginPath();
    context.roundRect(bar * STEP_PIXELS, (height - length) / 2, BAR_PIXELS, length, BAR_PIXELS / 2);
    context.fill();
  }
}
