/** The page without a server: the same page, its requests answered on this device. */

import { answerInstead } from '../api.js';
import { byId } from '../dom.js';
import { notice } from '../pictures.js';
import { Bridge } from './bridge.js';

const bridge = new Bridge();
answerInstead((path, init) => bridge.request(path, init));
const trouble = byId('trouble', HTMLElement);
notice(trouble, `Loading the model: ${byId('main', HTMLElement).dataset.loads}, once. `
  + 'Then pictures are read on this device.');
await import('../app.js');
