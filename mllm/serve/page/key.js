// @ts-check
// The API key: asked for in a dialog, kept for this tab only.

import { byId } from "./dom.js";
import { open } from "./dialog.js";

const PLACE = "mllm-api-key";

/** @returns {string | null} */
export function keptKey() {
  return sessionStorage.getItem(PLACE);
}

/** @param {boolean} wasRefused whether a key was sent @returns {Promise<boolean>} whether one was given */
export async function askForKey(wasRefused) {
  const input = byId("key", HTMLInputElement);
  byId("key-text", HTMLParagraphElement).textContent = wasRefused
    ? "The server did not accept that key. Try another one."
    : "It is kept in this tab until the tab is closed.";
  const isGiven = await open(byId("key-dialog", HTMLDialogElement));
  if (isGiven) sessionStorage.setItem(PLACE, input.value.trim());
  input.value = "";
  return isGiven;
}
