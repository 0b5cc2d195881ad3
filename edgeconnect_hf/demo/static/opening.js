/** How work begins: with a photo, a project, an example, or what the browser has kept. */

import { checkPhoto, readDrawing, readPhoto, readProject } from "./files.js";
import { Refusal } from "./server.js";
import { recall } from "./store.js";
import { freshState } from "./work.js";

/** A photo or a project. @param {App} app @param {File | null} [file] */
export async function open(app, file) {
  if (file) await begin(app, file.name.endsWith(".zip") ? await readProject(app.server, file) : { blob: file, name: file.name });
}

/** @param {App} app @param {Opening} opening */
async function begin(app, opening) {
  const { blob, name, settings, complete } = opening, { work, panel, server, props: { max_megapixels: most } } = app;
  if (!work.isSaved && !confirm("The photo that is open has changes that you have not saved. Open another one?")) return;
  app.drop();
  app.opening = opening;
  const seen = await readPhoto(blob, name), { width, height } = seen;
  if (width * height > most * 1e6) throw new Refusal(`This photo is ${width}x${height}. Up to ${most} megapixels can be repaired.`);
  if (app.opening !== opening) return;
  if (width) app.begin(freshState(seen));
  try {
    const photo = await checkPhoto(server, seen), state = complete ? await complete(photo) : freshState(photo);
    if (app.opening !== opening) return;
    Object.assign(panel.settings, settings, { model: panel.settings.model }); // the models are this server's
    if (complete || photo !== seen) app.begin(state);
    panel.say("The photo is open. Paint over what should go.");
  } catch (error) {
    if (app.opening === opening && width) panel.state = "empty";
    throw error;
  }
}

/** @param {App} app @param {string} name of its photo */
export async function openExample(app, name) {
  const [photo, mask] = await Promise.all([name, name.replace(".jpg", "_mask.png")].map(async (each) => {
    return new File([await (await fetch(new URL(each, import.meta.url))).blob()], each);
  }));
  await open(app, photo);
  await openDrawing(app, "mask", mask);
}

/** @param {App} app */
export async function restore(app) {
  const state = await recall();
  if (!state) return;
  await begin(app, { ...state.photo, complete: async (photo) => ({ ...state, photo }) });
  app.panel.say("Your last photo is open again.");
}

/** A mask or a line map of a file. @param {App} app @param {"mask" | "edges"} plane @param {File | null} file */
export async function openDrawing(app, plane, file) {
  if (!file) return;
  if (plane === "edges") app.panel.settings.draws = "mine";
  await app.ask(() => readDrawing(app.server, app.work.state.photo, file, plane), (changes) => app.done(changes));
}
