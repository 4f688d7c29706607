/** The ways in for pictures: choose, drop anywhere, paste. */

import { byId } from './dom.js';
import { count } from './words.js';

export const MOST_PICTURES = 8;

/**
 * @param {File[]} files
 * @returns {{taken: File[], sentence: string}} the first eight, and what to say about the others
 */
export function firstEight(files) {
  const taken = files.slice(0, MOST_PICTURES);
  const left = files.length - taken.length;
  if (left <= 0) return { taken, sentence: '' };
  return {
    taken,
    sentence: `${MOST_PICTURES} pictures are read at a time. Of these ${files.length} the first ${MOST_PICTURES} `
      + `were taken; give the other ${left === 1 ? 'one' : left} afterwards.`,
  };
}

/**
 * @param {(files: File[], sentence: string) => void} take
 * @param {(sentence: string) => void} refuse
 */
export function listen(take, refuse) {
  const chooser = byId('chooser', HTMLInputElement);
  const zone = byId('zone', HTMLButtonElement);

  /** @param {FileList | null | undefined} list @param {string} nothing what to say when it is empty */
  const give = (list, nothing) => {
    const { taken, sentence } = firstEight([...(list ?? [])]);
    if (taken.length) take(taken, sentence);
    else if (nothing) refuse(nothing);
  };

  zone.addEventListener('click', () => chooser.click());
  chooser.addEventListener('change', () => {
    give(chooser.files, '');
    chooser.value = ''; // so that choosing the same file again is noticed
  });

  const hovering = (/** @type {boolean} */ yes) => document.body.toggleAttribute('data-dragging', yes);
  const over = (/** @type {DragEvent} */ event) => {
    event.preventDefault(); // else the browser would open what is dropped
    hovering(event.dataTransfer?.types.includes('Files') ?? false);
  };
  addEventListener('dragenter', over);
  addEventListener('dragover', over);
  addEventListener('dragleave', (event) => {
    if (!event.relatedTarget) hovering(false); // out of the window, not just on to the next element
  });
  addEventListener('drop', (event) => {
    event.preventDefault();
    hovering(false);
    give(event.dataTransfer?.files, 'What was dropped is not a file. Save the picture first, then drop its file here.');
  });

  addEventListener('paste', (event) => {
    if (event.target instanceof HTMLInputElement && event.target.type !== 'checkbox') return;
    give(event.clipboardData?.files, 'There is no picture in the clipboard. Copy one first, then paste it here.');
  });
}

/**
 * @param {File[]} files
 * @returns {string} "3 pictures"
 */
export function howMany(files) {
  return count(files.length, 'picture');
}
