/** What one face (or picture) was read as: the mask, the word, a bar for each class. */

import { make, write } from './dom.js';
import { hasMask, mask, tint } from './glyphs.js';
import { percent, plain } from './words.js';

/** Below this the word is shown as a guess: another class is about as likely. */
const UNSURE_BELOW = 0.5;
const MOST_ROWS = 10;
/** A label with more letters than this stands over its bar, not before it. */
const LONG = 14;
const FEW = 2;

export class Reading {
  /**
   * @param {string[]} labels the rows to hold a place for, so that nothing jumps when the answer comes
   * @param {{sorted: boolean}} order highest first; or always in the model's order, calmer when live
   */
  constructor(labels, { sorted }) {
    this.sorted = sorted;
    this.face = make('span', { class: 'reading-mask' }, mask(null));
    this.word = make('span', { class: 'reading-word' });
    this.sure = make('span', { class: 'reading-sure' });
    this.note = make('p', { class: 'reading-note' });
    this.bars = make('ul', { class: 'bars', 'aria-label': 'Probability of each class' });
    this.element = make('div', { class: 'reading' },
      make('p', { class: 'reading-head' }, this.face, make('span', { class: 'reading-words' }, this.word, this.sure)),
      this.note, this.bars);
    /** @type {Map<string, Row>} */
    this.rows = new Map();
    /** @type {string | null | undefined} */
    this.shown = undefined;
    this.prepare(labels);
  }

  /**
   * Rows for these labels; without any, the best few of each answer get theirs when it comes.
   *
   * @param {string[]} labels
   */
  prepare(labels) {
    this.best = labels.length === 0;
    this.element.toggleAttribute('data-masks', labels.some(hasMask));
    this.element.toggleAttribute('data-few', labels.length > 0 && labels.length <= FEW);
    this.bars.toggleAttribute('data-best', this.best);
    this.bars.toggleAttribute('data-long', this.best || labels.some((label) => label.length > LONG));
    this.bars.setAttribute('aria-label', this.best ? 'The likeliest' : 'Probability of each class');
    this.hold(labels);
  }

  /** @param {string[]} labels */
  hold(labels) {
    this.rows = new Map(labels.slice(0, MOST_ROWS).map((label) => [label, new Row(label)]));
    /** @type {string} the labels as their rows stand */
    this.order = [...this.rows.keys()].join('\n');
    this.bars.replaceChildren(...[...this.rows.values()].map((row) => row.element));
  }

  /**
   * @param {string} label
   * @param {number} probability
   * @param {Record<string, number>} probabilities in any order: names that are numbers come first in JavaScript
   */
  show(label, probability, probabilities) {
    this.head(label, plain(label), percent(probability));
    const entries = Object.entries(probabilities).sort((a, b) => b[1] - a[1]).slice(0, MOST_ROWS);
    const second = entries.find(([name]) => name !== label);
    this.say(probability < UNSURE_BELOW && second
      ? `Not sure: ${plain(second[0])} is next with ${percent(second[1])}.` : '');
    if (entries.some(([name]) => !this.rows.has(name)) || entries.length !== this.rows.size) {
      this.hold(entries.map(([name]) => name));
    }
    for (const [name, value] of entries) this.rows.get(name)?.show(value, name === label);
    const order = entries.map((entry) => entry[0]).join('\n');
    if ((this.sorted || this.best) && order !== this.order) {
      this.bars.append(...entries.flatMap(([name]) => this.rows.get(name)?.element ?? []));
      this.order = order;
    }
  }

  /**
   * @param {string} word what there is instead of a label: "no face", "reading"
   * @param {string} note a sentence
   */
  blank(word, note = '') {
    this.head(null, word, '');
    this.say(note);
    for (const row of this.rows.values()) row.empty();
  }

  /**
   * @param {string | null} label
   * @param {string} word
   * @param {string} sure
   */
  head(label, word, sure) {
    if (this.shown !== label) {
      this.face.replaceChildren(mask(label));
      tint(this.element, label);
      this.shown = label;
    }
    write(this.word, word);
    write(this.sure, sure);
  }

  /** @param {string} note */
  say(note) {
    write(this.note, note);
  }
}

/** One class: its name, its bar, its share. */
class Row {
  /** @param {string} label */
  constructor(label) {
    this.fill = make('span', { class: 'bar-fill' });
    this.value = make('span', { class: 'bar-value' }, '');
    this.element = make('li', { class: 'bar' },
      make('span', { class: 'bar-name' }, plain(label)),
      make('span', { class: 'bar-track', 'aria-hidden': 'true' }, this.fill),
      this.value);
    tint(this.element, label);
    this.empty();
  }

  empty() {
    this.draw(0, false, '');
  }

  /**
   * @param {number} probability
   * @param {boolean} first whether it is the answer
   */
  show(probability, first) {
    this.draw(probability, first, percent(probability));
  }

  /**
   * @param {number} length 0 to 1; drawn in hundredths, so that a bar moves when its figure does
   * @param {boolean} first
   * @param {string} value
   */
  draw(length, first, value) {
    this.fill.style.transform = `scaleX(${length.toFixed(2)})`;
    write(this.value, value);
    this.element.toggleAttribute('data-first', first);
  }
}
