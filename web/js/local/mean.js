/** The mean of what several models say of the same picture: the counterpart of `service/averaging.py`. */

/** @import {Answer, FaceResult, ImageResult} from '../types.js' */

/** @typedef {{label: string | null, probability: number | null, probabilities: Record<string, number>}} Told */

/**
 * @param {string} model the average's name
 * @param {Answer[]} answers one a model, with all labels
 * @param {number | undefined} top how many labels the mean is cut to
 * @returns {Answer}
 */
export function averaged(model, answers, top) {
  const results = answers.flatMap((answer) => answer.results);
  const [first, ...others] = /** @type {[Answer, ...Answer[]]} */ (answers);
  return {
    ...first,
    model,
    version: answers.map(({ version }) => version).join('+'),
    results: [meanOf(results, top)],
    timings_ms: {
      ...first.timings_ms,
      classify: sum(answers, 'classify'),
      total: Number(first.timings_ms.total) + sum(others, 'classify'),
    },
  };
}

/**
 * @param {ImageResult[]} told by models that were given the same faces
 * @param {number | undefined} top
 * @returns {ImageResult}
 */
function meanOf(told, top) {
  const [first] = /** @type {[ImageResult]} */ (told);
  if (first.label === null) return first;
  const faces = first.faces.map((face, n) => ({
    ...face, ...mean(told.map((one) => /** @type {FaceResult} */ (one.faces[n])), top),
  }));
  return { ...first, ...mean(told, top), faces };
}

/**
 * @param {Told[]} told
 * @param {number | undefined} top
 * @returns {Told}
 */
function mean(told, top) {
  const labels = Object.keys(told[0]?.probabilities ?? {});
  const means = labels.map((label) => /** @type {[string, number]} */ (
    [label, told.reduce((all, one) => all + (one.probabilities[label] ?? 0), 0) / told.length]));
  const best = means.sort((a, b) => b[1] - a[1]).slice(0, top);
  const [label, probability] = best[0] ?? [null, null];
  return { label, probability, probabilities: Object.fromEntries(best) };
}

/**
 * @param {Answer[]} answers
 * @param {string} part of their timings
 */
function sum(answers, part) {
  return answers.reduce((all, { timings_ms: took }) => all + (took[part] ?? 0), 0);
}
