// @ts-check
// Seconds as a clock shows them, and as they are said.

/** @param {number} seconds @returns {string} such as 1:05 or 1:02:03 */
export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (/** @type {number} */ number) => String(number).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

/** @param {number} seconds @returns {string} such as "1 minute 5 seconds" */
export function spoken(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const count = (/** @type {number} */ number, /** @type {string} */ unit) =>
    number ? [`${number} ${unit}${number === 1 ? "" : "s"}`] : [];
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  return [...count(hours, "hour"), ...count(minutes, "minute"), ...count(whole % 60, "second")].join(" ") || "0 seconds";
}
