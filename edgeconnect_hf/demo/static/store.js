/** The browser's storage: the photo and what was done to it survive a reload. */

import { clear, createStore, getMany, setMany } from "./idb-keyval.js";

const STORE = createStore("edgeconnect", "work");

/** @type {Blob | null} */
let keptPhoto = null;
let last = Promise.resolve(); // one after the other

/** Without storage, or with a full one, nothing is kept. The photo is kept as bytes, as some private windows keep no files. @param {State} state */
export function keep({ photo: { blob, ...photo }, ...state }) {
  last = last.then(async () => {
    const bytes = blob === keptPhoto ? [] : [["photo", await blob.arrayBuffer()]];
    await setMany([...bytes, ["state", { ...state, photo }]], STORE);
    keptPhoto = blob;
  }).catch(() => undefined);
}

/** @returns {Promise<State | null>} the last one; its photo's address is to be made anew */
export async function recall() {
  const [bytes, state] = await getMany(["photo", "state"], STORE).catch(() => []);
  const isOurs = bytes && typeof state?.mask.values === "string"; // not an earlier version's
  return isOurs ? { ...state, photo: { ...state.photo, blob: new Blob([bytes]) } } : null;
}

export async function forget() {
  keptPhoto = null;
  await clear(STORE).catch(() => undefined);
}
