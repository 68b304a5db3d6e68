// The fields of a receipt in the patient's view: step 2 of the checklist `receipt` (docs/spec/receipts.md).

import { hex } from "./bytes.js";
import { openValues } from "./fields.js";
import { need, step } from "./refusal.js";
import { anything, bytes, count, digest, inside, list, number, seconds, sized, struct, text, upTo } from "./shapes.js";

const AT = step("receipt", 2);
const kind = anything;
const oneOfTwo = number(3, 1);
const FIELDS = {
  1: ["request", { kind, request: sized(16), partCount: count }],
  2: ["who", { kind, authentication: number(5, 1), certificate: bytes }],
  3: ["choices", { kind, version: count, commitments: list(digest), networkVersion: count, custodianVersion: count }],
  4: ["scope", { kind, asOfS: seconds, inScope: count, released: count, withheld: count }],
  5: ["conduct", { kind, standing: oneOfTwo, delivery: oneOfTwo, store: oneOfTwo, atS: seconds, day: count }],
  6: ["releaseKey", { kind, commitment: digest }],
  7: ["released", { kind, entry: digest, batchRoot: digest, sealedRoot: upTo(32), sizeBytes: count }],
  8: ["withheld", { kind, entry: digest, source: number(5, 1), rule: bytes, path: text }],
  10: ["rules", { kind, missing: list(digest), ticket: list(digest) }],
};
const READERS = new Map(
  Object.entries(FIELDS).map(([tag, [name, shape]]) => [BigInt(tag), { name, read: struct(shape) }]),
);
const SINGLE = ["request", "who", "choices", "scope", "conduct", "releaseKey"];

/** Check the fields; returns the six single ones by name, `rules`, and lists of what was released and withheld. */
export async function openView(state, { receipt: { statement }, fields }) {
  need(AT, statement.format === 1n && statement.chain === state.chain);
  const values = await openValues(AT, fields, statement.root);
  const found = Object.groupBy(values.map(readField), ({ name }) => name);
  const { released = [], withheld = [], rules = [{ missing: [], ticket: [] }] } = found;
  need(AT, SINGLE.every((name) => found[name]?.length === 1) && rules.length === 1);
  const single = Object.fromEntries(SINGLE.map((name) => [name, found[name][0]]));
  const { scope, request } = single;
  need(AT, scope.released === released.length && scope.withheld === withheld.length);
  need(AT, scope.inScope === released.length + withheld.length);
  const named = [...released, ...withheld];
  need(AT, new Set(named.map(({ entry }) => hex(entry))).size === named.length);
  need(AT, statement.part <= request.partCount);
  return { ...single, rules: rules[0], released, withheld, named };
}

function readField(value) {
  return inside(AT, (at, item) => {
    const reader = Array.isArray(item) ? READERS.get(item[0]) : undefined;
    need(at, reader !== undefined);
    return { ...reader.read(at, item), name: reader.name };
  }, value);
}
