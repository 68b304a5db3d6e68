// Hashes and the trees over them (docs/spec/machine.md, sealing.md, log.md).

import { ascii, bigEndian, join, NOTHING, ZEROS } from "./bytes.js";

export async function hash(...parts) {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", join(...parts)));
}

/** `tag(name)`: a byte with the length of a name, then the name. */
export const tag = (name) => join(Uint8Array.of(name.length), ascii(name));

export const tagged = (name, ...parts) =>
  hash(tag(name), ...parts.flatMap((part) => [bigEndian(part.length, 8), part]));

export const leafHash = (data) => hash(Uint8Array.of(0), data);

export const nodeHash = (left, right) => hash(Uint8Array.of(1), left, right);

export async function mac(key, data) {
  const imported = await crypto.subtle.importKey("raw", key, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  return new Uint8Array(await crypto.subtle.sign("HMAC", imported, data));
}

/** HKDF-SHA-256 with an empty salt, 32 bytes (RFC 5869: one block of output). */
export async function derive(secret, info) {
  return mac(await mac(ZEROS, secret), join(info, Uint8Array.of(1)));
}

/** The root over leaf hashes (RFC 9162 2.1.1). */
export async function rootOf(leaves) {
  if (leaves.length === 0) return hash(NOTHING);
  if (leaves.length === 1) return leaves[0];
  let half = 1;
  while (2 * half < leaves.length) half *= 2;
  return nodeHash(await rootOf(leaves.slice(0, half)), await rootOf(leaves.slice(half)));
}

export const rootOver = async (items) => rootOf(await Promise.all(items.map(leafHash)));

/** Where a path leads from a leaf (RFC 9162 2.1.3.2); null for a path of another length than index and size give it. */
export async function rootByPath(leaf, index, size, path) {
  if (index >= size) return null;
  let [at, last, root] = [index, size - 1, leaf];
  const up = () => ([at, last] = [Math.floor(at / 2), Math.floor(last / 2)]);
  for (const sibling of path) {
    if (last === 0) return null;
    if (at % 2 === 1 || at === last) {
      root = await nodeHash(sibling, root);
      while (at % 2 === 0 && at !== 0) up();
    } else {
      root = await nodeHash(root, sibling);
    }
    up();
  }
  return last === 0 ? root : null;
}
