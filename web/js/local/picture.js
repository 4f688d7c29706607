/** Pictures as pixels: decoded upright, made smaller or larger, cut. The counterpart of OpenCV's calls in `models/`. */

/**
 * @typedef {Object} Pixels
 * @property {Uint8ClampedArray} data red, green, blue and 255 of each pixel, row by row
 * @property {number} width
 * @property {number} height
 */

export const MOST_PIXELS = 40_000_000;

/** A file that is no picture to this browser; `code` is the service's own. */
export class PictureProblem extends Error {
  /**
   * @param {'unsupported_image' | 'image_too_large'} code
   * @param {string} sentence
   */
  constructor(code, sentence) {
    super(sentence);
    this.code = code;
  }
}

/**
 * Transparency is laid over white; colours stay as they are stored.
 *
 * @param {Blob} file
 * @returns {Promise<Pixels>} upright
 * @throws {PictureProblem}
 */
export async function decode(file) {
  /** @type {ImageBitmap} */
  let drawn;
  try {
    drawn = await createImageBitmap(file, { imageOrientation: 'from-image', colorSpaceConversion: 'none' });
  } catch {
    throw new PictureProblem('unsupported_image',
      'This is not a picture that this browser can read. Convert it to JPEG or PNG and try again.');
  }
  const { width, height } = drawn;
  try {
    if (width * height > MOST_PIXELS) throw new Error('too many pixels');
    const pen = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true });
    if (!pen) throw new Error('no canvas of this size');
    pen.fillStyle = '#fff';
    pen.fillRect(0, 0, width, height);
    pen.drawImage(drawn, 0, 0);
    return { data: pen.getImageData(0, 0, width, height).data, width, height };
  } catch {
    throw new PictureProblem('image_too_large',
      `The picture is too large: it has ${width} × ${height} pixels. Make it smaller and try again.`);
  } finally {
    drawn.close();
  }
}

/**
 * @param {Pixels} picture
 * @param {number} left
 * @param {number} top
 * @param {number} right the first column that is left out
 * @param {number} bottom
 * @returns {Pixels}
 */
export function part(picture, left, top, right, bottom) {
  const width = right - left;
  const data = new Uint8ClampedArray(width * (bottom - top) * 4);
  for (let y = top; y < bottom; y += 1) {
    const from = (y * picture.width + left) * 4;
    data.set(picture.data.subarray(from, from + width * 4), (y - top) * width * 4);
  }
  return { data, width, height: bottom - top };
}

/**
 * Each pixel the mean of what it covers (smaller), or between its neighbours (larger).
 *
 * @param {Pixels} picture
 * @param {number} width
 * @param {number} height
 * @returns {Pixels}
 */
export function resized(picture, width, height) {
  const smaller = picture.width >= width && picture.height >= height;
  const weigh = smaller ? covered : between;
  const along = weigh(picture.width, width);
  const down = weigh(picture.height, height);
  const data = new Uint8ClampedArray(width * height * 4);
  const row = new Float32Array(width * 4);
  const sum = new Float32Array(width * 4);
  for (let y = 0, at = 0; y < height; y += 1) {
    sum.fill(0);
    for (; at < down.to.length && down.to[at] === y; at += 1) {
      squeeze(picture, /** @type {number} */ (down.from[at]), along, row);
      const share = /** @type {number} */ (down.share[at]);
      for (let i = 0; i < row.length; i += 1) sum[i] = /** @type {number} */ (sum[i]) + share * /** @type {number} */ (row[i]);
    }
    data.set(sum, y * width * 4); // rounded as it is clamped
  }
  return { data, width, height };
}

/** How much of which source goes to which target, ordered by target. @typedef {{to: Int32Array, from: Int32Array, share: Float32Array}} Weights */

/**
 * @param {Pixels} picture
 * @param {number} y
 * @param {Weights} weights
 * @param {Float32Array} row filled
 */
function squeeze({ data, width }, y, { to, from, share }, row) {
  row.fill(0);
  const start = y * width * 4;
  for (let i = 0; i < to.length; i += 1) {
    const source = start + /** @type {number} */ (from[i]) * 4;
    const target = /** @type {number} */ (to[i]) * 4;
    const weight = /** @type {number} */ (share[i]);
    row[target] = /** @type {number} */ (row[target]) + weight * /** @type {number} */ (data[source]);
    row[target + 1] = /** @type {number} */ (row[target + 1]) + weight * /** @type {number} */ (data[source + 1]);
    row[target + 2] = /** @type {number} */ (row[target + 2]) + weight * /** @type {number} */ (data[source + 2]);
    row[target + 3] = 255;
  }
}

/**
 * @param {[number, number, number][]} rows to, from, share
 * @returns {Weights}
 */
function weights(rows) {
  return {
    to: Int32Array.from(rows, ([to]) => to),
    from: Int32Array.from(rows, ([, from]) => from),
    share: Float32Array.from(rows, ([, , share]) => share),
  };
}

/**
 * @param {number} source length
 * @param {number} target length
 */
function covered(source, target) {
  const scale = source / target;
  /** @type {[number, number, number][]} */
  const rows = [];
  for (let to = 0; to < target; to += 1) {
    const first = to * scale;
    const last = Math.min(first + scale, source);
    for (let from = Math.floor(first + 1e-3); from < last - 1e-3; from += 1) {
      rows.push([to, from, (Math.min(from + 1, last) - Math.max(from, first)) / (last - first)]);
    }
  }
  return weights(rows);
}

/**
 * @param {number} source
 * @param {number} target
 */
function between(source, target) {
  /** @type {[number, number, number][]} */
  const rows = [];
  for (let to = 0; to < target; to += 1) {
    const at = Math.min(Math.max(((to + 0.5) * source) / target - 0.5, 0), source - 1);
    const from = Math.floor(at);
    if (at - from < 1) rows.push([to, from, 1 - (at - from)]);
    if (at > from) rows.push([to, from + 1, at - from]);
  }
  return weights(rows);
}

/**
 * As Python rounds: a half goes to the even number.
 *
 * @param {number} value
 */
export function even(value) {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 !== 0) ? floor + 1 : floor;
}
