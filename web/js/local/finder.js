/** Faces in a picture: libfacedetection's network and the search around it. The counterpart of `models/faces.py`. */

/** @import {Pixels} from './picture.js' */

import { even, resized } from './picture.js';

/** @typedef {[number, number]} Point */
/**
 * In pixels of the picture. Of each pair of landmarks the one further left comes first.
 *
 * @typedef {Object} Face
 * @property {[number, number, number, number]} box x, y, width, height
 * @property {number} score 0 to 1
 * @property {[Point, Point, Point, Point, Point]} landmarks eye, eye, nose tip, mouth corner, mouth corner
 */

/**
 * What the service does, told by the build so that it is written down once.
 *
 * @typedef {Object} Search
 * @property {Record<string, number[]>} levels longer sides to look at, coarse to fine, by name of the search
 * @property {number} portrait a face of this share of the longer side ends a search that is not for all
 * @property {number} min_side pixels: a thinner picture is padded
 * @property {number} min_score
 * @property {number[]} strides of the network's outputs
 * @property {number} overlap of two boxes of one face
 * @property {number} faintest score that is looked at
 * @property {number} most faces
 */

/** @typedef {(pixels: Float32Array, shape: number[]) => Promise<Record<string, {data: Float32Array, dims: readonly number[]}>>} Run */

const BLOCK = 32; // the network takes sides that are multiples of this

export class Finder {
  /**
   * @param {Run} run the network
   * @param {Search} search
   */
  constructor(run, search) {
    this.run = run;
    this.search = search;
  }

  /**
   * @param {Pixels} picture
   * @param {'auto' | 'all'} how quickly, or finely too
   * @returns {Promise<Face[]>} largest first
   */
  async detect(picture, how) {
    const longSide = Math.max(picture.width, picture.height);
    /** @type {Face[]} */
    let faces = [];
    for (const [level, side] of (this.search.levels[how] ?? []).entries()) {
      if (level && side > 2 * longSide) break; // enlarging further shows nothing new
      faces = merge([...faces, ...await this.at(picture, side / longSide)]);
      const [first] = faces;
      if (how === 'auto' && first && first.box[2] >= this.search.portrait * longSide) break;
    }
    return faces;
  }

  /**
   * @param {Pixels} picture
   * @param {number} scale
   * @returns {Promise<Face[]>}
   */
  async at(picture, scale) {
    const width = Math.max(1, even(picture.width * scale));
    const height = Math.max(1, even(picture.height * scale));
    const small = resized(picture, width, height);
    const rows = await this.rows(small);
    const back = [picture.width / width, picture.height / height];
    return rows.flatMap((row) => {
      const [x = 0, y = 0, w = 0, h = 0] = row.places;
      if (row.score <= 100 * this.search.min_score || w <= 0 || h <= 0 || x >= width || y >= height) return [];
      return [face(row.score / 100, row.places.map((value, i) => value * /** @type {number} */ (back[i % 2])))];
    });
  }

  /**
   * What the library answers: whole numbers, likeliest first.
   *
   * @param {Pixels} small
   * @returns {Promise<Row[]>}
   */
  async rows(small) {
    const { min_side: least, strides, overlap, faintest, most } = this.search;
    const [width, height] = [Math.max(small.width, least), Math.max(small.height, least)];
    const [across, down] = [Math.ceil(width / BLOCK) * BLOCK, Math.ceil(height / BLOCK) * BLOCK];
    const told = await this.run(planes(small, width, height, across, down), [1, 3, down, across]);
    /** @type {Row[]} */
    const found = [];
    for (const stride of strides) {
      const output = told[`at${stride}`];
      if (output) found.push(...read(output.data, output.dims, stride, faintest));
    }
    found.sort((a, b) => b.score - a.score);
    /** @type {Row[]} */
    const kept = [];
    for (const row of found) {
      if (kept.every((other) => shared(row.places, other.places) <= overlap)) kept.push(row);
    }
    return kept.slice(0, most).map(({ score, places }) => ({
      score: Math.trunc(score * 100), places: places.map(Math.trunc),
    }));
  }
}

/** @typedef {{score: number, places: number[]}} Row box and landmarks: x, y, width, height, five times x, y */

