/** A picture in, an answer in the service's own form out: decode, find faces, cut, ask the networks. */

/** @import {Answer, Explanation, FaceResult, FaceSearch, ModelList} from '../types.js' */
/** @import {FaceSpec, Square} from './crop.js' */
/** @import {Face, Search} from './finder.js' */
/** @import {Pixels} from './picture.js' */
/** @import {Run, Tensor} from './runtime.js' */

import { average, members } from '../average.js';
import { corners, crop, square } from './crop.js';
import { Finder } from './finder.js';
import { averaged } from './mean.js';
import { decode } from './picture.js';
import { Runtime } from './runtime.js';

/** @typedef {{size: number, color: 'rgb' | 'bgr' | 'gray', mean: number[], scale: number[]}} InputSpec as in a bundle's model.json */
/** @typedef {{file: string, input: InputSpec, faces: FaceSpec}} Network */
/** @typedef {ModelList & {finder: {file: string, search: Search}, networks: Record<string, Network>}} Contents models.json */
/** @typedef {{key: number, model?: string, faces: FaceSearch, top?: number, explain?: boolean}} Question `key` is the same for the same picture */
/** @typedef {{key: string, pixels: Pixels, faces: Face[], timings: Record<string, number>}} Look */

const AT_ONCE = 8; // crops in one call of the network

export class Reader {
  /**
   * @param {Contents} contents
   * @param {Runtime} runtime
   */
  constructor(contents, runtime) {
    this.contents = contents;
    this.runtime = runtime;
    /** @type {Map<string, Promise<Run>>} */
    this.networks = new Map();
    /** @type {Finder | null} */
    this.finder = null;
    /** @type {Look | null} the last one, for another model that is asked about the same picture */
    this.last = null;
  }

  /** Loads what the first picture will need, and runs it once. */
  async warm() {
    const name = this.contents.default;
    if (name === null) return;
    const blank = { data: new Uint8ClampedArray(64 * 64 * 4).fill(127), width: 64, height: 64 };
    if (this.network(name).faces.wanted) await (await this.found()).detect(blank, 'auto');
    await this.scores(name, [{ x: 32, y: 32, side: 64, angle: 0 }], blank);
  }

  /**
   * @param {Blob} file
   * @param {Question} question about one model, or an average of several
   * @returns {Promise<Answer>}
   */
  async answer(file, question) {
    const { model = '', top, ...rest } = question;
    const names = members(model);
    if (!names.length) return this.one(file, question);
    const known = average(names, this.contents.models);
    if (!known || new Set(members(known.name)).size < names.length) {
      throw Object.assign(new Error(`${names.join(' and ')} cannot be averaged. Name two or more different models of `
        + 'this folder that have the same labels.'), { code: 'not_averageable' });
    }
    const told = [];
    for (const name of members(known.name)) told.push(await this.one(file, { ...rest, explain: false, model: name }));
    return averaged(known.name, told, top);
  }

  /**
   * @param {Blob} file
   * @param {Question} question about one model
   * @returns {Promise<Answer>}
   */
  async one(file, question) {
    const name = question.model ?? this.contents.default ?? '';
    const info = this.contents.models.find((model) => model.name === name);
    if (!info) throw new Error(`There is no model ${name} in this folder.`);
    const { faces: spec } = this.network(name);
    const startedMs = performance.now();
    const { pixels, faces, timings } = await this.look(file, question, spec);
    const squares = (faces.length ? faces : [null]).map((face) => square(pixels, face, spec));
    const asked = faces.length || !finds(question.faces, spec) ? squares : [];
    const askedMs = performance.now();
    const { rows, evidence } = await this.scores(name, asked, pixels);
    const told = rows.map((row, i) => {
      const ranked = rank(row, info.labels, question.top);
      const why = evidence[i] && question.explain
        ? { explanation: explained(evidence[i], row, info.labels, /** @type {Square} */ (asked[i])) } : {};
      return { ...ranked, ...why };
    });
    const classify = performance.now() - askedMs;
    /** @type {FaceResult[]} */
    const results = told.flatMap((one, i) => {
      const face = faces[i];
      return face ? [{ box: rounded(face.box), score: face.score, ...one }] : [];
    });
    const { width, height } = pixels;
    if (spec.wanted && !faces.length && told[0]) { // the whole picture is the face
      results.push({ box: [0, 0, width, height], score: 1, ...told[0] });
    }
    const { label = null, probability = null, probabilities = {}, ...why } = told[0] ?? {};
    return {
      model: name,
      version: info.version,
      results: [{
        size: { width, height }, label, probability, probabilities, faces: results, error: null,
        ...(results.length ? {} : why),
      }],
      timings_ms: { ...timings, classify, total: performance.now() - startedMs },
      request_id: '',
    };
  }

  /**
   * @param {Blob} file
   * @param {Question} question
   * @param {FaceSpec} spec
   * @returns {Promise<Look>}
   */
  async look(file, { key, faces: how }, spec) {
    const search = finds(how, spec) ? how : 'whole';
    const named = `${key} ${search}`;
    if (this.last?.key === named) return this.last;
    const startedMs = performance.now();
    const pixels = await decode(file);
    const decodedMs = performance.now();
    let faces = search === 'whole' ? [] : await (await this.found()).detect(pixels, how === 'all' ? 'all' : 'auto');
    if (how === 'largest') faces = faces.slice(0, 1);
    const timings = { decode: decodedMs - startedMs, detect: performance.now() - decodedMs };
    this.last = { key: named, pixels, faces, timings };
    return this.last;
  }

