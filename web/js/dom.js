/** Making elements without markup in strings: text stays text, and no style or handler is ever inline. */

/**
 * @param {string} tag
 * @param {Record<string, string | boolean>} attributes `true` sets an empty attribute, `false` leaves it out
 * @param {...(Node | string)} children
 * @returns {HTMLElement}
 */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== false) element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children);
  return element;
}

/**
 * Sets a text if it is another one: the same text anew would be laid out and painted anew.
 *
 * @param {Element | undefined} element
 * @param {string} text
 */
export function write(element, text) {
  if (element && element.textContent !== text) element.textContent = text;
}

/**
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} kind the element's class
 * @returns {T}
 */
export function byId(id, kind) {
  const element = document.getElementById(id);
  if (!(element instanceof kind)) throw new Error(`The page has no ${kind.name} called ${id}.`);
  return element;
}

/**
 * @param {string} text
 * @param {() => void} press
 * @param {string} look class names
 * @returns {HTMLElement}
 */
export function button(text, press, look = 'button') {
  const element = make('button', { type: 'button', class: look }, text);
  element.addEventListener('click', press);
  return element;
}
