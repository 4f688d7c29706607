/** The camera on the page: the mirrored view, the boxes over it, the bars beside it, start and stop. */

/** @import {Answer} from './types.js' */
/** @import {Frame} from './live-loop.js' */
/** @import {View} from './view.js' */

import { announce, murmur } from './announce.js';
import { ServiceProblem } from './api.js';
import { Boxes } from './boxes.js';
import { cameras, CameraProblem, closeCamera, openCamera } from './camera.js';
import { byId, make, write } from './dom.js';
import { Heat } from './heat.js';
import { readLive } from './live-loop.js';
import { LiveReadings } from './live-readings.js';
import { RateMeter } from './meter.js';
import { tellTimings } from './timings.js';
import { membersOf } from './view.js';
import { explanations, why } from './why.js';
import { count } from './words.js';

const FIGURES_EVERY_MS = 400;
/** One measure a frame: from its capture to its answer on the page. */
const FRAME = 'hyojo-frame';

export class LiveView {
  /**
   * @param {View} view
   * @param {{open: () => void, closed: () => void}} events
   */
  constructor(view, events) {
    this.view = view;
    this.events = events;
    this.section = byId('live', HTMLElement);
    this.video = byId('video', HTMLVideoElement);
    this.picture = byId('live-picture', HTMLElement);
    this.curtain = byId('curtain', HTMLElement);
    this.note = byId('live-note', HTMLElement);
    this.rate = byId('rate', HTMLElement);
    this.timing = byId('live-timing', HTMLElement);
    this.resume = byId('resume', HTMLButtonElement);
    this.stopWord = byId('stop-word', HTMLElement);
    this.choice = byId('cameras', HTMLSelectElement);
    this.boxes = new Boxes(byId('live-boxes', HTMLElement));
    this.heat = new Heat(this.picture);
    this.why = byId('live-why', HTMLElement);
    this.readings = new LiveReadings(byId('live-reading', HTMLElement), view);
    this.meter = new RateMeter();
    this.figuresMs = 0;
    /** @type {number | null} */
    this.fromCameraMs = null;
    this.mirrored = true;
    /** @type {MediaStream | null} */
    this.stream = null;
    /** @type {AbortController | null} */
    this.running = null;
    /** @type {string | null} */
    this.deviceId = null;
    this.listen();
  }

