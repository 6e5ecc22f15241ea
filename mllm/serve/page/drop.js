// @ts-check
// Files dropped anywhere on the page.

import { byId } from "./dom.js";

/** @param {(files: Iterable<File>) => void} take */
export function startDropping(take) {
  const veil = byId("dropping", HTMLDivElement);
  const hasFiles = (/** @type {DragEvent} */ event) => event.dataTransfer?.types.includes("Files") ?? false;
  addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault(); // without it the browser would open the file in place of the page
    veil.hidden = false;
  });
  addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) veil.hidden = true;
  });
  addEventListener("drop", (event) => {
    veil.hidden = true;
    if (!hasFiles(event)) return;
    event.preventDefault();
    take(event.dataTransfer?.files ?? []);
  });
}
