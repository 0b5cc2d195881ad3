/** What moves over the photo: mouse, pen and fingers, of which two pan and zoom; and the arrow keys. */

import { clamp } from "./shapes.js";
import { begin } from "./tools.js";

const ARROWS = /** @type {Record<string, number[]>} */ ({ ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] });

export class Pointer {
  /** @param {App} app */
  constructor(app) {
    this.app = app;
    this.gesture = /** @type {Gesture | null} */ (null);
    this.down = /** @type {Map<number, PointerEvent>} */ (new Map());
    this.isSpaceDown = false; // then it pans, as with the middle button
    this.place = /** @type {Point | null} */ (null); // where the arrows have moved the tool
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
    this.app.panel.path = "";
    this.app.settle();
  }

  /** @param {PointerEvent} event */
  press(event) {
    const { view } = this.app;
    this.place = null;
    if (event.button > 1) return;
    view.frame.focus({ preventScroll: true });
    try { view.frame.setPointerCapture(event.pointerId); } catch { /* a pointer made by a script */ }
    this.down.set(event.pointerId, event);
    if (this.down.size > 1) return this.cancel();
    this.gesture = begin(this.app, view.toPhoto(event), event, event.button === 1 || this.isSpaceDown);
    event.preventDefault();
  }

  /** @param {PointerEvent} event */
  move(event) {
    const { view, panel } = this.app, before = this.down.get(event.pointerId);
    panel.brush = { ...view.toPhoto(event), isShown: event.pointerType !== "touch" };
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
  release(event) {
    if (event.type === "pointercancel") this.cancel();
    if (this.down.delete(event.pointerId) && !this.down.size) this.end();
  }

  /** @param {KeyboardEvent} event */
  pressKey(event) {
    const { view, panel } = this.app, arrow = ARROWS[event.key], place = this.place ?? { x: view.width / 2, y: view.height / 2 };
    if (event.ctrlKey || event.metaKey) return;
    if (event.key === " ") this.isSpaceDown = true;
    else if (event.key === "Escape") this.cancel();
    else if (event.key === "Enter" && this.gesture) this.end();
    else if (event.key === "Enter") this.gesture = begin(this.app, place, event, false);
    else if (arrow) {
      const step = event.altKey ? 1 : Math.max(1, Math.round(10 / view.scale));
      this.place = { x: clamp(place.x + arrow[0] * step, 0, view.width), y: clamp(place.y + arrow[1] * step, 0, view.height) };
      panel.brush = { ...this.place, isShown: true };
      this.gesture?.move(this.place, event);
      view.reveal(this.place);
    } else return;
    event.preventDefault();
  }
}
