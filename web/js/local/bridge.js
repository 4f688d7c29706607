/** Takes the server's place: the page's requests go to a worker on this device, and its answers come back. */

/** @import {FaceSearch} from '../types.js' */
/** @import {Wish} from './worker.js' */

import { ServiceProblem } from '../api.js';

export class Bridge {
  constructor() {
    /** @type {Worker | null} */
    this.worker = null;
    /** @type {Map<number, {resolve: (answer: any) => void, reject: (error: Error) => void}>} */
    this.waiting = new Map();
    this.asked = 0;
    /** @type {WeakMap<Blob, number>} so that two models asked about one frame look at it once */
    this.keys = new WeakMap();
    this.start(); // it loads the model meanwhile
  }

  /** @returns {Worker} */
  start() {
    const worker = new Worker(new URL('worker.js', import.meta.url), { type: 'module' });
    worker.addEventListener('message', ({ data: { id, answer, problem } }) => {
      const waiting = this.waiting.get(id);
      this.waiting.delete(id);
      if (problem) waiting?.reject(new ServiceProblem(problem.code, problem.message));
      else waiting?.resolve(answer);
    });
    worker.addEventListener('error', () => {
      if (this.worker === worker) this.fail();
    });
    this.worker = worker;
    return worker;
  }

  /**
   * As `request` in api.js.
   *
   * @param {string} path
   * @param {RequestInit} init
   * @returns {Promise<any>}
   */
  async request(path, init) {
    const { pathname, searchParams } = new URL(path, location.href);
    if (!pathname.endsWith('/classify')) return this.ask({}, init.signal);
    const picture = init.body instanceof FormData ? init.body.get('image') : init.body;
    if (!(picture instanceof Blob)) throw new ServiceProblem('unsupported_image', 'This is not a picture. Give a file.');
    const top = searchParams.get('top');
    const question = {
      key: this.key(picture),
      faces: /** @type {FaceSearch} */ (searchParams.get('faces') ?? 'auto'),
      explain: searchParams.get('explain') === 'true',
      ...(searchParams.has('model') ? { model: String(searchParams.get('model')) } : {}),
      ...(top ? { top: Number(top) } : {}),
    };
    return this.ask({ file: picture, question }, init.signal);
  }

  /**
   * @param {Omit<Wish, 'id'>} wish
   * @param {AbortSignal | null | undefined} signal
   */
  ask(wish, signal) {
    this.asked += 1;
    const id = this.asked;
    const worker = this.worker ?? this.start();
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      signal?.addEventListener('abort', () => {
        if (!this.waiting.delete(id)) return;
        worker.postMessage({ id, drop: true });
        reject(new DOMException('Not wanted any more.', 'AbortError'));
      });
      worker.postMessage({ id, ...wish });
    });
  }

  /** @param {Blob} picture */
  key(picture) {
    const key = this.keys.get(picture) ?? this.asked + 1;
    this.keys.set(picture, key);
    return key;
  }

  /** The worker itself could not be started: its files are missing, or the browser is too old. The next question tries anew. */
  fail() {
    this.worker?.terminate();
    this.worker = null;
    for (const { reject } of this.waiting.values()) {
      reject(new ServiceProblem('unreachable',
        'What reads the pictures could not be started. Use a current Firefox, Chrome, Edge or Safari.'));
    }
    this.waiting.clear();
  }
}
