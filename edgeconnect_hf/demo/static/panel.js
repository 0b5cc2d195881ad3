/** Everything around the photo: buttons and their states, settings, messages, the strip of results. */

import { render, unpack } from "./planes.js";
import { clamp } from "./shapes.js";

/** @typedef {import("./planes.js").Packed} Packed @typedef {import("./work.js").Work} Work */

const RIM = 16; // of an idea's thumbnail around the hole, in pixels of the photo

export class Panel {
  /** @param {HTMLElement} root */
  constructor(root) {
    this.root = root;
    this.controls = this.#find(".ec-panel").elements; // by their names
    /** @type {import("./tools.js").Tool} */
    this.tool = { id: "", of: "view" };
    this.sizes = /** @type {Record<string, number>} that were chosen, by tool */ ({});
    this.share = 1; // of the photo's size to the one that the tools' sizes are for
    /** @type {Packed | null} the hole that the shown ideas are for */
    this.maskOfIdeas = null;
    this.#find(".ec-divider").addEventListener("input", (/** @type {any} */ { target }) => root.style.setProperty("--divider", target.value));
    this.#find(".ec-size").addEventListener("input", (/** @type {any} */ { target }) => { this.size = target.valueAsNumber; });
    root.addEventListener("fullscreenchange", () => this.#press("[data-do=fullscreen]", document.fullscreenElement !== null));
    for (const type of ["pointerdown", "keydown", "pointerup", "pointerleave", "keyup", "blur"]) {
      this.#find("[data-hold]").addEventListener(type, () => this.showBefore(type.endsWith("down")));
    }
  }

  /** @param {string} selector @returns {any} an element of the page */
  #find(selector) {
    return this.root.querySelector(selector);
  }

