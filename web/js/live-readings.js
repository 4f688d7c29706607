/** Beside the camera: what each model that is asked makes of the newest frame. */

/** @import {ImageResult} from './types.js' */
/** @import {View} from './view.js' */

import { make } from './dom.js';
import { Reading } from './reading.js';
import { plain } from './words.js';

export class LiveReadings {
  /**
   * @param {HTMLElement} place
   * @param {View} view
   */
  constructor(place, view) {
    this.place = place;
    this.view = view;
    /** @type {Reading[]} in the order of the view's sides */
    this.readings = [];
    /** @type {string | null} */
    this.key = null;
    this.arrange();
  }

  /** @returns {boolean} whether other models are asked than before */
  arrange() {
    if (this.key === this.view.key) return false;
    this.key = this.view.key;
    const { sides } = this.view;
    this.readings = sides.map((side) => new Reading(side.labels, { sorted: false }));
    this.place.replaceChildren(...this.readings.map((reading, n) => make('div', {
      class: 'column', role: 'group', 'aria-label': sides[n]?.title ?? '',
    }, make('p', { class: 'column-name' }, sides[n]?.title ?? ''), reading.element)));
    this.place.setAttribute('data-columns', String(sides.length));
    this.wait();
    return true;
  }

  /** Nothing has been answered yet. */
  wait() {
    this.readings.forEach((reading, n) => {
      const side = this.view.sides[n];
      if (side && this.view.sleeping(side)) {
        reading.blank('loading', 'The network is being loaded first; this may take some seconds.');
      } else reading.blank('reading');
    });
  }

  /** @param {string} word what there is instead of labels */
  blank(word) {
    for (const reading of this.readings) reading.blank(word);
  }

  /**
   * @param {(ImageResult | undefined)[]} results
   * @returns {string} the same in words, to be spoken
   */
  show(results) {
    return this.readings.map((reading, n) => {
      const result = results[n];
      if (result?.label == null || result.probability === null) {
        reading.blank('no face', 'Look toward the camera, in good light.');
        return 'No face is seen.';
      }
      reading.show(result.label, result.probability, result.probabilities);
      return plain(result.label);
    }).filter((word, n, words) => words.indexOf(word) === n).join(', ');
  }
}
