/** What decided, in a sentence: for people who cannot see colours, and for all who like words. */

/** @import {Explanation, ImageResult} from './types.js' */

import { percent, plain } from './words.js';

const MOSTLY = 0.6;

/**
 * @param {ImageResult | undefined} result
 * @returns {Explanation[]} one a face, in their order; or the whole picture's
 */
export function explanations(result) {
  const faces = (result?.faces ?? []).flatMap((face) => face.explanation ?? []);
  return faces.length || !result?.explanation ? faces : [result.explanation];
}

/**
 * @param {Explanation | undefined} told
 * @param {string} what it is of: 'face' or 'picture'
 * @returns {string} empty without an explanation
 */
export function why(told, what = 'face') {
  if (!told) return '';
  const lower = lowerHalf(told.map);
  const name = plain(told.label);
  if (lower === null) return `No part of the ${what} spoke for ${name} more than for the others.`;
  const most = Math.max(lower, 1 - lower);
  return most < MOSTLY
    ? `What spoke for ${name} lies in both halves of the ${what}.`
    : `What spoke for ${name} lies mostly in the ${lower === most ? 'lower' : 'upper'} half of the ${what} (${percent(most)}).`;
}

/**
 * @param {number[][]} map shares, rows from the top of the upright face
 * @returns {number | null} how much of what spoke for the label lies in the lower half, 0 to 1; null if nothing spoke
 */
export function lowerHalf(map) {
  const rows = map.map((row) => row.reduce((sum, share) => sum + Math.max(0, share), 0));
  const all = rows.reduce((a, b) => a + b, 0);
  // Of an odd number of rows the middle one counts by half.
  const below = rows.reduce((sum, spoke, y) => sum + spoke * Math.min(1, Math.max(0, y + 1 - rows.length / 2)), 0);
  return all > 0 ? below / all : null;
}
