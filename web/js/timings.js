/** Where the time of one answer went, in small print. */

import { milliseconds } from './words.js';

/** @type {[string, string][]} the service's stages and their names for people */
const STAGES = [['queue', 'queue'], ['decode', 'decode'], ['detect', 'find faces'], ['classify', 'read']];

/**
 * @param {Record<string, number>} timings milliseconds
 * @param {number} roundTripMs as this page saw it
 * @param {number | null} fromCameraMs from the camera's frame to its answer on the page; null for a picture
 * @returns {string}
 */
export function tellTimings(timings, roundTripMs, fromCameraMs = null) {
  const stages = STAGES.flatMap(([key, name]) => {
    const value = timings[key];
    return value === undefined ? [] : [`${name} ${milliseconds(value)}`];
  });
  const seen = fromCameraMs === null ? [] : [`camera to page ${milliseconds(fromCameraMs)}`];
  return [...stages, `there and back ${milliseconds(roundTripMs)}`, ...seen]
    .map((stage) => stage.replaceAll(' ', '\u00a0')) // lines break between stages only
    .join(' · ');
}
