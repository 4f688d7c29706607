/** What is looked at: the kind, the model of it (or several, averaged), and the one beside it. */

/** @import {Kind, ModelInfo} from './types.js' */
/** @import {Asked} from './api.js' */
/** @import {Service} from './service.js' */
/** @import {Wanted} from './address.js' */

import { format, parse } from './address.js';
import { average, members, short } from './average.js';
import { EXPRESSIONS, ORDER, PARTNERS } from './kinds.js';

/** A model with more labels than this is asked for its best few only; so are those that name things. */
const MOST_LABELS = 10;
const BEST = 5;

/** What is asked before the service has told its models: its default. @type {ModelInfo} */
const UNKNOWN = {
  name: '', kind: 'expression', state: 'warm', version: '', task: 'classification', labels: EXPRESSIONS, faces: true,
  explains: false, input_size: 0, network: '', licence: '', protocol: {}, trained_on: {}, metrics: {}, error: null,
};

/**
 * One model that is asked, and where it stands: alone, or at the left or right.
 *
 * @typedef {Object} Side
 * @property {ModelInfo} model
 * @property {string} title
 * @property {string[]} labels to hold rows for; none where only the best are shown
 */

export class View extends EventTarget {
  /** @param {Service} service */
  constructor(service) {
    super();
    this.service = service;
    /** @type {Kind} */
    this.kind = 'expression';
    /** @type {Side[]} the model that is asked, and the one beside it if any; another array after each change */
    this.sides = [side(UNKNOWN)];
    /** Whether every answer is to tell what decided. */
    this.explaining = false;
    /** What could not be shown as the address had it, in a sentence. */
    this.complaint = '';
    /** @type {Map<Kind, Wanted>} what each tab showed last */
    this.last = new Map();
    service.addEventListener('models', () => this.settle(parse(location.hash) ?? this.now));
    addEventListener('hashchange', () => {
      const wanted = parse(location.hash);
      if (wanted) this.settle(wanted);
    });
  }

  /** @returns {Wanted} */
  get now() {
    const [model, beside] = this.sides.map((one) => one.model.name);
    return { kind: model ? this.kind : null, model: model || null, beside: beside ?? null };
  }

  /** @returns {Kind[]} that there are models of, in order */
  get kinds() {
    return ORDER.filter((kind) => this.of(kind).length);
  }

  /** @returns {ModelInfo | null} */
  get model() {
    return this.sides[0]?.model ?? null;
  }

  /** @returns {ModelInfo | null} the model that reads the same faces for something else */
  get partner() {
    const kind = PARTNERS[this.kind];
    return (kind && this.best(kind)) ?? null;
  }

  /** @returns {boolean} */
  get canExplain() {
    return this.model?.explains ?? false;
  }

  /**
   * @param {Kind} kind
   * @returns {ModelInfo[]}
   */
  of(kind) {
    return this.service.models.filter((model) => model.kind === kind);
  }

  /**
   * @param {Kind} kind
   * @returns {ModelInfo | undefined} the one to begin with: the default, else one that answers at once
   */
  best(kind) {
    const models = this.of(kind);
    return models.find(({ name }) => name === this.service.byDefault)
      ?? models.find(({ state }) => state === 'warm') ?? models.find(({ error }) => !error) ?? models[0];
  }

  /**
   * @param {string | null} name
   * @returns {ModelInfo | undefined} also of an average
   */
  find(name) {
    if (name === null) return undefined;
    return this.service.models.find((model) => model.name === name) ?? average(members(name), this.service.models);
  }

  /** @param {Kind} kind as it was left */
  open(kind) {
    if (kind === this.kind) return;
    this.service.refresh();
    this.go(this.last.get(kind) ?? { kind, model: null, beside: null }, true);
  }

  /** @param {string} name of the kind that is shown */
  choose(name) {
    this.service.refresh();
    const beside = this.now.beside === name ? null : this.now.beside;
    this.go({ kind: this.kind, model: name, beside });
  }

  /** @param {string | null} name of any kind */
  compare(name) {
    this.go({ ...this.now, beside: name });
  }

  /**
   * @param {Wanted} wanted
   * @param {boolean} anew whether going back leads to what is shown now
   */
  go(wanted, anew = false) {
    if (anew && !parse(location.hash) && this.now.kind) history.replaceState(null, '', format(this.now)); // to go back to
    this.settle(wanted);
    const hash = format(this.now);
    if (hash === location.hash) return;
    if (anew) history.pushState(null, '', hash);
    else history.replaceState(null, '', hash);
  }

  /**
   * Shows what is wanted as far as it is there.
   *
   * @param {Wanted} wanted
   */
  settle(wanted) {
    const asked = this.find(wanted.model);
    const byDefault = this.find(this.service.byDefault)?.kind;
    const kind = [asked?.kind, wanted.kind, byDefault, this.kinds[0]].find((one) => one && this.of(one).length);
    const model = asked ?? (kind && this.best(kind));
    const beside = wanted.beside === model?.name ? undefined : this.find(wanted.beside);
    const missing = [wanted.model, wanted.beside].filter((name) => name && !this.find(name));
    this.complaint = missing.length ? `There is no model ${missing.join(' and no model ')} here.` : '';
    if (!missing.length && wanted.kind && wanted.kind !== kind) {
      this.complaint = `There is no model of the kind “${wanted.kind}” here.`;
    }
    const unable = [model, beside].flatMap((one) => one?.error ?? []);
    if (unable.length) this.complaint = `${unable.join(' ')} It is tried again when it is asked.`;
    if (!kind || !model) return;
    this.kind = kind;
    this.sides = [model, ...(beside ? [beside] : [])].map(side);
    this.last.set(kind, this.now);
    this.dispatchEvent(new Event('change'));
  }

  /** @param {boolean} yes */
  explain(yes) {
    this.explaining = yes;
    this.dispatchEvent(new Event('explain'));
  }

  /**
   * @param {Side} which
   * @returns {Asked} what every request to it says
   */
  options(which) {
    const { model } = which;
    return {
      ...(model.name && this.service.models.length > 1 ? { model: model.name } : {}),
      ...(which.labels.length ? {} : { top: BEST }),
      ...(this.explains(which) ? { explain: true } : {}),
    };
  }

  /**
   * @param {Side} which
   * @returns {boolean} whether it is to tell what decided: the first alone, there is one picture to show it on
   */
  explains(which) {
    return this.explaining && which.model.name === this.model?.name && this.canExplain;
  }

  /**
   * @param {Side} which
   * @returns {boolean} whether somebody must load it first
   */
  sleeping(which) {
    const names = membersOf(which);
    return this.service.models.some(({ name, state }) => names.includes(name) && state !== 'warm');
  }

  /** @returns {string} the same as long as the same models are asked */
  get key() {
    return this.sides.map(({ model }) => model.name).join(' ');
  }
}

/**
 * @param {Side} which
 * @returns {string[]} the models that are asked: itself, or those that are averaged
 */
export function membersOf({ model }) {
  const of = members(model.name);
  return of.length ? of : [model.name];
}

/**
 * @param {ModelInfo} model
 * @returns {Side}
 */
function side(model) {
  const few = model.kind !== 'things' && model.labels.length <= MOST_LABELS;
  return { model, title: short(model.name), labels: few ? model.labels : [] };
}
