/** Planes of the photo's size: packed as runs of equal values in base64, as the server takes them; and as pixels to look at. */

/** @param {Plane} plane @returns {Packed} */
export function pack(plane) {
  const starts = plane.length ? [0] : [], at = (/** @type {number} */ start) => plane[start];
  for (let i = 1; i < plane.length; i++) if (plane[i] !== plane[i - 1]) starts.push(i);
  const values = plane instanceof Uint32Array ? Uint32Array.from(starts, at) : Uint8Array.from(starts, at);
  const lengths = Uint32Array.from(starts, (start, run) => (starts[run + 1] ?? plane.length) - start);
  return { values: toBase64(values), lengths: toBase64(lengths) };
}

/** @template {Plane} P @param {Packed} packed @param {P} plane @returns {P} the same plane, filled */
export function unpack(packed, plane) {
  const values = fromBase64(packed.values, plane instanceof Uint32Array ? Uint32Array : Uint8Array);
  let start = 0;
  fromBase64(packed.lengths, Uint32Array).forEach((length, run) => {
    plane.fill(values[run], start, start + length);
    start += length;
  });
  return plane;
}

/** @param {Packed} packed @returns {boolean} whether all of it is 0 */
export function isEmpty({ values }) {
  return !fromBase64(values, Uint8Array).some(Boolean);
}

/** The pixels of a part of the photo. @param {Box} box @param {Colouring} colourAt */
export function render({ left, top, right, bottom }, colourAt) {
  const image = new ImageData(right - left, bottom - top), pixels = new Uint32Array(image.data.buffer);
  for (let y = top, i = 0; y < bottom; y++) for (let x = left; x < right; x++, i++) pixels[i] = colourAt(x, y);
  return image;
}

/** The same as a PNG. @param {Box} box @param {Colouring} colourAt */
export function renderPng(box, colourAt) {
  const canvas = new OffscreenCanvas(box.right - box.left, box.bottom - box.top);
  canvas.getContext("2d")?.putImageData(render(box, colourAt), 0, 0);
  return canvas.convertToBlob({ type: "image/png" });
}

/** @param {string} text @param {typeof Uint8Array | typeof Uint32Array} Values */
export function fromBase64(text, Values) {
  const letters = atob(text), bytes = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i++) bytes[i] = letters.charCodeAt(i);
  return new Values(bytes.buffer);
}

/** @param {Plane} array */
function toBase64(array) {
  const bytes = new Uint8Array(array.buffer);
  let text = "";
  for (let i = 0; i < bytes.length; i += 32768) text += String.fromCharCode(...bytes.subarray(i, i + 32768));
  return btoa(text);
}
