/** Which part of a face decided, in warm colours over the picture. The same picture as `models/explain.py` draws. */

/** @import {Explanation} from './types.js' */

import { make } from './dom.js';

const GRID = 64; // side to which a map is smoothed, pixels
const FADE = 1 / 8; // of the square's side: its edge is no edge of the evidence
const OPAQUE = 0.7; // how much of the strongest place's colour hides the picture
const LONGEST = 640; // of the canvas, pixels; what is so smooth needs no more

/** Inferno (matplotlib), nine colours evenly apart. @type {[number, number, number][]} */
const COLOURS = [
  [0, 0, 4], [33, 12, 74], [87, 16, 110], [138, 34, 106], [188, 55, 84],
  [228, 90, 49], [249, 142, 9], [249, 203, 53], [252, 255, 164],
];

export class Heat {
  /** @param {HTMLElement} picture the layer is put over its first child, under its boxes */
  constructor(picture) {
    this.canvas = /** @type {HTMLCanvasElement} */ (make('canvas', { class: 'heat', 'aria-hidden': 'true' }));
    this.canvas.hidden = true;
    this.pen = this.canvas.getContext('2d');
    this.face = new OffscreenCanvas(GRID, GRID);
    picture.firstElementChild?.after(this.canvas);
  }

  /**
   * @param {Explanation[]} told one a face
   * @param {{width: number, height: number}} size of the picture, pixels
   * @param {boolean} mirrored the picture is shown flipped
   */
  show(told, size, mirrored = false) {
    const { canvas, pen } = this;
    canvas.hidden = told.length === 0;
    if (!pen || canvas.hidden) return;
    const scale = Math.min(1, LONGEST / Math.max(size.width, size.height));
    canvas.width = Math.max(1, Math.round(size.width * scale)); // this clears it
    canvas.height = Math.max(1, Math.round(size.height * scale));
    canvas.toggleAttribute('data-mirrored', mirrored);
    pen.imageSmoothingQuality = 'high';
    for (const { map, corners: [a, b, , d] } of told) {
      this.face.getContext('2d')?.putImageData(new ImageData(coloured(strength(map)), GRID, GRID), 0, 0);
      const step = scale / GRID;
      pen.setTransform((b[0] - a[0]) * step, (b[1] - a[1]) * step, (d[0] - a[0]) * step, (d[1] - a[1]) * step,
        a[0] * scale, a[1] * scale);
      pen.drawImage(this.face, 0, 0);
    }
  }

  clear() {
    this.canvas.hidden = true;
  }
}

/**
 * Smoothed with cubic B-splines, which make no evidence where there is none.
 *
 * @param {number[][]} map shares, rows from the top
 * @returns {Float32Array} GRID x GRID, 0 to 1: what spoke for the label, the strongest place 1
 */
export function strength(map) {
  const down = spline(map.length);
  const along = spline(map[0]?.length ?? 0);
  const fine = new Float32Array(GRID * GRID);
  for (let y = 0; y < GRID; y += 1) {
    const row = (map[0] ?? []).map((_, x) =>
      map.reduce((sum, shares, i) => sum + (down[y]?.[i] ?? 0) * Math.max(0, shares[x] ?? 0), 0));
    for (let x = 0; x < GRID; x += 1) {
      fine[y * GRID + x] = row.reduce((sum, share, i) => sum + (along[x]?.[i] ?? 0) * share, 0);
    }
  }
  const strongest = fine.reduce((most, value) => Math.max(most, value), 0);
  const kept = (/** @type {number} */ at) => Math.min(1, Math.min(at + 0.5, GRID - at - 0.5) / GRID / FADE);
  return fine.map((value, at) =>
    (strongest > 0 ? value / strongest : 0) * kept(Math.floor(at / GRID)) * kept(at % GRID));
}

/**
 * @param {number} places
 * @returns {number[][]} for each of GRID points how much each place counts
 */
function spline(places) {
  return Array.from({ length: GRID }, (_, point) => {
    const weights = Array.from({ length: places }, (_place, place) => {
      const away = Math.abs(((point + 0.5) * places) / GRID - place - 0.5);
      return away < 1 ? 2 / 3 - away ** 2 + away ** 3 / 2 : Math.max(0, 2 - away) ** 3 / 6;
    });
    const sum = weights.reduce((a, b) => a + b, 0);
    return weights.map((weight) => weight / sum);
  });
}

/**
 * @param {Float32Array} values 0 to 1
 * @returns {Uint8ClampedArray<ArrayBuffer>} red, green, blue, opacity of each
 */
function coloured(values) {
  const pixels = new Uint8ClampedArray(values.length * 4);
  values.forEach((value, place) => {
    const at = value * (COLOURS.length - 1);
    const from = Math.min(COLOURS.length - 2, Math.floor(at));
    for (let channel = 0; channel < 3; channel += 1) {
      const [low, high] = [COLOURS[from]?.[channel] ?? 0, COLOURS[from + 1]?.[channel] ?? 0];
      pixels[place * 4 + channel] = low + (high - low) * (at - from);
    }
    pixels[place * 4 + 3] = 255 * OPAQUE * value ** 0.75;
  });
  return pixels;
}
