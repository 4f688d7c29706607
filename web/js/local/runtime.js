/** ONNX Runtime Web, from this folder: one thread, so that no header of the host is needed. */

/** @typedef {{data: Float32Array, dims: readonly number[]}} Tensor */
/** @typedef {(pixels: Float32Array, shape: number[]) => Promise<Record<string, Tensor>>} Run outputs by name */

const MODULE = 'runtime/ort.wasm.bundle.min.mjs';
const CODE = 'runtime/ort-wasm-simd-threaded.wasm';

export class Runtime {
  /** @param {URL} base of the page's folder */
  constructor(base) {
    this.base = base;
    /** @type {Promise<any> | null} */
    this.loading = null;
  }

  /** @returns {Promise<any>} the module, once */
  module() {
    this.loading ??= import(new URL(MODULE, this.base).href).then((ort) => {
      ort.env.logLevel = 'error';
      ort.env.wasm.numThreads = 1;
      ort.env.wasm.wasmPaths = { wasm: new URL(CODE, this.base).href };
      return ort;
    });
    return this.loading;
  }

  /**
   * @param {string} file of the network, from the page's folder
   * @returns {Promise<Run>} takes the one input, called image
   */
  async network(file) {
    const ort = await this.module();
    const session = await ort.InferenceSession.create(new URL(file, this.base).href, {
      executionProviders: ['wasm'], logSeverityLevel: 3,
    });
    return (pixels, shape) => session.run({ image: new ort.Tensor('float32', pixels, shape) });
  }
}
