/** Several models with the same labels, asked as one: the service averages their probabilities. */

/** @import {ModelInfo} from './types.js' */

import { plain } from './words.js';

const PREFIX = 'average:';
const FEWEST = 2;

/**
 * @param {string} name
 * @returns {string[]} the models that it averages; none if it is no average
 */
export function members(name) {
  return name.startsWith(PREFIX) ? name.slice(PREFIX.length).split(',') : [];
}

/**
 * @param {string[]} names
 * @param {ModelInfo[]} models
 * @returns {ModelInfo | undefined} what is known of their average; none if one is missing or they differ in labels
 */
export function average(names, models) {
  const of = names.flatMap((name) => models.find((model) => model.name === name)
    ?? models.find((model) => model.name.endsWith(`:${name}`)) ?? []); // as the service reads them, too
  const [first] = of;
  if (!first || of.length < FEWEST || of.length !== names.length || !of.every((model) => alike(model, first))) {
    return undefined;
  }
  const all = (/** @type {(model: ModelInfo) => string} */ tell, between = ', ') => [...new Set(of.map(tell))].join(between);
  return {
    ...first,
    name: PREFIX + of.map(({ name }) => name).join(','),
    state: of.find(({ state }) => state !== 'warm')?.state ?? 'warm',
    error: of.find(({ error }) => error)?.error ?? null,
    explains: false,
    version: all((model) => model.version),
    network: all((model) => model.network),
    licence: all((model) => model.licence, ' '),
    trained_on: {},
    protocol: {},
    metrics: {},
  };
}

/**
 * @param {ModelInfo} model
 * @param {ModelInfo[]} models
 * @returns {ModelInfo[]} those it can be averaged with, itself among them
 */
export function company(model, models) {
  return models.filter((other) => other.kind === model.kind && alike(other, model));
}

/**
 * @param {ModelInfo} one
 * @param {ModelInfo} other
 * @returns {boolean} whether they name the same things
 */
function alike(one, other) {
  const labels = new Set(one.labels);
  return one.faces === other.faces && labels.size === other.labels.length
    && other.labels.every((label) => labels.has(label));
}

/**
 * @param {string} name `imagenet:resnet50`
 * @returns {string} `resnet50`
 */
export function short(name) {
  const of = members(name);
  if (of.length) return `average of ${of.map(short).join(', ')}`;
  const [, own] = name.split(':');
  return own ?? plain(name);
}
