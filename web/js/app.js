/** Puts the page together: one thing on the stage at a time, pictures or the camera. */

import { showAbout } from './about.js';
import { announce } from './announce.js';
import { byId, make } from './dom.js';
import { mask } from './glyphs.js';
import { howMany, listen } from './intake.js';
import { askForKey } from './key.js';
import { LiveView } from './live-view.js';
import { example, notice, Pictures } from './pictures.js';
import { Service } from './service.js';
import { plain } from './words.js';

const EXPRESSIONS = ['anger', 'disgust', 'fear', 'happiness', 'neutral', 'sadness', 'surprise'];

const service = new Service();
const stage = byId('stage', HTMLElement);
const notices = byId('notices', HTMLElement);
const cameraButton = byId('camera', HTMLButtonElement);
const pictures = new Pictures(byId('results', HTMLElement), service);
const live = new LiveView(service, {
  open: () => setStage('camera'),
  closed: () => {
    setStage(pictures.cards.length ? 'pictures' : 'empty');
    cameraButton.focus();
  },
});

/** @param {'empty' | 'pictures' | 'camera'} what */
function setStage(what) {
  stage.setAttribute('data-shows', what);
  notice(notices, '');
}

/**
 * @param {File[]} files
 * @param {string} sentence about files left out
 */
async function take(files, sentence = '') {
  if (stage.getAttribute('data-shows') === 'camera') live.stop();
  setStage('pictures');
  announce(`Reading ${howMany(files)}.`);
  notice(notices, sentence);
  const reading = pictures.show(files);
  if (matchMedia('(max-width: 54rem)').matches) stage.scrollIntoView({ block: 'start' });
  await reading;
}

/** @param {string[]} labels few enough to draw */
function welcome(labels) {
  const faces = labels.every((label) => EXPRESSIONS.includes(label));
  const number = ['no', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine', 'ten'][labels.length];
  byId('knows', HTMLElement).textContent = `It knows ${number} ${faces ? 'expressions' : 'classes'}.`;
  byId('masks', HTMLElement).replaceChildren(
    ...labels.map((name) => make('li', {}, mask(name), make('span', {}, plain(name)))));
}

welcome(EXPRESSIONS);
for (const name of ['happiness', 'surprise', 'sadness']) byId('zone-masks', HTMLElement).append(mask(name));

listen((files, sentence) => void take(files, sentence), (sentence) => notice(notices, sentence));
byId('example', HTMLButtonElement).addEventListener('click', async () => take([await example()]));
cameraButton.addEventListener('click', () => void live.start());

const explain = byId('explain', HTMLInputElement);
explain.checked = false; // some browsers keep a switch's state over a reload
explain.addEventListener('change', () => service.explain(explain.checked));
service.addEventListener('explain', () => {
  byId('legend', HTMLElement).hidden = !service.explaining;
  void pictures.explain();
});

showAbout(service);
let known = '';
service.addEventListener('model', () => {
  if (known && known !== service.chosen && pictures.cards.length) void pictures.read();
  known = service.chosen ?? '';
  byId('tools', HTMLElement).hidden = !service.canExplain;
  if (service.labels.length) welcome(service.labels);
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
