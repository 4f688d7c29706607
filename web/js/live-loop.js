/** Take a frame, have it read, show it, take the newest one: never more than one in flight. */

/** @import {Answer} from './types.js' */
/** @import {Service} from './service.js' */

import { classifyFrame, ServiceProblem } from './api.js';
import { FrameTaker, FreshFrames } from './frames.js';

const LONGEST_WAIT_S = 10;

/**
 * @typedef {Object} LiveEvents
 * @property {(answer: Answer, size: {width: number, height: number}, roundTripMs: number) => void} result
 * @property {(problem: ServiceProblem, waitS: number) => void} problem nothing is sent for `waitS` seconds
 */

/**
 * Runs until `signal` aborts.
 *
 * @param {HTMLVideoElement} video
 * @param {Service} service
 * @param {AbortSignal} signal
 * @param {LiveEvents} events
 */
export async function readLive(video, service, signal, events) {
  const frames = new FreshFrames(video);
  signal.addEventListener('abort', () => frames.stop());
  const taker = new FrameTaker();
  let failures = 0;
  while (!signal.aborted) {
    await frames.next();
    const frame = signal.aborted ? null : await taker.take(video);
    if (!frame || signal.aborted) continue;
    const sentMs = performance.now();
    try {
      const answer = await classifyFrame(frame.jpeg, { ...service.options, faces: 'auto' }, signal);
      failures = 0;
      events.result(answer, frame, performance.now() - sentMs);
    } catch (error) {
      if (signal.aborted) break;
      if (!(error instanceof ServiceProblem)) throw error;
      failures += 1;
      const waitS = waitFor(error, failures);
      events.problem(error, waitS);
      await pause(waitS, signal);
    }
  }
}

/**
 * @param {ServiceProblem} problem
 * @param {number} failures in a row, 1 for the first
 * @returns {number} seconds: what the server asks for, else 1, 2, 4, … and at most ten
 */
export function waitFor(problem, failures) {
  return Math.min(LONGEST_WAIT_S, problem.retryAfterS ?? 2 ** (failures - 1));
}

/**
 * @param {number} seconds
 * @param {AbortSignal} signal ends it early
 * @returns {Promise<void>}
 */
function pause(seconds, signal) {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, seconds * 1000);
    signal.addEventListener('abort', done);
  });
}
