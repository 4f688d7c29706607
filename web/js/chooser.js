/** Which model of its kind is asked, or which are averaged; and which one stands beside it. */

/** @import {ModelInfo} from './types.js' */
/** @import {View} from './view.js' */

import { company, members, short } from './average.js';
import { byId, make, write } from './dom.js';
import { KINDS, ORDER } from './kinds.js';

const AVERAGE = 'average';
const FEWEST = 2;
const STATES = { warm: '', loading: ', loading', asleep: ', asleep' };

/**
 * @param {View} view
 * @param {(sentence: string) => void} say what is to be done yet; empty takes it away
 */
export function showChooser(view, say) {
  const model = byId('model', HTMLSelectElement);
  const beside = byId('beside', HTMLSelectElement);
  const set = byId('average', HTMLFieldSetElement);
  const partner = byId('partner', HTMLInputElement);
  const list = byId('average-list', HTMLElement);
  partner.checked = false; // some browsers keep a switch's state over a reload

  /** @returns {ModelInfo[]} */
  const averaged = () => {
    const asked = members(view.model?.name ?? '')[0];
    const one = asked ? view.find(asked) : view.model;
    return one ? company(one, view.of(view.kind)) : [];
  };

  model.addEventListener('change', () => {
    if (model.value !== AVERAGE) view.choose(model.value);
    else view.choose(`average:${begin(averaged(), view.model).join(',')}`);
  });
  set.addEventListener('change', () => {
    const names = [...list.querySelectorAll('input')].filter(({ checked }) => checked).map(({ value }) => value);
    const enough = names.length >= FEWEST;
    say(enough ? '' : 'Choose two or more models to average.');
    if (enough) view.choose(`average:${names.join(',')}`);
  });
  beside.addEventListener('change', () => view.compare(beside.value || null));
  partner.addEventListener('change', () => view.compare(partner.checked ? view.partner?.name ?? null : null));

  view.addEventListener('change', () => {
    const { models } = view.service;
    const own = view.of(view.kind);
    const many = averaged();
    const chosen = members(view.model?.name ?? '');
    byId('model-field', HTMLElement).hidden = own.length < 2;
    offer(model, [
      ...own.map(option),
      ...(many.length < FEWEST ? [] : [make('option', { value: AVERAGE }, 'Average of several')]),
    ], chosen.length ? AVERAGE : view.model?.name ?? '');
    set.hidden = chosen.length === 0;
    tick(list, set.hidden ? [] : many, chosen);
    byId('beside-field', HTMLElement).hidden = models.length < 2;
    const other = view.sides[1]?.model.name;
    offer(beside, [make('option', { value: '' }, 'no other'), ...ORDER.flatMap((kind) => {
      const of = view.of(kind).filter(({ name }) => name !== view.model?.name);
      return of.length ? [make('optgroup', { label: KINDS[kind].tab }, ...of.map(option))] : [];
    })], other ?? '');
    byId('partner-switch', HTMLElement).hidden = !view.partner;
    byId('partner-word', HTMLElement).textContent = view.partner ? KINDS[view.partner.kind].tab.toLowerCase() : '';
    partner.checked = view.partner !== null && other === view.partner.name;
  });
}

/**
 * @param {ModelInfo[]} models that can be averaged
 * @param {ModelInfo | null} asked until now
 * @returns {string[]} those to begin with: all that answer at once, or two with the one that was asked
 */
export function begin(models, asked) {
  const warm = models.filter(({ state }) => state === 'warm');
  if (warm.length >= FEWEST) return warm.map(({ name }) => name);
  const first = models.find(({ name }) => name === asked?.name);
  const others = models.filter((one) => one !== first).sort((a, b) => Number(Boolean(a.error)) - Number(Boolean(b.error)));
  return [...(first ? [first] : []), ...others].slice(0, FEWEST).map(({ name }) => name);
}

/**
 * The choices of a list. One that is open or has the focus keeps it as long as the choices are the same.
 *
 * @param {HTMLSelectElement} select
 * @param {HTMLElement[]} choices options, and groups of them
 * @param {string} chosen
 */
function offer(select, choices, chosen) {
  const key = choices.map((choice) => choice.outerHTML).join('');
  if (select.getAttribute('data-holds') !== key) select.replaceChildren(...choices);
  select.setAttribute('data-holds', key);
  select.value = chosen;
}

/**
 * A box to tick for each model; one that has the focus keeps it.
 *
 * @param {HTMLElement} place
 * @param {ModelInfo[]} models
 * @param {string[]} chosen
 */
function tick(place, models, chosen) {
  const names = models.map(({ name }) => name).join(' ');
  if (place.getAttribute('data-holds') !== names) {
    place.replaceChildren(...models.map(({ name }) => make('label', { class: 'check' },
      make('input', { type: 'checkbox', value: name }), make('span', {}))));
  }
  place.setAttribute('data-holds', names);
  [...place.children].forEach((label, n) => {
    const model = models[n];
    const box = label.querySelector('input');
    if (!model || !box) return;
    box.checked = chosen.includes(model.name);
    write(label.querySelector('span') ?? undefined, short(model.name) + state(model));
  });
}

/**
 * @param {ModelInfo} model
 * @returns {HTMLElement}
 */
function option(model) {
  return make('option', { value: model.name }, short(model.name) + state(model));
}

/**
 * @param {ModelInfo} model
 * @returns {string} what is to be known before it is chosen
 */
function state({ state: now, error }) {
  return error ? ', unavailable' : STATES[now];
}
