// @ts-check
// The conversation as a file.

import { messagesOf } from "./conversation.js";
import { open } from "./dialog.js";
import { byId, make } from "./dom.js";
import { partByName, partWithContent } from "./recording.js";

/**
 * Asks what goes into the file, and hands it to the browser.
 * @param {string} model
 * @param {import("./conversation.js").Turn[]} turns
 */
export async function share(model, turns) {
  if (!(await open(byId("share-dialog", HTMLDialogElement)))) return;
  const isWhole = byId("share-recordings", HTMLInputElement).checked;
  const messages = await messagesOf(turns, isWhole ? partWithContent : partByName);
  const file = new Blob([JSON.stringify({ model, messages }, null, 2), "\n"], { type: "application/json" });
  const link = make("a", "");
  link.href = URL.createObjectURL(file);
  link.download = "conversation.json";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
