// @ts-check
// The server's API: which model there is, and answers as they are said. Asks for a key where the server wants one.

import { askForKey, keptKey } from "./key.js";
import { eventsOf } from "./sse.js";

/** What the server, or the way to it, said of a request that failed: one sentence. */
export class ApiError extends Error {}

/** @returns {Promise<string>} what the server calls its model */
export async function modelName() {
  const { data } = await (await request("v1/models", {})).json();
  return data[0].id;
}

/**
 * @typedef {object} Heard what is told beside an answer
 * @property {string} [partly] that less than the whole was heard
 * @property {boolean} cutOff whether the answer reached the longest that it may be
 */

/**
 * The answer to a conversation, piece by piece.
 * @param {{model: string, messages: object[], signal: AbortSignal}} asked
 * @returns {AsyncGenerator<string, Heard>}
 */
export async function* answerTo({ model, messages, signal }) {
  const response = await request("v1/chat/completions", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ model, messages, stream: true, temperature: 0 }),
    signal,
  });
  let cutOff = false;
  for await (const data of eventsOf(/** @type {ReadableStream<Uint8Array>} */ (response.body))) {
    if (data === "[DONE]") return { partly: warningOf(response), cutOff };
    const { error, choices } = JSON.parse(data);
    if (error) throw new ApiError(error.message);
    cutOff ||= choices[0]?.finish_reason === "length";
    const piece = choices[0]?.delta?.content;
    if (piece) yield piece;
  }
  throw new ApiError("The answer ended early: the server stopped, or the answer took longer than it allows.");
}

/** @param {Response} response @returns {string | undefined} */
function warningOf(response) {
  return /^299 \S+ "(.*)"$/.exec(response.headers.get("Warning") ?? "")?.[1];
}

/**
 * @param {string} path relative to the page, so that a proxy may put both under a path of its own
 * @param {RequestInit} init
 */
async function request(path, init) {
  for (;;) {
    const key = keptKey();
    const headers = { ...init.headers, ...(key ? { Authorization: `Bearer ${key}` } : {}) };
    const response = await reach(path, { ...init, headers });
    if (response.ok) return response;
    if (response.status !== 401 || !(await askForKey(Boolean(key)))) throw new ApiError(await sentenceOf(response));
  }
}

/** @param {string} path @param {RequestInit} init */
async function reach(path, init) {
  try {
    return await fetch(path, init);
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new ApiError(
      "The server cannot be reached, or it ended the connection. Check that it runs; if the recordings are large, send fewer or shorter ones.",
    );
  }
}

/** @param {Response} response */
async function sentenceOf(response) {
  const told = await response.json().catch(() => null);
  return told?.error?.message ?? `The server answered with status ${response.status}.`;
}
