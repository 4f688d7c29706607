/** Frames of a video: the newest one, each at most once, as JPEG. */

const WIDEST = 640;
/** Of 120 faces 118 get the label they get at 0.95 (117 at 0.7, which saves 4 KB of 23), and as many faces are found. */
const JPEG_QUALITY = 0.8;

/** Tells when the video shows a frame that has not been taken yet. */
export class FreshFrames {
  /** @param {HTMLVideoElement} video */
  constructor(video) {
    this.video = video;
    this.fresh = false;
    this.running = true;
    /** When the newest frame was captured, or shown where the browser does not tell; as performance.now(). */
    this.capturedMs = 0;
    /** @type {(() => void) | null} */
    this.waiting = null;
    this.watch();
  }

  watch() {
    if (!this.running) return;
    const came = (/** @type {number} */ nowMs, /** @type {VideoFrameCallbackMetadata | undefined} */ about = undefined) => {
      this.fresh = true;
      this.capturedMs = about?.captureTime ?? nowMs;
      this.waiting?.();
      this.watch();
    };
    // Without the video's own callback the screen's refresh has to do: a frame may then be taken twice.
    if ('requestVideoFrameCallback' in this.video) this.video.requestVideoFrameCallback(came);
    else requestAnimationFrame((nowMs) => came(nowMs));
  }

  /** Resolves at once if a frame came since the last call, else when the next one comes (or at `stop`). */
  async next() {
    if (!this.fresh && this.running) await new Promise((resolve) => { this.waiting = () => resolve(undefined); });
    this.waiting = null;
    this.fresh = false;
  }

  stop() {
    this.running = false;
    this.waiting?.();
  }
}

/** Draws frames into one canvas kept for all of them. */
export class FrameTaker {
  constructor() {
    this.canvas = document.createElement('canvas');
    // Kept in main memory, where the JPEG encoder reads it: drawing then costs 0.3 ms instead of 2.3.
    this.pen = this.canvas.getContext('2d', { alpha: false, willReadFrequently: true });
  }

  /**
   * @param {HTMLVideoElement} video
   * @returns {Promise<{jpeg: Blob, width: number, height: number} | null>} null while the video has no picture
   */
  async take(video) {
    const { videoWidth, videoHeight } = video;
    if (!videoWidth || !videoHeight || !this.pen) return null;
    const scale = Math.min(1, WIDEST / videoWidth);
    const width = Math.round(videoWidth * scale);
    const height = Math.round(videoHeight * scale);
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
    }
    this.pen.drawImage(video, 0, 0, width, height);
    const jpeg = await new Promise((resolve) => {
      this.canvas.toBlob(resolve, 'image/jpeg', JPEG_QUALITY);
    });
    return jpeg ? { jpeg, width, height } : null;
  }
}
