/** A tab for each kind of model that there is; none where there is one kind only. */

/** @import {Kind} from './types.js' */
/** @import {View} from './view.js' */

import { byId, make } from './dom.js';
import { KINDS } from './kinds.js';

/** @type {Record<string, (at: number, all: number) => number>} which tab a key leads to */
const STEPS = {
  ArrowRight: (at, all) => (at + 1) % all,
  ArrowLeft: (at, all) => (at + all - 1) % all,
  Home: () => 0,
  End: (_, all) => all - 1,
};

/** @param {View} view */
export function showTabs(view) {
  const bar = byId('tabs', HTMLElement);
  const panel = byId('panel', HTMLElement);
  /** @type {Map<Kind, HTMLElement>} */
  let tabs = new Map();

  const build = () => {
    tabs = new Map(view.kinds.map((kind) => [kind, make('button', {
      type: 'button', role: 'tab', class: 'tab', id: `tab-${kind}`, 'aria-controls': 'panel',
    }, KINDS[kind].tab)]));
    for (const [kind, tab] of tabs) tab.addEventListener('click', () => view.open(kind));
    bar.replaceChildren(...tabs.values());
    bar.hidden = tabs.size < 2;
    if (bar.hidden) panel.removeAttribute('role');
    else panel.setAttribute('role', 'tabpanel');
  };

  view.addEventListener('change', () => {
    if (view.kinds.join() !== [...tabs.keys()].join()) build();
    for (const [kind, tab] of tabs) {
      tab.setAttribute('aria-selected', String(kind === view.kind));
      tab.setAttribute('tabindex', kind === view.kind ? '0' : '-1');
    }
    if (bar.hidden) panel.removeAttribute('aria-labelledby');
    else panel.setAttribute('aria-labelledby', `tab-${view.kind}`);
  });

  bar.addEventListener('keydown', (event) => {
    const kinds = [...tabs.keys()];
    const to = STEPS[event.key]?.(kinds.indexOf(view.kind), kinds.length);
    const kind = to === undefined ? undefined : kinds[to];
    if (!kind || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    view.open(kind);
    tabs.get(kind)?.focus();
  });
}
