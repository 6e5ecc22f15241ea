// @ts-check
// Light and dark: as the system has it, until the button says otherwise.

import { byId, changeIcon } from "./dom.js";

const DARK = matchMedia("(prefers-color-scheme: dark)");
const root = document.documentElement;

/** Lets the button change between light and dark. */
export function startAppearance() {
  const button = byId("appearance", HTMLButtonElement);
  const show = () => {
    const other = isDark() ? "light" : "dark";
    changeIcon(button, other);
    button.setAttribute("aria-label", `Change to ${other}`);
    document.dispatchEvent(new Event("appearance"));
  };
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    localStorage.setItem("mllm-theme", root.dataset.theme);
    show();
  });
  DARK.addEventListener("change", show);
  show();
}

function isDark() {
  return root.dataset.theme ? root.dataset.theme === "dark" : DARK.matches;
}
