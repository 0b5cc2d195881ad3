/** Files in and out: photos, masks, line maps, projects. */

import { fromWire, pack, toWire, unpack } from "./planes.js";
import { fileUrl, Refusal } from "./server.js";
import { patchUrl } from "./work.js";
import { unzip, zip } from "./zip.js";

/**
 * @typedef {import("./work.js").Photo} Photo @typedef {import("./work.js").State} State
 * @typedef {import("./work.js").Work} Work @typedef {import("./server.js").Server} Server
 */

const PROJECT = "project.json";

/**
 * What is shown at once, before the server has looked at it.
 *
 * @param {Blob} blob @param {string} name @returns {Promise<Photo | null>} null: the browser cannot read it
 */
export async function readPhoto(blob, name) {
  const image = new Image();
  image.src = URL.createObjectURL(blob);
  try {
    await image.decode();
  } catch {
    return null;
  }
  const { src: url, naturalWidth: width, naturalHeight: height } = image;
  return { id: `${Date.now()}-${Math.random()}`, blob, name, path: null, url, width, height };
}

/**
 * Have the server check a photo.
 *
 * @param {Server} server @param {Photo | null} shown @param {Blob} blob @param {string} name
 * @returns {Promise<Photo>} as the server sees it
 */
export async function checkPhoto(server, shown, blob, name) {
  const path = await server.upload(blob, name);
  if (shown) shown.path = path;
  const { width, height, shown: copy } = await server.ask("open_photo", { photo: { path } });
  if (shown && !copy && shown.width === width && shown.height === height) return shown;
  if (!copy) throw new Refusal("This browser shows the photo otherwise than the server. Please save it as PNG, and open that.");
  const seen = await readPhoto(await (await fetch(fileUrl(copy))).blob(), name);
  if (!seen) throw new Refusal("This photo could not be shown.");
  return { ...seen, blob, path };
}

/** @param {Server} server @param {Work} work @param {"png" | "jpeg"} kind */
export async function saveResult(server, work, kind) {
  const { photo, result } = work.state;
  const part = result ? { mask: toWire(result.mask), patch: result.patch } : { mask: toWire(pack(new Uint8Array(work.mask.length))), patch: "" };
  const { path } = await server.askAbout("save", photo, { ...part, name: photo.name, kind });
  download(await (await fetch(fileUrl(path))).blob(), path.split(/[\\/]/).pop() ?? "result");
}

/** White on black. @param {Work} work @param {"mask" | "edges"} plane @returns {Promise<Blob>} a PNG */
export async function drawPlane(work, plane) {
  const { width, height } = work, values = work[plane];
  const canvas = new OffscreenCanvas(width, height), image = new ImageData(width, height), pixels = new Uint32Array(image.data.buffer);
  for (let i = 0; i < values.length; i++) pixels[i] = 0xff000000 | (values[i] * 0x010101);
  canvas.getContext("2d")?.putImageData(image, 0, 0);
  return canvas.convertToBlob({ type: "image/png" });
}

/** @param {Work} work @param {object} settings */
export async function saveProject(work, settings) {
  const { photo, result, touched, colours, isCurrent } = work.state;
  const state = { touched: toWire(touched), colours: colours && toWire(colours), isCurrent,
    result: result && { ...result, url: "", mask: toWire(result.mask) } };
  const about = { version: 1, name: photo.name, settings, state };
  download(await zip({
    photo: photo.blob,
    "mask.png": await drawPlane(work, "mask"),
    "lines.png": await drawPlane(work, "edges"),
    [PROJECT]: new Blob([JSON.stringify(about)]),
  }), `${stem(photo.name)}.zip`);
}

/** @param {Blob} file @returns {Promise<{photo: Blob, name: string, settings: object, complete: (photo: Photo) => Promise<State>}>} */
export async function readProject(file) {
  const entries = await unzip(file).catch(() => /** @type {Record<string, Blob>} */ ({}));
  if (!entries.photo || !entries[PROJECT] || !entries["mask.png"] || !entries["lines.png"]) {
    throw new Refusal("This is no project of this page. Please choose one that was saved here, or a photo.");
  }
  const { name, settings, state } = JSON.parse(await entries[PROJECT].text());
  const complete = async (/** @type {Photo} */ photo) => {
    const [mask, edges] = await Promise.all(["mask.png", "lines.png"].map((each) => readPlane(entries[each], photo)));
    const { result, colours } = state;
    return { photo, mask, edges, touched: fromWire(state.touched), colours: colours && wide(colours), isCurrent: state.isCurrent,
      result: result && { ...result, mask: fromWire(result.mask), url: patchUrl(result.patch) } };
  };
  return { photo: entries.photo, name, settings, complete };
}

/** @param {import("./planes.js").Wire} wire of colours */
function wide(wire) {
  const { values, lengths } = fromWire(wire);
  return { values: new Uint32Array(values.buffer), lengths };
}

/** @param {Blob} file @param {Photo} photo */
async function readPlane(file, { width, height }) {
  const bitmap = await createImageBitmap(file, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  const context = new OffscreenCanvas(width, height).getContext("2d");
  if (!context || bitmap.width !== width || bitmap.height !== height) throw new Refusal("This project's drawings do not have its photo's size.");
  context.drawImage(bitmap, 0, 0);
  const { data } = context.getImageData(0, 0, width, height), plane = new Uint8Array(width * height);
  for (let i = 0; i < plane.length; i++) plane[i] = data[4 * i];
  return pack(plane);
}

/** An uploaded mask or line map. @param {Server} server @param {Work} work @param {File} file @param {"mask" | "edges"} plane */
export async function readDrawing(server, work, file, plane) {
  const path = await server.upload(file, file.name), { width, height } = work;
  const answer = await server.ask(plane === "mask" ? "read_mask" : "read_lines", { file: { path }, width, height });
  unpack(fromWire(answer[plane]), work[plane]);
  work.changed.add(plane);
}

/** @param {Blob} blob @param {string} name */
export function download(blob, name) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** @param {string} name @returns {string} without its ending */
export function stem(name) {
  return name.replace(/\.[^.]*$/, "");
}

