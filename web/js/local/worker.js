/** Reads pictures beside the page, one after the other, so that the page stays quick. */

/** @import {Contents, Question} from './reader.js' */

import { PictureProblem } from './picture.js';
import { Reader } from './reader.js';
import { Runtime } from './runtime.js';

/** @typedef {{id: number, drop?: boolean, file?: Blob, question?: Question}} Wish without a file: get ready */

const base = new URL('../../', import.meta.url);
/** @type {Promise<Reader> | null} */
let starting = null;
/** @type {Set<number>} */
const dropped = new Set();
/** @type {Promise<unknown>} */
let before = Promise.resolve();

/** @returns {Promise<Reader>} warm; a failure is tried again by the next wish */
function ready() {
  starting ??= start();
  starting.catch(() => { starting = null; });
  return starting;
}

async function start() {
  const response = await fetch(new URL('models.json', base));
  if (!response.ok) throw new Error(`models.json is missing (status ${response.status})`);
  const reader = new Reader(/** @type {Contents} */ (await response.json()), new Runtime(base));
  await reader.warm();
  return reader;
}

/** @param {Wish} wish */
async function grant({ id, file, question }) {
  if (dropped.delete(id)) return;
  try {
    const reader = await ready().catch((error) => {
      throw Object.assign(new Error(`The model could not be loaded (${error.message}).`), { code: 'unreachable' });
    });
    postMessage({ id, answer: file && question ? await reader.answer(file, question) : reader.contents });
  } catch (error) {
    const known = error instanceof PictureProblem || (error instanceof Error && 'code' in error);
    const message = error instanceof Error ? error.message : String(error);
    postMessage({ id, problem: known
      ? { code: error.code, message }
      : { code: 'internal', message: `This picture could not be read here (${message}). Try another one.` } });
  } finally {
    dropped.delete(id);
  }
}

addEventListener('message', ({ data }) => {
  const wish = /** @type {Wish} */ (data);
  if (wish.drop) dropped.add(wish.id);
  else before = before.then(() => grant(wish)); // the page keeps few of them on their way
});
