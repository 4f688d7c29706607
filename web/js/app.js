/** Puts the page together: one thing on the stage at a time, pictures or the camera. */

/** @import {Given} from './given.js' */

import { showAbout } from './about.js';
import { announce } from './announce.js';
import { ServiceProblem } from './api.js';
import { showChooser } from './chooser.js';
import { byId } from './dom.js';
import { howMany, listen } from './intake.js';
import { askForKey } from './key.js';
import { KINDS } from './kinds.js';
import { takeAddresses } from './links.js';
import { LiveView } from './live-view.js';
import { example, notice, Pictures } from './pictures.js';
import { showScene } from './scene.js';
import { Service } from './service.js';
import { showTabs } from './tabs.js';
import { View } from './view.js';

const service = new Service();
const view = new View(service);
const stage = byId('stage', HTMLElement);
const notices = byId('notices', HTMLElement);
const cameraButton = byId('camera', HTMLButtonElement);
const pictures = new Pictures(byId('results', HTMLElement), view);
const live = new LiveView(view, {
  open: () => setStage('camera'),
  closed: () => {
    setStage(pictures.cards.length ? 'pictures' : 'empty');
    cameraButton.focus();
    if (outdated) readAgain();
  },
});
/** Whether the pictures behind the camera were read by other models than those that are chosen now. */
let outdated = false;
/** How often something else came onto the stage. */
let changes = 0;
/** @param {string} sentence */
const say = (sentence) => notice(notices, sentence);

/** @param {'empty' | 'pictures' | 'camera'} what */
function setStage(what) {
  stage.setAttribute('data-shows', what);
  changes += 1;
  say('');
}

function readAgain() {
  outdated = stage.getAttribute('data-shows') === 'camera';
  if (!outdated) void pictures.again();
}

/**
 * @param {Given[]} given
 * @param {string} sentence about pictures left out
 */
async function take(given, sentence = '') {
  outdated = false;
  if (stage.getAttribute('data-shows') === 'camera') live.stop();
  setStage('pictures');
  announce(`Reading ${howMany(given)}.`);
  say(sentence);
  const reading = pictures.show(given);
  if (matchMedia('(max-width: 54rem)').matches) stage.scrollIntoView({ block: 'start' });
  await reading;
}

const takeAddress = takeAddresses(service, (given, sentence) => void take(given, sentence), say);
listen((given, sentence) => void take(given, sentence), say, takeAddress);
byId('example', HTMLButtonElement).addEventListener('click', async () => {
  const asked = changes;
  try {
    const given = await example(view.model?.faces ? 'example.jpg' : KINDS[view.kind].example);
    if (asked === changes) await take([given]); // else something else was given meanwhile
  } catch (error) {
    if (!(error instanceof ServiceProblem)) throw error;
    if (asked === changes) say(error.message);
  }
});
cameraButton.addEventListener('click', () => void live.start());
byId('skip', HTMLAnchorElement).addEventListener('click', (event) => {
  event.preventDefault(); // the address keeps the tab
  stage.focus();
});

const explain = byId('explain', HTMLInputElement);
explain.checked = false; // some browsers keep a switch's state over a reload
explain.addEventListener('change', () => view.explain(explain.checked));
view.addEventListener('explain', () => {
  byId('legend', HTMLElement).hidden = !view.explaining;
  void pictures.explain();
});

showTabs(view);
showScene(view);
showChooser(view, say);
showAbout(view);
let shown = view.key;
let complaint = '';
view.addEventListener('change', () => {
  if (shown !== view.key && pictures.cards.length) readAgain();
  shown = view.key;
  byId('explain-switch', HTMLElement).hidden = !view.canExplain;
  byId('legend', HTMLElement).hidden = !view.explaining || !view.canExplain;
  byId('tools', HTMLElement).hidden = !view.canExplain && !view.partner;
  if (view.complaint !== complaint) say(view.complaint);
  complaint = view.complaint;
});
service.addEventListener('state', () => {
  const badge = byId('service', HTMLElement);
  badge.setAttribute('data-state', service.state);
  badge.textContent = {
    ready: 'Ready', starting: 'Warming up', busy: 'Busy', away: 'Not reachable', locked: 'Wants a key',
  }[service.state];
  badge.title = service.sentence;
  const trouble = service.state === 'away' || service.state === 'starting';
  notice(byId('trouble', HTMLElement), trouble ? `${service.sentence} This page tries again by itself.` : '');
});
askForKey(service);
void service.waitUntilReady();
