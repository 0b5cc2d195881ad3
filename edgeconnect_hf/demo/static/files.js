/** Files in and out: photos, masks, line maps, projects. */

import { pack, renderPng } from "./planes.js";
import { Refusal } from "./server.js";

const PHOTO = "photo", MASK = "mask.png", LINES = "lines.png", PROJECT = "project.json"; // in a project

/** As the browser sees it: of width 0 if it cannot read it. @param {Blob} blob @param {string} name @returns {Promise<Photo>} */
export async function readPhoto(blob, name) {
  const image = Object.assign(new Image(), { src: URL.createObjectURL(blob) });
  await image.decode().catch(() => undefined);
  return { blob, name, path: null, url: image.src, width: image.naturalWidth, height: image.naturalHeight };
}

/** A photo that the server has made. @param {Server} server @param {string} path @param {string} name @returns {Promise<Photo>} */
export async function fetchPhoto(server, path, name) {
  const photo = await readPhoto(await server.fetch(path), name);
  if (!photo.width) throw new Refusal("This photo could not be shown.");
  return { ...photo, path };
}

/** As the server sees it. @param {Server} server @param {Photo} photo @returns {Promise<Photo>} the same one, where both see the same */
export async function checkPhoto(server, photo) {
  const { width, height, shown } = await server.ask("open_photo", {}, photo), { blob, name, path } = photo;
  if (shown) return { ...(await fetchPhoto(server, shown, name)), blob, path };
  if (photo.width === width && photo.height === height) return photo;
  throw new Refusal("This browser shows the photo otherwise than the server. Please save it as PNG, and open that.");
}

/** @param {Server} server @param {State} state @param {"png" | "jpeg"} kind @returns {Promise<string>} the path of the photo with its result */
export async function writeResult(server, { photo, result }, kind) {
  const { mask, patch } = result ?? { mask: pack(new Uint8Array(photo.width * photo.height)), patch: "" };
  return (await server.ask("save", { mask, patch, name: photo.name, kind }, photo)).path;
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
  const bytes = async (/** @type {Blob} */ blob) => new Uint8Array(await blob.arrayBuffer());
  const archive = zipSync({
    [PHOTO]: await bytes(photo.blob), [MASK]: await bytes(await drawPlane(work, "mask")), [LINES]: await bytes(await drawPlane(work, "edges")),
    [PROJECT]: strToU8(JSON.stringify({ version: 1, name: photo.name, settings, state: { touched, colours, result, isCurrent } })),
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
  const { name, settings, state } = JSON.parse(strFromU8(entries[PROJECT]));
  const complete = async (/** @type {Photo} */ photo) => ({
    photo, ...state,
    ...await readDrawing(server, photo, new File([entries[MASK]], MASK), "mask"),
    ...await readDrawing(server, photo, new File([entries[LINES]], LINES), "edges"),
  });
  return { blob: new Blob([entries[PHOTO]]), name, settings, complete };
}

/** What a file changes of a state. @param {Server} server @param {Photo} photo @param {File} file @param {"mask" | "edges"} plane @returns {Promise<any>} */
export async function readDrawing(server, { width, height }, file, plane) {
  const path = await server.upload(file, file.name);
  return server.ask(plane === "mask" ? "read_mask" : "read_lines", { file: { path }, width, height });
}

/** @param {Work} work @param {"mask" | "edges"} plane @returns {Promise<Blob>} a PNG */
function drawPlane(work, plane) {
  const { width, height } = work.state.photo, values = work[plane];
  return renderPng({ left: 0, top: 0, right: width, bottom: height }, (x, y) => 0xff000000 | (values[y * width + x] * 0x010101));
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
