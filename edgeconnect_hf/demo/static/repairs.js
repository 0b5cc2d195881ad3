/** Repairs while a person works: one at a time, for the newest state. */

import { fromWire, toWire } from "./planes.js";
import { patchUrl } from "./work.js";

/**
 * @typedef {{live: boolean, draws: "me" | "mine", sigma: number, model: string}} Settings
 * @typedef {{begins: () => void, comes: (seconds: number, isDraft: boolean) => void, fails: (error: unknown) => void, ends: () => void}} On
 */

export class Repairs {
  /** @param {import("./work.js").Work} work @param {import("./server.js").Server} server @param {Settings} settings @param {On} on */
  constructor(work, server, settings, on) {
    this.work = work;
    this.server = server;
    this.settings = settings;
    this.on = on;
    this.newest = 0;
    this.isBusy = false;
  }

  /** What is on its way is for a state that is no more. */
  drop() {
    this.newest++;
    if (this.isBusy) this.on.ends();
    this.isBusy = false;
  }

  /** Repair the present state, first without texture, where that comes later. The server ends the job before. */
  async start() {
    const { work, settings } = this, { photo, mask, touched, colours } = work.state;
    const number = ++this.newest, began = performance.now();
    this.isBusy = true;
    this.on.begins();
    try {
      const question = {
        width: photo.width, height: photo.height, mask: toWire(mask), touched: toWire(touched),
        edges: settings.draws === "mine" ? toWire(work.state.edges) : null,
        ...(colours && { colours: toWire(colours) }),
        sigma: settings.sigma, model: settings.model,
      };
      const isDrafted = () => work.state.isCurrent && work.state.result?.isDraft;
      do {
        const answer = await this.server.askAbout("repair", photo, { ...question, draft: !isDrafted() });
        if (number !== this.newest || answer.replaced) return;
        const url = patchUrl(answer.patch), image = new Image();
        image.src = url;
        await image.decode(); // so that nothing flashes
        if (number !== this.newest) return;
        const seconds = (performance.now() - began) / 1000;
        work.settle({ box: answer.box, patch: answer.patch, url, mask: work.state.mask, seconds, isDraft: answer.isDraft }, fromWire(answer.edges));
        this.on.comes(seconds, answer.isDraft);
      } while (isDrafted());
    } catch (error) {
      if (number === this.newest) this.on.fails(error);
    } finally {
      if (number === this.newest) {
        this.isBusy = false;
        this.on.ends();
      }
    }
  }
}

