/** Everything around the photo: buttons and their states, settings, messages, the strip of results. */

import { bounds, unpack } from "./planes.js";
import { TOOLS } from "./tools.js";

/** @typedef {import("./shapes.js").Point} Point @typedef {import("./tools.js").Tool} Tool @typedef {import("./work.js").Work} Work */

export class Panel {
  /** @param {HTMLElement} root @param {import("./app.js").Props} props @param {(name: string) => void} act @param {(tool: string) => void} take */
  constructor(root, props, act, take) {
    this.root = root;
    this.act = act;
    this.tool = TOOLS[0];
    /** @type {object | null} */
    this.maskOfIdeas = null;
    this.sizes = /** @type {Record<string, number>} by tool */ ({});
    this.settings = { live: true, draws: /** @type {"me" | "mine"} */ ("me"), lines: false, sigma: 2, model: props.models[0] };
    for (const tool of TOOLS) this.#find(".ec-tools").append(toolButton(tool, () => take(tool.id)));
    this.#listen(act);
    this.#fill(props);
  }

  /** @param {string} selector @returns {any} an element of the page */
  #find(selector) {
    return this.root.querySelector(selector);
  }

  /** @param {(name: string) => void} act */
  #listen(act) {
    this.root.addEventListener("click", (event) => {
      const button = event.target instanceof Element ? event.target.closest("button") : null;
      if (button?.dataset.do === "close-error") this.#find(".ec-error").hidden = true;
      else if (button?.dataset.do) act(button.dataset.do);
    });
    const hold = this.#find("[data-hold=before]");
    for (const type of ["pointerdown", "pointerup", "pointerleave", "blur"]) hold.addEventListener(type, () => this.showBefore(type === "pointerdown"));
    for (const type of ["keydown", "keyup"]) hold.addEventListener(type, (/** @type {KeyboardEvent} */ event) => {
      if (event.key === " ") this.showBefore(type === "keydown");
    });
    this.#find(".ec-divider").addEventListener("input", () => act("divider-moved"));
    this.#find(".ec-panel").addEventListener("change", (/** @type {any} */ event) => this.#set(event.target));
    this.#find(".ec-size").addEventListener("input", (/** @type {any} */ event) => this.#setSize(Number(event.target.value)));
  }

  /** @param {import("./app.js").Props} props */
  #fill({ models, examples, max_megapixels: megapixels, max_megabytes: megabytes }) {
    const select = this.#find(".ec-models select");
    for (const model of models) select.append(new Option(model));
    this.#find(".ec-models").hidden = models.length < 2;
    this.#find(".ec-examples-title").hidden = !examples.length;
    for (const [photo] of examples) {
      const button = element("button", { type: "button", ariaLabel: `Example: ${photo.replace(/\..*/, "")}` });
      button.dataset.do = `example-${photo}`;
      button.append(element("img", { src: new URL(photo, import.meta.url).href, alt: "" }));
      this.#find(".ec-examples").append(button);
    }
    this.#find(".ec-about").textContent = "Small holes work best. Do not expect much of text, faces and people. " +
      `Photos may have ${megabytes} MB and ${megapixels} megapixels. ` +
      "Pixels outside the hole are returned exactly as they were. Your files are deleted from the server after you close the page.";
  }

  // Settings

  /** @param {HTMLInputElement} input */
  #set(input) {
    const { set } = input.dataset;
    if (set === "live" || set === "lines") this.settings[set] = input.checked;
    if (set === "draws") this.settings.draws = /** @type {"me" | "mine"} */ (input.value);
    if (set === "sigma") this.settings.sigma = Number(input.value);
    if (set === "model") this.settings.model = input.value;
    if (set === "lines") this.act("lines-shown");
    else if (set && !["by", "colour", "selects"].includes(set)) this.act("settings-changed");
  }

  /** @param {object} settings of a project */
  setSettings(settings) {
    for (const [name, value] of Object.entries(this.settings)) {
      const given = /** @type {Record<string, any>} */ (settings)[name];
      if (typeof given === typeof value && name !== "model") Object.assign(this.settings, { [name]: given });
    }
    for (const input of /** @type {NodeListOf<HTMLInputElement>} */ (this.root.querySelectorAll("[data-set]"))) {
      const value = /** @type {Record<string, any>} */ (this.settings)[input.dataset.set ?? ""];
      if (input.type === "radio") input.checked = input.value === value;
      else if (input.type === "checkbox") input.checked = value;
      else if (value !== undefined) input.value = value;
    }
  }

  /** From now on, the lines in the hole are a person's. */
  keepLines() {
    this.setSettings({ ...this.settings, draws: "mine" });
  }

  /** Pixels to extend the photo by. */
  get margins() {
    const inputs = [.../** @type {NodeListOf<HTMLInputElement>} */ (this.root.querySelectorAll("[data-extend]"))];
    return Object.fromEntries(inputs.map((input) => [input.dataset.extend, Number(input.value)]));
  }

  get by() {
    return Number(this.#find("[data-set=by]").value);
  }

  /** What a selected object does to the hole. */
  get selects() {
    return this.#find("[data-set=selects]").value;
  }

  /** RGBA as in a canvas. */
  get colour() {
    const [red, green, blue] = [1, 3, 5].map((at) => parseInt(this.#find("[data-set=colour]").value.slice(at, at + 2), 16));
    return (0xff000000 | (blue << 16) | (green << 8) | red) >>> 0;
  }

  // Tools

  /** @param {Tool} tool @param {number} width of the photo */
  take(tool, width) {
    this.tool = tool;
    for (const button of this.root.querySelectorAll("[data-tool]")) button.setAttribute("aria-pressed", String(button.getAttribute("data-tool") === tool.id));
    this.root.dataset.taken = tool.id;
    this.#find(".ec-size").hidden = !tool.size;
    this.#find(".ec-size-of").textContent = tool.name.toLowerCase();
    this.#find(".ec-select").hidden = tool.id !== "select";
    this.#find(".ec-colour").hidden = tool.of !== "colour";
    if (tool.size) this.#setSize(this.sizes[tool.id] ?? Math.max(1, Math.round((tool.size * Math.max(width, 1024)) / 1024)));
  }

  get size() {
    return this.sizes[this.tool.id] ?? 1;
  }

  /** @param {number} factor */
  resize(factor) {
    if (this.tool.size) this.#setSize(factor > 1 ? Math.max(this.size + 1, this.size * factor) : Math.min(this.size - 1, this.size * factor));
    this.say(`Size ${this.size}`);
  }

  /** @param {number} size */
  #setSize(size) {
    this.sizes[this.tool.id] = Math.min(500, Math.max(1, Math.round(size) || 1));
    for (const input of /** @type {NodeListOf<HTMLInputElement>} */ (this.root.querySelectorAll("[data-size]"))) input.value = String(this.size);
    this.#find(".ec-brush").setAttribute("r", String(this.size / 2));
  }

  /** The tool's outline on the photo. @param {Point | null} point */
  showBrush(point) {
    const brush = this.#find(".ec-brush");
    brush.classList.toggle("is-shown", point !== null);
    brush.setAttribute("r", String(this.tool.size ? this.size / 2 : 2));
    if (point) Object.entries({ cx: point.x, cy: point.y }).forEach(([name, value]) => brush.setAttribute(name, String(value)));
  }

  /** What is about to be painted. @param {Point[]} points @param {boolean} [isClosed] */
  outline(points, isClosed = false) {
    this.#find(".ec-path").setAttribute("d", points.map(({ x, y }, i) => `${i ? "L" : "M"}${x} ${y}`).join("") + (isClosed ? "Z" : ""));
  }

  // The photo

  /** @param {import("./work.js").Photo} photo */
  opened(photo) {
    this.root.dataset.state = "open";
    this.offerRestore(null);
    this.sizes = {};
    this.take(this.tool, Math.max(photo.width, photo.height));
    this.#find(".ec-view").setAttribute("aria-label", `Photo ${photo.name}, ${photo.width} by ${photo.height} pixels`);
    this.#find(".ec-error").hidden = true;
  }

  closed() {
    this.root.dataset.state = "empty";
  }

  /** @param {Work} work */
  showState({ history, results, state, hasHole }) {
    const { mask } = state;
    const enable = (/** @type {string} */ name, /** @type {boolean} */ can) => this.#find(`[data-do=${name}]`).toggleAttribute("disabled", !can);
    enable("undo", history.canUndo);
    enable("redo", history.canRedo);
    enable("repair", hasHole);
    enable("keep", state.result !== null);
    if (mask !== this.maskOfIdeas) this.#find(".ec-ideas").replaceChildren();
    this.maskOfIdeas = mask;
    this.#find(".ec-results").replaceChildren(...results.map((each, place) => {
      const button = element("button", { type: "button", ariaLabel: `Result ${place + 1}` });
      button.dataset.do = `result-${place}`;
      button.setAttribute("aria-pressed", String(each.result === state.result));
      button.append(element("img", { src: each.result?.url ?? "", alt: "" }));
      return button;
    }));
  }

  /** @param {import("./planes.js").Packed[]} ideas @param {Work} work @param {(edges: import("./planes.js").Packed) => void} pick */
  showIdeas(ideas, work, pick) {
    const pictures = ideas.map((edges, place) => {
      const button = element("button", { type: "button", ariaLabel: `Idea ${place + 1}`, onclick: () => pick(edges) });
      button.append(thumbnail(edges, work));
      return button;
    });
    this.#find(".ec-ideas").replaceChildren(...pictures);
    this.say(ideas.length > 1 ? `${ideas.length} ideas. Pick one.` : "There is no other idea for these lines.");
  }

  /** @param {boolean} isHeld */
  showBefore(isHeld) {
    this.root.classList.toggle("is-before", isHeld);
    this.#find("[data-hold=before]").setAttribute("aria-pressed", String(isHeld));
  }

  toggleDivider() {
    const divider = this.#find(".ec-divider");
    divider.hidden = !divider.hidden;
    this.#find("[data-do=divider]").setAttribute("aria-pressed", String(!divider.hidden));
    this.root.classList.toggle("has-divider", !divider.hidden);
  }

  /** Zoom and divider. @param {import("./view.js").View} view */
  showView(view) {
    this.#find(".ec-zoom").textContent = `${Math.round(view.scale * devicePixelRatio * 100)} %`;
    const share = Number(this.#find(".ec-divider").value) / 100, { left, top, width } = view.frame.getBoundingClientRect();
    const { x } = view.toPhoto({ clientX: left + share * width, clientY: top });
    this.root.style.setProperty("--divider", `${100 * share}%`);
    this.root.style.setProperty("--divider-x", `${x}px`);
  }

  async toggleFullscreen() {
    if (document.fullscreenElement) await document.exitFullscreen();
    else await this.root.requestFullscreen();
    this.#find("[data-do=fullscreen]").setAttribute("aria-pressed", String(document.fullscreenElement !== null));
  }

  // Messages


  /** @param {boolean} isBusy */
  showBusy(isBusy) {
    this.#find(".ec-busy").hidden = !isBusy;
    this.#find(".ec-view").setAttribute("aria-busy", String(isBusy));
  }

  /** @param {string} message also read aloud */
  say(message) {
    this.#find(".ec-status").textContent = message;
  }

  /** @param {string} message */
  showError(message) {
    this.#find(".ec-error").hidden = false;
    this.#find(".ec-error span").textContent = message;
  }

  /** @param {object | null} state of an earlier visit */
  offerRestore(state) {
    this.#find(".ec-restore").hidden = state === null;
  }

  closeMenus() {
    const menus = [...this.root.querySelectorAll("details")];
    const hadFocus = menus.some((menu) => menu.open && menu.contains(document.activeElement));
    for (const menu of menus) menu.open = false;
    if (hadFocus) this.#find(".ec-view").focus(); // a hidden button would keep the keys from everything
  }

  /** @param {string} accept @returns {Promise<File | null>} */
  chooseFile(accept) {
    const input = this.#find(".ec-file");
    Object.assign(input, { accept, value: "" });
    input.click();
    return new Promise((resolve) => {
      input.onchange = () => resolve(input.files?.[0] ?? null);
      input.oncancel = () => resolve(null);
    });
  }
}

