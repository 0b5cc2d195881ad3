/** What a person works on: the photo, the hole, the lines, the colours, the result; and all its states, to undo and redo. */

import { fromBase64, isEmpty, pack, unpack } from "./planes.js";

export const DRAWN = 1, ERASED = 2; // in `touched`

const MOST_STATES = 200, MOST_RESULTS = 12;

export class Work {
  constructor() {
    this.states = /** @type {State[]} */ ([]);
    this.place = -1; // of the present one
    this.results = /** @type {State[]} */ ([]); // to go back to
    this.mask = this.edges = this.touched = new Uint8Array(0);
    this.covered = new Uint8Array(0); // the hole that the shown result has painted
    this.colours = /** @type {Uint32Array | null} */ (null); // RGBA, 0 where there is none
    this.changed = /** @type {Set<PlaneName>} */ (new Set()); // what was painted since the present state
    this.ideas = { mask: /** @type {Packed | null} */ (null), shown: /** @type {Idea[]} */ ([]) }; // `mask`: the hole that they are for
    this.isSaved = true;
  }

  get state() {
    return this.states[this.place];
  }

  /** @returns {Photo | undefined} */
  get photo() {
    return this.state?.photo;
  }

  get hasHole() {
    return this.photo !== undefined && !isEmpty(this.state.mask);
  }

  /** With a fresh photo, or a state of an earlier visit. @param {State} state */
  begin(state) {
    this.place = -1;
    this.results = state.result ? [state] : [];
    this.push(state);
    this.isSaved = true;
  }

  /** @param {State} state that comes after the present one */
  push(state) {
    this.states = [...this.states.slice(0, this.place + 1), state].slice(-MOST_STATES);
    this.#goTo(this.states.length - 1);
  }

  /** @param {-1 | 1} by @returns {boolean} whether there was such a state */
  step(by) {
    if (!this.states[this.place + by]) return false;
    this.#goTo(this.place + by);
    return true;
  }

  /** @param {number} place of a state */
  #goTo(place) {
    this.place = place;
    this.rollBack();
    this.isSaved = false;
  }

  /** A new state, not repaired yet, of what was painted, or has changed otherwise. @param {Partial<State>} [changes] */
  commit(changes) {
    const painted = [...this.changed].map((name) => [name, pack(/** @type {Plane} */ (this[name]))]);
    const state = { ...this.state, isCurrent: false, ...Object.fromEntries(painted), ...changes };
    this.push(isEmpty(state.mask) ? { ...state, result: null, isCurrent: true } : state);
  }

  /** A larger photo, on which the old one begins at a place. @param {Photo} photo @param {Packed} margin @param {number} left @param {number} top */
  extend(photo, margin, left, top) {
    const { mask, edges, touched, colours } = this, { width, height } = this.state.photo, size = photo.width * photo.height;
    const moved = (/** @type {Plane} */ from, /** @type {Plane} */ to) => {
      for (let y = 0; y < height; y++) to.set(from.subarray(y * width, (y + 1) * width), (y + top) * photo.width + left);
      return pack(to);
    };
    this.commit({
      photo, result: null, mask: moved(mask, unpack(margin, new Uint8Array(size))), edges: moved(edges, new Uint8Array(size)),
      touched: moved(touched, new Uint8Array(size)), colours: colours && moved(colours, new Uint32Array(size)),
    });
  }

  /** The result of the present state has come. @param {Result} result @param {Packed} edges that it was painted from */
  settle(result, edges) {
    const before = this.state, state = (this.states[this.place] = { ...before, edges, result, isCurrent: true });
    this.results = [...this.results.filter((each) => each !== before), state].slice(-MOST_RESULTS); // not its draft, too
    this.rollBack();
  }

  /** The planes are the present state's again. */
  rollBack() {
    const { photo, mask, edges, touched, colours, result } = this.state, size = photo.width * photo.height;
    if (this.mask.length !== size) [this.mask, this.edges, this.touched, this.covered] = [0, 0, 0, 0].map(() => new Uint8Array(size));
    unpack(mask, this.mask);
    unpack(edges, this.edges);
    unpack(touched, this.touched);
    if (result) unpack(result.mask, this.covered);
    else this.covered.fill(0);
    this.colours = colours && unpack(colours, new Uint32Array(size));
    this.changed.clear();
  }
}

/** Of a photo with nothing done to it. @param {Photo} photo @returns {State} */
export function freshState(photo) {
  const empty = pack(new Uint8Array(photo.width * photo.height));
  return { photo, mask: empty, edges: empty, touched: empty, colours: null, result: null, isCurrent: true };
}

const urls = /** @type {WeakMap<Result, string>} */ (new WeakMap());

/** Where the browser finds what a result painted. @param {Result} result */
export function resultUrl(result) {
  const url = urls.get(result) ?? URL.createObjectURL(new Blob([fromBase64(result.patch, Uint8Array)], { type: "image/png" }));
  urls.set(result, url);
  return url;
}
