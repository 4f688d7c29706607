/** The key of a service that wants one: asked for once, kept in this tab alone, gone with it. */

import { byId } from './dom.js';

const KEPT_AS = 'hyojo-key';

/** @returns {Record<string, string>} what every request says of the key */
export function keyHeaders() {
  const key = sessionStorage.getItem(KEPT_AS);
  return key ? { 'X-API-Key': key } : {};
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
    sessionStorage.setItem(KEPT_AS, sendable(field.value));
    void service.tryKey();
  });
}
