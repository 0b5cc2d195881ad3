/**
 * Shapes painted into planes, without soft edges: a pixel belongs to a shape if its centre does.
 *
 * @typedef {{x: number, y: number}} Point in pixels of the photo
 * @typedef {import("./planes.js").Box} Box
 * @typedef {(start: number, end: number) => void} Span takes a row's pixels as places in a plane
 */

/**
 * A line with round ends.
 *
 * @param {Point} from @param {Point} to @param {number} radius @param {number} width of the plane @param {number} height
 * @param {Span} span @returns {Box} that holds it
 */
export function capsule(from, to, radius, width, height, span) {
  const box = clip(Math.min(from.x, to.x) - radius, Math.min(from.y, to.y) - radius,
    Math.max(from.x, to.x) + radius, Math.max(from.y, to.y) + radius, width, height);
  const dx = to.x - from.x, dy = to.y - from.y, length = dx * dx + dy * dy;
  for (let y = box.top; y < box.bottom; y++) {
    let start = -1;
    for (let x = box.left; x <= box.right; x++) {
      const px = x + 0.5 - from.x, py = y + 0.5 - from.y;
      const along = length ? Math.min(1, Math.max(0, (px * dx + py * dy) / length)) : 0;
      const is = x < box.right && (px - along * dx) ** 2 + (py - along * dy) ** 2 <= radius * radius;
      if (is && start < 0) start = x;
      if (!is && start >= 0) { span(y * width + start, y * width + x); start = -1; }
    }
  }
  return box;
}

/**
 * A closed polygon, by the even-odd rule.
 *
 * @param {Point[]} points @param {number} width @param {number} height @param {Span} span @returns {Box}
 */
export function polygon(points, width, height, span) {
  const xs = points.map((point) => point.x), ys = points.map((point) => point.y);
  const box = clip(Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys), width, height);
  for (let y = box.top; y < box.bottom; y++) {
    const crossings = [];
    for (let i = 0; i < points.length; i++) {
      const a = points[i], b = points[(i + 1) % points.length], level = y + 0.5;
      if ((a.y <= level) !== (b.y <= level)) crossings.push(a.x + ((level - a.y) / (b.y - a.y)) * (b.x - a.x));
    }
    crossings.sort((a, b) => a - b);
    for (let i = 0; i + 1 < crossings.length; i += 2) {
      const start = Math.max(0, Math.ceil(crossings[i] - 0.5)), end = Math.min(width, Math.ceil(crossings[i + 1] - 0.5));
      if (start < end) span(y * width + start, y * width + end);
    }
  }
  return box;
}

/** @param {Point} a @param {Point} b opposite corners @returns {Point[]} */
export function rectangle(a, b) {
  return [a, { x: b.x, y: a.y }, b, { x: a.x, y: b.y }];
}

/** @param {Point} from @param {Point} to @returns {Point} near `to`, in a direction of a multiple of 15 degrees */
export function snapped(from, to) {
  const step = Math.PI / 12, angle = Math.round(Math.atan2(to.y - from.y, to.x - from.x) / step) * step;
  const length = Math.hypot(to.x - from.x, to.y - from.y);
  return { x: from.x + length * Math.cos(angle), y: from.y + length * Math.sin(angle) };
}

/** @param {number} left @param {number} top @param {number} right @param {number} bottom @param {number} width @param {number} height */
function clip(left, top, right, bottom, width, height) {
  const inside = (/** @type {number} */ value, /** @type {number} */ most) => Math.min(most, Math.max(0, value));
  return { left: inside(Math.floor(left), width), top: inside(Math.floor(top), height),
    right: inside(Math.ceil(right), width), bottom: inside(Math.ceil(bottom), height) };
}
