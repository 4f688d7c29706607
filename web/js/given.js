/** A picture that was given: a file of this device, or an address that the server fetches. */

/** @import {Answer} from './types.js' */
/** @import {Asked} from './api.js' */

import { classifyAddress, classifyFile, ServiceProblem } from './api.js';

/**
 * @typedef {Object} Given
 * @property {string} name
 * @property {(image: HTMLImageElement) => Promise<void>} show fails with a sentence where this browser cannot
 * @property {(options: Asked) => Promise<Answer>} ask
 * @property {() => void} release
 */

/** @implements {Given} */
export class GivenFile {
  /** @param {File} file */
  constructor(file) {
    this.file = file;
    this.name = file.name;
    this.url = URL.createObjectURL(file);
  }

  /** @param {HTMLImageElement} image */
  async show(image) {
    image.src = this.url;
    await image.decode().catch(() => {
      throw new Error('This browser cannot show this file.');
    });
  }

  /**
   * A folder, or a file that has gone, would otherwise look like a lost connection.
   *
   * @param {Asked} options
   */
  async ask(options) {
    try {
      await this.file.slice(0, 1).arrayBuffer();
    } catch {
      throw new ServiceProblem('unreadable_file',
        'This browser cannot read the file any more. It may be a folder, or have been moved or changed: give it again.');
    }
    return classifyFile(this.file, options);
  }

  release() {
    URL.revokeObjectURL(this.url);
  }
}

/** @implements {Given} */
export class GivenAddress {
  /** @param {string} address */
  constructor(address) {
    this.name = address;
  }

  /** @param {HTMLImageElement} image */
  async show(image) {
    // The page's policy lets nothing of another site into it, and a site need not learn who looks.
    if (new URL(this.name).origin !== location.origin) {
      throw new Error('The server looks at this picture; the page itself shows none of other sites.');
    }
    image.src = this.name;
    await image.decode().catch(() => {
      throw new Error('This browser cannot show this picture.');
    });
  }

  /** @param {Asked} options */
  ask(options) {
    return classifyAddress(this.name, options);
  }

  release() {}
}
