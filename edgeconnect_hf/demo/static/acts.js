/** What the page's buttons, shortcuts and settings do, by their `data-do` in canvas.html. */

import { extend, grow, keepResult, propose, repair } from "./asking.js";
import { saveDrawing, saveProject, saveResult } from "./files.js";
import { open, openDrawing, openExample, restore } from "./opening.js";
import { pack } from "./planes.js";
import { forget } from "./store.js";

/** @param {App} app @returns {Record<string, (value?: any) => unknown>} given their `data-value` */
export function actsOf(app) {
  const { work, panel, view, server } = app;
  const edit = (/** @type {() => Partial<State>} */ change, message = "") => {
    app.drop();
    app.done(change());
    panel.say(message);
  };
  const step = (/** @type {-1 | 1} */ by) => {
    app.drop();
    if (!work.step(by)) return;
    panel.say(by < 0 ? "Undone." : "Done again.");
    app.settle();
  };
  const save = async (/** @type {Promise<void>} */ written) => {
    await written;
    work.isSaved = true;
    panel.say("Saved.");
  };
  return {
    open: async () => open(app, await panel.chooseFile("image/*,.zip")),
    example: (name) => openExample(app, name),
    "close-error": () => { panel.error = ""; },
    restore: () => restore(app),
    forget: () => { forget(); panel.canRestore = false; },

    undo: () => step(-1),
    redo: () => step(1),
    "go-back": (place) => { app.drop(); work.push(work.results[place]); app.refresh(); },

    "zoom-in": () => view.zoom(1.25),
    "zoom-out": () => view.zoom(0.8),
    fit: () => view.fit(),
    actual: () => view.zoom(1 / devicePixelRatio / view.scale), // one pixel of the photo is one of the screen
    fullscreen: () => (document.fullscreenElement ? document.exitFullscreen() : panel.root.requestFullscreen()),
    smaller: () => panel.resize(1 / 1.25),
    larger: () => panel.resize(1.25),

    repair: () => repair(app),
    "repair-if-live": () => { if (panel.settings.live && work.hasHole) return repair(app); },
    refresh: () => app.refresh(),
    keep: () => keepResult(app),
    ideas: () => propose(app),
    "pick-idea"(place) {
      panel.settings.draws = "mine";
      app.done({ edges: work.ideas.shown[place].edges });
    },
    extend: () => extend(app),
    grow: () => grow(app, 1),
    shrink: () => grow(app, -1),
    invert: () => edit(() => ({ mask: pack(work.mask.map((value) => 255 - value)) }), "The hole is inverted."),
    clear: () => edit(() => ({ mask: pack(new Uint8Array(work.mask.length)) }), "The hole is cleared."),
    "clear-lines": () => edit(() => {
      const outside = (/** @type {Uint8Array} */ plane) => pack(plane.map((value, i) => (work.mask[i] ? 0 : value)));
      return { edges: outside(work.edges), touched: outside(work.touched) };
    }),
    "clear-colours": () => edit(() => ({ colours: null })),
    "upload-mask": async () => openDrawing(app, "mask", await panel.chooseFile("image/*")),
    "upload-lines": async () => openDrawing(app, "edges", await panel.chooseFile("image/*")),

    "save-png": () => save(saveResult(server, work.state, "png")),
    "save-jpeg": () => save(saveResult(server, work.state, "jpeg")),
    "save-mask": () => save(saveDrawing(work, "mask")),
    "save-lines": () => save(saveDrawing(work, "edges")),
    "save-project": () => save(saveProject(work, panel.settings)),
  };
}
