/** What the page knows of the service: whether it is ready, its models, and what it takes. */

/** @import {ModelInfo, UrlInput} from './types.js' */

import { checkReady, listModels, ServiceProblem } from './api.js';

const ASK_AGAIN_MS = 2_000;
const BUSY_NO_LONGER_MS = 3_000;
const STARTING = new Set(['not_ready', 'worker_unavailable', 'shutting_down']);

/** @typedef {'starting' | 'ready' | 'busy' | 'away' | 'locked'} State */

export class Service extends EventTarget {
  constructor() {
    super();
    /** @type {State} */
    this.state = 'starting';
    this.sentence = 'Looking for the server.';
    /** @type {ModelInfo[]} those it knows; one that could not be loaded says why in `error` */
    this.models = [];
    /** @type {string | null} the model that answers where none is named */
    this.byDefault = null;
    /** @type {UrlInput} of which addresses it fetches pictures */
    this.urlInput = 'off';
    this.asking = false;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.calm = undefined;
  }

  /** Asks until a warm predictor answers; then the models are known too. */
  async waitUntilReady() {
    if (this.asking) return;
    this.asking = true;
    try {
      while (!await this.isReady()) {
        if (this.state === 'locked') return;
        await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS));
      }
    } finally {
      this.asking = false;
    }
    this.become('ready', 'Ready for pictures.');
  }

  /** @returns {Promise<boolean>} whether a warm predictor answers and the models are known; why not is noted */
  async isReady() {
    try {
      await checkReady();
      await this.learnModels();
    } catch (error) {
      this.note(error);
      return false;
    }
    return true;
  }

  /** A key has been given: does it open? */
  async tryKey() {
    this.become('starting', 'Trying the key.');
    await this.waitUntilReady();
  }

  async learnModels() {
    const list = await listModels();
    this.models = list.models.filter(({ labels }) => labels.length); // of one that cannot be read nothing is known
    const able = this.models.filter((model) => !model.error);
    const byDefault = able.find((model) => model.name === list.default) ?? able[0];
    this.byDefault = byDefault?.name ?? null;
    this.urlInput = list.url_input;
    this.dispatchEvent(new Event('models'));
  }

  /** Learns anew which models are held in memory; what goes wrong shows at the next question. */
  refresh() {
    if (this.models.some(({ state }) => state !== 'warm')) this.learnModels().catch((error) => this.note(error));
  }

  /**
   * Takes note of a failure: is the server away, starting or busy?
   *
   * @param {unknown} error
   */
  note(error) {
    if (!(error instanceof ServiceProblem)) throw error;
    if (error.code === 'model_unavailable') this.refresh();
    if (error.code === 'unauthorized') {
      this.become('locked', error.message);
      return;
    }
    if (error.code === 'unreachable') this.become('away', error.message);
    else if (STARTING.has(error.code)) this.become('starting', error.message);
    else if (error.passing) this.become('busy', error.message);
    else return;
    clearTimeout(this.calm);
    if (this.state === 'busy') this.calm = setTimeout(() => void this.waitUntilReady(), BUSY_NO_LONGER_MS);
    else void this.waitUntilReady();
  }

  /** @param {...string} names of the models that have just answered */
  answered(...names) {
    const woken = this.models.filter(({ name, state }) => state !== 'warm' && names.includes(name));
    for (const model of woken) Object.assign(model, { state: 'warm', error: null });
    if (woken.length) this.dispatchEvent(new Event('models'));
    if (this.state !== 'ready') this.become('ready', 'Ready for pictures.');
  }

  /**
   * @param {State} state
   * @param {string} sentence
   */
  become(state, sentence) {
    if (state === this.state && sentence === this.sentence) return;
    this.state = state;
    this.sentence = sentence;
    this.dispatchEvent(new Event('state'));
  }
}