  /** @returns {Promise<Finder>} */
  async found() {
    const { file, search } = this.contents.finder;
    this.finder ??= new Finder(await this.loaded(file), search);
    return this.finder;
  }

  /**
   * @param {string} file
   * @returns {Promise<Run>} loaded once; a failure is tried again by the next question
   */
  loaded(file) {
    let loading = this.networks.get(file);
    if (!loading) {
      loading = this.runtime.network(file);
      loading.catch(() => this.networks.delete(file));
      this.networks.set(file, loading);
    }
    return loading;
  }

  /** @param {string} name @returns {Network} */
  network(name) {
    const network = this.contents.networks[name];
    if (!network) throw new Error(`There is no network for ${name} in this folder.`);
    return network;
  }

  /**
   * @param {string} name
   * @param {Square[]} squares
   * @param {Pixels} pixels
   * @returns {Promise<{rows: Float32Array[], evidence: Tensor[]}>} of each square: probabilities; each place's part
   */
  async scores(name, squares, pixels) {
    const { file, input } = this.network(name);
    const run = await this.loaded(file);
    const channels = input.color === 'gray' ? 1 : 3;
    /** @type {Float32Array[]} */
    const rows = [];
    /** @type {Tensor[]} */
    const evidence = [];
    for (let start = 0; start < squares.length; start += AT_ONCE) {
      const some = squares.slice(start, start + AT_ONCE);
      const one = channels * input.size ** 2;
      const x = new Float32Array(some.length * one);
      some.forEach((where, i) => fill(x.subarray(i * one, (i + 1) * one), crop(pixels, where, input.size), input));
      const told = await run(x, [some.length, channels, input.size, input.size]);
      rows.push(...split(told.probabilities).map(({ data }) => data));
      evidence.push(...split(told.evidence));
    }
    return { rows, evidence };
  }
}

/**
 * @param {FaceSearch} how
 * @param {FaceSpec} spec
 * @returns {boolean} whether faces are looked for
 */
function finds(how, spec) {
  return how !== 'whole' && (how !== 'auto' || spec.wanted);
}

/**
 * @param {Float32Array} x one crop's numbers, filled
 * @param {Pixels} crop
 * @param {InputSpec} input
 */
export function fill(x, { data, width, height }, { color, mean, scale }) {
  const plane = width * height;
  const channels = { rgb: [0, 1, 2], bgr: [2, 1, 0], gray: [-1] }[color];
  channels.forEach((channel, number) => {
    const [less = 0, times = 1] = [mean[number], scale[number]];
    for (let at = 0; at < plane; at += 1) {
      const value = channel < 0 ? grey(data, at * 4) : /** @type {number} */ (data[at * 4 + channel]);
      x[number * plane + at] = (value - less) * times;
    }
  });
}

/**
 * As OpenCV weighs the colours, in 15 bits.
 *
 * @param {Uint8ClampedArray} data
 * @param {number} at
 */
function grey(data, at) {
  const [red = 0, green = 0, blue = 0] = data.subarray(at, at + 3);
  return (red * 9798 + green * 19235 + blue * 3735 + 16384) >> 15;
}

/**
 * @param {Tensor | undefined} tensor
 * @returns {Tensor[]} one a row
 */
function split(tensor) {
  const [count = 0, ...dims] = tensor?.dims ?? [];
  const each = dims.reduce((a, b) => a * b, 1);
  return Array.from({ length: count }, (_, i) => ({
    data: /** @type {Tensor} */ (tensor).data.slice(i * each, (i + 1) * each), dims,
  }));
}

/**
 * @param {Float32Array} row
 * @param {string[]} labels
 * @param {number | undefined} top
 */
function rank(row, labels, top) {
  const order = labels.map((label, i) => /** @type {[string, number]} */ ([label, row[i] ?? 0]));
  const best = order.sort((a, b) => b[1] - a[1]).slice(0, top);
  const [label, probability] = best[0] ?? ['', 0];
  return { label, probability, probabilities: Object.fromEntries(best) };
}

/**
 * What set the likeliest label apart, place by place: the counterpart of `contrast` in `models/explain.py`.
 *
 * @param {Tensor} evidence (labels, h, w), each label's; or (1, h, w), what sets the likeliest apart
 * @param {Float32Array} row
 * @param {string[]} labels
 * @param {Square} where
 * @returns {Explanation}
 */
export function explained({ data, dims: [count = 1, height = 1, width = 1] }, row, labels, where) {
  const best = row.indexOf(Math.max(...row));
  const places = height * width;
  const part = count === 1 ? [...data] : Array.from({ length: places }, (_, at) => {
    let all = 0;
    for (let label = 0; label < count; label += 1) all += /** @type {number} */ (data[label * places + at]);
    return /** @type {number} */ (data[best * places + at]) - all / count;
  });
  const size = part.reduce((sum, value) => sum + Math.abs(value), 0) || 1;
  const map = Array.from({ length: height }, (_, y) =>
    part.slice(y * width, (y + 1) * width).map((value) => value / size));
  return { label: labels[best] ?? '', map, corners: corners(where) };
}

/** @param {[number, number, number, number]} box @returns {[number, number, number, number]} to a tenth of a pixel */
function rounded(box) {
  return /** @type {[number, number, number, number]} */ (box.map((value) => Math.round(value * 10) / 10));
}
