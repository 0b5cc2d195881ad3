/** Where the photo stands on the screen: panning, zooming, full screen. */

/** @typedef {import("./shapes.js").Point} Point */

const LEAST = 0.02, MOST = 32;

export class View {
  /** @param {HTMLElement} frame @param {HTMLElement} stage lies in it @param {() => void} onChange */
  constructor(frame, stage, onChange) {
    this.frame = frame;
    this.stage = stage;
    this.onChange = onChange;
    this.scale = 1;
    this.x = this.y = 0;
    this.width = this.height = 1;
    this.isFitted = true;
    new ResizeObserver(() => (this.isFitted ? this.fit() : this.#apply())).observe(frame);
    frame.addEventListener("wheel", (event) => {
      if (event.target instanceof HTMLInputElement) return;
      event.preventDefault();
      const pixels = event.deltaY * (event.deltaMode === 1 ? 16 : 1);
      this.zoomAt(event, Math.exp(-pixels * (event.ctrlKey ? 0.01 : 0.002)));
    }, { passive: false });
  }

  /** @param {number} width @param {number} height of the photo */
  setSize(width, height) {
    if (width === this.width && height === this.height) return;
    this.width = width;
    this.height = height;
    this.stage.style.width = `${width}px`;
    this.stage.style.height = `${height}px`;
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

  /** One pixel of the photo is one of the screen. */
  actual() {
    this.zoomAt(this.#centre(), 1 / devicePixelRatio / this.scale);
  }

  /** @param {number} factor */
  zoom(factor) {
    this.zoomAt(this.#centre(), factor);
  }

  /** @param {{clientX: number, clientY: number}} place that stays where it is @param {number} factor */
  zoomAt({ clientX, clientY }, factor) {
    const { left, top } = this.frame.getBoundingClientRect();
    const scale = Math.min(MOST, Math.max(LEAST, this.scale * factor)), change = scale / this.scale;
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
    const { clientWidth, clientHeight } = this.frame, edge = 24;
    const inside = (/** @type {number} */ place, /** @type {number} */ size) => Math.min(size - edge, Math.max(edge, place)) - place;
    const dx = inside(x * this.scale + this.x, clientWidth), dy = inside(y * this.scale + this.y, clientHeight);
    if (dx || dy) this.pan(dx, dy);
  }

  #centre() {
    const { left, top, width, height } = this.frame.getBoundingClientRect();
    return { clientX: left + width / 2, clientY: top + height / 2 };
  }

  #apply() {
    this.isFitted = false;
    const edge = 40, { clientWidth, clientHeight } = this.frame; // some of the photo always stays in sight
    this.x = Math.min(clientWidth - edge, Math.max(edge - this.width * this.scale, this.x));
    this.y = Math.min(clientHeight - edge, Math.max(edge - this.height * this.scale, this.y));
    this.stage.style.transform = `translate(${this.x}px, ${this.y}px) scale(${this.scale})`;
    this.stage.style.setProperty("--pixel", `${1 / this.scale}px`);
    this.stage.classList.toggle("is-large", this.scale * devicePixelRatio >= 3);
    this.onChange();
  }
}
