// Trees of provisions (docs/spec/provisions.md): read from their one encoding, and checked.

import { compareBytes } from "./bytes.js";
import { EncodingInvalid, decode, encode } from "./encoding.js";

export const DENY = 0, PERMIT = 1;
export const FIRST_DAY = 0, LAST_DAY = 2932896;
export const EARLIEST_S = -62135596800, LATEST_S = 253402300799;

const DEPTH_MAX = 8, NODES_MAX = 64, SET_SIZE_MAX = 64, TREE_BYTES_MAX = 16384;
const PURPOSES = 8, ROLE_CLASSES = 8, VERBS = 4;
const INSTANCE = 1;
const UNITS = "http://unitsofmeasure.org";

// The fields of a provision, in order.
export const FIELDS = [
  "type", "organisations", "role_classes", "purposes", "verbs", "valid_from_day", "valid_to_day", "data_from_s",
  "data_to_s", "labels", "classes", "codes", "persons", "data", "provisions",
];
const SETS = {
  organisations: (value) => typeof value === "string" && /^[A-Z0-9]{2,12}$/.test(value),
  role_classes: numberUpTo(ROLE_CLASSES),
  purposes: numberUpTo(PURPOSES),
  verbs: numberUpTo(VERBS),
  labels: isToken,
  classes: (value) => typeof value === "string" && /^[A-Z][A-Za-z]{0,63}$/.test(value),
  codes: isToken,
  persons: (value) => value instanceof Uint8Array && value.length === 32,
  data: isRecord,
};

export class ProvisionInvalid extends Error {}

// Returns the tree of canonical bytes, checked. Throws ProvisionInvalid.
export function decodeTree(bytes) {
  need(bytes.length <= TREE_BYTES_MAX, `a tree of at most ${TREE_BYTES_MAX} bytes`);
  try {
    return treeOf(decode(bytes), 1, { nodes: 0 });
  } catch (error) {
    if (error instanceof EncodingInvalid) throw new ProvisionInvalid(`expected the encoding of a tree: ${error.message}`);
    throw error;
  }
}

export function encodeTree(tree) {
  return encode(arrayOf(tree));
}

// The order of the values of one criterion, or of whole conditions: numbers, text by code point, bytes, arrays by place.
export function compare(left, right) {
  if (typeof left === "number") return left - right;
  if (typeof left === "string") return compareText(left, right);
  if (left instanceof Uint8Array) return compareBytes(left, right);
  for (let place = 0; place < Math.min(left.length, right.length); place += 1) {
    const order = compare(left[place], right[place]);
    if (order) return order;
  }
  return left.length - right.length;
}

function treeOf(fields, depth, seen) {
  seen.nodes += 1;
  need(seen.nodes <= NODES_MAX, `at most ${NODES_MAX} provisions`);
  need(depth <= DEPTH_MAX, `at most ${DEPTH_MAX} levels`);
  need(Array.isArray(fields) && fields.length === FIELDS.length, `the ${FIELDS.length} fields of a provision`);
  const tree = Object.fromEntries(FIELDS.map((name, place) => [name, fields[place]]));
  need(tree.type === DENY || tree.type === PERMIT, "a provision that permits or denies");
  for (const name of Object.keys(SETS)) checkSet(name, tree[name]);
  checkInterval(tree.valid_from_day, tree.valid_to_day, FIRST_DAY, LAST_DAY);
  checkInterval(tree.data_from_s, tree.data_to_s, EARLIEST_S, LATEST_S);
  need(Array.isArray(tree.provisions), "exceptions as an array");
  return { ...tree, provisions: tree.provisions.map((each) => treeOf(each, depth + 1, seen)) };
}

function checkSet(name, values) {
  need(Array.isArray(values) && values.length <= SET_SIZE_MAX, `at most ${SET_SIZE_MAX} ${name}`);
  values.forEach((value, place) => {
    need(SETS[name](value), `${name} that are well formed`);
    need(place === 0 || compare(values[place - 1], value) < 0, `${name} sorted and each once`);
  });
}

function checkInterval(from, to, first, last) {
  need(Number.isInteger(from) && Number.isInteger(to), "whole numbers as the ends of a period");
  need(first <= from && from <= to && to <= last, "a period that starts before it ends");
}

function isToken(value) {
  if (typeof value !== "string" || value.length < 3 || [...value].length > 256) return false;
  const bar = value.lastIndexOf("|");
  const [system, code] = [value.slice(0, Math.max(bar, 0)), value.slice(bar + 1)];
  const isSpaced = !system.includes(" ") && /^[^ ]+( [^ ]+)*$/.test(code);
  return Boolean(system) && isSpaced && system !== UNITS && isPrintable(value);
}

// No control characters, no marks of direction, no spaces but the plain one; in NFC.
function isPrintable(text) {
  return !/[\p{C}\p{Zl}\p{Zp}]/u.test(text) && !/[^\S ]/u.test(text) && text.normalize("NFC") === text;
}

function isRecord(value) {
  return Array.isArray(value) && value.length === 2 && value[0] === INSTANCE && isBytes(value[1], 16);
}

function isBytes(value, size) {
  return value instanceof Uint8Array && value.length === size;
}

function numberUpTo(last) {
  return (value) => Number.isInteger(value) && value >= 1 && value <= last;
}

function arrayOf(tree) {
  return FIELDS.map((name) => (name === "provisions" ? tree.provisions.map(arrayOf) : tree[name]));
}

function compareText(left, right) {
  const [one, other] = [[...left], [...right]];
  for (let place = 0; place < Math.min(one.length, other.length); place += 1) {
    const order = one[place].codePointAt(0) - other[place].codePointAt(0);
    if (order) return order;
  }
  return one.length - other.length;
}

function need(holds, expected) {
  if (!holds) throw new ProvisionInvalid(`expected ${expected}, came something else: ask the portal to correct it`);
}
