/** Where the time of one answer went, in small print. */

import { milliseconds } from './words.js';

/** @type {[string, string][]} the service's stages and their names for people */
const STAGES = [['queue', 'queue'], ['decode', 'decode'], ['detect', 'find faces'], ['classify', 'read']];

/**
 * @param {Record<string, number>} timings milliseconds
 * @param {number} roundTripMs as this page saw it
 * @returns {string}
 */
export function tellTimings(timings, roundTripMs) {
  const stages = STAGES.flatMap(([key, name]) => {
    const value = timings[key];
    return value === undefined ? [] : [`${name} ${milliseconds(value)}`];
  });
  return [...stages, `there and back ${milliseconds(roundTripMs)}`]
    .map((stage) => stage.replaceAll(' ', '\u00a0')) // lines break between stages only
    .join(' · ');
}
