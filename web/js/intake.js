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
  return {
    taken,
    sentence: left > 0
      ? `${MOST_PICTURES} pictures are read at a time. Of these ${files.length} the first ${MOST_PICTURES} were taken; give the other ${left === 1 ? 'one' : left} afterwards.`
      : '',
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

  let depth = 0; // dragenter and dragleave come for every element on the way
  const hovering = (/** @type {boolean} */ yes) => document.body.toggleAttribute('data-dragging', yes);
  addEventListener('dragenter', (event) => {
    event.preventDefault();
    depth += 1;
    hovering(true);
  });
  addEventListener('dragleave', () => {
    depth = Math.max(0, depth - 1);
    hovering(depth > 0);
  });
  addEventListener('dragover', (event) => {
    event.preventDefault();
    if (event.dataTransfer) event.dataTransfer.dropEffect = 'copy';
  });
  addEventListener('drop', (event) => {
    event.preventDefault();
    depth = 0;
    hovering(false);
    give(event.dataTransfer?.files, 'What was dropped is not a file. Save the picture first, then drop its file here.');
  });

  addEventListener('paste', (event) => {
    if (event.target instanceof HTMLInputElement) return;
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
