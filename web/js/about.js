/** The model in use: what it is, what its figures are worth, under which terms it comes. */

/** @import {ModelInfo} from './types.js' */
/** @import {View} from './view.js' */

import { short } from './average.js';
import { byId, make } from './dom.js';
import { KINDS } from './kinds.js';
import { count, plain } from './words.js';

/** How a protocol's test pictures were kept apart, for people. A figure without it says nothing. */
/** @type {Record<string, string>} */
const PROTOCOLS = {
  loso: 'people it had not seen: each person was left out once',
  kfold: 'pictures left out at random, part by part; it may have seen the people on them',
  holdout: 'a part of the pictures held back',
  published: 'pictures of those who published it',
  none: 'nobody yet',
};

/** @param {View} view */
export function showAbout(view) {
  view.addEventListener('change', () => {
    byId('caution', HTMLElement).textContent = KINDS[view.kind].caution;
    const { model } = view;
    if (!model) return;
    byId('facts', HTMLElement).replaceChildren(...facts(model).flatMap(([term, text]) =>
      [make('dt', {}, term), make('dd', {}, text)]));
    const rows = classes(model);
    byId('classes', HTMLElement).hidden = rows.length === 0;
    byId('class-rows', HTMLElement).replaceChildren(...rows.map(([label = '', ...cells]) => make('tr', {},
      make('th', { scope: 'row' }, label), ...cells.map((cell) => make('td', {}, cell)))));
  });
}

/**
 * @param {ModelInfo} model
 * @returns {[string, string][]} terms and descriptions
 */
export function facts(model) {
  /** @type {[string, string][]} */
  const lines = [
    ['Model', `${short(model.name)}, version ${model.version}`],
    ['Network', `${model.network}, ${model.input_size} × ${model.input_size} pixels`],
    ['Knows', model.labels.length > 10 ? `${model.labels.length.toLocaleString('en')} classes` : model.labels.map(plain).join(', ')],
    ['Tested on', testedOn(model.protocol)],
    ['Was right', wasRight(model.metrics) || published(model.trained_on) || 'not measured'],
    ['Terms', model.licence],
  ];
  return lines.filter(([, text]) => text);
}

/**
 * @param {Record<string, unknown>} protocol
 * @returns {string}
 */
function testedOn(protocol) {
  const name = String(protocol.name ?? 'none');
  return PROTOCOLS[name] ? `${PROTOCOLS[name]}${name === 'none' ? '' : ` (${name})`}` : name;
}

/**
 * @param {Record<string, unknown>} metrics
 * @returns {string} "in 61.2 % of 213 pictures (macro-F1 60.4 %)", or nothing
 */
function wasRight(metrics) {
  const { accuracy, macro_f1: macroF1, images } = metrics;
  if (typeof accuracy !== 'number') return '';
  const of = typeof images === 'number' ? `of ${count(images, 'picture')}` : 'of the pictures';
  return `in ${share(accuracy)} ${of}${typeof macroF1 === 'number' ? ` (macro-F1 ${share(macroF1)})` : ''}`;
}

/**
 * What others say that have measured the very weights.
 *
 * @param {Record<string, unknown>} trainedOn
 * @returns {string} "in 71.9 % of the pictures, by torchvision's documentation", or nothing
 */
function published(trainedOn) {
  /** @typedef {{top1?: number, top5?: number, by?: string}} Published */
  const told = /** @type {Published | undefined} */ (trainedOn.published);
  if (typeof told?.top1 !== 'number') return '';
  const five = typeof told.top5 === 'number' ? `, and among its first five in ${share(told.top5)}` : '';
  return `in ${share(told.top1)} of the pictures${five}, by ${told.by}; not measured here`;
}

/**
 * @param {ModelInfo} model
 * @returns {string[][]} class, recall, precision, pictures
 */
function classes(model) {
  /** @typedef {{recall: number, precision: number, images: number}} OfClass */
  const perClass = /** @type {Record<string, OfClass>} */ (model.metrics.per_class ?? {});
  return Object.entries(perClass).map(([label, { recall, precision, images }]) => [
    plain(label), share(recall), share(precision), String(images)]);
}

/**
 * @param {number} value 0 to 1
 * @returns {string}
 */
function share(value) {
  return `${(value * 100).toFixed(1)} %`;
}
