/** Words for people who listen: one polite live region, never a flood. */

import { byId } from './dom.js';

const APART_MS = 2_500;
let lastMs = -APART_MS;
let last = '';

/** @param {string} sentence spoken once, now */
export function announce(sentence) {
  byId('status', HTMLElement).textContent = sentence;
  last = sentence;
  lastMs = performance.now();
}

/** @param {string} sentence spoken when it is new and the last one is long enough ago (for the camera) */
export function murmur(sentence) {
  if (sentence !== last && performance.now() - lastMs >= APART_MS) announce(sentence);
}
