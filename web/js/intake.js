/** The ways in for pictures: choose, drop anywhere, paste; and their addresses, where the server fetches them. */

/** @import {Given} from './given.js' */

import { byId } from './dom.js';
import { GivenFile } from './given.js';
import { count } from './words.js';

export const MOST_PICTURES = 8;

/**
 * @template T
 * @param {T[]} given
 * @returns {{taken: T[], sentence: string}} the first eight, and what to say about the others
 */
export function firstEight(given) {
  const taken = given.slice(0, MOST_PICTURES);
  const left = given.length - taken.length;
  if (left <= 0) return { taken, sentence: '' };
  return {
    taken,
    sentence: `${MOST_PICTURES} pictures are read at a time. Of these ${given.length} the first ${MOST_PICTURES} `
      + `were taken; give the other ${left === 1 ? 'one' : left} afterwards.`,
  };
}

/**
 * @param {(given: Given[], sentence: string) => void} take
 * @param {(sentence: string) => void} refuse
 * @param {(text: string) => boolean} address takes a text if it is made of addresses, where these are taken
 */
export function listen(take, refuse, address) {
  const chooser = byId('chooser', HTMLInputElement);
  const zone = byId('zone', HTMLButtonElement);

  /** @param {FileList | null | undefined} list @param {string} nothing what to say when it is empty */
  const give = (list, nothing) => {
    const { taken, sentence } = firstEight([...(list ?? [])]);
    if (taken.length) take(taken.map((file) => new GivenFile(file)), sentence);
    else if (nothing) refuse(nothing);
  };

  zone.addEventListener('click', () => chooser.click());
  chooser.addEventListener('change', () => {
    give(chooser.files, '');
    chooser.value = ''; // so that choosing the same file again is noticed
  });

  /** @param {Event} event @returns {boolean} whether text goes into a field by itself */
  const intoField = ({ target }) => target instanceof HTMLTextAreaElement
    || (target instanceof HTMLInputElement && target.type !== 'checkbox');
  const files = (/** @type {DragEvent} */ event) => event.dataTransfer?.types.includes('Files') ?? false;
  const hovering = (/** @type {boolean} */ yes) => document.body.toggleAttribute('data-dragging', yes);
  const over = (/** @type {DragEvent} */ event) => {
    if (intoField(event) && !files(event)) return;
    event.preventDefault(); // else the browser would open what is dropped
    hovering(files(event));
  };
  addEventListener('dragenter', over);
  addEventListener('dragover', over);
  addEventListener('dragleave', (event) => {
    if (!event.relatedTarget) hovering(false); // out of the window, not just on to the next element
  });
  addEventListener('drop', (event) => {
    if (intoField(event) && !files(event)) return;
    event.preventDefault();
    hovering(false);
    if (!event.dataTransfer?.files.length && address(event.dataTransfer?.getData('text/uri-list') ?? '')) return;
    give(event.dataTransfer?.files, 'What was dropped is not a file. Save the picture first, then drop its file here.');
  });

  addEventListener('paste', (event) => {
    if (intoField(event)) return;
    if (!event.clipboardData?.files.length && address(event.clipboardData?.getData('text/plain') ?? '')) return;
    give(event.clipboardData?.files, 'There is no picture in the clipboard. Copy one first, then paste it here.');
  });
}

/**
 * @param {Given[]} given
 * @returns {string} "3 pictures"
 */
export function howMany(given) {
  return count(given.length, 'picture');
}
