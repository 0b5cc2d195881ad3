/** What the page shows around the photo, and what can be set there: Alpine binds canvas.html to these values. */

import { clamp } from "./shapes.js";
import { resultUrl } from "./work.js";

export class Panel {
  /** @param {HTMLElement} root */
  constructor(root) {
    this.root = root;
    this.settings = /** @type {Record<string, any>} */ ({}); // by the names of their controls, which give their first values
    this.state = "empty"; // or "open"
    this.photo = { url: "", label: "Photo", width: 1, height: 1 };
    this.result = /** @type {{url: string, style: string} | null} */ (null);
    this.results = /** @type {{url: string, isShown: boolean}[]} */ ([]);
    this.ideas = /** @type {Idea[]} */ ([]);
    this.canUndo = this.canRedo = this.canRepair = this.canRestore = false;
    this.tool = /** @type {Tool} */ ({ id: "", of: "view", name: "" });
    this.sizes = /** @type {Record<string, number>} that were chosen, by tool */ ({});
    this.brush = { x: 0, y: 0, isShown: false }; // the tool's outline on the photo
    this.path = ""; // of what is about to be painted
    this.divider = 50;
    this.pixels = 1; // of the screen, to one of the photo
    this.isBefore = this.isFullscreen = this.isBusy = false;
    this.said = { message: "" };
    this.error = "";
  }

  /** RGBA as in a canvas. */
  get colour() {
    const [red, green, blue] = [1, 3, 5].map((at) => parseInt(this.settings.colour.slice(at, at + 2), 16));
    return (0xff000000 | (blue << 16) | (green << 8) | red) >>> 0;
  }

  /** @param {string} id of a tool */
  take(id) {
    const { dataset: { of, size }, textContent } = /** @type {any} */ (this.root.querySelector(`[data-tool=${id}]`));
    this.tool = { id, of, size: size && Number(size), name: textContent.toLowerCase() };
  }

  get size() {
    const { tool, sizes, photo } = this;
    return sizes[tool.id] ?? Math.round((tool.size ?? 1) * Math.max(photo.width, photo.height, 1024) / 1024);
  }

  set size(size) {
    this.sizes[this.tool.id] = clamp(Math.round(size) || 1, 1, 500);
  }

  /** @param {number} factor */
  resize(factor) {
    if (!this.tool.size) return;
    this.size = factor > 1 ? Math.max(this.size + 1, this.size * factor) : Math.min(this.size - 1, this.size * factor);
    this.say(`Size ${this.size}`);
  }

  /** @param {Work} work */
  show({ states, place, hasHole, results, ideas, state: { photo: { url, name, width, height }, mask, result } }) {
    this.photo = { url, label: `Photo ${name}, ${width} by ${height} pixels`, width, height };
    this.result = result && { url: resultUrl(result), style: `--left: ${result.box[0]}px; --top: ${result.box[1]}px` };
    this.results = results.map((each) => ({ url: each.result ? resultUrl(each.result) : "", isShown: each.result === result }));
    this.ideas = ideas.mask === mask ? ideas.shown : [];
    Object.assign(this, { canUndo: place > 0, canRedo: place < states.length - 1, canRepair: hasHole });
  }

  /** @param {string} message also read aloud, again if it is the same */
  say(message) {
    this.said = { message };
  }

  /** @param {string} accept @returns {Promise<File | null>} */
  async chooseFile(accept) {
    const input = Object.assign(/** @type {HTMLInputElement} */ (this.root.querySelector(".ec-file")), { accept, value: "" });
    input.click();
    await new Promise((resolve) => { input.onchange = input.oncancel = resolve; });
    return input.files?.[0] ?? null;
  }
}