/**
 * Blue, green and red as planes. A thin picture repeats its edge up to `width` and `height`; the rest is black.
 *
 * @param {Pixels} picture
 * @param {number} width
 * @param {number} height
 * @param {number} across
 * @param {number} down
 * @returns {Float32Array}
 */
function planes(picture, width, height, across, down) {
  const plane = across * down;
  const out = new Float32Array(3 * plane);
  for (let y = 0; y < height; y += 1) {
    const row = Math.min(y, picture.height - 1) * picture.width;
    for (let x = 0; x < width; x += 1) {
      const from = (row + Math.min(x, picture.width - 1)) * 4;
      const to = y * across + x;
      out[to] = /** @type {number} */ (picture.data[from + 2]);
      out[plane + to] = /** @type {number} */ (picture.data[from + 1]);
      out[2 * plane + to] = /** @type {number} */ (picture.data[from]);
    }
  }
  return out;
}

/**
 * @param {Float32Array} data 16 planes: class, object, box (4), landmarks (10)
 * @param {readonly number[]} dims
 * @param {number} stride pixels a place
 * @param {number} faintest
 * @returns {Row[]}
 */
function read(data, dims, stride, faintest) {
  const [, , rows = 0, columns = 0] = dims;
  const plane = rows * columns;
  const found = [];
  for (let at = 0; at < plane; at += 1) {
    const value = (/** @type {number} */ number) => /** @type {number} */ (data[number * plane + at]);
    const score = Math.sqrt(sigmoid(value(0)) * sigmoid(value(1)));
    if (score < faintest) continue;
    const [row, column] = [Math.floor(at / columns), at % columns];
    const [width, height] = [Math.exp(value(4)) * stride, Math.exp(value(5)) * stride];
    const places = [
      (column + value(2)) * stride - width / 2, (row + value(3)) * stride - height / 2, width, height];
    for (let mark = 0; mark < 5; mark += 1) {
      places.push((value(6 + 2 * mark) + column) * stride, (value(7 + 2 * mark) + row) * stride);
    }
    found.push({ score, places });
  }
  return found;
}

/** @param {number} value */
function sigmoid(value) {
  return 1 / (1 + Math.exp(-value));
}

/**
 * @param {number[]} a
 * @param {number[]} b
 * @returns {number} intersection over union
 */
function shared(a, b) {
  const both = common(a, b);
  return both / (area(a) + area(b) - both);
}

/**
 * @param {number[]} box
 */
function area([, , width = 0, height = 0]) {
  return width * height;
}

/**
 * @param {number[]} a
 * @param {number[]} b
 * @returns {number} square pixels
 */
function common([ax = 0, ay = 0, aw = 0, ah = 0], [bx = 0, by = 0, bw = 0, bh = 0]) {
  const width = Math.min(ax + aw, bx + bw) - Math.max(ax, bx);
  const height = Math.min(ay + ah, by + bh) - Math.max(ay, by);
  return Math.max(0, width) * Math.max(0, height);
}

/**
 * @param {number} score
 * @param {number[]} places
 * @returns {Face}
 */
function face(score, places) {
  const [x = 0, y = 0, width = 0, height = 0] = places;
  const mark = (/** @type {number} */ n) => /** @type {Point} */ (places.slice(4 + 2 * n, 6 + 2 * n));
  const pair = (/** @type {number} */ one, /** @type {number} */ other) =>
    /** @type {[Point, Point]} */ ([mark(one), mark(other)].sort((a, b) => a[0] - b[0]));
  return {
    box: [x, y, width, height], score: Math.min(1, score), landmarks: [...pair(0, 1), mark(2), ...pair(3, 4)],
  };
}

/**
 * Each face once, largest first; of two sightings the coarser level's, which comes first.
 *
 * @param {Face[]} faces
 * @returns {Face[]}
 */
function merge(faces) {
  /** @type {Face[]} */
  const kept = [];
  for (const one of faces) {
    const again = kept.some((other) =>
      common(one.box, other.box) / Math.max(1e-9, Math.min(area(one.box), area(other.box))) >= 0.4);
    if (!again) kept.push(one);
  }
  return kept.sort((a, b) => area(b.box) - area(a.box));
}
