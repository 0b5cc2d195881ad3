/**
 * What a person works on: the photo, the hole, the lines, the colours, the result; and all its earlier states.
 *
 * @typedef {import("./planes.js").Packed} Packed @typedef {import("./planes.js").Plane} Plane
 * @typedef {{id: string, blob: Blob, name: string, path: string | null, url: string, width: number, height: number}} Photo
 *   `path`: the server's, null until it is uploaded; `url`: what the browser shows
 * @typedef {{box: number[], patch: string, url: string, mask: Packed, seconds: number, isDraft?: boolean}} Result
 *   `box`: left, top, right, bottom; `patch`: a PNG in base64; `isDraft`: its texture is missing
 * @typedef {{photo: Photo, mask: Packed, edges: Packed, touched: Packed, colours: Packed | null, result: Result | null,
 *   isCurrent: boolean}} State `isCurrent`: the result shows this hole and these lines
 * @typedef {"mask" | "edges" | "touched" | "colours"} Name of a plane
 */

import { fromBase64, isEmpty, pack, unpack } from "./planes.js";
import { History } from "./history.js";

export const DRAWN = 1, ERASED = 2; // in `touched`

export class Work {
  constructor() {
    /** @type {History<State>} */
    this.history = new History();
    /** @type {State[]} those with a result, to go back to */
    this.results = [];
    /** @type {Photo | null} */
    this.photo = null;
    this.width = this.height = 0;
    this.mask = this.edges = this.touched = new Uint8Array(0);
    this.covered = new Uint8Array(0); // the hole that the shown result has painted
    /** @type {Uint32Array | null} RGBA, 0 where there is none */
    this.colours = null;
    /** @type {Set<Name>} planes that differ from the present state's */
    this.changed = new Set();
    this.isSaved = true;
  }

  /** Begin with a photo. @param {Photo} photo */
  open(photo) {
    const empty = pack(new Uint8Array(photo.width * photo.height));
    const state = { photo, mask: empty, edges: empty, touched: empty, colours: null, result: null, isCurrent: true };
    this.results = [];
    this.restore(state);
    this.history.start(state);
    this.isSaved = true;
  }

  /** The present state. @returns {State} */
  get state() {
    return this.history.present;
  }

  /** Show a state: of the history, of an earlier visit. @param {State} state */
  restore(state) {
    const { width, height } = state.photo;
    if (width !== this.width || height !== this.height) {
      [this.mask, this.edges, this.touched, this.covered] = [0, 0, 0, 0].map(() => new Uint8Array(width * height));
      [this.width, this.height] = [width, height];
    }
    this.photo = state.photo;
    unpack(state.mask, this.mask);
    unpack(state.edges, this.edges);
    unpack(state.touched, this.touched);
    this.#cover(state.result);
    this.colours = state.colours && unpack(state.colours, new Uint32Array(width * height));
    this.changed.clear();
  }

  /** Something was done: a new state, not repaired yet. @param {Partial<State>} [changes] beside the planes' */
  commit(changes = {}) {
    const state = { ...this.state, ...this.#packed(), isCurrent: false, ...changes };
    if (isEmpty(state.mask)) Object.assign(state, { result: null, isCurrent: true });
    this.history.push(state);
    this.#cover(state.result);
    this.isSaved = false;
  }

  /** A larger photo, on which the old one begins at a place. @param {Photo} photo @param {Packed} margin @param {number} left @param {number} top */
  extend(photo, margin, left, top) {
    const { width, height } = this, size = photo.width * photo.height;
    const moved = (/** @type {Plane} */ from, /** @type {Plane} */ to) => {
      for (let y = 0; y < height; y++) to.set(from.subarray(y * width, (y + 1) * width), (y + top) * photo.width + left);
      return pack(to);
    };
    const [mask, edges, touched] = [this.mask, this.edges, this.touched].map((plane) => moved(plane, new Uint8Array(size)));
    const both = unpack(margin, new Uint8Array(size)), hole = unpack(mask, new Uint8Array(size));
    for (let i = 0; i < size; i++) both[i] |= hole[i];
    const colours = this.colours && moved(this.colours, new Uint32Array(size));
    this.commit({ photo, mask: pack(both), edges, touched, colours, result: null });
    this.restore(this.state);
  }

  /** The result of the present state has come. @param {Result} result @param {Packed} edges that it was painted from */
  settle(result, edges) {
    unpack(edges, this.edges);
    this.#cover(result);
    const before = this.state, state = { ...before, edges, result, isCurrent: true };
    this.history.replace(state);
    this.results = [...this.results.filter((each) => each !== before), state].slice(-12); // not its draft, too
  }

  /** Give up what was changed since the last state. */
  rollBack() {
    if (this.changed.size) this.restore(this.state);
  }

  /** @param {-1 | 1} by @returns {boolean} whether there was such a state */
  step(by) {
    this.rollBack();
    const state = this.history.step(by);
    if (state) this.restore(state);
    this.isSaved = false;
    return state !== null;
  }

  get hasHole() {
    return !isEmpty(this.state.mask);
  }

  /** @param {Result | null} result */
  #cover(result) {
    if (result) unpack(result.mask, this.covered);
    else this.covered.fill(0);
  }

  /** @returns {Partial<State>} */
  #packed() {
    const packed = [...this.changed].map((name) => [name, this[name] && pack(/** @type {any} */ (this[name]))]);
    this.changed.clear();
    return Object.fromEntries(packed);
  }
}

/** @param {string} patch a PNG in base64 @returns {string} where the browser finds it */
export function patchUrl(patch) {
  return URL.createObjectURL(new Blob([fromBase64(patch)], { type: "image/png" }));
}
