/** Questions to the server, answered or refused in words. */

/** @typedef {Record<string, (data: object) => Promise<any>>} Functions Gradio's, one for each handler */
/** @typedef {(file: File) => Promise<{path: string, url: string}>} Upload */
/** @typedef {import("./work.js").Photo} Photo */

const UNREACHABLE = "The server did not answer. Your work is kept in this browser; please try again.";

/** A reason why something was not done, in words that the page shows. */
export class Refusal extends Error {
  isGone = false; // the server no longer has a file
}

export class Server {
  /** @param {Functions} functions @param {Upload} upload @param {number} megabytes that it takes */
  constructor(functions, upload, megabytes) {
    this.functions = functions;
    this.uploadFile = upload;
    this.megabytes = megabytes;
    this.asked = 0; // numbers the questions, as one may overtake another on its way
  }

  /** @param {string} name @param {object} data @returns {Promise<any>} */
  async ask(name, data, number = ++this.asked) {
    const answer = await this.functions[name]({ ...data, number });
    if (!answer) throw new Refusal(UNREACHABLE);
    if (answer.replaced) throw new DOMException("A newer question has taken its place.", "AbortError");
    if (answer.error) throw Object.assign(new Refusal(answer.error), { isGone: answer.isGone });
    return answer;
  }

  /** As `ask`, about a photo, which is sent first if the server does not have it. @param {string} name @param {Photo} photo @param {object} data */
  async askAbout(name, photo, data) {
    const number = ++this.asked;
    const ask = async () => this.ask(name, { photo: { path: (photo.path ??= await this.upload(photo.blob, photo.name)) }, ...data }, number);
    return ask().catch((error) => {
      if (!error.isGone) throw error;
      photo.path = null;
      return ask();
    });
  }

  /** @param {Blob} blob @param {string} name @returns {Promise<string>} its path */
  async upload(blob, name) {
    if (blob.size > this.megabytes * 2 ** 20) throw new Refusal(`This file is larger than ${this.megabytes} MB. Please choose a smaller one.`);
    const { path } = (await this.uploadFile(new File([blob], name, { type: blob.type })).catch(() => null)) ?? {};
    if (!path) throw new Refusal(UNREACHABLE);
    return path;
  }

  /** @param {string} path of one of its files @returns {Promise<Blob>} */
  async fetch(path) {
    // @ts-expect-error Gradio's
    return (await fetch(`${window.gradio_config.root}/gradio_api/file=${path}`)).blob();
  }
}
