/** What the page knows of the service: whether it is ready, its models, and the one in use. */

/** @import {ModelInfo} from './types.js' */

import { checkReady, listModels, ServiceProblem } from './api.js';

const ASK_AGAIN_MS = 2_000;
const BUSY_NO_LONGER_MS = 3_000;
const STARTING = new Set(['not_ready', 'worker_unavailable', 'shutting_down']);
/** A model with more labels than this is asked for its best few only. */
const MOST_LABELS = 10;
const BEST = 5;

/** @typedef {'starting' | 'ready' | 'busy' | 'away' | 'locked'} State */

export class Service extends EventTarget {
  constructor() {
    super();
    /** @type {State} */
    this.state = 'starting';
    this.sentence = 'Looking for the server.';
    /** @type {ModelInfo[]} those that can be served */
    this.models = [];
    /** @type {string | null} */
    this.chosen = null;
    /** Whether every answer is to tell what decided. */
    this.explaining = false;
    this.asking = false;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.calm = undefined;
  }

  /** @returns {ModelInfo | null} */
  get model() {
    return this.models.find((model) => model.name === this.chosen) ?? null;
  }

  /** @returns {string[]} labels to hold rows for; none when there are too many to show them all */
  get labels() {
    const labels = this.model?.labels ?? [];
    return labels.length > MOST_LABELS ? [] : labels;
  }

  /** @returns {boolean} */
  get canExplain() {
    return this.model?.explains ?? false;
  }

  /** @param {boolean} yes */
  explain(yes) {
    this.explaining = yes;
    this.dispatchEvent(new Event('explain'));
  }

  /** @returns {{model?: string, top?: number, explain?: boolean}} what every request says */
  get options() {
    const model = this.model;
    return {
      ...(model && this.models.length > 1 ? { model: model.name } : {}),
      ...(model && model.labels.length > MOST_LABELS ? { top: BEST } : {}),
      ...(this.explaining && this.canExplain ? { explain: true } : {}),
    };
  }

  /** @param {string} name */
  choose(name) {
    this.chosen = name;
    this.dispatchEvent(new Event('model'));
  }

  /** Asks until a warm predictor answers; then the models are known too. */
  async waitUntilReady() {
    if (this.asking) return;
    this.asking = true;
    for (;;) {
      try {
        await checkReady();
        await this.learnModels();
        break;
      } catch (error) {
        this.note(error);
        if (this.state === 'locked') {
          this.asking = false;
          return;
        }
        await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS));
      }
    }
    this.asking = false;
    this.become('ready', 'The server is ready.');
  }

  /** A key has been given: does it open? */
  async tryKey() {
    this.become('starting', 'Trying the key.');
    await this.waitUntilReady();
  }

  async learnModels() {
    const list = await listModels();
    this.models = list.models.filter((model) => !model.error);
    const byDefault = this.models.find((model) => model.name === list.default) ?? this.models[0];
    if (!this.model) this.chosen = byDefault?.name ?? null;
    this.dispatchEvent(new Event('model'));
  }

  /**
   * Takes note of a failure: is the server away, starting or busy?
   *
   * @param {unknown} error
   */
  note(error) {
    if (!(error instanceof ServiceProblem)) throw error;
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

  /** A request has just been answered. */
  answered() {
    if (this.state !== 'ready') this.become('ready', 'The server is ready.');
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
