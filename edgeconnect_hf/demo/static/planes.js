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
  let count = plane.length ? 1 : 0;
  for (let i = 1; i < plane.length; i++) if (plane[i] !== plane[i - 1]) count++;
  const Values = plane instanceof Uint32Array ? Uint32Array : Uint8Array;
  const packed = { values: new Values(count), lengths: new Uint32Array(count) };
  for (let i = 0, run = 0; run < count; run++) {
    const start = i, value = plane[i];
    while (i < plane.length && plane[i] === value) i++;
    packed.values[run] = value;
    packed.lengths[run] = i - start;
  }
  return packed;
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

/** @param {Packed} packed @returns {Wire} */
export function toWire({ values, lengths }) {
  return { values: toBase64(values), lengths: toBase64(lengths) };
}

/** @param {Wire} wire @returns {Packed} */
export function fromWire({ values, lengths }) {
  return { values: fromBase64(values), lengths: new Uint32Array(fromBase64(lengths).buffer) };
}

/** @param {Packed} packed @returns {boolean} whether all of it is 0 */
export function isEmpty({ values }) {
  return values.every((value) => value === 0);
}

/** The smallest box around all that is not 0. @param {Plane} plane @param {number} width @param {number} height @returns {Box} */
export function bounds(plane, width, height) {
  const box = { left: width, top: height, right: 0, bottom: 0 };
  for (let y = 0, i = 0; y < height; y++) for (let x = 0; x < width; x++, i++) {
    if (!plane[i]) continue;
    box.left = Math.min(box.left, x);
    box.right = Math.max(box.right, x + 1);
    box.top = Math.min(box.top, y);
    box.bottom = y + 1;
  }
  return box;
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
