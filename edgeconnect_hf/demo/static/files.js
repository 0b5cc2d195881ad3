/** Files in and out: photos, masks, line maps, projects. */

import { fromWire, render, toWire } from "./planes.js";
import { Refusal } from "./server.js";
import { freshState, patchUrl } from "./work.js";

/**
 * @typedef {import("./work.js").Photo} Photo @typedef {import("./work.js").State} State
 * @typedef {import("./work.js").Work} Work @typedef {import("./server.js").Server} Server
 * @typedef {{blob: Blob, name: string, settings?: object, complete?: (photo: Photo) => Promise<State>}} Opening what is
 *   opened; `complete`: what was done to the photo earlier
 */

const PHOTO = "photo", MASK = "mask.png", LINES = "lines.png", PROJECT = "project.json"; // in a project

/**
 * What is shown at once, before the server has looked at it.
 *
 * @param {Blob} blob @param {string} name @returns {Promise<Photo | null>} null: the browser cannot read it
 */
export async function readPhoto(blob, name) {
  const image = Object.assign(new Image(), { src: URL.createObjectURL(blob) });
  try {
    await image.decode();
  } catch {
    return null;
  }
  return { blob, name, path: null, url: image.src, width: image.naturalWidth, height: image.naturalHeight };
}

/** A photo that the server has made. @param {Server} server @param {string} path @param {string} name @returns {Promise<Photo>} */
export async function fetchPhoto(server, path, name) {
  const photo = await readPhoto(await server.fetch(path), name);
  if (!photo) throw new Refusal("This photo could not be shown.");
  return { ...photo, path };
}

/**
 * Have the server check a photo.
 *
 * @param {Server} server @param {Photo | null} shown @param {Blob} blob @param {string} name
 * @returns {Promise<Photo>} as the server sees it
 */
export async function checkPhoto(server, shown, blob, name) {
  const path = await server.upload(blob, name);
  const { width, height, shown: copy } = await server.ask("open_photo", { photo: { path } });
  if (copy) return { ...(await fetchPhoto(server, copy, name)), blob, path };
  if (shown && shown.width === width && shown.height === height) return Object.assign(shown, { path });
  throw new Refusal("This browser shows the photo otherwise than the server. Please save it as PNG, and open that.");
}

/** @param {Server} server @param {State} state @param {"png" | "jpeg"} kind @returns {Promise<string>} the path of the photo with its result */
export async function writeResult(server, { photo, result }, kind) {
  const mask = toWire((result ?? freshState(photo)).mask), patch = result?.patch ?? "";
  return (await server.askAbout("save", photo, { mask, patch, name: photo.name, kind })).path;
}

/** @param {Server} server @param {State} state @param {"png" | "jpeg"} kind */
export async function saveResult(server, state, kind) {
  const path = await writeResult(server, state, kind);
  download(await server.fetch(path), path.split(/[\\/]/).pop() ?? "result");
}

/** White on black. @param {Work} work @param {"mask" | "edges"} plane */
export async function saveDrawing(work, plane) {
  download(await drawPlane(work, plane), `${stem(work.state.photo)}_${plane === "mask" ? "mask" : "lines"}.png`);
}

/** @param {Work} work @param {object} settings */
export async function saveProject(work, settings) {
  const { strToU8, zipSync } = /** @type {any} */ (await import("./fflate.js")), { photo, result, touched, colours, isCurrent } = work.state;
  const state = { touched: toWire(touched), colours: colours && toWire(colours), isCurrent,
    result: result && { ...result, url: "", mask: toWire(result.mask) } };
  const bytes = async (/** @type {Blob} */ blob) => new Uint8Array(await blob.arrayBuffer());
  const archive = zipSync({
    [PHOTO]: await bytes(photo.blob), [MASK]: await bytes(await drawPlane(work, "mask")), [LINES]: await bytes(await drawPlane(work, "edges")),
    [PROJECT]: strToU8(JSON.stringify({ version: 1, name: photo.name, settings, state })),
  }, { level: 0 });
  download(new Blob([archive], { type: "application/zip" }), `${stem(photo)}.zip`);
}

/** @param {Server} server @param {Blob} file @returns {Promise<Opening>} */
export async function readProject(server, file) {
  const { strFromU8, unzipSync } = /** @type {any} */ (await import("./fflate.js"));
  const entries = await file.arrayBuffer().then((bytes) => unzipSync(new Uint8Array(bytes))).catch(() => ({}));
  if (![PHOTO, MASK, LINES, PROJECT].every((entry) => entry in entries)) {
    throw new Refusal("This is no project of this page. Please choose one that was saved here, or a photo.");
  }
  const { name, settings, state: { touched, colours, isCurrent, result } } = JSON.parse(strFromU8(entries[PROJECT]));
  const read = (/** @type {Photo} */ photo, /** @type {string} */ entry, /** @type {"mask" | "edges"} */ plane) => {
    return readDrawing(server, photo, new File([entries[entry]], entry), plane);
  };
  return { blob: new Blob([entries[PHOTO]]), name, settings, complete: async (photo) => ({
    photo, isCurrent, ...await read(photo, MASK, "mask"), ...await read(photo, LINES, "edges"),
    touched: fromWire(touched), colours: colours && fromWire(colours, Uint32Array),
    result: result && { ...result, mask: fromWire(result.mask), url: patchUrl(result.patch) },
  }) };
}

/**
 * A mask or a line map of a file.
 *
 * @param {Server} server @param {Photo} photo @param {File} file @param {"mask" | "edges"} plane
 * @returns {Promise<any>} what it changes of a state
 */
export async function readDrawing(server, { width, height }, file, plane) {
  const path = await server.upload(file, file.name);
  const answer = await server.ask(plane === "mask" ? "read_mask" : "read_lines", { file: { path }, width, height });
  return { [plane]: fromWire(answer[plane]) };
}

/** @param {Work} work @param {"mask" | "edges"} plane @returns {Promise<Blob>} a PNG */
async function drawPlane(work, plane) {
  const { width, height } = work.state.photo, values = work[plane], canvas = new OffscreenCanvas(width, height);
  const image = render({ left: 0, top: 0, right: width, bottom: height }, (x, y) => 0xff000000 | (values[y * width + x] * 0x010101));
  canvas.getContext("2d")?.putImageData(image, 0, 0);
  return canvas.convertToBlob({ type: "image/png" });
}

/** @param {Blob} blob @param {string} name */
function download(blob, name) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** @param {Photo} photo @returns {string} its name without its ending */
function stem({ name }) {
  return name.replace(/\.[^.]*$/, "");
}
