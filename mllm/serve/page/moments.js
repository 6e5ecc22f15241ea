// @ts-check
// Moments named in an answer become buttons that play the recording from there.

import { clock } from "./clock.js";
import { make } from "./dom.js";
import { momentsOf } from "./times.js";

const ORDINALS = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth"];

/** @typedef {import("./player.js").Player} Player */

/**
 * Puts a text into an element, its moments as buttons.
 * @param {HTMLElement} element
 * @param {string} text
 * @param {Player[]} players of the conversation so far, the oldest first
 */
export function putText(element, text, players) {
  element.replaceChildren();
  let written = 0;
  for (const { from, to, seconds } of momentsOf(text)) {
    const player = playerOf(text.slice(0, from), seconds, players);
    if (!player) continue;
    element.append(text.slice(written, from), makeMoment(text.slice(from, to), seconds, player));
    written = to;
  }
  element.append(text.slice(written));
}

/**
 * The recording that a moment lies in: the one named last before it, else the newest that is long enough.
 * @param {string} before the text up to the moment
 * @param {number} seconds
 * @param {Player[]} players
 */
function playerOf(before, seconds, players) {
  const text = before.toLowerCase();
  const named = players
    .map((player, i) => ({ player, place: Math.max(...namesOf(player, i).map((name) => text.lastIndexOf(name))) }))
    .filter(({ place }) => place >= 0)
    .sort((one, other) => other.place - one.place)
    .map(({ player }) => player);
  return [...named.slice(0, 1), ...players.toReversed()].find((player) => seconds <= player.seconds);
}

/** @param {Player} player @param {number} index */
function namesOf(player, index) {
  const things = ["recording", "clip", "track", "song", "piece", "one"];
  const ordinal = ORDINALS[index];
  return [
    player.name.toLowerCase(),
    ...things.map((thing) => `${thing} ${index + 1}`),
    ...(ordinal ? things.map((thing) => `${ordinal} ${thing}`) : []),
  ];
}

/** @param {string} words @param {number} seconds @param {Player} player */
function makeMoment(words, seconds, player) {
  const button = make("button", "moment", words);
  button.type = "button";
  button.setAttribute("aria-label", `${words}: play ${player.name} from ${clock(seconds)}`);
  button.addEventListener("click", () => {
    player.seek(seconds);
    player.play();
  });
  return button;
}
