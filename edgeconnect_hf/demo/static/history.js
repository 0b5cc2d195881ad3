/** What can be undone and redone. Each state is whole, so that a late result may replace its state alone. */

const MOST = 200;

/** @template State */
export class History {
  constructor() {
    /** @type {State[]} */
    this.states = [];
    this.place = -1;
  }

  /** @param {State} state */
  start(state) {
    this.states = [state];
    this.place = 0;
  }

  /** After something was done. @param {State} state */
  push(state) {
    this.states.splice(this.place + 1, Infinity, state);
    if (this.states.length > MOST) this.states.splice(0, this.states.length - MOST);
    this.place = this.states.length - 1;
  }

  /** The present state, once its result is there. @param {State} state */
  replace(state) {
    this.states[this.place] = state;
  }

  get present() {
    return this.states[this.place];
  }

  get canUndo() {
    return this.place > 0;
  }

  get canRedo() {
    return this.place < this.states.length - 1;
  }

  /** @param {-1 | 1} by @returns {State | null} */
  step(by) {
    const state = this.states[this.place + by];
    if (!state) return null;
    this.place += by;
    return state;
  }
}
