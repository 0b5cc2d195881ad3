/**
 * Planes of the photo's size, a value a pixel, in rows from the top: packed as runs of equal values, and as the server
 * takes them.
 *
 * @typedef {Uint8Array | Uint32Array} Plane
 * @typedef {{values: Plane, lengths: Uint32Array}} Packed
 * @typedef {{values: string, lengths: string}} Wire
 * @typedef {{left: number, top: number, right: number, bottom: number}} Box
 */

/** @param {Plane} plane @returns {Packed} */
export function pack(plane) {
  const starts = plane.length ? [0] : [];
  for (let i = 1; i < plane.length; i++) if (plane[i] !== plane[i - 1]) starts.push(i);
  const values = starts.map((start) => plane[start]);
  return {
    values: plane instanceof Uint32Array ? Uint32Array.from(values) : Uint8Array.from(values),
    lengths: Uint32Array.from(starts, (start, run) => (starts[run + 1] ?? plane.length) - start),
  };
}

/** @template {Plane} P @param {Packed} packed @param {P} plane @returns {P} the same plane, filled */
export function unpack({ values, lengths }, plane) {
  let start = 0;
  for (let run = 0; run < values.length; run++) {
    plane.fill(values[run], start, start + lengths[run]);
    start += lengths[run];
  }
  return plane;
}

/** @param {number} size @returns {Packed} a plane of nothing but 0 */
export function blank(size) {
  return { values: Uint8Array.of(0), lengths: Uint32Array.of(size) };
}

/** @param {Packed} packed @returns {boolean} whether all of it is 0 */
export function isEmpty({ values }) {
  return values.every((value) => value === 0);
}

/** @param {Packed} packed @returns {Wire} */
export function toWire({ values, lengths }) {
  return { values: toBase64(values), lengths: toBase64(lengths) };
}

/** @param {Wire} wire @param {typeof Uint8Array | typeof Uint32Array} [Values] @returns {Packed} */
export function fromWire({ values, lengths }, Values = Uint8Array) {
  return { values: new Values(fromBase64(values).buffer), lengths: new Uint32Array(fromBase64(lengths).buffer) };
}

/**
 * The pixels of a part of the photo.
 *
 * @param {Box} box @param {(x: number, y: number) => number} colourAt as RGBA in the bytes of 32 bits, red lowest
 */
export function render({ left, top, right, bottom }, colourAt) {
  const image = new ImageData(right - left, bottom - top), pixels = new Uint32Array(image.data.buffer);
  for (let y = top, i = 0; y < bottom; y++) for (let x = left; x < right; x++, i++) pixels[i] = colourAt(x, y);
  return image;
}

/** @param {string} text @returns {Uint8Array<ArrayBuffer>} */
export function fromBase64(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

/** @param {Plane} array */
function toBase64(array) {
  const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  let text = "";
  for (let i = 0; i < bytes.length; i += 32768) text += String.fromCharCode(...bytes.subarray(i, i + 32768));
  return btoa(text);
}
