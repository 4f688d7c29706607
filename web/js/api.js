/**
 * The service over HTTP: every request the page makes, and every failure as one kind of error.
 *
 * Addresses are relative to the page, so that it also works under a path behind a proxy.
 */

import { keyHeaders } from './key.js';

/** @import {Answer, FaceSearch, ModelList} from './types.js' */

/** @typedef {{model?: string, faces?: FaceSearch, top?: number, explain?: boolean}} Asked */

const ANSWER_WITHIN_MS = 30_000;

/** Codes after which the same request may well succeed a moment later, without harm. */
const PASSING = new Set([
  'overloaded', 'worker_unavailable', 'not_ready', 'shutting_down', 'too_many_requests', 'rate_limited', 'unreachable',
  'no_room_for_model',
]);

/** A request that brought no result; `message` is a sentence for people. */
export class ServiceProblem extends Error {
  /**
   * @param {string} code the service's stable code, or `unreachable`
   * @param {string} sentence
   * @param {number | null} retryAfterS seconds the service asks to wait
   */
  constructor(code, sentence, retryAfterS = null) {
    super(sentence);
    this.name = 'ServiceProblem';
    this.code = code;
    this.retryAfterS = retryAfterS;
  }

  /** Whether trying again by itself is right. Never so after a crash: the picture may be its cause. */
  get passing() {
    return PASSING.has(this.code);
  }
}

/**
 * @param {string | null} header seconds or an HTTP date
 * @param {number} nowMs
 * @returns {number | null} seconds from now
 */
export function retryAfterSeconds(header, nowMs = Date.now()) {
  if (!header) return null;
  if (/^\d+$/.test(header.trim())) return Number(header);
  const whenMs = Date.parse(header);
  return Number.isNaN(whenMs) ? null : Math.max(0, (whenMs - nowMs) / 1000);
}

/**
 * @param {Response} response one that is not ok
 * @returns {Promise<ServiceProblem>}
 */
async function problemOf(response) {
  /** @type {{code?: string, detail?: string, title?: string, message?: string}} */
  const body = await response.json().catch(() => ({}));
  const code = body.code
    ?? { 413: 'body_too_large', 429: 'too_many_requests', 502: 'unreachable', 503: 'overloaded' }[response.status]
    ?? 'internal';
  const sentence = body.detail || body.title
    || (response.status === 413
      ? 'This picture is larger than the server takes. Send a smaller one.'
      : `The server answered with status ${response.status} and no explanation.`);
  return new ServiceProblem(code, sentence, retryAfterSeconds(response.headers.get('Retry-After')));
}

/** @type {((path: string, init: RequestInit) => Promise<any>) | null} */
let instead = null;

/**
 * Lets something else answer than a server: see js/local.
 *
 * @param {(path: string, init: RequestInit) => Promise<any>} other takes and gives what `request` does
 */
export function answerInstead(other) {
  instead = other;
}

/**
 * @param {string} path
 * @param {RequestInit} init
 * @returns {Promise<any>} the answer's JSON
 * @throws {ServiceProblem} for every failure but an abort by the caller
 */
async function request(path, init = {}) {
  if (instead) return instead(path, init);
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), ANSWER_WITHIN_MS);
  const stop = () => late.abort();
  init.signal?.addEventListener('abort', stop);
  try {
    const headers = { ...init.headers, ...keyHeaders() };
    const response = await fetch(path, { ...init, headers, signal: late.signal, cache: 'no-store' });
    if (!response.ok) throw await problemOf(response);
    return await response.json();
  } catch (error) {
    if (error instanceof ServiceProblem || init.signal?.aborted) throw error;
    throw new ServiceProblem('unreachable', late.signal.aborted
      ? `The server did not answer within ${ANSWER_WITHIN_MS / 1000} seconds. It may be overloaded.`
      : 'The server cannot be reached. Check that it is running and that this device is connected to it.');
  } finally {
    clearTimeout(timer);
    init.signal?.removeEventListener('abort', stop);
  }
}

/**
 * @param {Asked} options
 * @returns {string}
 */
function classifyPath(options) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(options)) {
    if (value !== undefined) query.set(name, String(value));
  }
  return `classify?${query}`;
}

/**
 * @param {Asked} options
 * @param {RequestInit} init
 * @returns {Promise<Answer>}
 */
async function classify(options, init) {
  const answer = await request(classifyPath(options), { method: 'POST', ...init });
  if (!Array.isArray(answer?.results)) throw stranger('internal');
  return answer;
}

/**
 * @param {string} code
 * @returns {ServiceProblem} for an answer that is none of the service's
 */
function stranger(code) {
  return new ServiceProblem(code, 'What answers is not the service this page belongs to, or another version of it. '
    + 'Load the page anew; if that does not help, look at what stands between the two.');
}

/**
 * One picture file, of any type: the server looks at its bytes, not at its name.
 *
 * @param {Blob} picture
 * @param {Asked} options
 * @returns {Promise<Answer>}
 */
export function classifyFile(picture, options = {}) {
  const form = new FormData();
  form.append('image', picture, 'picture');
  return classify(options, { body: form });
}

/**
 * One camera frame as a raw JPEG body: no form to build or to take apart.
 *
 * @param {Blob} frame image/jpeg
 * @param {Asked} options
 * @param {AbortSignal} signal
 * @returns {Promise<Answer>}
 */
export function classifyFrame(frame, options, signal) {
  return classify(options, { body: frame, headers: { 'Content-Type': 'image/jpeg' }, signal });
}

/**
 * A picture that the server fetches itself.
 *
 * @param {string} address
 * @param {Asked} options
 * @returns {Promise<Answer>}
 */
export function classifyAddress(address, options = {}) {
  return classify(options, {
    body: JSON.stringify({ urls: [address] }), headers: { 'Content-Type': 'application/json' },
  });
}

/** @returns {Promise<ModelList>} */
export async function listModels() {
  const list = await request('models');
  if (!Array.isArray(list?.models)) throw stranger('unreachable');
  return list;
}

/** Resolves when a warm predictor has answered; throws ServiceProblem when not. */
export async function checkReady() {
  await request('readyz');
}
