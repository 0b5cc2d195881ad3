/** The page put together: `start` is called by the component, once it stands. */

import { extend, grow, keepResult, propose, select } from "./asking.js";
import { download, drawPlane, saveProject, saveResult, stem } from "./files.js";
import { Keys } from "./keys.js";
import { Layers } from "./layers.js";
import { open, openDrawing, openExample, restore } from "./opening.js";
import { Pointer } from "./pointer.js";
import { Repairs } from "./repairs.js";
import { Refusal, Server } from "./server.js";
import { forget, keep, recall } from "./store.js";
import { begin, TOOLS } from "./tools.js";
import { View } from "./view.js";
import { Work } from "./work.js";
import { Panel } from "./panel.js";

/** @typedef {import("./shapes.js").Point} Point @typedef {import("./work.js").State} State */
/** @typedef {{models: string[], examples: string[][], max_megapixels: number, max_megabytes: number}} Props of the component */

export class App {
  /** @param {HTMLElement} root @param {Props} props @param {import("./server.js").Functions} functions @param {import("./server.js").Upload} upload */
  constructor(root, props, functions, upload) {
    const find = (/** @type {string} */ selector) => /** @type {HTMLElement} */ (root.querySelector(selector));
    this.props = props;
    this.server = new Server(functions, upload, props.max_megabytes);
    this.work = new Work();
    this.panel = new Panel(root, props, (name) => this.act(name), (tool) => this.take(tool));
    this.frame = find(".ec-view");
    this.layers = new Layers(find(".ec-stage"), this.work);
    this.view = new View(this.frame, find(".ec-stage"), () => this.panel.showView(this.view));
    this.repairs = new Repairs(this.work, this.server, this.panel.settings, {
      begins: () => this.panel.showBusy(true),
      comes: (seconds, isDraft) => {
        this.refresh();
        this.panel.say(`Repaired in ${seconds.toFixed(1)} seconds${isDraft ? "; its texture follows" : ""}.`);
      },
      fails: (error) => this.fail(error),
      ends: () => this.panel.showBusy(false),
    });
    this.pointer = new Pointer(this.frame, this.view, {
      begin: (point, keys) => this.begin(point, keys),
      cancel: () => { this.work.rollBack(); this.panel.outline([]); this.refresh(); },
      hover: (point) => this.panel.showBrush(point),
    });
    new Keys(root, this.frame, this.pointer, this.view, {
      act: (name) => this.act(name),
      take: (tool) => this.take(tool),
      before: (isHeld) => this.panel.showBefore(isHeld),
    });
    this.number = 0; // of what is asked of the server beside repairs
    this.take("brush");
    this.refresh();
    recall().then((state) => this.panel.offerRestore(state));
    addEventListener("beforeunload", (event) => { if (!this.work.isSaved) event.preventDefault(); });
    addEventListener("paste", (event) => this.openFirst(event.clipboardData, event));
    addEventListener("dragover", (event) => event.preventDefault());
    addEventListener("drop", (event) => this.openFirst(event.dataTransfer, event));
  }

  /** @param {DataTransfer | null} data @param {Event} event */
  openFirst(data, event) {
    const [file] = data?.files ?? [];
    if (!file) return;
    event.preventDefault();
    this.try(() => open(this, file));
  }

  /** @param {() => Promise<unknown> | unknown} act whose refusals are shown */
  async try(act) {
    try {
      await act();
    } catch (error) {
      this.fail(error);
    }
  }

  /** @param {unknown} error */
  fail(error) {
    if (!(error instanceof Refusal)) console.error(error);
    this.panel.showError(error instanceof Refusal ? error.message : "Something went wrong. Please try again.");
  }

  // What a person does

  /** @param {string} name of a button */
  act(name) {
    const acts = /** @type {Record<string, () => unknown>} */ ({
      open: async () => open(this, await this.panel.chooseFile("image/*,.zip")),
      restore: () => restore(this),
      forget: () => { forget(); this.panel.offerRestore(null); },
      undo: () => this.step(-1),
      redo: () => this.step(1),
      divider: () => { this.panel.toggleDivider(); this.panel.showView(this.view); },
      "divider-moved": () => this.panel.showView(this.view),
      "zoom-in": () => this.view.zoom(1.25),
      "zoom-out": () => this.view.zoom(0.8),
      fit: () => this.view.fit(),
      actual: () => this.view.actual(),
      fullscreen: () => this.panel.toggleFullscreen(),
      smaller: () => this.panel.resize(1 / 1.25),
      larger: () => this.panel.resize(1.25),
      repair: () => this.repair(),
      keep: () => keepResult(this),
      grow: () => grow(this, 1),
      shrink: () => grow(this, -1),
      invert: () => this.edit("mask", (value) => 255 - value, "The hole is inverted."),
      clear: () => this.edit("mask", () => 0, "The hole is cleared."),
      "clear-lines": () => this.clearLines(),
      "clear-colours": () => { this.work.colours = null; this.work.changed.add("colours"); this.done("colour"); },
      ideas: () => propose(this),
      extend: () => extend(this),
      "upload-mask": () => openDrawing(this, "mask"),
      "upload-lines": () => openDrawing(this, "edges"),
      "save-png": () => this.save(() => saveResult(this.server, this.work, "png")),
      "save-jpeg": () => this.save(() => saveResult(this.server, this.work, "jpeg")),
      "save-mask": () => this.save(async () => download(await drawPlane(this.work, "mask"), `${stem(this.work.photo?.name ?? "photo")}_mask.png`)),
      "save-lines": () => this.save(async () => download(await drawPlane(this.work, "edges"), `${stem(this.work.photo?.name ?? "photo")}_lines.png`)),
      "save-project": () => this.save(() => saveProject(this.work, this.panel.settings)),
      "lines-shown": () => this.refresh(),
      "settings-changed": () => { if (this.work.photo && this.work.hasHole) this.settle(); },
    });
    if (name.startsWith("result-")) return this.try(() => this.goBackTo(Number(name.slice(7))));
    if (name.startsWith("example-")) return this.try(() => openExample(this, name.slice(8)));
    if (acts[name]) this.try(acts[name]);
  }

