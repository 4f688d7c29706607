/** The square that a network sees, cut from a picture in one resampling: the counterpart of `crop` in `models/faces.py`. */

/** @import {Pixels} from './picture.js' */
/** @import {Face} from './finder.js' */

import { even, part, resized } from './picture.js';

/** @typedef {{wanted: boolean, align: 'eyes_mouth' | 'box', span: number, centre: number}} FaceSpec as in a bundle's model.json */
/** @typedef {{x: number, y: number, side: number, angle: number}} Square centre, pixels and radians */

/**
 * @param {Pixels} picture
 * @param {Face | null} face null for the centre square of the whole picture
 * @param {FaceSpec} spec
 * @returns {Square}
 */
export function square(picture, face, spec) {
  const { width, height } = picture;
  if (!face) return { x: width / 2, y: height / 2, side: Math.min(width, height) * spec.centre, angle: 0 };
  const [left, top, boxWidth, boxHeight] = face.box;
  const longer = Math.max(boxWidth, boxHeight);
  const centre = { x: left + boxWidth / 2, y: top + boxHeight / 2, angle: 0 };
  if (spec.align === 'box') return { ...centre, side: longer * spec.span };
  const [one, two, , three, four] = face.landmarks;
  const eyes = { x: (one[0] + two[0]) / 2, y: (one[1] + two[1]) / 2 };
  const mouth = { x: (three[0] + four[0]) / 2, y: (three[1] + four[1]) / 2 };
  const [right, down] = [mouth.x - eyes.x, mouth.y - eyes.y];
  const distance = Math.hypot(right, down);
  // Landmarks fell together: trust the box.
  if (distance < 0.15 * boxHeight) return { ...centre, side: (longer * spec.span) / 2.2 };
  let [across, fall] = [two[0] - one[0], two[1] - one[1]];
  // A profile: the eyes say nothing of the tilt, eyes to mouth does.
  if (Math.hypot(across, fall) < 0.3 * distance) [across, fall] = [down, -right];
  return {
    x: (eyes.x + mouth.x) / 2,
    y: (eyes.y + mouth.y) / 2,
    side: distance * spec.span,
    angle: Math.atan2(fall, across),
  };
}

/**
 * @param {Square} where
 * @returns {[[number, number], [number, number], [number, number], [number, number]]} top left, top right, bottom
 *   right, bottom left, in pixels of the picture
 */
export function corners({ x, y, side, angle }) {
  const half = Math.max(side, 1) / 2;
  const [a, b] = [Math.cos(angle) * half, Math.sin(angle) * half];
  return [[x - a + b, y - b - a], [x + a + b, y + b - a], [x + a - b, y + b + a], [x - a - b, y - b + a]];
}

/**
 * @param {Pixels} picture
 * @param {Square} where
 * @param {number} size side of the result, pixels
 * @returns {Pixels} what lies outside the picture repeats its edge
 */
export function crop(picture, where, size) {
  let { x, y } = where;
  let side = Math.max(where.side, 1);
  let source = picture;
  if (side > 2 * size) { // sampling would skip pixels: average them first
    const reach = side * 0.75 + 2; // half a diagonal is 0.71 of the side
    const { width, height } = picture;
    const left = clamp(Math.floor(x - reach), width - 1);
    const top = clamp(Math.floor(y - reach), height - 1);
    const right = Math.max(clamp(Math.ceil(x + reach), width), left + 1);
    const bottom = Math.max(clamp(Math.ceil(y + reach), height), top + 1);
    const near = part(picture, left, top, right, bottom);
    const newWidth = Math.max(1, even((near.width * size) / side));
    const newHeight = Math.max(1, even((near.height * size) / side));
    const [scaleX, scaleY] = [newWidth / near.width, newHeight / near.height];
    source = resized(near, newWidth, newHeight);
    [x, y] = [(x - left) * scaleX, (y - top) * scaleY];
    side *= Math.sqrt(scaleX * scaleY);
  }
  return sampled(source, { x, y, side, angle: where.angle }, size);
}

/**
 * Bilinear, at places rounded to a thirty-second of a pixel as OpenCV has them.
 *
 * @param {Pixels} source
 * @param {Square} where
 * @param {number} size
 * @returns {Pixels}
 */
function sampled({ data, width, height }, { x, y, side, angle }, size) {
  const step = side / size;
  const [a, b] = [Math.cos(angle) * step, Math.sin(angle) * step];
  const startX = x - ((a - b) * (size - 1)) / 2 - 0.5; // pixel centres stand at whole numbers there
  const startY = y - ((b + a) * (size - 1)) / 2 - 0.5;
  const out = new Uint8ClampedArray(size * size * 4).fill(255);
  for (let row = 0, at = 0; row < size; row += 1) {
    for (let column = 0; column < size; column += 1, at += 4) {
      const px = (even((startX - b * row) * 1024) + even(a * column * 1024) + 16) >> 5;
      const py = (even((startY + a * row) * 1024) + even(b * column * 1024) + 16) >> 5;
      const [right, down] = [(px & 31) / 32, (py & 31) / 32];
      const left = clamp(px >> 5, width - 1);
      const next = clamp((px >> 5) + 1, width - 1);
      const over = clamp(py >> 5, height - 1) * width;
      const under = clamp((py >> 5) + 1, height - 1) * width;
      for (let channel = 0; channel < 3; channel += 1) {
        const above = mix(data, (over + left) * 4 + channel, (over + next) * 4 + channel, right);
        const below = mix(data, (under + left) * 4 + channel, (under + next) * 4 + channel, right);
        out[at + channel] = Math.floor(above + (below - above) * down + 0.5);
      }
    }
  }
  return { data: out, width: size, height: size };
}

/**
 * @param {Uint8ClampedArray} data
 * @param {number} one
 * @param {number} other
 * @param {number} share of the other
 */
function mix(data, one, other, share) {
  const first = /** @type {number} */ (data[one]);
  return first + (/** @type {number} */ (data[other]) - first) * share;
}

/**
 * @param {number} value
 * @param {number} most
 */
function clamp(value, most) {
  return Math.min(Math.max(value, 0), most);
}
