/** What the server does to the work: it repairs, grows the hole, selects objects, proposes lines, extends the photo. */

import { fetchPhoto, writeResult } from "./files.js";
import { isEmpty, pack, renderPng, unpack } from "./planes.js";
import { Refusal } from "./server.js";
import { capsule, clamp, fill } from "./shapes.js";
import { freshState, resultUrl } from "./work.js";

const RIM = 16; // of an idea's thumbnail around the hole, in pixels of the photo

/** What is asked about every hole. @param {App} app */
function aboutHole({ work, panel }) {
  if (!work.hasHole) throw new Refusal("Paint over something in the photo first.");
  const { photo: { width, height }, mask, touched } = work.state, { sigma, model } = panel.settings;
  return { width, height, mask, touched, sigma, model };
}

/** Repair the present state, first without texture, where that comes later. @param {App} app @param {number} [began] */
export function repair(app, began = performance.now()) {
  const { work, panel, server } = app, hole = aboutHole(app), { photo, mask, edges, colours, isCurrent, result } = work.state;
  const lines = panel.settings.draws === "mine" ? edges : null, draft = !(isCurrent && result?.isDraft);
  return app.ask(async () => {
    const { box, patch, isDraft, edges } = await server.ask("repair", { ...hole, edges: lines, colours, draft }, photo);
    const result = { box, patch, mask, isDraft };
    await Object.assign(new Image(), { src: resultUrl(result) }).decode(); // so that nothing flashes
    return { result, edges, isDraft };
  }, ({ result, edges, isDraft }) => {
    work.settle(result, edges);
    app.refresh();
    panel.say(`Repaired in ${((performance.now() - began) / 1000).toFixed(1)} seconds${isDraft ? "; its texture follows" : ""}.`);
    if (isDraft) app.try(() => repair(app, began));
  }, true);
}

/** @param {App} app @param {1 | -1} sign */
export function grow(app, sign) {
  const { photo: { width, height }, mask } = app.work.state, question = { mask, width, height, by: sign * app.panel.settings.by };
  return app.ask(() => app.server.ask("grow_mask", question), (grown) => app.done(grown));
}

/** What a pointer's path tells becomes part of the hole, or leaves it. @param {App} app @param {Point[]} points @param {Keys} keys */
export function select(app, points, { altKey }) {
  const { photo, mask } = app.work.state, { width, height } = photo, mode = altKey ? "subtract" : app.panel.settings.selects;
  const question = { width, height, mask, mode, ...told(points, photo, 4 / app.view.scale) };
  return app.ask(() => app.server.ask("select_object", question, photo), (selected) => app.done(selected));
}

/** Other ideas for the lines in the hole, as thumbnails. @param {App} app */
export function propose(app) {
  const { work, panel, server } = app, question = aboutHole(app), { photo, mask } = work.state;
  return app.ask(async () => {
    const { ideas, box } = await server.ask("propose_lines", question, photo);
    return Promise.all(ideas.map(async (/** @type {Packed} */ edges) => ({ edges, url: await thumbnail(edges, work, box) })));
  }, (shown) => {
    work.ideas = { mask, shown };
    app.refresh();
    panel.say(shown.length > 1 ? `${shown.length} ideas. Pick one.` : "There is no other idea for these lines.");
  });
}

/** @param {App} app */
export function extend(app) {
  const { server, work, panel: { settings } } = app, { photo } = work.state, { ratio } = settings;
  const sides = { left: Number(settings.left), right: Number(settings.right), top: Number(settings.top), bottom: Number(settings.bottom) };
  const unchanged = new Refusal("The photo would not grow. Choose another shape, or say by how many pixels.");
  if (!ratio && !Object.values(sides).some(Boolean)) throw unchanged;
  return app.ask(async () => {
    const answer = await server.ask("extend", ratio ? { aspect_ratio: ratio } : sides, photo);
    if (isEmpty(answer.mask)) throw unchanged;
    return { ...answer, larger: await fetchPhoto(server, answer.path, photo.name) };
  }, (answer) => work.extend(answer.larger, answer.mask, answer.left, answer.top));
}

/** The result becomes the photo, with no hole in it. @param {App} app */
export function keepResult(app) {
  const { server, work: { state } } = app;
  return app.ask(async () => fetchPhoto(server, await writeResult(server, state, "png"), state.photo.name), (kept) => {
    app.done(freshState(kept));
    app.panel.say("The result is the photo now. Paint over what else should go.");
  });
}

/** A click, a box, or, where it turns, a scribble. @param {Point[]} path @param {Photo} photo @param {number} least less far is a click */
function told(path, photo, least) {
  const xs = path.map(({ x }) => clamp(x, 0, photo.width - 1)), ys = path.map(({ y }) => clamp(y, 0, photo.height - 1));
  const box = [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)], [across, down] = [box[2] - box[0], box[3] - box[1]];
  if (Math.hypot(across, down) < least) return { points: [[xs[0], ys[0]]] };
  const length = xs.reduce((sum, x, i) => sum + (i ? Math.hypot(x - xs[i - 1], ys[i] - ys[i - 1]) : 0), 0);
  if (length < 1.3 * Math.hypot(across, down) && across > least && down > least) return { box };
  const scribble = new Uint8Array(photo.width * photo.height), span = /** @type {Span} */ ((start, end) => scribble.fill(255, start, end));
  for (let i = 1; i < path.length; i++) fill(capsule(path[i - 1], path[i], Math.max(2, least)), photo, span);
  return { scribble: pack(scribble) };
}

/** The lines in the hole and around it. @param {Packed} packed @param {Work} work @param {number[]} hole's box */
async function thumbnail(packed, { mask, state: { photo: { width, height } } }, [left, top, right, bottom]) {
  const edges = unpack(packed, new Uint8Array(width * height));
  const colours = [[0xffffffff, 0xff000000], [0xffe6f2ff, 0xff0c41c2]]; // paper and line, around the hole and in it
  const box = { left: Math.max(0, left - RIM), top: Math.max(0, top - RIM), right: Math.min(width, right + RIM), bottom: Math.min(height, bottom + RIM) };
  const image = await renderPng(box, (x, y) => colours[Number(mask[y * width + x] > 0)][Number(edges[y * width + x] > 127)]);
  return URL.createObjectURL(image);
}
