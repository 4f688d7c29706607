/** The pictures given last, read two at a time so that the first answers come early. */

/** @import {Given} from './given.js' */
/** @import {View} from './view.js' */

import { announce } from './announce.js';
import { ServiceProblem } from './api.js';
import { PictureCard } from './card.js';
import { make } from './dom.js';
import { GivenFile } from './given.js';

const AT_ONCE = 2;

export class Pictures {
  /**
   * @param {HTMLElement} grid
   * @param {View} view
   */
  constructor(grid, view) {
    this.grid = grid;
    this.view = view;
    /** @type {PictureCard[]} */
    this.cards = [];
    this.readings = 0;
  }

  /** @param {Given[]} given one to eight; they take the place of the earlier ones */
  async show(given) {
    this.clear();
    this.cards = given.map((one) => new PictureCard(one, this.view));
    this.grid.append(...this.cards.map((card) => card.element));
    this.grid.setAttribute('data-count', String(given.length));
    await this.read();
  }

  /** Reads them all again, by the models that are chosen now. */
  again() {
    for (const card of this.cards) card.arrange();
    return this.read();
  }

  read() {
    this.grid.setAttribute('data-columns', String(this.view.sides.length));
    this.readings += 1;
    const { readings } = this; // a later one takes over what is not begun
    return this.each(async (card) => {
      if (readings === this.readings) await card.load();
      return card.gone || readings !== this.readings ? '' : card.read();
    });
  }

  /** Shows what decided, or takes it away at once. */
  explain() {
    for (const card of this.cards) card.explain();
    return this.view.explaining ? this.each((card) => card.askWhy()) : undefined;
  }

  /** @param {(card: PictureCard) => Promise<string>} work what it brought in a sentence, to be spoken */
  async each(work) {
    const waiting = [...this.cards];
    const sentences = new Map();
    const lane = async () => {
      for (let card = waiting.shift(); card; card = waiting.shift()) sentences.set(card, await work(card));
    };
    const { cards } = this;
    const { key } = this.view;
    // Each picture is asked of every model at once.
    await Promise.all(Array.from({ length: this.view.sides.length > 1 ? 1 : AT_ONCE }, lane));
    if (cards === this.cards && key === this.view.key) announce(cards.map((card) => sentences.get(card)).join(' '));
  }

  clear() {
    for (const card of this.cards) card.leave();
    this.cards = [];
    this.grid.replaceChildren();
  }
}

/**
 * A picture that comes with the page, as if it had been chosen.
 *
 * @param {string} name
 * @returns {Promise<Given>}
 * @throws {ServiceProblem} it is not to be had
 */
export async function example(name) {
  try {
    const response = await fetch(name);
    if (!response.ok) throw new Error(`status ${response.status}`);
    return new GivenFile(new File([await response.blob()], name, { type: 'image/jpeg' }));
  } catch (error) {
    const why = error instanceof Error ? error.message : '';
    throw new ServiceProblem('unreachable', `The example could not be fetched (${why}). Choose a picture of your own.`);
  }
}

/** @param {HTMLElement} place @param {string} sentence shown and spoken; empty takes it away */
export function notice(place, sentence) {
  place.replaceChildren(...(sentence ? [make('p', { class: 'notice' }, sentence)] : []));
  if (sentence) announce(sentence);
}
