/** The key of a service that wants one: asked for once, kept in this tab alone, gone with it. */

import { byId } from './dom.js';

const KEPT_AS = 'hyojo-key';
/** Kept here too: where the browser lets a page store nothing, it lasts until a reload. */
let key = '';
try {
  key = sessionStorage.getItem(KEPT_AS) ?? '';
} catch { /* storing is forbidden */ }

/** @returns {Record<string, string>} what every request says of the key */
export function keyHeaders() {
  return key ? { 'X-API-Key': key } : {};
}

/** @param {string} given */
function keep(given) {
  key = given;
  try {
    sessionStorage.setItem(KEPT_AS, given);
  } catch { /* likewise */ }
}

/**
 * Header values hold printable ASCII alone; a pasted key may have blanks around it.
 *
 * @param {string} text
 * @returns {string} what can be sent of it
 */
export function sendable(text) {
  return text.replace(/[^!-~]/g, '');
}

/**
 * Shows the field where a key is wanted, and hides it where none is.
 *
 * @param {import('./service.js').Service} service
 */
export function askForKey(service) {
  const form = byId('key-form', HTMLFormElement);
  const field = byId('key', HTMLInputElement);
  service.addEventListener('state', () => {
    const wanted = service.state === 'locked';
    if (wanted && form.hidden) field.value = '';
    form.hidden = !wanted;
  });
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    keep(sendable(field.value));
    void service.tryKey().then(() => {
      if (!form.hidden) field.focus(); // it was refused
    });
  });
}
