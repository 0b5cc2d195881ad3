/** Questions to the server, answered or refused in words. */

const UNREACHABLE = "The server did not answer. Your work is kept in this browser; please try again.";

/** A reason why something was not done, in words that the page shows. */
export class Refusal extends Error {}

export class Server {
  /** @param {Functions} functions @param {Upload} upload @param {number} megabytes that it takes */
  constructor(functions, upload, megabytes) {
    this.functions = functions;
    this.uploadFile = upload;
    this.megabytes = megabytes;
    this.asked = 0; // numbers the questions, as one may overtake another on its way
  }

  /** A photo is sent first, unless the server has it. @param {string} name @param {object} data @param {Photo} [photo] @returns {Promise<any>} */
  async ask(name, data, photo, number = ++this.asked) {
    const wasSent = Boolean(photo?.path), about = photo && { photo: { path: (photo.path ??= await this.upload(photo.blob, photo.name)) } };
    const answer = await this.functions[name]({ ...data, ...about, number });
    if (!answer) throw new Refusal(UNREACHABLE);
    if (answer.replaced) throw new DOMException("A newer question has taken its place.", "AbortError");
    if (answer.isGone && photo && wasSent) {
      photo.path = null;
      return this.ask(name, data, photo, number);
    }
    if (answer.error) throw new Refusal(answer.error);
    return answer;
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
    return (await fetch(`${window.gradio_config.root}/gradio_api/file=${path}`)).blob();
  }
}
