/** The words and drawings around the results, as they fit the kind of model that is shown. */

/** @import {View} from './view.js' */

import { byId, make } from './dom.js';
import { hasMask, mask, sign } from './glyphs.js';
import { EXPRESSIONS, KINDS, some } from './kinds.js';
import { count, plain } from './words.js';

const NUMBERS = ['no', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine', 'ten'];
const COLOURS = ['happiness', 'surprise', 'sadness'];

/** @param {View} view */
export function showScene(view) {
  let shown = '';
  view.addEventListener('change', () => {
    const words = KINDS[view.kind];
    if (shown === view.key) return;
    shown = view.key;
    document.title = `Hyojo: ${words.question.charAt(0).toLowerCase()}${words.question.slice(1)}`;
    byId('question', HTMLElement).textContent = words.question;
    byId('lead', HTMLElement).textContent = words.lead;
    byId('zone-masks', HTMLElement).replaceChildren(...words.signs.map((name, n) => sign(name, COLOURS[n] ?? 'other')));
    welcome(view.model?.labels ?? []);
  });
}

/** @param {string[]} labels */
export function welcome(labels) {
  const faces = labels.every(hasMask);
  const smile = faces && !labels.every((label) => EXPRESSIONS.includes(label));
  const all = NUMBERS[labels.length] ?? labels.length.toLocaleString('en');
  const shown = faces ? labels : some(labels);
  const more = shown.length < labels.length ? `. Some of them:` : ':';
  byId('knows', HTMLElement).textContent = faces
    ? `It knows ${smile ? 'two words' : `${all} ${labels.length === 1 ? 'expression' : 'expressions'}`}.`
    : `It knows ${count(labels.length, 'class', 'classes').replace(/^\d+/, all)}${more}`;
  byId('masks', HTMLElement).setAttribute('class', faces ? 'masks' : 'chips');
  byId('masks', HTMLElement).replaceChildren(...shown.map((name) =>
    (faces ? make('li', {}, mask(name), make('span', {}, plain(name))) : make('li', {}, plain(name)))));
}
