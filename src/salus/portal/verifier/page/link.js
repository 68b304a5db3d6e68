// The link of a receipt: its file, compressed, as digits behind the `#` of an address (docs/spec/receipts.md, Link).
// What stands behind a `#` is sent to no server.

import { join } from "./bytes.js";
import { need, step } from "./refusal.js";

const AT = step("link", 0);
const FILE_BYTES_MAX = 2 ** 20;
const CHUNK_BYTES = 7;
const CHUNK_DIGITS = 17;
const REST_BYTES = new Map([[0, 0], [3, 1], [5, 2], [8, 3], [10, 4], [13, 5], [15, 6]]);

/** The file that a link, or the part of it behind the `#`, stands for. */
export async function readLink(text) {
  const digits = text.slice(text.lastIndexOf("#") + 1).replace(/\s/g, "");
  need(AT, /^[0-9]+$/.test(digits));
  const chunks = digits.match(/[0-9]{1,17}/g);
  return inflate(join(...chunks.map(bytesOf)));
}

function bytesOf(digits) {
  const size = digits.length === CHUNK_DIGITS ? CHUNK_BYTES : REST_BYTES.get(digits.length);
  need(AT, size !== undefined && BigInt(digits) < 1n << BigInt(8 * size));
  const number = BigInt(digits);
  return Uint8Array.from({ length: size }, (_, place) => Number((number >> BigInt(8 * (size - 1 - place))) & 255n));
}

async function inflate(data) {
  const parts = [];
  let size = 0;
  try {
    for await (const part of new Blob([data]).stream().pipeThrough(new DecompressionStream("deflate-raw"))) {
      size += part.length;
      need(AT, size <= FILE_BYTES_MAX);
      parts.push(part);
    }
  } catch (error) {
    need(AT, !(error instanceof TypeError)); // not compressed, cut short, or with something behind its end
    throw error;
  }
  return join(...parts);
}