  /** @param {string} selector of a button @param {boolean} isPressed */
  #press(selector, isPressed) {
    this.#find(selector).ariaPressed = String(isPressed);
  }

  // Settings

  /** All that can be set, by the controls' names. @returns {Record<string, any>} */
  get settings() {
    const names = [...this.controls].map(({ name }) => name).filter((name) => name);
    return Object.fromEntries(names.map((name) => {
      const { type, checked, value } = this.controls[name];
      return [name, type === "checkbox" ? checked : type === "number" || type === "range" ? Number(value) : value];
    }));
  }

  /** @param {object} settings some of them, as of a project */
  setSettings(settings) {
    const known = this.settings;
    for (const [name, value] of Object.entries(settings)) {
      if (typeof value !== typeof known[name] || name === "model") continue;
      this.controls[name][typeof value === "boolean" ? "checked" : "value"] = value;
    }
  }

  /** RGBA as in a canvas. */
  get colour() {
    const [red, green, blue] = [1, 3, 5].map((at) => parseInt(this.controls.colour.value.slice(at, at + 2), 16));
    return (0xff000000 | (blue << 16) | (green << 8) | red) >>> 0;
  }

  // Tools

  /** @param {string} id */
  take(id) {
    for (const button of this.root.querySelectorAll("[data-tool]")) button.ariaPressed = "false";
    const { dataset: { of, size }, textContent } = this.#find(`[data-tool=${id}]`);
    this.#press(`[data-tool=${id}]`, true);
    this.tool = { id, of, size: size && Number(size) };
    Object.assign(this.root.dataset, { taken: id, of });
    this.#find(".ec-size").hidden = !size;
    this.#find(".ec-size-of").textContent = textContent.toLowerCase();
    this.#showSize();
  }

  get size() {
    return this.sizes[this.tool.id] ?? Math.max(1, Math.round((this.tool.size ?? 0) * this.share));
  }

  set size(size) {
    this.sizes[this.tool.id] = clamp(Math.round(size) || 1, 1, 500);
    this.#showSize();
  }

  /** @param {number} factor */
  resize(factor) {
    if (!this.tool.size) return;
    this.size = factor > 1 ? Math.max(this.size + 1, this.size * factor) : Math.min(this.size - 1, this.size * factor);
    this.say(`Size ${this.size}`);
  }

  #showSize() {
    for (const input of this.#find(".ec-size").querySelectorAll("input")) input.value = this.size;
    this.#find(".ec-brush").setAttribute("r", this.tool.size ? this.size / 2 : 2);
  }

  /** The tool's outline on the photo. @param {import("./shapes.js").Point | null} point */
  showBrush(point) {
    const brush = this.#find(".ec-brush");
    brush.classList.toggle("is-shown", point !== null);
    if (point) for (const [name, value] of Object.entries({ cx: point.x, cy: point.y })) brush.setAttribute(name, value);
  }

  /** What is about to be painted. @param {import("./shapes.js").Point[]} points @param {boolean} [isClosed] */
  outline(points, isClosed = false) {
    this.#find(".ec-path").setAttribute("d", points.map(({ x, y }, i) => `${i ? "L" : "M"}${x} ${y}`).join("") + (isClosed ? "Z" : ""));
  }

  // The photo

  /** @param {import("./work.js").Photo} photo */
  open({ name, width, height }) {
    this.root.dataset.state = "open";
    this.sizes = {};
    this.share = Math.max(width, height, 1024) / 1024;
    this.#showSize();
    this.#find(".ec-view").ariaLabel = `Photo ${name}, ${width} by ${height} pixels`;
    this.#find(".ec-error").hidden = true;
  }

  close() {
    this.root.dataset.state = "empty";
  }

  /** @param {Work} work */
  showState({ states, place, hasHole, results, state: { mask, result } }) {
    const can = { undo: place > 0, redo: place < states.length - 1, repair: hasHole, keep: result !== null };
    for (const [name, is] of Object.entries(can)) this.#find(`[data-do=${name}]`).disabled = !is;
    if (mask !== this.maskOfIdeas) this.#find(".ec-ideas").replaceChildren();
    this.maskOfIdeas = mask;
    this.#find(".ec-results").replaceChildren(...results.map((each, number) => {
      const button = pictured(`Result ${number + 1}`, Object.assign(new Image(), { src: each.result?.url, alt: "" }));
      Object.assign(button.dataset, { do: "go-back", value: number });
      return Object.assign(button, { ariaPressed: String(each.result === result) });
    }));
  }

  /** @param {Packed[]} ideas @param {Work} work @param {(edges: Packed) => void} pick */
  showIdeas(ideas, work, pick) {
    this.#find(".ec-ideas").replaceChildren(...ideas.map((edges, place) => {
      return Object.assign(pictured(`Idea ${place + 1}`, thumbnail(edges, work)), { onclick: () => pick(edges) });
    }));
    this.say(ideas.length > 1 ? `${ideas.length} ideas. Pick one.` : "There is no other idea for these lines.");
  }

  /** @param {boolean} isHeld */
  showBefore(isHeld) {
    this.#press("[data-hold]", isHeld);
  }

  // Messages

  /** @param {boolean} isBusy */
  showBusy(isBusy) {
    this.#find(".ec-busy").hidden = !isBusy;
    this.#find(".ec-view").ariaBusy = String(isBusy);
  }

  /** @param {string} message also read aloud */
  say(message) {
    this.#find(".ec-status").textContent = message;
  }

  /** @param {string} message empty: none */
  showError(message) {
    this.#find(".ec-error").hidden = !message;
    this.#find(".ec-error span").textContent = message;
  }

  /** @param {object | null} state of an earlier visit */
  offerRestore(state) {
    this.#find(".ec-restore").hidden = state === null;
  }

  /** @param {string} accept @returns {Promise<File | null>} */
  async chooseFile(accept) {
    const input = Object.assign(this.#find(".ec-file"), { accept, value: "" });
    input.click();
    await new Promise((resolve) => { input.onchange = input.oncancel = resolve; });
    return input.files[0] ?? null;
  }
}

/** @param {string} ariaLabel @param {HTMLElement} image */
function pictured(ariaLabel, image) {
  const button = Object.assign(document.createElement("button"), { type: "button", ariaLabel });
  button.append(image);
  return button;
}

/** The lines in the hole and around it. @param {Packed} packed @param {Work} work */
function thumbnail(packed, { mask, state: { photo: { width, height } } }) {
  const edges = unpack(packed, new Uint8Array(width * height));
  const box = { left: width, top: height, right: 0, bottom: 0 };
  for (let y = 0, i = 0; y < height; y++) for (let x = 0; x < width; x++, i++) {
    if (!mask[i]) continue;
    box.left = Math.min(box.left, Math.max(0, x - RIM));
    box.right = Math.max(box.right, Math.min(width, x + RIM));
    box.top = Math.min(box.top, Math.max(0, y - RIM));
    box.bottom = Math.min(height, y + RIM);
  }
  const colours = [[0xffffffff, 0xff000000], [0xffe6f2ff, 0xff0c41c2]]; // paper and line, around the hole and in it
  const image = render(box, (x, y) => colours[Number(mask[y * width + x] > 0)][Number(edges[y * width + x] > 127)]);
  const canvas = Object.assign(document.createElement("canvas"), { width: image.width, height: image.height });
  canvas.getContext("2d")?.putImageData(image, 0, 0);
  return canvas;
}
