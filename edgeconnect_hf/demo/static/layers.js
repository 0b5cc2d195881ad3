/** What is shown over the photo: the result, the hole, the lines, the colours. */

import { DRAWN } from "./work.js";

/** @typedef {import("./planes.js").Box} Box @typedef {import("./work.js").Work} Work */

const MOST_PIXELS = 8e6; // of the layer; over a larger photo, one of its pixels stands for several

/** @param {number} red @param {number} green @param {number} blue @param {number} alpha */
const colour = (red, green, blue, alpha) => ((alpha << 24) | (blue << 16) | (green << 8) | red) >>> 0;
const HOLE = colour(225, 29, 72, 130), RIM = colour(225, 29, 72, 230);
const KNOWN = colour(17, 24, 39, 0), IMAGINED = colour(194, 65, 12, 0), MINE = colour(29, 78, 216, 0);

export class Layers {
  /** @param {HTMLElement} stage @param {Work} work */
  constructor(stage, work) {
    this.stage = stage;
    this.work = work;
    this.photo = /** @type {HTMLImageElement} */ (stage.querySelector(".ec-photo"));
    this.result = /** @type {HTMLImageElement} */ (stage.querySelector(".ec-result"));
    this.canvas = /** @type {HTMLCanvasElement} */ (stage.querySelector(".ec-layer"));
    this.context = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d"));
    this.shows = { lines: false, hole: true };
    /** @type {Box | null} what is to be drawn with the next frame */
    this.waiting = null;
    this.step = 1; // pixels of the photo to one of the layer, across and down
  }

  /** Show the present state. */
  show() {
    const { photo, width, height, state } = this.work;
    if (!photo) return;
    const step = Math.ceil(Math.sqrt((width * height) / MOST_PIXELS));
    const [across, down] = [Math.ceil(width / step), Math.ceil(height / step)];
    if (this.canvas.width !== across || this.canvas.height !== down) [this.canvas.width, this.canvas.height] = [across, down];
    this.canvas.style.width = `${across * step}px`;
    this.canvas.style.height = `${down * step}px`;
    this.step = step;
    if (this.photo.src !== photo.url) this.photo.src = photo.url;
    this.result.hidden = !state.result;
    if (state.result) {
      const [left, top, right, bottom] = state.result.box;
      if (this.result.src !== state.result.url) this.result.src = state.result.url;
      Object.assign(this.result.style, { left: `${left}px`, top: `${top}px`, width: `${right - left}px`, height: `${bottom - top}px` });
      this.result.style.setProperty("--left", `${left}px`);
    }
    this.stage.classList.toggle("has-lines", this.shows.lines);
    this.draw();
  }

  /** Draw what changed, with the next frame. @param {Box} [box] by default everything */
  draw(box = { left: 0, top: 0, right: this.work.width, bottom: this.work.height }) {
    if (!this.waiting) requestAnimationFrame(() => this.#paint());
    const all = this.waiting ?? box;
    this.waiting = { left: Math.min(all.left, box.left), top: Math.min(all.top, box.top),
      right: Math.max(all.right, box.right), bottom: Math.max(all.bottom, box.bottom) };
  }

  #paint() {
    const box = this.waiting, { step, canvas } = this;
    this.waiting = null;
    if (!box) return;
    const left = Math.max(0, Math.floor(box.left / step) - 1), top = Math.max(0, Math.floor(box.top / step) - 1);
    const right = Math.min(canvas.width, Math.ceil(box.right / step) + 1), bottom = Math.min(canvas.height, Math.ceil(box.bottom / step) + 1);
    if (left >= right || top >= bottom) return;
    const image = this.context.createImageData(right - left, bottom - top), pixels = new Uint32Array(image.data.buffer);
    for (let y = top, i = 0; y < bottom; y++) for (let x = left; x < right; x++, i++) pixels[i] = this.#colourAt(x * step, y * step);
    this.context.putImageData(image, left, top);
  }

  /** Of a pixel of the layer; lines go first, so that thin ones stay visible. @param {number} left @param {number} top */
  #colourAt(left, top) {
    const { mask, edges, touched, colours, covered, changed, width, height, state } = this.work;
    const right = Math.min(width, left + this.step), bottom = Math.min(height, top + this.step);
    let strongest = 0, line = 0, hole = 0, stroke = 0;
    for (let y = top; y < bottom; y++) {
      for (let x = left; x < right; x++) {
        const i = y * width + x;
        if (edges[i] > strongest) { strongest = edges[i]; line = i; }
        if (mask[i]) hole = 1;
        if (colours && colours[i]) stroke = colours[i];
      }
    }
    if (this.shows.lines && strongest) {
      return (((touched[line] === DRAWN ? MINE : mask[line] ? IMAGINED : KNOWN) | (strongest << 24)) >>> 0);
    }
    if (!hole || !this.shows.hole) return 0;
    if (stroke && !(state.isCurrent && !changed.has("colours"))) return stroke;
    if (!covered[top * width + left]) return HOLE;
    return this.#isRim(left, top, right, bottom) ? RIM : 0;
  }

  /** @param {number} left @param {number} top @param {number} right @param {number} bottom of a pixel of the layer */
  #isRim(left, top, right, bottom) {
    const { mask, width, height } = this.work;
    return !(left && top && right < width && bottom < height && mask[top * width + left - 1] && mask[top * width + right] &&
      mask[(top - 1) * width + left] && mask[bottom * width + left]);
  }
}
