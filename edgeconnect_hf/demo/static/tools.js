/** The tools, and what a pointer does with them. */

import { pack, toWire } from "./planes.js";
import { capsule, polygon, rectangle, snapped } from "./shapes.js";
import { DRAWN, ERASED } from "./work.js";

/**
 * @typedef {import("./shapes.js").Point} Point
 * @typedef {{isShift: boolean, isAlt: boolean}} Keys
 * @typedef {{id: string, name: string, key: string, of: "hole" | "lines" | "colour" | "view", size?: number, icon: string}} Tool
 *   `size`: in pixels on a photo of 1024 pixels; only of tools that have one
 * @typedef {{move: (point: Point, keys: Keys) => void, end: () => void}} Gesture
 * @typedef {{work: import("./work.js").Work, layers: import("./layers.js").Layers, size: () => number, colour: () => number,
 *   outline: (points: Point[], isClosed?: boolean) => void, done: (label: string) => void,
 *   select: (points: Point[], keys: Keys) => void, pan: (from: Point, to: Point) => void}} Bench what tools work with
 */

/** @type {Tool[]} */
export const TOOLS = [
  { id: "select", name: "Select object", key: "S", of: "hole", icon: "M4 4h5M4 4v5M20 4h-5M20 4v5M4 20h5M4 20v-5M20 20h-5M20 20v-5M12 9v6M9 12h6" },
  { id: "brush", name: "Brush", key: "B", of: "hole", size: 32, icon: "M20 4 10 14M10 14c-3 0-3 2-4 4-.6 1-2 1-2 1 2 2 8 2 8-3z" },
  { id: "rectangle", name: "Rectangle", key: "R", of: "hole", icon: "M4 6h16v12H4z" },
  { id: "lasso", name: "Lasso", key: "L", of: "hole", icon: "M12 5c5 0 8 2 8 5s-4 5-8 5-8-2-8-5 4-5 8-5zM7 14c-2 2 0 5-2 6" },
  { id: "erase-hole", name: "Erase hole", key: "E", of: "hole", size: 32, icon: "M8 19h12M5 15l8-9 6 5-8 8H8z" },
  { id: "pencil", name: "Pencil", key: "P", of: "lines", size: 2, icon: "M4 20l1-4L16 5l3 3L8 19z" },
  { id: "line", name: "Straight line", key: "I", of: "lines", size: 2, icon: "M5 19 19 5M3 21h4v-4H3zM17 7h4V3h-4z" },
  { id: "erase-lines", name: "Erase lines", key: "X", of: "lines", size: 12, icon: "M5 15l8-9 6 5-8 8H8zM3 3l18 18" },
  { id: "colour", name: "Colour", key: "O", of: "colour", size: 24, icon: "M12 3s6 7 6 11a6 6 0 0 1-12 0c0-4 6-11 6-11z" },
  { id: "hand", name: "Move", key: "H", of: "view", icon: "M12 3v18M3 12h18M12 3 9 6M12 3l3 3M12 21l-3-3M12 21l3-3M3 12l3-3M3 12l3 3M21 12l-3-3M21 12l-3 3" },
];

/** @param {string} tool @param {Bench} bench @param {Point} start @param {Keys} keys @returns {Gesture} */
export function begin(tool, bench, start, keys) {
  if (tool === "hand") return { move: (point) => bench.pan(start, point), end() {} };
  if (tool === "rectangle" || tool === "line") return twoPoints(tool, bench, start);
  if (tool === "lasso" || tool === "select") return path(tool, bench, start, keys);
  if (tool === "pencil") return pencil(bench, start);
  return stroke(tool, bench, start);
}

/** Painting as the pointer goes. @param {string} tool @param {Bench} bench @param {Point} start @returns {Gesture} */
function stroke(tool, bench, start) {
  const move = brushed(tool, bench, start);
  return { move, end: () => bench.done(tool) };
}

/** @param {string} tool @param {Bench} bench @param {Point} start @returns {(point: Point) => void} paints on to a point */
function brushed(tool, bench, start) {
  let last = start;
  const to = (/** @type {Point} */ point) => {
    paint(tool, bench, (width, height, span) => capsule(last, point, bench.size() / 2, width, height, span));
    last = point;
  };
  to(start);
  return to;
}

