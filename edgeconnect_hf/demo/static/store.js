/** The browser's storage: the photo and what was done to it survive a reload. */

/** @typedef {import("./work.js").State} State */

const NAME = "edgeconnect", PLACE = "work";

/** @param {IDBTransactionMode} mode @param {(store: IDBObjectStore) => IDBRequest} act @returns {Promise<any>} the result */
function withStore(mode, act) {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open(NAME, 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore(PLACE);
    opening.onerror = () => reject(opening.error);
    opening.onsuccess = () => {
      const transaction = opening.result.transaction(PLACE, mode), request = act(transaction.objectStore(PLACE));
      transaction.oncomplete = () => resolve(request.result);
      transaction.onerror = transaction.onabort = () => reject(transaction.error);
      opening.result.close(); // once the transaction is over
    };
  });
}

/** @type {Blob | null} */
let keptPhoto = null;

/** Without storage, as in some private windows, or with a full one, nothing is kept. @param {State} state */
export async function keep(state) {
  const { photo: { blob, ...photo }, result } = state, rest = { ...state, photo, result: result && { ...result, url: "" } };
  const put = (/** @type {IDBObjectStore} */ store) => {
    if (blob !== keptPhoto) store.put(blob, "photo");
    return store.put(rest, "state");
  };
  await withStore("readwrite", put).then(() => { keptPhoto = blob; }, () => undefined);
}

/** @returns {Promise<State | null>} the last one; its addresses are to be made anew */
export async function recall() {
  const read = (/** @type {string} */ name) => withStore("readonly", (store) => store.get(name)).catch(() => null);
  const [blob, state] = [await read("photo"), await read("state")];
  return blob && state ? { ...state, photo: { ...state.photo, blob } } : null;
}

export async function forget() {
  keptPhoto = null;
  await withStore("readwrite", (store) => store.clear()).catch(() => undefined);
}
