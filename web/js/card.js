/** One picture on the page: shown, read, and its answer or its problem beside it. */

/** @import {Answer, FaceSearch, ImageResult} from './types.js' */
/** @import {Service} from './service.js' */

import { classifyFile, ServiceProblem } from './api.js';
import { Boxes } from './boxes.js';
import { button, make } from './dom.js';
import { Heat } from './heat.js';
import { Reading } from './reading.js';
import { tellTimings } from './timings.js';
import { explanations, why } from './why.js';
import { count, percent, plain } from './words.js';

const TRIES = 6;
const WAIT_S = 1;

export class PictureCard {
  /**
   * @param {File} file
   * @param {Service} service
   */
  constructor(file, service) {
    this.file = file;
    this.service = service;
    this.url = URL.createObjectURL(file);
    this.image = /** @type {HTMLImageElement} */ (make('img', { alt: file.name }));
    this.layer = make('div', { class: 'boxes' });
    this.picture = make('div', { class: 'picture' }, this.image, this.layer);
    this.heat = new Heat(this.picture);
    this.reading = new Reading(service.labels, { sorted: true });
    this.why = make('p', { class: 'why' });
    this.actions = make('div', { class: 'card-actions' });
    this.timing = make('p', { class: 'timing' });
    this.element = make('article', { class: 'card', 'aria-label': file.name, 'data-state': 'waiting' },
      make('div', { class: 'card-body' },
        make('div', { class: 'mat' }, this.picture),
        make('div', { class: 'card-side' }, make('p', { class: 'card-name', title: file.name }, file.name),
          this.reading.element, this.why, this.actions, this.timing)));
    this.reading.blank('waiting');
    /** @type {Boxes | null} */
    this.boxes = null;
    /** @type {ImageResult | null} */
    this.result = null;
    /** @type {FaceSearch} */
    this.faces = 'auto';
    this.chosen = 0;
    this.gone = false;
    this.turn = 0;
  }

  /** Shows the picture; a format this browser cannot draw leaves an empty sheet (the server may read it). */
  async load() {
    if (this.image.src) return;
    this.image.src = this.url;
    try {
      await this.image.decode();
      this.fit(this.image.naturalWidth, this.image.naturalHeight);
    } catch {
      this.picture.toggleAttribute('data-unseen', true);
      this.image.replaceWith(make('p', { class: 'unshown' }, 'This browser cannot show this file.'));
    }
  }

  /**
   * @param {FaceSearch} faces
   * @returns {Promise<string>} the outcome in a sentence
   */
  async read(faces = 'auto') {
    this.turn += 1;
    const { turn } = this; // a later reading, by another model, makes this one's outcome void
    this.become('reading');
    this.reading.blank('reading');
    this.boxes?.clear();
    this.result = null;
    this.faces = faces;
    this.explain();
    this.actions.replaceChildren();
    this.timing.textContent = '';
    try {
      const startedMs = performance.now();
      const answer = await this.ask(faces);
      this.service.answered();
      return turn === this.turn ? this.show(answer, performance.now() - startedMs) : '';
    } catch (error) {
      if (!(error instanceof ServiceProblem)) throw error;
      this.service.note(error);
      return turn === this.turn ? this.fail(error.code, error.message, faces) : '';
    }
  }

  /**
   * Asks, and asks again while the server is only busy.
   *
   * @param {FaceSearch} faces
   * @returns {Promise<Answer>}
   */
  async ask(faces) {
    await readable(this.file);
    for (let tries = 1; ; tries += 1) {
      try {
        return await classifyFile(this.file, { ...this.service.options, faces });
      } catch (error) {
        const again = error instanceof ServiceProblem && error.passing && error.code !== 'unreachable';
        if (!again || tries === TRIES || this.gone) throw error;
        const waitS = error.retryAfterS ?? WAIT_S * tries;
        this.become('busy');
        this.reading.blank('server busy', `Trying again in ${count(Math.ceil(waitS), 'second')}.`);
        await new Promise((resolve) => setTimeout(resolve, waitS * 1000));
      }
    }
  }

