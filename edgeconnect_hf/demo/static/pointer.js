/** Mouse, pen and fingers on the photo: one draws, two pan and zoom; the middle button or the space bar pans. */

/**
 * @typedef {import("./shapes.js").Point} Point
 * @typedef {import("./tools.js").Gesture} Gesture
 * @typedef {import("./tools.js").Keys} Keys
 */

export class Pointer {
  /**
   * @param {HTMLElement} frame @param {import("./view.js").View} view
   * @param {{begin: (point: Point, keys: Keys) => Gesture | null, cancel: () => void, hover: (point: Point | null) => void}} on
   */
  constructor(frame, view, on) {
    this.view = view;
    this.on = on;
    /** @type {Gesture | null} */
    this.gesture = null;
    /** @type {Map<number, PointerEvent>} */
    this.down = new Map();
    this.isPanning = false;
    this.isSpaceDown = false;
    frame.addEventListener("pointerdown", (event) => this.#press(event));
    frame.addEventListener("pointermove", (event) => this.#move(event));
    frame.addEventListener("pointerup", (event) => this.#release(event));
    frame.addEventListener("pointercancel", (event) => { this.cancel(); this.#release(event); });
    frame.addEventListener("pointerleave", () => this.on.hover(null));
  }

  /** @param {Point} point @param {Keys} keys */
  begin(point, keys) {
    this.gesture = this.on.begin(point, keys);
  }

  /** @param {Point} point @param {Keys} keys */
  move(point, keys) {
    this.on.hover(point);
    this.gesture?.move(point, keys);
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
    this.on.cancel();
  }

  /** @param {PointerEvent} event */
  #press(event) {
    if (event.target instanceof HTMLInputElement || event.button > 1) return;
    const frame = /** @type {HTMLElement} */ (event.currentTarget);
    frame.focus({ preventScroll: true });
    try { frame.setPointerCapture(event.pointerId); } catch { /* a pointer made by a script */ }
    this.down.set(event.pointerId, event);
    if (this.down.size > 1) return this.cancel();
    this.isPanning = event.button === 1 || this.isSpaceDown;
    if (!this.isPanning) this.begin(this.view.toPhoto(event), keysOf(event));
    event.preventDefault();
  }

  /** @param {PointerEvent} event */
  #move(event) {
    this.on.hover(event.pointerType === "touch" ? null : this.view.toPhoto(event));
    const before = this.down.get(event.pointerId);
    if (!before) return;
    if (this.down.size === 2) this.#pinch(before, event);
    else if (this.isPanning) this.view.pan(event.clientX - before.clientX, event.clientY - before.clientY);
    else if (this.gesture) {
      const events = event.getCoalescedEvents?.() ?? [];
      for (const each of events.length ? events : [event]) this.gesture.move(this.view.toPhoto(each), keysOf(event));
    }
    this.down.set(event.pointerId, event);
  }

  /** @param {PointerEvent} before @param {PointerEvent} event of one of two fingers */
  #pinch(before, event) {
    const other = [...this.down.values()].find((each) => each.pointerId !== event.pointerId);
    if (!other) return;
    const apart = (/** @type {PointerEvent} */ each) => Math.hypot(each.clientX - other.clientX, each.clientY - other.clientY);
    this.view.pan((event.clientX - before.clientX) / 2, (event.clientY - before.clientY) / 2);
    const middle = { clientX: (event.clientX + other.clientX) / 2, clientY: (event.clientY + other.clientY) / 2 };
    if (apart(before) > 0) this.view.zoomAt(middle, apart(event) / apart(before));
  }

  /** @param {PointerEvent} event */
  #release(event) {
    if (this.down.delete(event.pointerId) && !this.down.size) this.end();
  }
}

/** @param {MouseEvent | KeyboardEvent} event @returns {Keys} */
export function keysOf(event) {
  return { isShift: event.shiftKey, isAlt: event.altKey };
}
