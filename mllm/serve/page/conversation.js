// @ts-check
// A conversation as OpenAI messages.

/**
 * @typedef {import("./recording.js").Recording} Recording
 * @typedef {{question: string, recordings: Recording[], answer: string}} Turn
 */

/**
 * The messages of turns; an answer that is empty, because it is still to come, is left out.
 * @param {Turn[]} turns
 * @param {(recording: Recording) => Promise<object>} partOf
 */
export async function messagesOf(turns, partOf) {
  const messages = [];
  for (const { question, recordings, answer } of turns) {
    const text = { type: "text", text: question };
    const content = recordings.length ? [...(await Promise.all(recordings.map(partOf))), text] : question;
    messages.push({ role: "user", content });
    if (answer.trim()) messages.push({ role: "assistant", content: answer });
  }
  return messages;
}