  /**
   * @param {Answer} answer
   * @param {number} roundTripMs
   * @returns {string}
   */
  show(answer, roundTripMs) {
    const result = answer.results[0];
    if (!result || result.error) {
      const { code, detail } = result?.error ?? { code: 'internal', detail: 'The server sent no result.' };
      return this.fail(code, detail, 'auto');
    }
    if (result.size && this.picture.hasAttribute('data-unseen')) this.fit(result.size.width, result.size.height);
    this.timing.textContent = tellTimings(answer.timings_ms, roundTripMs);
    if (result.label !== null) return this.name(result);
    this.become('no-face');
    this.reading.blank('no face',
      'No face was found. A face that looks toward the camera and fills more of the picture is found best.');
    this.actions.replaceChildren(
      button('Look for small faces', () => void this.read('all')),
      button('Read the whole picture', () => void this.read('whole')));
    return `${this.file.name}: no face was found.`;
  }

  /**
   * @param {ImageResult} result one with a label
   * @returns {string}
   */
  name(result) {
    this.become('done');
    this.result = result;
    const { faces, size } = result;
    const many = faces.length > 1;
    const boxes = new Boxes(this.layer, many ? (index) => choose(index) : undefined);
    this.boxes = boxes;
    const choose = (/** @type {number} */ index) => {
      const one = faces[index] ?? result;
      if (one.label === null || one.probability === null) return;
      this.chosen = index;
      this.reading.show(one.label, one.probability, one.probabilities);
      this.explain();
      if (size) boxes.show(faces, size, { chosen: index });
    };
    choose(0);
    void this.askWhy(); // if the switch was turned while this was being read
    if (many) this.timing.prepend(`${faces.length} faces; press a box to read it. `);
    const sure = result.probability === null ? '' : `, ${percent(result.probability)}`;
    const which = many ? `, the largest of ${faces.length} faces` : '';
    return `${this.file.name}: ${plain(result.label ?? '')}${sure}${which}. ${this.why.textContent}`.trim();
  }

  /**
   * Asks once more if the answer did not tell what decided; the reading stays as it is.
   *
   * @returns {Promise<string>} what decided, in a sentence
   */
  async askWhy() {
    const { turn } = this;
    if (this.result && this.service.options.explain && !explanations(this.result).length) {
      try {
        const answer = await classifyFile(this.file, { ...this.service.options, faces: this.faces });
        const result = answer.results[0];
        if (turn === this.turn && result && !result.error) this.result = result;
      } catch (error) {
        if (!(error instanceof ServiceProblem)) throw error;
        this.service.note(error);
        if (turn === this.turn) this.why.textContent = `What decided cannot be shown. ${error.message}`;
        return '';
      }
    }
    return this.explain();
  }

  /** Shows what decided, as far as it is known and wanted; else takes it away. */
  explain() {
    const told = this.service.explaining ? explanations(this.result ?? undefined) : [];
    if (this.result?.size) this.heat.show(told, this.result.size);
    else this.heat.clear();
    const sentence = why(told[this.chosen], this.result?.faces.length ? 'face' : 'picture');
    this.why.textContent = sentence;
    return sentence;
  }

  /**
   * @param {string} code
   * @param {string} sentence
   * @param {FaceSearch} faces what to ask for again
   * @returns {string}
   */
  fail(code, sentence, faces) {
    this.become('failed');
    this.element.setAttribute('data-code', code);
    this.reading.blank('not read', sentence);
    this.actions.replaceChildren(button('Try again', () => void this.read(faces)));
    return `${this.file.name}: ${sentence}`;
  }

  /**
   * @param {number} width
   * @param {number} height
   */
  fit(width, height) {
    this.picture.style.setProperty('--ratio', String(width / height));
  }

  /** @param {'waiting' | 'reading' | 'busy' | 'done' | 'no-face' | 'failed'} state */
  become(state) {
    this.element.setAttribute('data-state', state);
  }

  leave() {
    this.gone = true;
    this.element.remove();
    URL.revokeObjectURL(this.url);
  }
}

/**
 * A folder, or a file that has gone, would otherwise look like a lost connection.
 *
 * @param {File} file
 */
async function readable(file) {
  try {
    await file.slice(0, 1).arrayBuffer();
  } catch {
    throw new ServiceProblem('unreadable_file',
      'This browser cannot read the file any more. It may be a folder, or have been moved or changed: give it again.');
  }
}
