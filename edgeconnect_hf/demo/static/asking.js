/** What the server does to the work: it grows the hole, selects objects, proposes lines, extends the photo. */

import { readPhoto } from "./files.js";
import { fromWire, pack, toWire, unpack } from "./planes.js";
import { fileUrl, Refusal } from "./server.js";
import { told } from "./tools.js";

/** @typedef {import("./app.js").App} App @typedef {import("./planes.js").Packed} Packed */

/** @param {App} app @param {1 | -1} sign */
export function grow(app, sign) {
  const { width, height } = app.work, mask = toWire(app.work.state.mask), by = sign * app.panel.by;
  return app.change(() => app.server.ask("grow_mask", { mask, width, height, by }), (answer) => {
    unpack(fromWire(answer.mask), app.work.mask);
    app.work.changed.add("mask");
    app.done("grow");
  });
}

/** Other ideas for the lines in the hole, as thumbnails; the one that is picked is a person's from then on. @param {App} app */
export function propose(app) {
  const { photo, width, height } = app.work, { mask, touched } = app.work.state, { sigma, model } = app.panel.settings;
  if (!photo || !app.work.hasHole) throw new Refusal("Paint over something in the photo first.");
  return app.change(
    () => app.server.askAbout("propose_lines", photo, { width, height, mask: toWire(mask), touched: toWire(touched), sigma, model }),
    (answer) => app.panel.showIdeas(answer.ideas.map(fromWire), app.work, (/** @type {Packed} */ edges) => {
      app.repairs.drop();
      app.panel.keepLines();
      unpack(edges, app.work.edges);
      app.work.changed.add("edges");
      app.done("idea");
    }),
  );
}

/** @param {App} app */
export function extend(app) {
  const { photo } = app.work, margins = app.panel.margins;
  if (!photo) return;
  return app.change(async () => {
    const { path, mask, left, top } = await app.server.askAbout("extend", photo, margins);
    const seen = await readPhoto(await (await fetch(fileUrl(path))).blob(), photo.name);
    if (!seen) throw new Refusal("The extended photo could not be shown.");
    return { photo: { ...seen, path }, mask: fromWire(mask), left, top };
  }, (extended) => {
    app.work.extend(extended.photo, extended.mask, extended.left, extended.top);
    app.settle("extend");
    app.view.fit();
  });
}

/**
 * A click tells an object, a box around it, or a scribble on it.
 *
 * @param {App} app @param {import("./shapes.js").Point[]} points @param {import("./tools.js").Keys} keys
 */
export function select(app, points, { isAlt }) {
  const { photo, width, height } = app.work, mask = toWire(app.work.state.mask);
  if (!photo) return;
  const mode = isAlt ? "subtract" : app.panel.selects;
  return app.try(() => app.change(
    () => app.server.askAbout("select_object", photo, { width, height, mask, mode, ...told(points, width, height, 4 / app.view.scale) }),
    (answer) => {
      unpack(fromWire(answer.mask), app.work.mask);
      app.work.changed.add("mask");
      app.done("select");
    },
  ));
}

/** The result becomes the photo, with no hole in it. @param {App} app */
export async function keepResult(app) {
  const { photo, result } = app.work.state;
  if (!result) throw new Refusal("There is no result yet.");
  return app.change(async () => {
    const { path } = await app.server.askAbout("save", photo, { mask: toWire(result.mask), patch: result.patch, name: photo.name, kind: "png" });
    const seen = await readPhoto(await (await fetch(fileUrl(path))).blob(), photo.name);
    if (!seen) throw new Refusal("The result could not be opened.");
    return { ...seen, path };
  }, (kept) => {
    const empty = pack(new Uint8Array(app.work.mask.length));
    app.work.commit({ photo: kept, mask: empty, edges: empty, touched: empty, colours: null });
    app.work.restore(app.work.state);
    app.refresh();
    app.panel.say("The result is the photo now. Paint over what else should go.");
  });
}
