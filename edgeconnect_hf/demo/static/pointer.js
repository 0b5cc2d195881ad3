/** Mouse, pen and fingers on the photo: one draws, two pan and zoom; the middle button or the space bar pans. */

import { begin } from "./tools.js";

/** @typedef {import("./shapes.js").Point} Point @typedef {import("./tools.js").Keys} Keys */

export class Pointer {
  /** @param {import("./app.js").App} app */
  constructor(app) {
    this.app = app;
    /** @type {import("./tools.js").Gesture | null} */
    this.gesture = null;
    /** @type {Map<number, PointerEvent>} */
    this.down = new Map();
    this.isSpaceDown = false;
    const { frame } = app.view;
    frame.addEventListener("pointerdown", (event) => this.#press(event));
    frame.addEventListener("pointermove", (event) => this.#move(event));
    frame.addEventListener("pointerup", (event) => this.#release(event));
    frame.addEventListener("pointercancel", (event) => { this.cancel(); this.#release(event); });
    frame.addEventListener("pointerleave", () => app.panel.showBrush(null));
  }

  /** @param {Point} point @param {Keys} keys */
  begin(point, keys, isPanning = false) {
    this.gesture = begin(this.app, point, keys, isPanning);
  }

  end() {
    const gesture = this.gesture;
    this.gesture = null;
    gesture?.end();
  }

  /** Give up what has begun. */
  cancel() {
    if (!this.gesture) return;
    this.gesture = null;
    this.app.work.rollBack();
    this.app.panel.outline([]);
    this.app.settle();
  }

  /** @param {PointerEvent} event */
  #press(event) {
    const { view } = this.app;
    if (event.target instanceof HTMLInputElement || event.button > 1) return;
    view.frame.focus({ preventScroll: true });
    try { view.frame.setPointerCapture(event.pointerId); } catch { /* a pointer made by a script */ }
    this.down.set(event.pointerId, event);
    if (this.down.size > 1) return this.cancel();
    this.begin(view.toPhoto(event), event, event.button === 1 || this.isSpaceDown);
    event.preventDefault();
  }

  /** @param {PointerEvent} event */
  #move(event) {
    const { view, panel } = this.app, before = this.down.get(event.pointerId);
    panel.showBrush(event.pointerType === "touch" ? null : view.toPhoto(event));
    if (!before) return;
    this.down.set(event.pointerId, event);
    const other = [...this.down.values()].find((each) => each !== event);
    if (other) return this.#pinch(before, event, other);
    const events = event.getCoalescedEvents?.() ?? [];
    for (const each of events.length ? events : [event]) this.gesture?.move(view.toPhoto(each), event);
  }

  /** One of two fingers moves. @param {PointerEvent} before @param {PointerEvent} event @param {PointerEvent} other */
  #pinch(before, event, other) {
    const apart = (/** @type {PointerEvent} */ each) => Math.hypot(each.clientX - other.clientX, each.clientY - other.clientY);
    this.app.view.pan((event.clientX - before.clientX) / 2, (event.clientY - before.clientY) / 2);
    const middle = { clientX: (event.clientX + other.clientX) / 2, clientY: (event.clientY + other.clientY) / 2 };
    if (apart(before) > 0) this.app.view.zoom(apart(event) / apart(before), middle);
  }

  /** @param {PointerEvent} event */
  #release(event) {
    if (this.down.delete(event.pointerId) && !this.down.size) this.end();
  }
}
