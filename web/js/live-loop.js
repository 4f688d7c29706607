/** Take a frame, have it read, show it; while one is being read the next is taken. The newest answer wins. */

/** @import {Answer} from './types.js' */
/** @import {View} from './view.js' */

import { classifyFrame, ServiceProblem } from './api.js';
import { FrameTaker, FreshFrames } from './frames.js';

/**
 * Requests. One is read while the next is made and sent; two models read one frame at the same time. More would only wait
 * in the server's queue and show the past: as many answers, 0.29 instead of 0.18 s old (two models, two busy cores).
 */
const MOST_IN_FLIGHT = 2;
/** An answer that newer frames have overtaken so often is not waited for: its place is needed. */
const OVERTAKEN = 8;
const LEAST_WAIT_S = 0.5;
const LONGEST_WAIT_S = 10;

/**
 * @typedef {Object} Frame
 * @property {Blob} jpeg
 * @property {number} width pixels
 * @property {number} height pixels
 * @property {number} capturedMs as performance.now()
 */

/**
 * @typedef {Object} LiveEvents
 * @property {(answers: Answer[], frame: Frame, roundTripMs: number) => void} result of a newer frame each time: one
 *   answer a model, in the order of the view's sides
 * @property {(problem: ServiceProblem, waitS: number) => void} problem nothing is sent for `waitS` seconds
 */

/**
 * Runs until `signal` aborts.
 *
 * @param {HTMLVideoElement} video
 * @param {View} view
 * @param {AbortSignal} signal
 * @param {LiveEvents} events
 */
export async function readLive(video, view, signal, events) {
  const frames = new FreshFrames(video);
  const taker = new FrameTaker();
  const flights = new Flights(view, events);
  signal.addEventListener('abort', () => {
    frames.stop();
    flights.end();
  });
  while (!signal.aborted) {
    await flights.room();
    await frames.next();
    const { capturedMs } = frames;
    const picture = signal.aborted ? null : await taker.take(video);
    if (picture && !signal.aborted) flights.send({ ...picture, capturedMs });
  }
}

/** The frames that are being read. */
class Flights {
  /**
   * @param {View} view
   * @param {LiveEvents} events
   */
  constructor(view, events) {
    this.view = view;
    this.events = events;
    /** @type {Map<number, AbortController>} by the frame's number, in the order they were sent */
    this.flying = new Map();
    this.sent = 0;
    this.shown = 0;
    this.failures = 0;
    /**
     * Set while nothing may be sent. The timer alone ends the pause: by the clock it may fire a little early.
     *
     * @type {ReturnType<typeof setTimeout> | undefined}
     */
    this.rest = undefined;
    /** @type {unknown} a mistake of this page, for `room` to throw */
    this.fault = null;
    /** @type {() => void} */
    this.wake = () => {};
  }

  /** @returns {boolean} after a failure one frame asks for all, until it is answered */
  get full() {
    const most = this.failures ? 1 : Math.max(1, MOST_IN_FLIGHT / this.view.sides.length);
    return this.flying.size >= most || this.rest !== undefined;
  }

  /** Resolves when another frame may be sent (or at `end`). */
  async room() {
    while (!this.fault && this.full) await new Promise((resolve) => { this.wake = () => resolve(undefined); });
    if (this.fault) throw this.fault;
  }

  /** @param {Frame} frame */
  send(frame) {
    if (this.full) return; // a failure came while it was being made
    this.sent += 1;
    const number = this.sent;
    const flight = new AbortController();
    this.flying.set(number, flight);
    void this.fly(frame, number, flight.signal).catch((error) => {
      this.fault = error;
    }).finally(() => {
      this.flying.delete(number);
      this.wake();
    });
  }

  /**
   * @param {Frame} frame
   * @param {number} number
   * @param {AbortSignal} signal
   */
  async fly(frame, number, signal) {
    const sentMs = performance.now();
    const { key, sides } = this.view;
    try {
      // Every model that is asked gets the frame at the same time; it is shown when all have answered.
      const answers = await Promise.all(sides.map((side) =>
        classifyFrame(frame.jpeg, { ...this.view.options(side), faces: 'auto' }, signal)));
      if (signal.aborted || number < this.shown || key !== this.view.key) return;
      this.shown = number;
      this.failures = 0;
      this.drop((other) => other < number - OVERTAKEN);
      this.events.result(answers, frame, performance.now() - sentMs);
    } catch (error) {
      // A newer frame has been answered since, or another model is asked: all is well.
      if (signal.aborted || number < this.shown || key !== this.view.key) return;
      if (!(error instanceof ServiceProblem)) throw error;
      this.flying.get(number)?.abort(); // what another model would say of it
      this.failures += 1;
      const waitS = waitFor(error, this.failures);
      this.pause(waitS);
      this.drop((other) => other !== number); // sent before this was known, and void with it
      this.events.problem(error, waitS);
    }
  }

  /** @param {number} waitS seconds in which nothing is sent */
  pause(waitS) {
    clearTimeout(this.rest);
    this.rest = setTimeout(() => {
      this.rest = undefined;
      this.wake();
    }, waitS * 1000);
  }

  /** @param {(number: number) => boolean} which */
  drop(which) {
    for (const [number, flight] of this.flying) {
      if (which(number)) flight.abort();
    }
  }

  end() {
    clearTimeout(this.rest);
    this.rest = undefined;
    this.drop(() => true);
    this.flying.clear();
    this.wake();
  }
}

/**
 * @param {ServiceProblem} problem
 * @param {number} failures in a row, 1 for the first
 * @returns {number} seconds: what the server asks for, else 1, 2, 4, …; half a second at least and ten at most
 */
export function waitFor(problem, failures) {
  return Math.min(LONGEST_WAIT_S, Math.max(LEAST_WAIT_S, problem.retryAfterS ?? 2 ** (failures - 1)));
}
