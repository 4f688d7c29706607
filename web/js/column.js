/** What one model says of a picture: asked, awaited, shown; or why there is no answer. */

/** @import {Answer, FaceSearch, ImageResult} from './types.js' */
/** @import {Given} from './given.js' */
/** @import {Side, View} from './view.js' */

import { ServiceProblem } from './api.js';
import { button, make } from './dom.js';
import { Reading } from './reading.js';
import { tellTimings } from './timings.js';
import { membersOf } from './view.js';
import { explanations, why } from './why.js';
import { count, percent, plain } from './words.js';

const TRIES = 6;
const WAIT_S = 1;
const LEAST_WAIT_S = 0.5;
/** Who is to wait longer decides it alone. */
const LONGEST_WAIT_S = 15;

/** @typedef {'waiting' | 'reading' | 'busy' | 'done' | 'no-face' | 'failed'} Outcome */

export class Column {
  /**
   * @param {Given} given
   * @param {Side} side
   * @param {View} view
   * @param {() => void} changed called after every change of the state, the result or what decided
   */
  constructor(given, side, view, changed) {
    this.given = given;
    this.side = side;
    this.view = view;
    this.changed = changed;
    this.reading = new Reading(side.labels, { sorted: true });
    this.why = make('p', { class: 'why' });
    this.actions = make('div', { class: 'card-actions' });
    this.timing = make('p', { class: 'timing' });
    this.element = make('div', { class: 'column', role: 'group', 'aria-label': side.title, tabindex: '-1' },
      make('p', { class: 'column-name' }, side.title),
      this.reading.element, this.why, this.actions, this.timing);
    /** @type {ImageResult | null} */
    this.result = null;
    /** @type {Outcome} */
    this.state = 'waiting';
    this.code = '';
    /** @type {FaceSearch} */
    this.faces = 'auto';
    this.chosen = 0;
    this.gone = false;
    this.turn = 0;
    this.reading.blank('waiting');
    this.become('waiting');
  }

  /**
   * @param {FaceSearch} faces
   * @returns {Promise<string>} the outcome in a sentence
   */
  async read(faces = 'auto') {
    this.turn += 1;
    const { turn } = this; // a later reading makes this one's outcome void
    this.result = null;
    this.faces = faces;
    if (this.actions.contains(document.activeElement)) this.element.focus(); // the pressed button goes
    this.actions.replaceChildren();
    this.timing.textContent = '';
    if (this.view.sleeping(this.side)) {
      this.reading.blank('loading', 'The network is being loaded first; this may take some seconds.');
    } else this.reading.blank('reading');
    this.become('reading');
    try {
      const startedMs = performance.now();
      const answer = await this.ask(faces);
      this.view.service.answered(...membersOf(this.side));
      return turn === this.turn ? this.show(answer, performance.now() - startedMs) : '';
    } catch (error) {
      if (!(error instanceof ServiceProblem)) {
        reportError(error); // a mistake of this page's must not hold up the other pictures
        return turn === this.turn ? this.fail('internal', 'This page could not show the answer.', faces) : '';
      }
      this.view.service.note(error);
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
    for (let tries = 1; ; tries += 1) {
      try {
        return await this.given.ask({ ...this.view.options(this.side), faces });
      } catch (error) {
        const again = error instanceof ServiceProblem && error.passing && error.code !== 'unreachable';
        const waitS = Math.max(LEAST_WAIT_S, (again && error.retryAfterS) || WAIT_S * tries);
        if (!again || tries === TRIES || waitS > LONGEST_WAIT_S || this.gone) throw error;
        this.reading.blank('server busy', `Trying again in ${count(Math.ceil(waitS), 'second')}.`);
        this.become('busy');
        await new Promise((resolve) => setTimeout(resolve, waitS * 1000));
        if (this.gone) throw error;
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
    this.result = result;
    this.timing.textContent = tellTimings(answer.timings_ms, roundTripMs);
    if (result.label !== null) return this.name(result);
    this.reading.blank('no face',
      'No face was found. A face that looks toward the camera and fills more of the picture is found best.');
    this.actions.replaceChildren(
      button('Look for small faces', () => void this.read('all')),
      button('Read the whole picture', () => void this.read('whole')));
    this.become('no-face');
    return 'no face was found.';
  }

  /**
   * @param {ImageResult} result one with a label
   * @returns {string}
   */
  name(result) {
    const many = result.faces.length;
    this.choose(0);
    this.become('done');
    void this.askWhy(); // if the switch was turned while this was being read
    if (many > 1) this.timing.prepend(`${many} faces; press a box to read it. `);
    const sure = result.probability === null ? '' : `, ${percent(result.probability)}`;
    const which = many > 1 ? `, the largest of ${many} faces` : '';
    return `${plain(result.label ?? '')}${sure}${which}. ${this.why.textContent}`.trim();
  }

  /** @param {number} index of the face to tell of */
  choose(index) {
    const one = this.result?.faces[index] ?? this.result;
    if (!one || one.label === null || one.probability === null) return;
    this.chosen = this.result?.faces[index] ? index : 0;
    this.reading.show(one.label, one.probability, one.probabilities);
    this.explain();
  }

  /**
   * Asks once more if the answer did not tell what decided; the reading stays as it is.
   *
   * @returns {Promise<string>} what decided, in a sentence
   */
  async askWhy() {
    const { turn } = this;
    if (this.result && this.view.explains(this.side) && !explanations(this.result).length) {
      try {
        const answer = await this.given.ask({ ...this.view.options(this.side), faces: this.faces });
        const result = answer.results[0];
        if (turn === this.turn && result && !result.error) this.result = result;
      } catch (error) {
        if (!(error instanceof ServiceProblem)) throw error;
        this.view.service.note(error);
        if (turn === this.turn) this.why.textContent = `What decided cannot be shown. ${error.message}`;
        return '';
      }
    }
    return this.explain();
  }

  /** @returns {import('./types.js').Explanation[]} what decided, as far as it is known and wanted */
  get told() {
    return this.view.explains(this.side) ? explanations(this.result ?? undefined) : [];
  }

  /** @returns {string} what decided, in a sentence */
  explain() {
    const sentence = why(this.told[this.chosen], this.result?.faces.length ? 'face' : 'picture');
    this.why.textContent = sentence;
    this.changed();
    return sentence;
  }

  /**
   * @param {string} code
   * @param {string} sentence
   * @param {FaceSearch} faces what to ask for again
   * @returns {string}
   */
  fail(code, sentence, faces) {
    this.code = code;
    this.result = null;
    this.reading.blank('not read', sentence);
    this.actions.replaceChildren(button('Try again', () => void this.read(faces)));
    this.become('failed');
    return sentence;
  }

  /** @param {Outcome} state */
  become(state) {
    this.state = state;
    this.element.setAttribute('data-state', state);
    if (state !== 'done') this.why.textContent = '';
    this.changed();
  }

  leave() {
    this.gone = true;
    this.turn += 1;
  }
}
