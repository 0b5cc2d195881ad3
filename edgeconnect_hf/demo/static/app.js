/** The page put together, by the component, once it stands. */

import { actsOf } from "./acts.js";
import Alpine from "./alpine.js";
import { repair } from "./asking.js";
import { Layers } from "./layers.js";
import { open } from "./opening.js";
import { Panel } from "./panel.js";
import { Pointer } from "./pointer.js";
import { Refusal, Server } from "./server.js";
import { keep, recall } from "./store.js";
import { View } from "./view.js";
import { Work } from "./work.js";

export class App {
  /** @param {HTMLElement} element @param {Props} props @param {Functions} functions @param {Upload} upload */
  constructor(element, props, functions, upload) {
    const root = /** @type {HTMLElement} */ (element.querySelector(".ec"));
    this.props = props;
    this.server = new Server(functions, upload, props.max_megabytes);
    this.work = new Work();
    this.panel = /** @type {Panel} */ (Alpine.reactive(new Panel(root)));
    Alpine.data("panel", () => this.panel);
    Alpine.magic("app", () => this);
    Alpine.initTree(root);
    this.layers = new Layers(root, this.work);
    this.view = new View(root, this.panel);
    Alpine.effect(() => this.layers.zoomed(this.panel.pixels));
    this.pointer = new Pointer(this);
    this.acts = actsOf(this);
    this.asking = new AbortController(); // what is asked of the server about the work
    this.opening = /** @type {Opening | null} */ (null); // the last one
    this.take("brush");
    Object.assign(root, { app: this }); // for tests, and for those who look
    recall().then((state) => { this.panel.canRestore = state !== null; });
    addEventListener("beforeunload", (event) => { if (!this.work.isSaved) event.preventDefault(); });
  }

  /** @param {Event} event @param {DataTransfer | null} data that was dropped or pasted */
  open(event, data) {
    if (!data?.files.length) return;
    event.preventDefault();
    this.try(() => open(this, data.files[0]));
  }

  /** A button or its shortcut, or a changed setting. @param {HTMLElement | null} control */
  press(control) {
    const { do: name, value, tool } = control?.dataset ?? {};
    if (tool) this.take(tool);
    if (name) this.act(name, value);
  }

  /** A shortcut, which its button names. @param {KeyboardEvent} event */
  pressKey(event) {
    const { panel } = this, isControl = event.ctrlKey || event.metaKey;
    if (!isControl && /** @type {Element} */ (event.target).matches("select, input:not([type=checkbox], [type=radio])")) return;
    const name = (isControl ? "Control+" : "") + (isControl && event.shiftKey ? "Shift+" : "") + event.key.replace(/^[a-z]$/, (key) => key.toUpperCase());
    const button = panel.root.querySelector(`button[aria-keyshortcuts~="${CSS.escape(name)}"]`);
    if (!(button instanceof HTMLButtonElement)) return;
    event.preventDefault();
    if (button.dataset.hold) panel.isBefore = true;
    else this.press(button);
  }

  /** @param {string} name @param {string} [value] */
  act(name, value) {
    return this.try(() => this.acts[name](value));
  }

  /** @param {() => unknown} act whose refusals are shown */
  async try(act) {
    try {
      await act();
    } catch (error) {
      if (error instanceof DOMException && error.name === "AbortError") return;
      if (!(error instanceof Refusal)) console.error(error);
      this.panel.error = error instanceof Refusal ? error.message : "Something went wrong. Please try again.";
    }
  }

  /** @param {string} tool */
  take(tool) {
    this.pointer.cancel();
    this.panel.take(tool);
    this.refresh();
  }

  /** Begin work. @param {State} state */
  begin(state) {
    this.work.begin(state);
    Object.assign(this.panel, { state: "open", sizes: {}, error: "" });
    this.refresh();
    this.view.fit();
  }

  /** What is painted is whole, or something else has changed. @param {Partial<State>} [changes] */
  done(changes) {
    this.panel.say("");
    if (changes || this.work.changed.size) this.work.commit(changes);
    this.settle();
  }

  /** Show the present state, and repair it if that is wanted and was not done, or was given up. */
  settle() {
    const { isCurrent, result } = this.work.state;
    this.refresh();
    if (this.panel.settings.live && (!isCurrent || result?.isDraft)) this.try(() => repair(this));
  }

  /**
   * Ask the server about the work. A newer question, or a change, makes this one void. A repair that this one made void
   * is asked for again, unless this is a repair.
   *
   * @template T @param {() => Promise<T>} question @param {(answer: T) => void} use @param {boolean} [isRepair]
   */
  async ask(question, use, isRepair = false) {
    this.drop();
    const { signal } = (this.asking = new AbortController());
    this.panel.isBusy = true;
    try {
      use(await question().finally(() => signal.throwIfAborted()));
    } finally {
      if (!signal.aborted) {
        this.panel.isBusy = false;
        if (!isRepair) this.settle();
      }
    }
  }

  /** A person does something: what was begun or asked is for a state that is no more. */
  drop() {
    this.pointer.cancel();
    this.asking.abort();
    this.panel.isBusy = false;
  }

  /** Show the present state, everywhere; keep it in the browser. */
  refresh() {
    const { work, panel, layers, view } = this;
    if (!work.photo) return;
    view.setSize(work.photo);
    layers.shows = { lines: panel.tool.of === "lines" || panel.settings.lines, hole: panel.tool.of !== "view" };
    layers.show();
    panel.show(work);
    if (work.place > 0 || work.state.result) keep(work.state);
  }
}
