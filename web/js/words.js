/** Numbers and names as people read them. */

/**
 * @param {number} probability 0 to 1
 * @returns {string} never "100 %" or "0 %" for what is not quite so
 */
export function percent(probability) {
  const value = probability * 100;
  if (value > 99 && value < 100) return '>99 %';
  if (value > 0 && value < 1) return '<1 %';
  return `${Math.round(value)} %`;
}

/**
 * @param {number} value
 * @returns {string}
 */
export function milliseconds(value) {
  return `${value < 9.95 ? value.toFixed(1) : Math.round(value)} ms`;
}

/**
 * @param {string} name `espresso_maker`
 * @returns {string} `espresso maker`
 */
export function plain(name) {
  return name.replaceAll('_', ' ');
}

/**
 * @param {number} n
 * @param {string} one
 * @param {string} many
 * @returns {string}
 */
export function count(n, one, many = `${one}s`) {
  return `${n} ${n === 1 ? one : many}`;
}
