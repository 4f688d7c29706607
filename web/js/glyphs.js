/** A drawn mask for each expression: one head, and the few strokes that make the face. */

const SVG = 'http://www.w3.org/2000/svg';
const HEAD = 'M32 3C50 3 59 14 59 29c0 19-13 32-27 32S5 48 5 29C5 14 14 3 32 3Z';
const TILE = 'M18 5H46Q59 5 59 18V46Q59 59 46 59H18Q5 59 5 46V18Q5 5 18 5Z';

/** Strokes are lines without fill; dots are filled circles [x, y, radius]. */
/** @type {Record<string, {strokes: string[], dots?: [number, number, number][]}>} */
const EXPRESSIONS = {
  anger: {
    strokes: ['M14 20l12 6', 'M50 20l-12 6', 'M23 47q9-7 18 0'],
    dots: [[21, 31, 2.8], [43, 31, 2.8]],
  },
  disgust: {
    strokes: ['M14 24q6-3 12 2', 'M50 20q-6-4-12 2', 'M16 31h10', 'M38 30h10', 'M29 37q3-2 6 0', 'M21 49q6-9 13-4t9-3'],
  },
  fear: {
    strokes: ['M13 23q5-5 11-6', 'M51 23q-5-5-11-6', 'M20 47q3-4 6 0t6 0 6 0 6 0'],
    dots: [[21, 31, 4.2], [43, 31, 4.2]],
  },
  happiness: { strokes: ['M14 30q6-8 12 0', 'M38 30q6-8 12 0', 'M19 41q13 14 26 0'] },
  neutral: { strokes: ['M15 21h10', 'M39 21h10', 'M24 46h16'], dots: [[20, 30, 2.8], [44, 30, 2.8]] },
  sadness: {
    strokes: ['M13 25q6-1 11-6', 'M51 25q-6-1-11-6', 'M23 49q9-8 18 0'],
    dots: [[20, 32, 2.8], [44, 32, 2.8]],
  },
  surprise: {
    strokes: ['M13 19q6-7 12-2', 'M51 19q-6-7-12-2', 'M32 41c4 0 6 3 6 6.5s-2 6.5-6 6.5-6-3-6-6.5 2-6.5 6-6.5Z'],
    dots: [[20, 30, 3.6], [44, 30, 3.6]],
  },
};


/** A smile is drawn as happiness is, and has its colour. @type {Record<string, string>} */
const AS = { smile: 'happiness', 'no smile': 'neutral' };

/** What stands for pictures of anything: drawn on a tile instead of a head. */
/** @type {Record<string, {strokes: string[], dots?: [number, number, number][]}>} */
const SIGNS = {
  cup: { strokes: ['M17 28h25v11q0 10-10 10h-5q-10 0-10-10Z', 'M42 31h3q6 0 6 5.500t-6 5.500h-3.5', 'M25 15q4 3.5 0 7.5', 'M34 15q4 3.5 0 7.5'] },
  cat: { strokes: ['M16 16l9 8h14l9-8v18q0 15-16 15t-16-15Z', 'M29 41l3 2 3-2'], dots: [[25.5, 33, 2.6], [38.5, 33, 2.6]] },
  car: { strokes: ['M10 42v-8l7-3 5-10h18l7 10 7 2v9Z'], dots: [[20.5, 43, 5], [43.5, 43, 5]] },
  tag: { strokes: ['M15 33l17-17h15v15L30 48Z'], dots: [[40, 23.5, 2.8]] },
};

/**
 * @param {string} tag
 * @param {Record<string, string | number>} attributes
 * @returns {SVGElement}
 */
function svg(tag, attributes) {
  const element = /** @type {SVGElement} */ (document.createElementNS(SVG, tag));
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  return element;
}

/**
 * The mask of a label; a label without a face of its own gets the blank mask.
 *
 * @param {string | null} label
 * @returns {SVGElement} decorative: the label's word always stands beside it
 */
export function mask(label) {
  const drawing = glyph(HEAD, label === null ? undefined : EXPRESSIONS[like(label)]);
  tint(drawing, label);
  return drawing;
}

/**
 * @param {string} name of a mask, or of a sign
 * @param {string} colour the label whose colour a sign has
 * @returns {SVGElement} decorative
 */
export function sign(name, colour) {
  if (hasMask(name)) return mask(name);
  const drawing = glyph(TILE, SIGNS[name]);
  tint(drawing, colour);
  return drawing;
}

/**
 * @param {string} label
 * @returns {boolean} whether a face is drawn for it
 */
export function hasMask(label) {
  return Object.hasOwn(EXPRESSIONS, like(label));
}

/**
 * @param {string} label
 * @returns {string} the one whose face and colour it has
 */
function like(label) {
  return AS[label] ?? label;
}

/**
 * @param {string} shape
 * @param {{strokes: string[], dots?: [number, number, number][]} | undefined} lines
 * @returns {SVGElement}
 */
function glyph(shape, lines) {
  const drawing = svg('svg', { viewBox: '0 0 64 64', class: 'mask', 'aria-hidden': 'true', focusable: 'false' });
  drawing.append(svg('path', { d: shape, class: 'mask-head' }));
  for (const d of lines?.strokes ?? []) drawing.append(svg('path', { d, class: 'mask-stroke' }));
  for (const [cx, cy, r] of lines?.dots ?? []) drawing.append(svg('circle', { cx, cy, r, class: 'mask-dot' }));
  return drawing;
}

/**
 * Gives an element the colour of a label (see tokens.css); unknown labels share one.
 *
 * @param {Element} element
 * @param {string | null} label
 */
export function tint(element, label) {
  element.setAttribute('data-tint', label !== null && hasMask(label) ? like(label) : 'other');
}
