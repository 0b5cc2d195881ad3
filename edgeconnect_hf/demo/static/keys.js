/** The keyboard: every tool and action, and a place on the photo that the arrows move. */

import { TOOLS } from "./tools.js";
import { keysOf } from "./pointer.js";

/** @typedef {import("./tools.js").Gesture} Gesture @typedef {import("./shapes.js").Point} Point */

const ARROWS = /** @type {Record<string, number[]>} */ ({ ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] });
const ACTIONS = /** @type {Record<string, string>} */ ({
  0: "fit", 1: "actual", "+": "zoom-in", "=": "zoom-in", "-": "zoom-out", f: "fullscreen", "[": "smaller", "]": "larger",
});

export class Keys {
  /**
   * @param {HTMLElement} root @param {HTMLElement} frame @param {import("./pointer.js").Pointer} pointer
   * @param {import("./view.js").View} view
   * @param {{act: (name: string) => void, take: (tool: string) => void, before: (isHeld: boolean) => void}} on
   */
  constructor(root, frame, pointer, view, on) {
    this.pointer = pointer;
    this.view = view;
    this.on = on;
    /** @type {Point | null} where the arrows have moved the tool */
    this.place = null;
    root.addEventListener("keydown", (event) => this.#press(event));
    root.addEventListener("keyup", (event) => {
      if (event.key === " ") pointer.isSpaceDown = false;
      if (event.key.toLowerCase() === "c") on.before(false);
    });
    frame.addEventListener("keydown", (event) => this.#onPhoto(event));
    frame.addEventListener("blur", () => on.before(false));
    frame.addEventListener("pointerdown", () => { this.place = null; });
  }

  /** @param {KeyboardEvent} event anywhere on the page */
  #press(event) {
    const key = event.key.toLowerCase();
    if ((event.ctrlKey || event.metaKey) && (key === "z" || key === "y")) {
      event.preventDefault();
      return this.on.act(key === "y" || event.shiftKey ? "redo" : "undo");
    }
    if (event.ctrlKey || event.metaKey || isTyping(event.target)) return;
    const tool = TOOLS.find((each) => each.key.toLowerCase() === key);
    const action = ACTIONS[key];
    if (key === "c") this.on.before(true);
    else if (tool) this.on.take(tool.id);
    else if (action) this.on.act(action);
    else return;
    event.preventDefault();
  }

  /** @param {KeyboardEvent} event on the photo */
  #onPhoto(event) {
    const arrow = ARROWS[event.key], { view, pointer } = this;
    if (event.target !== event.currentTarget) return;
    if (event.key === " ") pointer.isSpaceDown = true;
    else if (event.key === "Escape") pointer.cancel();
    else if (event.key === "Enter" && event.ctrlKey) this.on.act("repair");
    else if (event.key === "Enter") {
      const point = (this.place ??= { x: view.width / 2, y: view.height / 2 });
      if (pointer.gesture) pointer.end();
      else pointer.begin(point, keysOf(event));
    } else if (arrow) {
      const place = this.place ?? { x: view.width / 2, y: view.height / 2 }, step = event.altKey ? 1 : Math.max(1, Math.round(10 / view.scale));
      this.place = { x: Math.min(view.width, Math.max(0, place.x + arrow[0] * step)), y: Math.min(view.height, Math.max(0, place.y + arrow[1] * step)) };
      pointer.move(this.place, keysOf(event));
      view.reveal(this.place);
    } else return;
    event.preventDefault();
  }
}

/** @param {EventTarget | null} target */
function isTyping(target) {
  return target instanceof HTMLSelectElement || (target instanceof HTMLInputElement && !["checkbox", "radio"].includes(target.type));
}
