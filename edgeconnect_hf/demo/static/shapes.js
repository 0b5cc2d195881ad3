/** Shapes as closed polygons, painted into planes without soft edges: a pixel belongs to a shape if its centre does. */

/** A line with round ends. @param {Point} from @param {Point} to @param {number} radius @returns {Point[]} */
export function capsule(from, to, radius) {
  const direction = Math.atan2(to.y - from.y, to.x - from.x), steps = Math.ceil(8 + radius / 2);
  const end = (/** @type {Point} */ { x, y }, /** @type {number} */ start) => Array.from({ length: steps + 1 }, (_, step) => {
    const angle = start + (Math.PI * step) / steps;
    return { x: x + radius * Math.cos(angle), y: y + radius * Math.sin(angle) };
  });
  return [...end(to, direction - Math.PI / 2), ...end(from, direction + Math.PI / 2)];
}

/** Fill a shape, by the even-odd rule. @param {Point[]} points @param {Photo} photo @param {Span} span @returns {Box} that holds the shape */
export function fill(points, { width, height }, span) {
  const xs = points.map((point) => point.x), ys = points.map((point) => point.y);
  const box = {
    left: clamp(Math.floor(Math.min(...xs)), 0, width), top: clamp(Math.floor(Math.min(...ys)), 0, height),
    right: clamp(Math.ceil(Math.max(...xs)), 0, width), bottom: clamp(Math.ceil(Math.max(...ys)), 0, height),
  };
  for (let y = box.top; y < box.bottom; y++) {
    const crossings = [], level = y + 0.5;
    for (let i = 0; i < points.length; i++) {
      const a = points[i], b = points[(i + 1) % points.length];
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

/** @param {Point} from @param {Point} to @returns {Point} near `to`, in a direction of a multiple of 15 degrees */
export function snapped(from, to) {
  const step = Math.PI / 12, angle = Math.round(Math.atan2(to.y - from.y, to.x - from.x) / step) * step;
  const length = Math.hypot(to.x - from.x, to.y - from.y);
  return { x: from.x + length * Math.cos(angle), y: from.y + length * Math.sin(angle) };
}

/** @param {Point} from @param {Point} to @param {number} share @returns {Point} so much of the way */
export function between(from, to, share) {
  return { x: from.x + (to.x - from.x) * share, y: from.y + (to.y - from.y) * share };
}

/** @param {number} value @param {number} least @param {number} most */
export function clamp(value, least, most) {
  return Math.min(most, Math.max(least, value));
}
