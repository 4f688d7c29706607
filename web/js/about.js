/** The model in use: what it is, what its figures are worth, under which terms it comes; and choosing another. */

/** @import {Service} from './service.js' */

import { byId, make } from './dom.js';
import { plain } from './words.js';

/** @param {Service} service */
export function showAbout(service) {
  const chooser = byId('model', HTMLSelectElement);
  chooser.addEventListener('change', () => service.choose(chooser.value));
  service.addEventListener('model', () => {
    byId('model-field', HTMLElement).hidden = service.models.length < 2;
    chooser.replaceChildren(...service.models.map(({ name }) => make('option', { value: name, selected: name === service.chosen }, plain(name))));
    byId('facts', HTMLElement).replaceChildren(...facts(service));
  });
}

/**
 * @param {Service} service
 * @returns {HTMLElement[]} terms and descriptions
 */
function facts(service) {
  const model = service.model;
  if (!model) return [];
  /** @type {[string, string][]} */
  const lines = [
    ['Model', `${plain(model.name)}, version ${model.version}`],
    ['Network', `${model.network}, ${model.input_size} × ${model.input_size} pixels`],
    ['Knows', model.labels.length > 10 ? `${model.labels.length} classes` : model.labels.map(plain).join(', ')],
    ['Tested by', flat(model.protocol)],
    ['Figures', flat(model.metrics)],
    ['Terms', model.licence],
  ];
  return lines.filter(([, text]) => text).flatMap(([term, text]) => [make('dt', {}, term), make('dd', {}, text)]);
}

/**
 * Whatever figures the model carries, as words: `{accuracy: 0.912}` becomes "accuracy 91.2 %".
 *
 * @param {Record<string, unknown>} values
 * @returns {string}
 */
export function flat(values) {
  return Object.entries(values ?? {})
    .filter(([, value]) => ['string', 'number', 'boolean'].includes(typeof value) && value !== '')
    .map(([name, value]) => `${plain(name)} ${figure(name, value)}`)
    .join('; ');
}

/**
 * @param {string} name
 * @param {unknown} value
 * @returns {string}
 */
function figure(name, value) {
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  if (typeof value !== 'number') return String(value);
  const share = /accuracy|f1|recall|precision|uar|auc/.test(name) && value >= 0 && value <= 1;
  if (share) return `${(value * 100).toFixed(1)} %`;
  return Number.isInteger(value) ? String(value) : value.toPrecision(3);
}
