// Committed lists of salted fields, and fields opened under their root (docs/spec/receipts.md, Committed fields).

import { ascii, bigEndian, join, same } from "./bytes.js";
import { derive, leafHash, mac, rootByPath, rootOver, tagged } from "./hashing.js";
import { need } from "./refusal.js";
import { bytes, list, struct, wide } from "./shapes.js";

const SALT_INFO = ascii("salus/field-salt/1");
const SIZE_MAX = 2n ** 32n;

export const OPENED_FIELD = struct({ value: bytes, salt: bytes, index: wide, size: wide, path: list(bytes) });
export const COMMITTED_FIELDS = struct({ secret: bytes, values: list(bytes) });

const rootOfTree = (size, root) => tagged("salus/fields/1", bigEndian(size, 8), root);

async function opens({ value, salt, index, size, path }, root) {
  const isWithin = index >= 0n && index < size && size <= SIZE_MAX;
  if (!isWithin || salt.length !== 32 || path.some((each) => each.length !== 32)) return false;
  const reached = await rootByPath(await leafHash(await mac(salt, value)), Number(index), Number(size), path);
  return reached !== null && same(await rootOfTree(size, reached), root);
}

/** Check opened fields of one list, each once and ascending; returns their values. */
export async function openValues(at, fields, root) {
  need(at, fields.every(({ index }, place) => place === 0 || fields[place - 1].index < index));
  for (const field of fields) need(at, await opens(field, root));
  return fields.map(({ value }) => value);
}

/** The root of a whole list, whose secret gives every field its salt. */
export async function rootOfList({ secret, values }) {
  const saltOf = (index) => derive(secret, join(SALT_INFO, bigEndian(index, 4)));
  const salted = await Promise.all(values.map(async (value, index) => mac(await saltOf(index), value)));
  return rootOfTree(values.length, await rootOver(salted));
}