/** A line that follows the pointer smoothly. @param {Bench} bench @param {Point} start @returns {Gesture} */
function pencil(bench, start) {
  let slow = start, last = start, target = start;
  const move = brushed("pencil", bench, start);
  const towards = (/** @type {Point} */ end, /** @type {number} */ share) => {
    const next = { x: slow.x + (end.x - slow.x) * share, y: slow.y + (end.y - slow.y) * share };
    const middle = { x: (slow.x + next.x) / 2, y: (slow.y + next.y) / 2 };
    for (let t = 0.25; t <= 1; t += 0.25) { // a parabola from the last middle to this one
      const [a, b, c] = [(1 - t) ** 2, 2 * t * (1 - t), t * t];
      move({ x: a * last.x + b * slow.x + c * middle.x, y: a * last.y + b * slow.y + c * middle.y });
    }
    [last, slow] = [middle, next];
  };
  return {
    move: (point) => towards((target = point), 0.5),
    end() {
      towards(target, 1);
      move(target);
      bench.done("pencil");
    },
  };
}

/** A rectangle or a straight line, seen before it is painted. @param {string} tool @param {Bench} bench @param {Point} start @returns {Gesture} */
function twoPoints(tool, bench, start) {
  let end = start;
  return {
    move(point, keys) {
      end = tool === "line" && keys.isShift ? snapped(start, point) : point;
      bench.outline(tool === "line" ? [start, end] : rectangle(start, end), tool !== "line");
    },
    end() {
      bench.outline([]);
      if (end === start) return;
      paint(tool, bench, (width, height, span) => tool === "line"
        ? capsule(start, end, bench.size() / 2, width, height, span)
        : polygon(rectangle(start, end), width, height, span));
      bench.done(tool);
    },
  };
}

/** A closed path to fill, or what tells an object. @param {string} tool @param {Bench} bench @param {Point} start @param {Keys} keys @returns {Gesture} */
function path(tool, bench, start, keys) {
  const points = [start];
  return {
    move(point) {
      points.push(point);
      bench.outline(points, tool === "lasso");
    },
    end() {
      bench.outline([]);
      if (tool === "select") return bench.select(points, keys);
      if (points.length < 3) return;
      paint(tool, bench, (width, height, span) => polygon(points, width, height, span));
      bench.done(tool);
    },
  };
}

/**
 * Paint a shape into the planes that a tool changes.
 *
 * @param {string} tool @param {Bench} bench
 * @param {(width: number, height: number, span: import("./shapes.js").Span) => import("./planes.js").Box} shape
 */
function paint(tool, { work, layers, colour }, shape) {
  const { mask, edges, touched, width, height, changed } = work;
  const isErasing = tool.startsWith("erase");
  if (tool === "colour") {
    const colours = (work.colours ??= new Uint32Array(width * height)), value = colour();
    changed.add("colours");
    layers.draw(shape(width, height, (start, end) => {
      for (let i = start; i < end; i++) if (mask[i]) colours[i] = value;
    }));
  } else if (["pencil", "line", "erase-lines"].includes(tool)) {
    changed.add("edges").add("touched");
    layers.draw(shape(width, height, (start, end) => {
      edges.fill(isErasing ? 0 : 255, start, end);
      touched.fill(isErasing ? ERASED : DRAWN, start, end);
    }));
  } else {
    changed.add("mask");
    layers.draw(shape(width, height, (start, end) => mask.fill(isErasing ? 0 : 255, start, end)));
  }
}

/**
 * What a pointer's path says about an object: a click, a box from corner to corner, or, where it turns, a scribble.
 *
 * @param {Point[]} points @param {number} width of the photo @param {number} height @param {number} least less far is a click
 */
export function told(points, width, height, least) {
  const inside = points.map(({ x, y }) => [Math.min(width - 1, Math.max(0, x)), Math.min(height - 1, Math.max(0, y))]);
  const [xs, ys] = [0, 1].map((axis) => inside.map((point) => point[axis]));
  const box = [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)], diagonal = Math.hypot(box[2] - box[0], box[3] - box[1]);
  if (diagonal < least) return { points: [inside[0]] };
  const length = inside.reduce((sum, [x, y], i) => sum + (i ? Math.hypot(x - xs[i - 1], y - ys[i - 1]) : 0), 0);
  if (length < 1.3 * diagonal && box[2] - box[0] > least && box[3] - box[1] > least) return { box };
  const scribble = new Uint8Array(width * height);
  points.slice(1).forEach((point, i) => capsule(points[i], point, Math.max(2, least), width, height, (start, end) => scribble.fill(255, start, end)));
  return { scribble: toWire(pack(scribble)) };
}
