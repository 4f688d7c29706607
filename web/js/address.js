/** What is looked at, as the part of the page's address after `#`: to be linked, kept and gone back to. */

/** @import {Kind} from './types.js' */

import { KINDS } from './kinds.js';

/**
 * @typedef {Object} Wanted
 * @property {Kind | null} kind
 * @property {string | null} model by name, or `average:` and names
 * @property {string | null} beside the model it is compared with
 */

/**
 * @param {string} hash `#things?model=imagenet:resnet50&beside=emotion`
 * @returns {Wanted | null} null where it names no kind (a place on the page, or nothing)
 */
export function parse(hash) {
  const [kind = '', query = ''] = hash.replace(/^#/, '').split('?');
  if (!Object.hasOwn(KINDS, kind)) return null;
  const asked = new URLSearchParams(query);
  return { kind: /** @type {Kind} */ (kind), model: asked.get('model') || null, beside: asked.get('beside') || null };
}

/**
 * @param {Wanted} wanted
 * @returns {string} with what must be escaped alone escaped, as people pass it on
 */
export function format({ kind, model, beside }) {
  const parts = Object.entries({ model, beside }).flatMap(([name, value]) =>
    value ? [`${name}=${encodeURIComponent(value).replaceAll('%3A', ':').replaceAll('%2C', ',')}`] : []);
  return `#${kind}${parts.length ? '?' : ''}${parts.join('&')}`;
}
