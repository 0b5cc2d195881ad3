/** How work begins: with a photo, a project, an example, or what the browser has kept. */

import { checkPhoto, readDrawing, readPhoto, readProject } from "./files.js";
import { Refusal } from "./server.js";
import { recall } from "./store.js";
import { patchUrl } from "./work.js";

/** @typedef {import("./app.js").App} App @typedef {import("./work.js").Photo} Photo @typedef {import("./work.js").State} State */

/**
 * @param {App} app @param {Blob | null} blob @param {string} [name]
 * @param {(photo: Photo) => Promise<State>} [complete] @returns {Promise<void>}
 */
export async function open(app, blob, name = blob instanceof File ? blob.name : "photo", complete) {
  if (!blob) return;
  if (name.endsWith(".zip")) {
    const project = await readProject(blob);
    app.panel.setSettings(project.settings);
    return open(app, project.photo, project.name, project.complete);
  }
  if (!app.work.isSaved && !confirm("The photo that is open has changes that you have not saved. Open another one?")) return;
  app.repairs.drop();
  const number = ++app.number, seen = await readPhoto(blob, name);
  if (seen && seen.width * seen.height > app.props.max_megapixels * 1e6) {
    throw new Refusal(`This photo is ${seen.width}x${seen.height}. Up to ${app.props.max_megapixels} megapixels can be repaired.`);
  }
  if (number !== app.number) return;
  const show = (/** @type {Photo} */ photo) => {
    app.work.open(photo);
    app.panel.opened(photo);
    app.refresh();
    app.view.fit();
  };
  if (seen) show(seen);
  try {
    const photo = await checkPhoto(app.server, seen, blob, name);
    if (number !== app.number && app.work.photo !== seen) return;
    if (photo !== seen) show(photo);
    if (complete) {
      const state = await complete(photo);
      app.work.restore(state);
      app.work.history.start(state);
      app.refresh();
    }
    app.panel.say("The photo is open. Paint over what should go.");
  } catch (error) {
    if (app.work.photo === seen) app.panel.closed();
    throw error;
  }
}

/** @param {App} app @param {string} name of its photo */
export async function openExample(app, name) {
  const [photo, mask] = await Promise.all([name, name.replace(".jpg", "_mask.png")].map(async (each) => {
    return new File([await (await fetch(new URL(each, import.meta.url))).blob()], each);
  }));
  await open(app, photo);
  await app.change(() => readDrawing(app.server, app.work, mask, "mask"), () => app.done("mask"));
}

/** @param {App} app */
export async function restore(app) {
  const state = await recall();
  if (!state) return;
  const photo = { ...state.photo, url: URL.createObjectURL(state.photo.blob) };
  const seen = await readPhoto(state.photo.blob, photo.name);
  if (!seen || seen.width !== photo.width) photo.url = (await checkPhoto(app.server, seen, photo.blob, photo.name)).url;
  const result = state.result && { ...state.result, url: patchUrl(state.result.patch) };
  app.work.open(photo);
  app.work.restore({ ...state, photo, result });
  app.work.history.start({ ...state, photo, result });
  if (result) app.work.results = [app.work.state];
  app.panel.opened(photo);
  app.refresh();
  app.panel.say("Your last photo is open again.");
}

/** A mask or a line map of a file. @param {App} app @param {"mask" | "edges"} plane */
export async function openDrawing(app, plane) {
  const file = await app.panel.chooseFile("image/*");
  if (!file) return;
  if (plane === "edges") app.panel.keepLines();
  return app.change(() => readDrawing(app.server, app.work, file, plane), () => app.done(plane));
}
