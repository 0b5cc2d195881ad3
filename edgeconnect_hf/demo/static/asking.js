/** What the server does to the work: it repairs, grows the hole, selects objects, proposes lines, extends the photo. */

import { fetchPhoto, writeResult } from "./files.js";
import { fromWire, isEmpty, pack, toWire } from "./planes.js";
import { Refusal } from "./server.js";
import { capsule, clamp, fill } from "./shapes.js";
import { freshState, patchUrl } from "./work.js";

/** @typedef {import("./app.js").App} App @typedef {import("./shapes.js").Point} Point */

/** What is asked about every hole. @param {App} app */
function aboutHole({ work, panel }) {
  if (!work.hasHole) throw new Refusal("Paint over something in the photo first.");
  const { photo: { width, height }, mask, touched } = work.state, { sigma, model } = panel.settings;
  return { width, height, mask: toWire(mask), touched: toWire(touched), sigma, model };
}

/** Repair the present state, first without texture, where that comes later. @param {App} app @param {number} [began] */
export function repair(app, began = performance.now()) {
  const { work, panel, server } = app, hole = aboutHole(app), { photo, mask, edges, colours, isCurrent, result } = work.state;
  const lines = panel.settings.draws === "mine" ? toWire(edges) : null, draft = !(isCurrent && result?.isDraft);
  return app.ask(async () => {
    const answer = await server.askAbout("repair", photo, { ...hole, edges: lines, ...(colours && { colours: toWire(colours) }), draft });
    const url = patchUrl(answer.patch);
    await Object.assign(new Image(), { src: url }).decode(); // so that nothing flashes
    return { ...answer, url };
  }, ({ box, patch, url, isDraft, edges }) => {
    work.settle({ box, patch, url, mask, isDraft }, fromWire(edges));
    app.refresh();
    panel.say(`Repaired in ${((performance.now() - began) / 1000).toFixed(1)} seconds${isDraft ? "; its texture follows" : ""}.`);
    if (isDraft) app.try(() => repair(app, began));
  }, true);
}

/** @param {App} app @param {1 | -1} sign */
export function grow(app, sign) {
  const { photo: { width, height }, mask } = app.work.state, question = { mask: toWire(mask), width, height, by: sign * app.panel.settings.by };
  return app.ask(() => app.server.ask("grow_mask", question), (grown) => app.done({ mask: fromWire(grown.mask) }));
}

/** What a pointer's path tells becomes part of the hole, or leaves it. @param {App} app @param {Point[]} points @param {import("./tools.js").Keys} keys */
export function select(app, points, { altKey }) {
  const { photo, mask } = app.work.state, { width, height } = photo, mode = altKey ? "subtract" : app.panel.settings.selects;
  const question = { width, height, mask: toWire(mask), mode, ...told(points, width, height, 4 / app.view.scale) };
  return app.ask(() => app.server.askAbout("select_object", photo, question), (selected) => app.done({ mask: fromWire(selected.mask) }));
}

/**
 * What a pointer's path says about an object: a click, a box from corner to corner, or, where it turns, a scribble.
 *
 * @param {Point[]} points @param {number} width of the photo @param {number} height @param {number} least less far is a click
 */
function told(points, width, height, least) {
  const xs = points.map(({ x }) => clamp(x, 0, width - 1)), ys = points.map(({ y }) => clamp(y, 0, height - 1));
  const box = [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)], [across, down] = [box[2] - box[0], box[3] - box[1]];
  if (Math.hypot(across, down) < least) return { points: [[xs[0], ys[0]]] };
  const length = xs.reduce((sum, x, i) => sum + (i ? Math.hypot(x - xs[i - 1], ys[i] - ys[i - 1]) : 0), 0);
  if (length < 1.3 * Math.hypot(across, down) && across > least && down > least) return { box };
  const scribble = new Uint8Array(width * height), span = (/** @type {number} */ start, /** @type {number} */ end) => scribble.fill(255, start, end);
  for (let i = 1; i < points.length; i++) fill(capsule(points[i - 1], points[i], Math.max(2, least)), width, height, span);
  return { scribble: toWire(pack(scribble)) };
}

/** Other ideas for the lines in the hole, as thumbnails; the one that is picked is a person's from then on. @param {App} app */
export function propose(app) {
  const { work, panel, server } = app, question = aboutHole(app);
  return app.ask(() => server.askAbout("propose_lines", work.state.photo, question), ({ ideas }) => {
    panel.showIdeas(ideas.map((/** @type {import("./planes.js").Wire} */ wire) => fromWire(wire)), work, (edges) => {
      panel.setSettings({ draws: "mine" });
      app.done({ edges });
    });
  });
}

/** @param {App} app */
export function extend(app) {
  const { server, work } = app, { photo } = work.state, { ratio, left, right, top, bottom } = app.panel.settings;
  const unchanged = new Refusal("The photo would not grow. Choose another shape, or say by how many pixels.");
  if (!ratio && !(left + right + top + bottom)) throw unchanged;
  return app.ask(async () => {
    const answer = await server.askAbout("extend", photo, ratio ? { aspect_ratio: ratio } : { left, right, top, bottom });
    if (isEmpty(fromWire(answer.mask))) throw unchanged;
    return { ...answer, larger: await fetchPhoto(server, answer.path, photo.name) };
  }, (answer) => work.extend(answer.larger, fromWire(answer.mask), answer.left, answer.top));
}

/** The result becomes the photo, with no hole in it. @param {App} app */
export function keepResult(app) {
  const { server, work: { state } } = app;
  return app.ask(async () => fetchPhoto(server, await writeResult(server, state, "png"), state.photo.name), (kept) => {
    app.done(freshState(kept));
    app.panel.say("The result is the photo now. Paint over what else should go.");
  });
}