  listen() {
    byId('stop', HTMLButtonElement).addEventListener('click', () => this.stop());
    this.resume.addEventListener('click', () => void this.start());
    this.choice.addEventListener('change', () => void this.start(this.choice.value));
    addEventListener('keydown', (event) => {
      if (event.key === 'Escape' && !this.section.hidden) this.stop();
    });
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden || !this.running) return;
      this.halt('paused', 'The camera was stopped while this page was out of sight.');
    });
    addEventListener('pagehide', () => { // the browser may keep the page and show it again
      if (this.running) this.halt('paused', 'The camera was stopped when this page was left.');
    });
    this.view.addEventListener('change', () => {
      if (!this.readings.arrange()) return;
      this.boxes.clear();
      this.forget();
    });
    this.view.addEventListener('explain', () => this.forget()); // until the next frame is answered
  }

  /** @param {string | null} deviceId */
  async start(deviceId = this.deviceId) {
    this.release();
    const running = new AbortController();
    this.running = running;
    this.section.hidden = false;
    this.become('opening', 'Waiting for the camera: the browser may ask whether this page may use it.');
    this.readings.blank('opening');
    this.events.open();
    this.section.scrollIntoView({ block: 'nearest' });
    if (document.activeElement !== this.choice) byId('stop', HTMLButtonElement).focus({ preventScroll: true });
    try {
      const camera = await openCamera(deviceId);
      if (running.signal.aborted) return closeCamera(camera.stream); // stopped while the browser was asking
      this.stream = camera.stream;
      this.deviceId = camera.deviceId;
      this.mirrored = camera.mirrored;
      this.video.toggleAttribute('data-mirrored', camera.mirrored);
      camera.stream.getVideoTracks()[0]?.addEventListener('ended', () => {
        if (this.running !== running) return;
        this.halt('failed', 'The camera went away. Connect it again, then start it again.');
      });
      this.video.srcObject = camera.stream;
      await Promise.all([this.video.play(), this.offerChoice()]);
      if (running.signal.aborted) return;
      this.picture.style.setProperty('--ratio', String(this.video.videoWidth / this.video.videoHeight || 4 / 3));
      announce('The camera is on. Press Escape to stop it.');
      this.become('live', '');
      this.readings.wait();
      this.meter.reset();
      await readLive(this.video, this.view, running.signal, {
        result: (answers, frame, roundTripMs) => this.show(answers, frame, roundTripMs),
        problem: (problem, waitS) => this.wait(problem, waitS),
      });
    } catch (error) {
      if (running.signal.aborted) return;
      const known = error instanceof CameraProblem;
      this.halt('failed', known ? error.message : 'The camera’s picture could not be shown. Start it again.');
      if (!known) throw error;
    }
  }

  /** Ends the camera and puts the view away. */
  stop() {
    this.release();
    this.section.hidden = true;
    announce('The camera is off.');
    this.events.closed();
  }

  /**
   * Ends the camera but keeps the view, with the way back in it.
   *
   * @param {'paused' | 'failed'} state
   * @param {string} sentence
   */
  halt(state, sentence) {
    this.release();
    this.become(state, sentence);
    this.readings.blank(state === 'paused' ? 'paused' : 'no camera');
    announce(sentence);
  }

  release() {
    this.running?.abort();
    this.running = null;
    if (this.stream) closeCamera(this.stream);
    this.stream = null;
    this.video.srcObject = null;
    this.boxes.clear();
    this.forget();
    this.rate.textContent = '';
    this.timing.textContent = '';
  }

  forget() {
    this.heat.clear();
    this.why.textContent = '';
  }

  async offerChoice() {
    const all = await cameras();
    this.choice.replaceChildren(...all.map(({ id, name }) =>
      make('option', { value: id, selected: id === this.deviceId }, name)));
    byId('cameras-field', HTMLElement).hidden = all.length < 2;
  }

  /**
   * @param {Answer[]} answers one a model
   * @param {Frame} frame the answers are of
   * @param {number} roundTripMs
   */
  show(answers, frame, roundTripMs) {
    this.view.service.answered(...this.view.sides.flatMap(membersOf));
    this.become('live', '');
    const results = answers.map((answer) => answer.results[0]);
    const [result] = results;
    this.boxes.show(results.find((one) => one?.faces.length)?.faces ?? [], frame, { mirrored: this.mirrored });
    const told = this.view.explaining ? explanations(result) : [];
    this.heat.show(told, frame, this.mirrored);
    murmur(this.readings.show(results));
    requestAnimationFrame(() => this.timed(frame.capturedMs)); // called when this is about to be painted
    const nowMs = performance.now();
    this.meter.tick(nowMs);
    if (nowMs - this.figuresMs < FIGURES_EVERY_MS) return; // figures that flicker cannot be read
    this.figuresMs = nowMs;
    this.rate.textContent = this.meter.perSecond ? `${this.meter.perSecond.toFixed(0)} frames a second` : '';
    const slowest = answers.reduce((one, other) => ((other.timings_ms.total ?? 0) > (one.timings_ms.total ?? 0) ? other : one));
    this.timing.textContent = tellTimings(slowest.timings_ms, roundTripMs, this.fromCameraMs);
    this.why.textContent = why(told[0], result?.faces.length ? 'face' : 'picture');
  }

  /**
   * Takes note of how old a frame is when its answer can be seen; browsers' developer tools show it as User Timing.
   *
   * @param {number} capturedMs
   */
  timed(capturedMs) {
    const shownMs = performance.now();
    this.fromCameraMs = shownMs - capturedMs;
    performance.measure(FRAME, { start: capturedMs, end: shownMs });
    performance.clearMeasures(FRAME); // who listens has been told; else they would pile up
  }

  /**
   * @param {ServiceProblem} problem
   * @param {number} waitS
   */
  wait(problem, waitS) {
    this.view.service.note(problem);
    this.meter.reset();
    this.rate.textContent = '';
    this.boxes.clear();
    this.forget();
    this.readings.blank('waiting');
    const said = problem.passing && problem.code !== 'unreachable' && problem.code !== 'not_ready'
      ? 'The server is busy.' : problem.message;
    this.become('busy', `${said} Trying again in ${count(Math.ceil(waitS), 'second')}.`);
    murmur(said);
  }

  /**
   * @param {'opening' | 'live' | 'busy' | 'paused' | 'failed'} state
   * @param {string} sentence
   */
  become(state, sentence) {
    if (this.section.getAttribute('data-state') !== state) this.section.setAttribute('data-state', state);
    write(this.note, sentence);
    this.curtain.hidden = state === 'live';
    const off = state === 'paused' || state === 'failed';
    this.resume.hidden = !off;
    write(this.stopWord, off ? 'Close' : 'Stop the camera');
  }
}
