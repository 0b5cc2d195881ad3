/** The keyboard: the shortcuts that the page's buttons name, and a place on the photo that the arrows move. */

import { clamp } from "./shapes.js";

const ARROWS = /** @type {Record<string, number[]>} */ ({ ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] });

export class Keys {
  /** @param {import("./app.js").App} app */
  constructor(app) {
    this.app = app;
    /** @type {import("./shapes.js").Point | null} where the arrows have moved the tool */
    this.place = null;
    const { view: { frame }, panel, pointer } = app;
    panel.root.addEventListener("keydown", (event) => this.#press(event));
    panel.root.addEventListener("keyup", ({ key }) => {
      if (key === " ") pointer.isSpaceDown = false;
      if (key.toUpperCase() === "C") panel.showBefore(false);
    });
    frame.addEventListener("keydown", (event) => this.#onPhoto(event));
    addEventListener("blur", () => panel.showBefore(false));
    frame.addEventListener("pointerdown", () => { this.place = null; });
  }

  /** @param {KeyboardEvent} event anywhere on the page */
  #press(event) {
    const { panel } = this.app, isControl = event.ctrlKey || event.metaKey;
    if (!isControl && /** @type {Element} */ (event.target).matches("select, input:not([type=checkbox], [type=radio])")) return;
    const name = (isControl ? "Control+" : "") + (isControl && event.shiftKey ? "Shift+" : "") + event.key.replace(/^[a-z]$/, (key) => key.toUpperCase());
    const button = panel.root.querySelector(`button[aria-keyshortcuts~="${CSS.escape(name)}"]`);
    if (!(button instanceof HTMLButtonElement)) return;
    event.preventDefault();
    if (button.dataset.hold) panel.showBefore(true);
    else this.app.press(button);
  }

  /** @param {KeyboardEvent} event on the photo */
  #onPhoto(event) {
    const { view, pointer, panel } = this.app, arrow = ARROWS[event.key], place = this.place ?? { x: view.width / 2, y: view.height / 2 };
    if (event.target !== event.currentTarget || event.ctrlKey || event.metaKey) return;
    if (event.key === " ") pointer.isSpaceDown = true;
    else if (event.key === "Escape") pointer.cancel();
    else if (event.key === "Enter" && pointer.gesture) pointer.end();
    else if (event.key === "Enter") pointer.begin(place, event);
    else if (arrow) {
      const step = event.altKey ? 1 : Math.max(1, Math.round(10 / view.scale));
      this.place = { x: clamp(place.x + arrow[0] * step, 0, view.width), y: clamp(place.y + arrow[1] * step, 0, view.height) };
      panel.showBrush(this.place);
      pointer.gesture?.move(this.place, event);
      view.reveal(this.place);
    } else return;
    event.preventDefault();
  }
}
