/** Zip files, as far as projects need them: written without compression, read with or without. */

/** @typedef {Record<string, Blob | Uint8Array<ArrayBuffer>>} Entries by name */

/** @param {Entries} entries @returns {Promise<Blob>} */
export async function zip(entries) {
  /** @type {BlobPart[]} */
  const parts = [];
  const directory = [];
  let offset = 0;
  for (const [name, content] of Object.entries(entries)) {
    const bytes = content instanceof Blob ? new Uint8Array(await content.arrayBuffer()) : content;
    const letters = new TextEncoder().encode(name), sum = checksum(bytes);
    const fields = [0x0800, 0, 0, 0x21, sum, bytes.length, bytes.length, letters.length, 0]; // UTF-8 names; 1980-01-01
    const sizes = [2, 2, 2, 2, 4, 4, 4, 2, 2];
    parts.push(record([0x04034b50, 20, ...fields], [4, 2, ...sizes]), letters, bytes);
    directory.push(record([0x02014b50, 20, 20, ...fields, 0, 0, 0, 0, offset], [4, 2, 2, ...sizes, 2, 2, 2, 4, 4]), letters);
    offset += 30 + letters.length + bytes.length;
  }
  const count = Object.keys(entries).length, size = directory.reduce((sum, part) => sum + part.length, 0);
  parts.push(...directory, record([0x06054b50, 0, 0, count, count, size, offset, 0], [4, 2, 2, 2, 2, 4, 4, 2]));
  return new Blob(parts, { type: "application/zip" });
}

/** @param {Blob} file @returns {Promise<Record<string, Blob>>} */
export async function unzip(file) {
  const buffer = await file.arrayBuffer(), view = new DataView(buffer);
  let end = buffer.byteLength - 22;
  while (end >= 0 && view.getUint32(end, true) !== 0x06054b50) end--;
  if (end < 0) throw new Error("no zip file");
  /** @type {Record<string, Blob>} */
  const entries = {};
  for (let i = 0, at = view.getUint32(end + 16, true); i < view.getUint16(end + 10, true); i++) {
    const method = view.getUint16(at + 10, true), size = view.getUint32(at + 20, true), length = view.getUint16(at + 28, true);
    const name = new TextDecoder().decode(new Uint8Array(buffer, at + 46, length)), local = view.getUint32(at + 42, true);
    const start = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
    const stored = new Blob([buffer.slice(start, start + size)]);
    entries[name] = method === 0 ? stored
      : await new Response(stored.stream().pipeThrough(new DecompressionStream("deflate-raw"))).blob();
    at += 46 + length + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
  }
  return entries;
}

/** @param {number[]} values @param {number[]} sizes in bytes */
function record(values, sizes) {
  const bytes = new Uint8Array(sizes.reduce((sum, size) => sum + size, 0)), view = new DataView(bytes.buffer);
  let at = 0;
  values.forEach((value, i) => {
    if (sizes[i] === 4) view.setUint32(at, value, true);
    else view.setUint16(at, value, true);
    at += sizes[i];
  });
  return bytes;
}

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value >>> 0;
});

/** CRC-32. @param {Uint8Array} bytes */
function checksum(bytes) {
  let sum = 0xffffffff;
  for (const byte of bytes) sum = TABLE[(sum ^ byte) & 255] ^ (sum >>> 8);
  return (sum ^ 0xffffffff) >>> 0;
}
