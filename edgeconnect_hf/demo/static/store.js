/** The browser's storage: the photo and what was done to it survive a reload. */

/** @typedef {import("./work.js").State} State @typedef {import("./work.js").Photo} Photo */

const NAME = "edgeconnect", PLACE = "work";

/** @param {IDBTransactionMode} mode @param {(store: IDBObjectStore) => IDBRequest[]} act @returns {Promise<any[]>} the results */
async function withStore(mode, act) {
  /** @type {IDBDatabase} */
  const database = await new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(PLACE);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  try {
    const transaction = database.transaction(PLACE, mode), requests = act(transaction.objectStore(PLACE));
    await new Promise((resolve, reject) => {
      transaction.oncomplete = resolve;
      transaction.onerror = transaction.onabort = () => reject(transaction.error);
    });
    return requests.map((request) => request.result);
  } finally {
    database.close();
  }
}

let keptPhoto = "";

/** Without storage, as in some private windows, or with a full one, nothing is kept. @param {State} state */
export async function keep(state) {
  const { photo, result } = state, isNew = photo.id !== keptPhoto;
  const rest = { ...state, photo: { ...photo, blob: null }, result: result && { ...result, url: "" } };
  await withStore("readwrite", (store) => [...(isNew ? [store.put(photo.blob, "photo")] : []), store.put(rest, "state")])
    .then(() => { keptPhoto = photo.id; }, () => undefined);
}

/** @returns {Promise<State | null>} the last one; its addresses are to be made anew */
export async function recall() {
  const [blob, state] = await withStore("readonly", (store) => [store.get("photo"), store.get("state")]).catch(() => []);
  return blob && state ? { ...state, photo: { ...state.photo, blob } } : null;
}

export async function forget() {
  keptPhoto = "";
  await withStore("readwrite", (store) => [store.clear()]).catch(() => undefined);
}
