/** Boxes over a picture or a video. Places are shares of the picture, so they hold at any size. */

/** @import {FaceResult} from './types.js' */

import { tint } from './glyphs.js';
import { make, write } from './dom.js';
import { percent, plain } from './words.js';

export class Boxes {
  /**
   * @param {HTMLElement} layer lies exactly over the picture
   * @param {(index: number) => void} [choose] makes the boxes pressable
   */
  constructor(layer, choose) {
    this.layer = layer;
    this.choose = choose;
    /** @type {HTMLElement[]} */
    this.elements = [];
  }

  /**
   * @param {FaceResult[]} faces
   * @param {{width: number, height: number}} size of the picture the boxes were measured in, pixels
   * @param {{mirrored?: boolean, chosen?: number}} how mirrored: the picture is shown flipped, the words are not
   */
  show(faces, size, { mirrored = false, chosen = 0 } = {}) {
    while (this.elements.length > faces.length) this.elements.pop()?.remove();
    faces.forEach((face, index) => {
      const element = this.elements[index] ?? this.add(index);
      const [x, y, width, height] = face.box;
      const left = mirrored ? size.width - x - width : x;
      // The place is a transform, so that a face that moves is not laid out anew.
      element.style.transform = `translate(${share(left, size.width)}cqw, ${share(y, size.height)}cqh)`;
      element.style.width = `${share(width, size.width)}%`;
      element.style.height = `${share(height, size.height)}%`;
      element.setAttribute('data-tag', tagPlace(y / size.height, (y + height) / size.height));
      element.toggleAttribute('data-right', (left + width / 2) / size.width > 0.6);
      element.toggleAttribute('data-chosen', index === chosen);
      tint(element, face.label);
      const word = face.label === null ? 'face' : plain(face.label);
      const [number, said] = element.querySelectorAll('.box-tag > span');
      write(number, this.choose ? String(index + 1) : '');
      write(said, word);
      if (this.choose) {
        const sure = face.probability === null ? '' : `, ${percent(face.probability)}`;
        element.setAttribute('aria-label', `Face ${index + 1}: ${word}${sure}`);
        element.setAttribute('aria-pressed', String(index === chosen));
      }
    });
  }

  clear() {
    this.show([], { width: 1, height: 1 });
  }

  /**
   * @param {number} index
   * @returns {HTMLElement}
   */
  add(index) {
    const { choose } = this;
    const tag = make('span', { class: 'box-tag' },
      make('span', { class: 'box-number' }), make('span', { class: 'box-word' }));
    const element = choose
      ? make('button', { type: 'button', class: 'box' }, tag)
      : make('div', { class: 'box', 'aria-hidden': 'true' }, tag);
    if (choose) element.addEventListener('click', () => choose(index));
    this.layer.append(element);
    this.elements.push(element);
    return element;
  }
}

/**
 * @param {number} part
 * @param {number} whole
 * @returns {string} hundredths, to a tenth: half a pixel of a live view
 */
function share(part, whole) {
  return ((100 * part) / whole).toFixed(1);
}

/**
 * Where the word has room: over the box, else under it, else inside.
 *
 * @param {number} top of the box, as a share of the picture
 * @param {number} bottom
 * @returns {'over' | 'under' | 'inside'}
 */
export function tagPlace(top, bottom) {
  if (top >= 0.12) return 'over';
  return bottom <= 0.88 ? 'under' : 'inside';
}
