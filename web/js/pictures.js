/** The pictures given last, read two at a time so that the first answers come early. */

/** @import {Service} from './service.js' */

import { announce } from './announce.js';
import { PictureCard } from './card.js';
import { make } from './dom.js';

const AT_ONCE = 2;

export class Pictures {
  /**
   * @param {HTMLElement} grid
   * @param {Service} service
   */
  constructor(grid, service) {
    this.grid = grid;
    this.service = service;
    /** @type {PictureCard[]} */
    this.cards = [];
  }

  /** @param {File[]} files one to eight; they take the place of the earlier ones */
  async show(files) {
    this.clear();
    this.cards = files.map((file) => new PictureCard(file, this.service));
    this.grid.append(...this.cards.map((card) => card.element));
    this.grid.setAttribute('data-count', String(files.length));
    await this.read();
  }

  /** Reads them all (again: after another model was chosen). */
  read() {
    return this.each(async (card) => {
      await card.load();
      return card.gone ? '' : card.read();
    });
  }

  /** Shows what decided, or takes it away at once. */
  explain() {
    for (const card of this.cards) card.explain();
    return this.service.explaining ? this.each((card) => card.askWhy()) : undefined;
  }

  /** @param {(card: PictureCard) => Promise<string>} work what it brought in a sentence, to be spoken */
  async each(work) {
    const waiting = [...this.cards];
    const sentences = new Map();
    const lane = async () => {
      for (let card = waiting.shift(); card; card = waiting.shift()) sentences.set(card, await work(card));
    };
    const cards = this.cards;
    await Promise.all(Array.from({ length: AT_ONCE }, lane));
    if (cards === this.cards) announce(cards.map((card) => sentences.get(card)).join(' '));
  }

  clear() {
    for (const card of this.cards) card.leave();
    this.cards = [];
    this.grid.replaceChildren();
  }
}

/**
 * The example that comes with the page, as if it had been chosen.
 *
 * @returns {Promise<File>}
 */
export async function example() {
  const response = await fetch('example.jpg');
  if (!response.ok) throw new Error(`The example is missing (status ${response.status}).`);
  return new File([await response.blob()], 'example.jpg', { type: 'image/jpeg' });
}

/** @param {HTMLElement} place @param {string} sentence shown and spoken; empty takes it away */
export function notice(place, sentence) {
  place.replaceChildren(...(sentence ? [make('p', { class: 'notice' }, sentence)] : []));
  if (sentence) announce(sentence);
}