/** @param {Tool} tool @param {() => void} take */
function toolButton(tool, take) {
  const button = element("button", { type: "button", title: `${tool.name} (${tool.key})`, onclick: take });
  button.dataset.tool = tool.id;
  button.setAttribute("aria-keyshortcuts", tool.key);
  button.innerHTML = `<svg viewBox="0 0 24 24" aria-hidden="true"><path d="${tool.icon}"></path></svg><span>${tool.name}</span>`;
  return button;
}

/** @param {string} name @param {object} properties @returns {HTMLElement} */
function element(name, properties) {
  return Object.assign(document.createElement(name), properties);
}

/** The lines in and around the hole. @param {import("./planes.js").Packed} packed @param {Work} work */
function thumbnail(packed, { width, height, mask }) {
  const edges = unpack(packed, new Uint8Array(width * height)), box = bounds(mask, width, height), rim = 16;
  const left = Math.max(0, box.left - rim), top = Math.max(0, box.top - rim);
  const right = Math.min(width, box.right + rim), bottom = Math.min(height, box.bottom + rim);
  const canvas = Object.assign(document.createElement("canvas"), { width: right - left, height: bottom - top });
  const image = new ImageData(right - left, bottom - top), pixels = new Uint32Array(image.data.buffer);
  for (let y = top, i = 0; y < bottom; y++) for (let x = left; x < right; x++, i++) {
    const place = y * width + x, light = 255 - edges[place];
    pixels[i] = mask[place] ? 0xff000000 | ((light * 0.9) << 16) | ((light * 0.95) << 8) | 255 - (255 - light) / 4 : 0xff000000 | (light * 0x010101);
  }
  canvas.getContext("2d")?.putImageData(image, 0, 0);
  return canvas;
}
