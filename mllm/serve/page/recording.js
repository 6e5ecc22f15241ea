// @ts-check
// A recording that the user gave, and how it stands in a message.

/** @typedef {{name: string, blob: Blob}} Recording */

const INPUT_AUDIO = ["wav", "mp3"];
/** What OpenAI's API takes as `input_audio`; a server that is strict about it takes everything else by a data: URL. */

/** @param {Recording} recording @returns {Promise<object>} the part of a message that holds it */
export async function partWithContent({ name, blob }) {
  const data = await base64Of(blob);
  const format = formatOf(name, blob.type);
  return INPUT_AUDIO.includes(format)
    ? { type: "input_audio", input_audio: { data, format } }
    : { type: "audio_url", audio_url: { url: `data:audio/${format};base64,${data}` } };
}

/** @param {Recording} recording @returns {Promise<object>} the part of a message that names it, as `mllm ask --batch` reads it */
export async function partByName({ name }) {
  return { type: "audio", path: name };
}

/** @param {string} name @param {string} mediaType */
function formatOf(name, mediaType) {
  const ending = /\.([a-z0-9]+)$/i.exec(name)?.[1] ?? /^(?:audio|video)\/([a-z0-9]+)/i.exec(mediaType)?.[1];
  return (ending ?? "octet-stream").toLowerCase();
}

/** @param {Blob} blob @returns {Promise<string>} */
function base64Of(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result).replace(/^[^,]*,/, ""));
    reader.onerror = () => reject(new Error("A file cannot be read any more; add it again."));
    reader.readAsDataURL(blob);
  });
}
