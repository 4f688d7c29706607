/** The camera: opening it, choosing one, and saying in a sentence why it will not open. */

/** @typedef {{stream: MediaStream, deviceId: string, mirrored: boolean}} OpenCamera */

const WANTED = { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 30 } };

/** The camera cannot be used; `message` says why and what to do. */
export class CameraProblem extends Error {
  /**
   * @param {'insecure' | 'unsupported' | 'refused' | 'none' | 'taken' | 'failed'} code
   * @param {string} sentence
   */
  constructor(code, sentence) {
    super(sentence);
    this.name = 'CameraProblem';
    this.code = code;
  }
}

/**
 * @param {string | null} deviceId one of `cameras()`, or null for the browser's own choice; so too where it has gone
 * @returns {Promise<OpenCamera>}
 * @throws {CameraProblem}
 */
export async function openCamera(deviceId = null) {
  if (!isSecureContext) {
    throw new CameraProblem('insecure',
      'Browsers open the camera only on https pages and on this computer itself. '
      + `This page came from ${location.origin}. `
      + `Open http://127.0.0.1:${location.port || 80}/ on the computer that runs Hyojo, or serve it over https.`);
  }
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new CameraProblem('unsupported',
      'This browser cannot open a camera. Use a current Firefox, Chrome, Edge or Safari.');
  }
  try {
    const video = { ...WANTED, ...(deviceId ? { deviceId: { exact: deviceId } } : { facingMode: 'user' }) };
    const stream = await navigator.mediaDevices.getUserMedia({ video, audio: false });
    const settings = stream.getVideoTracks()[0]?.getSettings() ?? {};
    return {
      stream,
      deviceId: settings.deviceId ?? '',
      mirrored: settings.facingMode !== 'environment', // one looks into it as into a mirror
    };
  } catch (error) {
    const problem = problemOf(error instanceof Error ? error.name : '');
    if (deviceId && problem.code === 'none') return openCamera(); // that one has gone: another may be there
    throw problem;
  }
}

/**
 * @param {string} name of the browser's error
 * @returns {CameraProblem}
 */
function problemOf(name) {
  switch (name) {
    case 'NotAllowedError':
    case 'SecurityError':
      return new CameraProblem('refused',
        'The browser does not let this page use the camera. Allow it beside the address '
        + '(or in the system’s privacy settings), then start the camera again.');
    case 'NotFoundError':
    case 'OverconstrainedError':
      return new CameraProblem('none', 'No camera was found. Connect one, then start the camera again.');
    case 'NotReadableError':
    case 'AbortError':
      return new CameraProblem('taken',
        'The camera does not answer. Another program may be using it: close that one, then start the camera again.');
    default:
      return new CameraProblem('failed',
        'The camera could not be opened. Connect it anew or restart the browser, then start the camera again.');
  }
}

/** @param {MediaStream} stream */
export function closeCamera(stream) {
  for (const track of stream.getTracks()) track.stop();
}

/** @returns {Promise<{id: string, name: string}[]>} named once the camera has been allowed */
export async function cameras() {
  const devices = await navigator.mediaDevices.enumerateDevices();
  return devices
    .filter((device) => device.kind === 'videoinput')
    .map((device, index) => ({ id: device.deviceId, name: device.label || `Camera ${index + 1}` }));
}
