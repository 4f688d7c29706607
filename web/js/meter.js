/** Results a second, over the last two seconds. */

const WINDOW_MS = 2_000;

export class RateMeter {
  constructor() {
    /** @type {number[]} times of results, milliseconds, oldest first */
    this.times = [];
  }

  /** @param {number} nowMs */
  tick(nowMs) {
    this.times.push(nowMs);
    while (this.times.length > 1 && nowMs - /** @type {number} */ (this.times[0]) > WINDOW_MS) this.times.shift();
  }

  /** @returns {number} 0 until there are two results */
  get perSecond() {
    const first = this.times[0];
    const last = this.times.at(-1);
    if (first === undefined || last === undefined || last === first) return 0;
    return ((this.times.length - 1) * 1000) / (last - first);
  }

  reset() {
    this.times = [];
  }
}
