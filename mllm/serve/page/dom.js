// @ts-check
// Elements: found by their id, made with text in them, and what is said to screen readers. Text is never read as HTML.

const SVG = "http://www.w3.org/2000/svg";

/**
 * The element of the page with this id.
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} kind
 * @returns {T}
 */
export function byId(id, kind) {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`#${id} is no ${kind.name}`);
  return found;
}

/**
 * A new element.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {string} className
 * @param {...(Node | string)} children strings become text
 * @returns {HTMLElementTagNameMap[K]}
 */
export function make(tag, className, ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

/**
 * A button with an icon, and with words or a name that only screen readers say.
 * @param {{icon: string, className: string, words?: string, name?: string, press: () => void}} options
 */
export function makeButton({ icon, className, words, name, press }) {
  const button = make("button", className, makeIcon(icon), ...(words ? [make("span", "", words)] : []));
  button.type = "button";
  if (name) button.setAttribute("aria-label", name);
  button.addEventListener("click", press);
  return button;
}

/** @param {Element} parent that holds an icon @param {string} icon name of another */
export function changeIcon(parent, icon) {
  parent.querySelector("use")?.setAttribute("href", `#icon-${icon}`);
}

/** @param {string} text said by a screen reader when it has said everything else */
export function announce(text) {
  byId("status", HTMLParagraphElement).textContent = text;
}

/** @param {string} name */
function makeIcon(name) {
  const icon = document.createElementNS(SVG, "svg");
  icon.setAttribute("class", "icon");
  icon.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#icon-${name}`);
  icon.append(use);
  return icon;
}
