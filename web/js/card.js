/** One picture on the page, and beside it what each model that is asked says of it. */

/** @import {Given} from './given.js' */
/** @import {View} from './view.js' */

import { Boxes } from './boxes.js';
import { Column } from './column.js';
import { make } from './dom.js';
import { Heat } from './heat.js';

const PENDING = ['waiting', 'reading', 'busy'];

export class PictureCard {
  /**
   * @param {Given} given
   * @param {View} view
   */
  constructor(given, view) {
    this.given = given;
    this.view = view;
    this.image = /** @type {HTMLImageElement} */ (make('img', { alt: given.name }));
    this.layer = make('div', { class: 'boxes' });
    this.picture = make('div', { class: 'picture' }, this.image, this.layer);
    this.heat = new Heat(this.picture);
    this.row = make('div', { class: 'columns' });
    this.element = make('article', { class: 'card', 'aria-label': given.name },
      make('div', { class: 'card-body' },
        make('div', { class: 'mat' }, this.picture),
        make('div', { class: 'card-side' }, make('p', { class: 'card-name', title: given.name }, given.name), this.row)));
    /** @type {Column[]} */
    this.columns = [];
    /** @type {Boxes | null} */
    this.boxes = null;
    this.loaded = false;
    this.gone = false;
    this.arrange();
  }

  /** A column for each model that is asked now. */
  arrange() {
    for (const column of this.columns) column.leave();
    this.columns = [];
    this.columns = this.view.sides.map((side) => new Column(this.given, side, this.view, () => this.draw()));
    this.row.replaceChildren(...this.columns.map((column) => column.element));
    this.element.setAttribute('data-columns', String(this.columns.length));
    this.draw();
  }

  /** Shows the picture; where this browser cannot, an empty sheet says why (the server may read it). */
  async load() {
    if (this.loaded) return;
    this.loaded = true;
    try {
      await this.given.show(this.image);
      this.fit(this.image.naturalWidth, this.image.naturalHeight);
    } catch (error) {
      this.picture.toggleAttribute('data-unseen', true);
      this.image.replaceWith(make('p', { class: 'unshown' }, error instanceof Error ? error.message : ''));
    }
  }

  /** @returns {Promise<string>} the outcome in a sentence */
  async read() {
    return this.tell(await Promise.all(this.columns.map((column) => column.read())));
  }

  /** @returns {Promise<string>} what decided, in a sentence */
  async askWhy() {
    return (await Promise.all(this.columns.map((column) => column.askWhy()))).join(' ').trim();
  }

  /** Shows what decided, or takes it away. */
  explain() {
    for (const column of this.columns) column.explain();
  }

  /**
   * @param {string[]} sentences of the columns
   * @returns {string}
   */
  tell(sentences) {
    const { columns } = this;
    if (columns.length < 2) return `${this.given.name}: ${sentences.join('')}`;
    return `${this.given.name}: ${sentences.map((sentence, n) => `by ${columns[n]?.side.title}: ${sentence}`).join(' ')}`;
  }

  /** Boxes, heat and state, from what the columns know now. */
  draw() {
    const states = this.columns.map(({ state }) => state);
    const state = states.find((one) => PENDING.includes(one)) ?? states.find((one) => one === 'done') ?? states[0];
    this.element.setAttribute('data-state', state ?? 'waiting');
    const failed = this.columns.find((column) => column.state === 'failed');
    if (failed) this.element.setAttribute('data-code', failed.code);
    else this.element.removeAttribute('data-code');
    const known = this.columns.find(({ result }) => result?.size)?.result?.size;
    if (known && this.picture.hasAttribute('data-unseen')) this.fit(known.width, known.height);
    this.drawBoxes();
    const first = this.columns[0];
    if (first?.result?.size) this.heat.show(first.told, first.result.size);
    else this.heat.clear();
  }

  /** The faces of the first model that looks for them. */
  drawBoxes() {
    const lead = this.columns.find(({ result }) => result?.faces.length);
    if (!lead?.result?.size) {
      this.boxes?.clear();
      return;
    }
    const { faces, size } = lead.result;
    const many = faces.length > 1;
    if (!this.boxes || Boolean(this.boxes.choose) !== many) {
      this.boxes?.clear();
      this.boxes = new Boxes(this.layer, many ? (index) => this.choose(index) : undefined);
    }
    this.boxes.show(faces, size, { chosen: lead.chosen });
  }

  /** @param {number} index of the face to tell of; models that look for faces find the same ones */
  choose(index) {
    for (const column of this.columns) column.choose(index);
  }

  /**
   * @param {number} width
   * @param {number} height
   */
  fit(width, height) {
    this.picture.style.setProperty('--ratio', String(width / height));
  }

  leave() {
    this.gone = true;
    for (const column of this.columns) column.leave();
    this.element.remove();
    this.given.release();
  }
}