  /** @param {string} id of a tool */
  take(id) {
    this.pointer.cancel();
    const tool = TOOLS.find((each) => each.id === id) ?? TOOLS[0];
    this.panel.take(tool, this.work.width);
    this.refresh();
  }

  /** @param {Point} point @param {import("./tools.js").Keys} keys */
  begin(point, keys) {
    if (!this.work.photo) return null;
    this.interrupt();
    return begin(this.panel.tool.id, {
      work: this.work, layers: this.layers,
      size: () => this.panel.size, colour: () => this.panel.colour,
      outline: (points, isClosed) => this.panel.outline(points, isClosed),
      done: (label) => this.done(label),
      select: (points, more) => select(this, points, more),
      pan: (from, to) => this.view.pan((to.x - from.x) * this.view.scale, (to.y - from.y) * this.view.scale),
    }, point, keys);
  }

  /** A person does something: what was asked of the server is for a state that is no more. */
  interrupt() {
    this.repairs.drop();
    this.number++;
    this.panel.showBusy(false);
  }

  /** A change is whole. @param {string} label @param {Partial<State>} [changes] */
  done(label, changes) {
    if (!this.work.changed.size && !changes) return;
    this.work.commit(changes);
    this.settle(label);
  }

  /** After a change, or a step through the history. @param {string} [label] */
  settle(label = "") {
    this.refresh();
    if (label) this.panel.say("");
    if (this.panel.settings.live && this.work.hasHole) this.repairs.start();
  }

  repair() {
    if (!this.work.hasHole) throw new Refusal("Paint over something in the photo first.");
    return this.repairs.start();
  }

  /** @param {-1 | 1} by */
  step(by) {
    this.interrupt();
    if (!this.work.photo || !this.work.step(by)) return;
    this.panel.say(by < 0 ? "Undone." : "Done again.");
    this.refresh();
    const { isCurrent, result } = this.work.state; // a repair may have been given up there
    if (this.panel.settings.live && (!isCurrent || result?.isDraft)) this.repairs.start();
  }

  /** @param {"mask"} plane @param {(value: number) => number} change @param {string} label */
  edit(plane, change, label) {
    this.repairs.drop();
    const values = this.work[plane];
    for (let i = 0; i < values.length; i++) values[i] = change(values[i]);
    this.work.changed.add(plane);
    this.done(label);
    this.panel.say(label);
  }

  clearLines() {
    this.repairs.drop();
    const { mask, edges, touched, changed } = this.work;
    for (let i = 0; i < mask.length; i++) if (mask[i]) edges[i] = touched[i] = 0;
    changed.add("edges").add("touched");
    this.done("clear-lines");
  }

  /**
   * Ask the server for something that changes the work, unless a person changes it first.
   *
   * @template T @param {() => Promise<T>} ask @param {(answer: T) => void} use
   */
  async change(ask, use) {
    this.repairs.drop();
    const number = ++this.number;
    this.panel.showBusy(true);
    try {
      const answer = await ask();
      if (number === this.number) use(answer);
    } finally {
      if (number === this.number) this.panel.showBusy(this.repairs.isBusy);
    }
  }

  /** @param {() => Promise<unknown>} write */
  async save(write) {
    this.panel.closeMenus();
    await write();
    this.work.isSaved = true;
    this.panel.say("Saved.");
  }

  /** @param {number} place in the strip */
  goBackTo(place) {
    this.repairs.drop();
    this.work.restore(this.work.results[place]);
    this.work.history.push(this.work.results[place]);
    this.refresh();
  }

  /** Show the present state, everywhere; keep it in the browser. */
  refresh() {
    const { work, panel } = this;
    if (!work.photo) return;
    this.view.setSize(work.width, work.height);
    this.layers.shows = { lines: panel.tool.of === "lines" || panel.settings.lines, hole: panel.tool.of !== "view" };
    this.layers.show();
    panel.showState(work);
    if (work.history.place > 0 || work.state.result) keep(work.state);
  }
}

/** @param {HTMLElement} element @param {Props} props @param {import("./server.js").Functions} server @param {import("./server.js").Upload} upload */
export function start(element, props, server, upload) {
  const root = /** @type {HTMLElement} */ (element.querySelector(".ec"));
  // @ts-expect-error for tests, and for those who look
  root.app = new App(root, props, server, upload);
}
