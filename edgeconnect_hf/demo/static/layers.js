/** What is drawn over the photo: the hole, the lines, the colours. */

import { render } from "./planes.js";
import { clamp } from "./shapes.js";
import { DRAWN } from "./work.js";

const MOST_PIXELS = 8e6; // of the layer; over a larger photo, one of its pixels stands for several

/** @param {number} red @param {number} green @param {number} blue @param {number} alpha */
const colour = (red, green, blue, alpha) => ((alpha << 24) | (blue << 16) | (green << 8) | red) >>> 0;
const HOLE = colour(225, 29, 72, 130), RIM = colour(225, 29, 72, 230);
const KNOWN = colour(17, 24, 39, 0), IMAGINED = colour(194, 65, 12, 0), MINE = colour(29, 78, 216, 0);

export class Layers {
  /** @param {HTMLElement} root @param {Work} work */
  constructor(root, work) {
    this.work = work;
    this.canvas = /** @type {HTMLCanvasElement} */ (root.querySelector(".ec-layer"));
    this.context = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d"));
    this.shows = { lines: false, hole: true };
    this.waiting = /** @type {Box[]} */ ([]); // to be drawn with the next frame
    this.step = 1; // pixels of the photo to one of the layer, across and down
    this.rim = 1; // pixels of the photo that the hole's rim is wide
  }

  /** The rim is seen at any zoom. @param {number} pixels of the screen to one of the photo */
  zoomed(pixels) {
    const rim = Math.max(1, 2 ** Math.round(Math.log2(1 / pixels)));
    if (rim === this.rim) return;
    this.rim = rim;
    if (this.work.photo) this.show();
  }

  /** Show the present state. */
  show() {
    const { canvas, work: { state: { photo: { width, height } } } } = this;
    const step = (this.step = Math.ceil(Math.sqrt((width * height) / MOST_PIXELS)));
    const [across, down] = [Math.ceil(width / step), Math.ceil(height / step)];
    if (canvas.width !== across || canvas.height !== down) Object.assign(canvas, { width: across, height: down });
    Object.assign(canvas.style, { width: `${across * step}px`, height: `${down * step}px` });
    this.draw({ left: 0, top: 0, right: width, bottom: height });
  }

  /** Draw what changed, with the next frame. @param {Box} box */
  draw(box) {
    if (!this.waiting.length) requestAnimationFrame(() => this.waiting.splice(0).forEach((each) => this.#paint(each)));
    this.waiting.push(box);
  }

  /** @param {Box} box */
  #paint({ left, top, right, bottom }) {
    const { step, canvas } = this, colourAt = this.#colouring(), reach = Math.ceil(this.rim / step);
    const box = {
      left: clamp(Math.floor(left / step) - reach, 0, canvas.width), top: clamp(Math.floor(top / step) - reach, 0, canvas.height),
      right: clamp(Math.ceil(right / step) + reach, 0, canvas.width), bottom: clamp(Math.ceil(bottom / step) + reach, 0, canvas.height),
    };
    if (box.left < box.right && box.top < box.bottom) this.context.putImageData(render(box, (x, y) => colourAt(x * step, y * step)), box.left, box.top);
  }

  /** @returns {Colouring} of the layer, a pixel by its place in the photo */
  #colouring() {
    const { mask, edges, touched, colours, covered, changed, state } = this.work, { step, shows, rim } = this, { width, height } = state.photo;
    const isHole = (/** @type {number} */ x, /** @type {number} */ y) => x >= 0 && y >= 0 && x < width && y < height && mask[y * width + x] > 0;
    const hasStrokes = colours && (!state.isCurrent || changed.has("colours")); // the result has taken up older ones
    return (left, top) => {
      const right = Math.min(width, left + step), bottom = Math.min(height, top + step);
      let strongest = 0, line = 0, hole = 0, stroke = 0; // lines go first, so that thin ones stay visible
      for (let y = top; y < bottom; y++) {
        for (let x = left; x < right; x++) {
          const i = y * width + x;
          if (edges[i] > strongest) { strongest = edges[i]; line = i; }
          if (mask[i]) hole = 1;
          if (hasStrokes && colours[i]) stroke = colours[i];
        }
      }
      if (shows.lines && strongest) return ((touched[line] === DRAWN ? MINE : mask[line] ? IMAGINED : KNOWN) | (strongest << 24)) >>> 0;
      if (!hole || !shows.hole) return 0;
      if (stroke) return stroke;
      if (!covered[top * width + left]) return HOLE;
      const isInside = isHole(left - rim, top) && isHole(right - 1 + rim, top) && isHole(left, top - rim) && isHole(left, bottom - 1 + rim);
      return isInside ? 0 : RIM;
    };
  }
}
