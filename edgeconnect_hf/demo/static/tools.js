/** The tools, which are buttons of canvas.html, and what a pointer does with them. */

import { select } from "./asking.js";
import { between, capsule, fill, snapped } from "./shapes.js";
import { DRAWN, ERASED } from "./work.js";

/** @param {App} app @param {Point} start @param {Keys} keys @param {boolean} isPanning whatever the tool is @returns {Gesture | null} */
export function begin(app, start, keys, isPanning) {
  const { work, view, panel: { tool } } = app;
  if (!work.photo) return null;
  if (isPanning || tool.of === "view") return { move: ({ x, y }) => view.pan((x - start.x) * view.scale, (y - start.y) * view.scale), end() {} };
  app.drop();
  if (tool.id === "pencil") return pencil(app, start);
  if (tool.id in REACH) return previewed(app, start, keys);
  return { move: painter(app, start), end: () => app.done() };
}

/** What a pointer spans from where it was put down, seen before it is done. @type {Record<string, (points: Point[], point: Point, keys: Keys) => Point[]>} */
const REACH = {
  rectangle: ([a], b) => [a, { x: b.x, y: a.y }, b, { x: a.x, y: b.y }],
  line: ([start], point, { shiftKey }) => [start, shiftKey ? snapped(start, point) : point],
  lasso: (points, point) => [...points, point],
  select: (points, point) => [...points, point],
};

/** @param {App} app @param {Point} start @param {Keys} keys @returns {Gesture} */
function previewed(app, start, keys) {
  const { panel } = app, { id } = panel.tool;
  let points = [start];
  return {
    move(point, held) {
      points = REACH[id](points, point, held);
      const isClosed = id === "rectangle" || id === "lasso";
      panel.path = points.map(({ x, y }, i) => `${i ? "L" : "M"}${x} ${y}`).join("") + (isClosed ? "Z" : "");
    },
    end() {
      panel.path = "";
      if (id === "select") return app.try(() => select(app, points, keys));
      if (id === "line" && points.length > 1) paint(app, capsule(points[0], points[1], panel.size / 2));
      if (id !== "line" && points.length > 2) paint(app, points);
      app.done();
    },
  };
}

/** @param {App} app @param {Point} start @returns {(point: Point) => void} paints on to a point */
function painter(app, start) {
  let last = start;
  const paintTo = (/** @type {Point} */ point) => {
    paint(app, capsule(last, point, app.panel.size / 2));
    last = point;
  };
  paintTo(start);
  return paintTo;
}

/** A line that follows the pointer smoothly, in parabolas. @param {App} app @param {Point} start @returns {Gesture} */
function pencil(app, start) {
  const paintTo = painter(app, start);
  let from = start, corner = start, target = start;
  const follow = (/** @type {Point} */ point, /** @type {number} */ share) => {
    const next = between(corner, point, share), to = between(corner, next, 0.5);
    for (let t = 0.25; t <= 1; t += 0.25) paintTo(between(between(from, corner, t), between(corner, to, t), t));
    [from, corner, target] = [to, next, point];
  };
  return {
    move: (point) => follow(point, 0.5),
    end() {
      follow(target, 1);
      paintTo(target);
      app.done();
    },
  };
}

/** What the tools paint. @type {Record<Tool["of"], PlaneName[]>} */
const PLANES = { hole: ["mask"], lines: ["edges", "touched"], colour: ["colours"], view: [] };

/** Paint a shape into the planes that the tool changes. @param {App} app @param {Point[]} shape */
function paint({ work, layers, panel: { tool, colour } }, shape) {
  const { mask, edges, touched, changed, state: { photo } } = work, isErasing = tool.id.startsWith("erase"), value = isErasing ? 0 : 255;
  const colours = tool.of === "colour" ? (work.colours ??= new Uint32Array(mask.length)) : null;
  layers.draw(fill(shape, photo, (start, end) => {
    for (const name of PLANES[tool.of]) changed.add(name);
    if (tool.of === "hole") mask.fill(value, start, end);
    if (tool.of === "lines") edges.fill(value, start, end);
    if (tool.of === "lines") touched.fill(isErasing ? ERASED : DRAWN, start, end);
    for (let i = start; colours && i < end; i++) if (mask[i]) colours[i] = colour;
  }));
}
