/** Image addresses: a field for them, shown where the server fetches pictures (HYOJO_URL_INPUT). */

/** @import {Given} from './given.js' */
/** @import {UrlInput} from './types.js' */
/** @import {Service} from './service.js' */

import { byId } from './dom.js';
import { GivenAddress } from './given.js';
import { firstEight } from './intake.js';

/**
 * @param {string} text addresses with blanks or line breaks between
 * @param {UrlInput} allowed
 * @returns {{addresses: string[], problem: string}} the problem is a sentence about the first that cannot be taken
 */
export function addressesIn(text, allowed) {
  const addresses = text.split(/\s+/).filter((word) => word && !word.startsWith('#'));
  const schemes = allowed === 'http' ? ['https:', 'http:'] : ['https:'];
  const odd = addresses.find((word) => !URL.canParse(word) || !schemes.includes(new URL(word).protocol));
  if (odd !== undefined) {
    const begin = schemes.map((scheme) => `${scheme}//`).join(' or ');
    return { addresses: [], problem: `“${odd.slice(0, 60)}” is no address that is taken: it must begin with ${begin}.` };
  }
  return { addresses, problem: addresses.length ? '' : 'There is no address yet. Put one or more in, one a line.' };
}

/**
 * @param {Service} service
 * @param {(given: Given[], sentence: string) => void} take
 * @param {(sentence: string) => void} refuse
 * @returns {(text: string) => boolean} takes a pasted or dropped text if all of it is addresses
 */
export function takeAddresses(service, take, refuse) {
  const form = byId('links-form', HTMLFormElement);
  const field = byId('links', HTMLTextAreaElement);
  service.addEventListener('models', () => { form.hidden = service.urlInput === 'off'; });

  /** @param {string[]} addresses */
  const give = (addresses) => {
    const { taken, sentence } = firstEight(addresses);
    take(taken.map((address) => new GivenAddress(address)), sentence);
  };

  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const { addresses, problem } = addressesIn(field.value, service.urlInput);
    field.setAttribute('aria-invalid', String(Boolean(problem)));
    if (problem) {
      refuse(problem);
      field.focus();
    } else give(addresses);
  });
  field.addEventListener('keydown', (event) => { // a line break needs Shift, as where one writes messages
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    form.requestSubmit();
  });
  return (text) => {
    if (service.urlInput === 'off') return false;
    const { addresses, problem } = addressesIn(text, service.urlInput);
    if (!problem) give(addresses);
    return !problem;
  };
}
