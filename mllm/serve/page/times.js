// @ts-check
// Finds the moments that a text names: 1:23, 0:05–0:12, "at 75 s", "from 10 to 20 seconds". Lengths ("lasts 30 s") and
// fractions (3/4) are no moments.

/** @typedef {{from: number, to: number, seconds: number}} Moment a stretch of the text, and what it names */

const CLOCK = /(?<![\d:.])(?:(\d{1,2}):)?(\d{1,3}):([0-5]\d)(?:\.(\d+))?(?![\d:])/g;
const NUMBER = String.raw`\d+(?:\.\d+)?`;
const UNIT = String.raw`\s?(?:seconds|second|secs|sec|s)\b`;
const RANGE = new RegExp(String.raw`(?<![\d:./])(${NUMBER})${optional(UNIT)}(\s?[–-]\s?|\s(?:to|and|until)\s)(${NUMBER})${UNIT}`, "gi");
const POINT = new RegExp(String.raw`\b(?:at|from|after|before|around|about|near|until|till|since)\s(${NUMBER})${UNIT}`, "gi");

/** @param {string} text @returns {Moment[]} in their order, none within another */
export function momentsOf(text) {
  /** @type {Moment[]} */
  const found = [];
  for (const match of text.matchAll(CLOCK)) {
    const [whole, hours, minutes, seconds, fraction] = match;
    found.push({
      from: match.index,
      to: match.index + whole.length,
      seconds: Number(hours ?? 0) * 3600 + Number(minutes) * 60 + Number(`${seconds}.${fraction ?? 0}`),
    });
  }
  for (const match of text.matchAll(RANGE)) {
    const [whole, first, , second] = match;
    found.push({ from: match.index, to: match.index + first.length, seconds: Number(first) });
    const begin = match.index + whole.lastIndexOf(second);
    found.push({ from: begin, to: match.index + whole.length, seconds: Number(second) });
  }
  for (const match of text.matchAll(POINT)) {
    const begin = match.index + match[0].search(/\d/);
    found.push({ from: begin, to: match.index + match[0].length, seconds: Number(match[1]) });
  }
  found.sort((one, other) => one.from - other.from || one.to - other.to);
  return found.filter((moment, i) => i === 0 || moment.from >= Math.max(...found.slice(0, i).map(({ to }) => to)));
}

/** @param {string} pattern */
function optional(pattern) {
  return `(?:${pattern})?`;
}
