/** Where the photo stands on the screen: panning, zooming, full screen. */

import { clamp } from "./shapes.js";

const LEAST = 0.02, MOST = 32;

export class View {
  /** @param {HTMLElement} root @param {Panel} panel */
  constructor(root, panel) {
    this.panel = panel;
    const frame = (this.frame = /** @type {HTMLElement} */ (root.querySelector(".ec-view")));
    this.stage = /** @type {HTMLElement} */ (root.querySelector(".ec-stage"));
    this.scale = 1;
    this.x = this.y = 0;
    this.width = this.height = 1;
    this.isFitted = true;
    new ResizeObserver(() => (this.isFitted ? this.fit() : this.#apply())).observe(frame);
  }

  /** @param {WheelEvent} event */
  wheel(event) {
    const pixels = event.deltaY * (event.deltaMode === 1 ? 16 : 1);
    this.zoom(Math.exp(-pixels * (event.ctrlKey ? 0.01 : 0.002)), event);
  }

  /** @param {{width: number, height: number}} photo */
  setSize({ width, height }) {
    if (width === this.width && height === this.height) return;
    [this.width, this.height] = [width, height];
    Object.assign(this.stage.style, { width: `${width}px`, height: `${height}px` });
    this.fit();
  }

  fit() {
    const { clientWidth, clientHeight } = this.frame;
    if (!clientWidth || !clientHeight) return;
    this.scale = Math.min(clientWidth / this.width, clientHeight / this.height, 8);
    this.x = (clientWidth - this.width * this.scale) / 2;
    this.y = (clientHeight - this.height * this.scale) / 2;
    this.#apply();
    this.isFitted = true;
  }

  /** @param {number} factor @param {{clientX?: number, clientY?: number}} place that stays where it is, by default the middle */
  zoom(factor, place = {}) {
    const { left, top, width, height } = this.frame.getBoundingClientRect();
    const { clientX = left + width / 2, clientY = top + height / 2 } = place;
    const scale = clamp(this.scale * factor, LEAST, MOST), change = scale / this.scale;
    this.x = clientX - left - (clientX - left - this.x) * change;
    this.y = clientY - top - (clientY - top - this.y) * change;
    this.scale = scale;
    this.#apply();
  }

  /** @param {number} dx @param {number} dy pixels of the screen */
  pan(dx, dy) {
    this.x += dx;
    this.y += dy;
    this.#apply();
  }

  /** @param {{clientX: number, clientY: number}} place on the screen @returns {Point} */
  toPhoto({ clientX, clientY }) {
    const { left, top } = this.frame.getBoundingClientRect();
    return { x: (clientX - left - this.x) / this.scale, y: (clientY - top - this.y) / this.scale };
  }

  /** Pan until a point of the photo can be seen. @param {Point} point */
  reveal({ x, y }) {
    const { clientWidth, clientHeight } = this.frame, edge = 24, left = x * this.scale + this.x, top = y * this.scale + this.y;
    const dx = clamp(left, edge, clientWidth - edge) - left, dy = clamp(top, edge, clientHeight - edge) - top;
    if (dx || dy) this.pan(dx, dy);
  }

  #apply() {
    this.isFitted = false;
    const edge = 40, { clientWidth, clientHeight } = this.frame; // some of the photo always stays in sight
    this.x = clamp(this.x, edge - this.width * this.scale, clientWidth - edge);
    this.y = clamp(this.y, edge - this.height * this.scale, clientHeight - edge);
    for (const [name, value] of Object.entries({ x: this.x, y: this.y, scale: this.scale })) this.stage.style.setProperty(`--${name}`, String(value));
    this.panel.pixels = this.scale * devicePixelRatio;
  }
}
