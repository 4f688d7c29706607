/**
 * The service's answers as the page reads them. Types only: nothing here runs.
 *
 * @typedef {Object} Explanation
 * @property {string} label what it is about
 * @property {number[][]} map shares of the evidence, rows from the top of the upright face; positive spoke for the label
 * @property {[[number, number], [number, number], [number, number], [number, number]]} corners of the square under the
 *   map, in pixels of the upright picture: its top left, top right, bottom right, bottom left
 *
 * @typedef {Object} FaceResult
 * @property {[number, number, number, number]} box x, y, width, height in pixels of the upright picture
 * @property {number} score how sure the detector is, 0 to 1
 * @property {string | null} label
 * @property {number | null} probability
 * @property {Record<string, number>} probabilities highest first
 * @property {Explanation} [explanation] if it was asked for
 *
 * @typedef {Object} ImageResult
 * @property {{width: number, height: number} | null} size
 * @property {string | null} label
 * @property {number | null} probability
 * @property {Record<string, number>} probabilities
 * @property {FaceResult[]} faces largest first
 * @property {{code: string, detail: string} | null} error
 * @property {Explanation} [explanation] of the whole picture, for a model that wants no face
 *
 * @typedef {Object} Answer
 * @property {string} model
 * @property {string} version
 * @property {ImageResult[]} results
 * @property {Record<string, number>} timings_ms queue, decode, detect, classify, total
 * @property {string} request_id
 *
 * @typedef {Object} ModelInfo
 * @property {string} name
 * @property {Kind} kind
 * @property {'warm' | 'loading' | 'asleep'} state whether it answers at once
 * @property {string} version
 * @property {string} task
 * @property {string[]} labels
 * @property {boolean} faces whether the model reads faces (or whole pictures)
 * @property {boolean} explains whether it can tell which part of a face decided
 * @property {number} input_size side of the square the network sees, pixels
 * @property {string} network
 * @property {string} licence
 * @property {Record<string, unknown>} protocol
 * @property {Record<string, unknown>} trained_on
 * @property {Record<string, unknown>} metrics
 * @property {string | null} error a sentence while the model cannot be served
 *
 * @typedef {Object} ModelList
 * @property {string | null} default
 * @property {ModelInfo[]} models
 * @property {UrlInput} url_input
 *
 * @typedef {'expression' | 'smile' | 'things' | 'own'} Kind what a model tells of a picture
 * @typedef {'off' | 'https' | 'http'} UrlInput of which addresses the service fetches pictures
 *
 * @typedef {'auto' | 'all' | 'largest' | 'whole'} FaceSearch
 */
export {};
