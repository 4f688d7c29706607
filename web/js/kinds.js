/** What the page says for each kind of model: its tab, the question, the cautions, the example. */

/** @import {Kind} from './types.js' */

/**
 * @typedef {Object} KindWords
 * @property {string} tab
 * @property {string} question the headline
 * @property {string} lead
 * @property {string} caution
 * @property {string} example of the page's own pictures
 * @property {string[]} signs glyphs in the drop zone
 */

/** In the order of their tabs. @type {Record<Kind, KindWords>} */
export const KINDS = {
  expression: {
    tab: 'Expression',
    question: 'What does this face show?',
    lead: 'Give it pictures of faces, or look into the camera. It names the expression and tells how sure it is.',
    caution: 'An expression is what a face shows, not what a person feels, thinks or means. The model shares its '
      + 'certainty among the words it knows, even when none of them fits, and it errs more on faces, ages, light and '
      + 'angles unlike those it learned from. Do not judge people by it.',
    example: 'example.jpg',
    signs: ['happiness', 'surprise', 'sadness'],
  },
  smile: {
    tab: 'Smile',
    question: 'Does this face smile?',
    lead: 'Give it pictures of faces, or smile into the camera. It tells a smile from none and how sure it is.',
    caution: 'A smile is what a mouth and eyes do, not what a person feels: people smile out of habit, politeness or '
      + 'unease too. The model knows only “smile” and “no smile”, and errs more on faces, ages, light and angles '
      + 'unlike those it learned from. Do not judge people by it.',
    example: 'example.jpg',
    signs: ['no smile', 'smile', 'no smile'],
  },
  things: {
    tab: 'Things',
    question: 'What is in this picture?',
    lead: 'Give it pictures of anything, or hold things before the camera. It names the five likeliest of those it knows.',
    caution: 'The model looks at the whole picture at once and shares its certainty among the things it knows: animals '
      + 'of many breeds, tools, vehicles, food, furniture. What it does not know it calls by another name, and people '
      + 'are not among its words. It learned from photographs of the web, with their habits and errors.',
    example: 'things.jpg',
    signs: ['cup', 'cat', 'car'],
  },
  own: {
    tab: 'Your own',
    question: 'Which of your classes is this?',
    lead: 'Give it pictures, or use the camera. It names the class of yours that fits best, and tells how sure it is.',
    caution: 'The model shares its certainty among the classes it was given, even when none of them fits. It is as good '
      + 'as the pictures it learned from: it errs on light, angles and backgrounds unlike theirs.',
    example: 'things.jpg',
    signs: ['tag', 'tag', 'tag'],
  },
};

/** The labels of the expression models, in the order they are shown before the service has told its own. */
export const EXPRESSIONS = ['anger', 'disgust', 'fear', 'happiness', 'neutral', 'sadness', 'surprise'];

export const ORDER = /** @type {Kind[]} */ (Object.keys(KINDS));

/** Kinds that look at the same face and so are read together. @type {Partial<Record<Kind, Kind>>} */
export const PARTNERS = { expression: 'smile', smile: 'expression' };

/** Things that people know, shown as far as a model knows them. */
const FAMILIAR = [
  'espresso', 'Egyptian cat', 'golden retriever', 'acoustic guitar', 'teapot', 'umbrella', 'volcano', 'strawberry',
  'lighthouse', 'toucan', 'fire engine', 'hourglass', 'snail', 'grand piano',
];
const MOST_SHOWN = 12;

/**
 * @param {string[]} labels
 * @returns {string[]} some of them, to show what kind of words they are
 */
export function some(labels) {
  const known = new Map(labels.map((label) => [label.toLowerCase().replaceAll('_', ' '), label]));
  const familiar = FAMILIAR.flatMap((name) => known.get(name.toLowerCase()) ?? []);
  if (familiar.length >= MOST_SHOWN / 2) return familiar.slice(0, MOST_SHOWN);
  const step = Math.max(1, labels.length / MOST_SHOWN);
  return Array.from({ length: Math.min(MOST_SHOWN, labels.length) }, (_, n) => /** @type {string} */ (labels[Math.floor(n * step)]));
}
