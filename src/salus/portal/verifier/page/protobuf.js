// Protobuf in its one canonical form (docs/spec/header.md, Wire format), by tables: name → [number, kind, table].
//
// Kinds: integer (64 bits, BigInt), fixed (sfixed64), text, bytes; message (always written), optional (a message, or
// null and not written), messages (repeated).

import { ascii, bigEndian, join, NOTHING, same } from "./bytes.js";

const WIRE_KINDS = { integer: 0, fixed: 1 };
const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const EMPTY = { integer: () => 0n, text: () => "", bytes: () => NOTHING, messages: () => [] };

/** The message that bytes are the one form of; null for all other bytes. */
export function decodeMessage(table, data) {
  try {
    const message = parse(table, data);
    return same(encodeMessage(table, message), data) ? message : null;
  } catch (error) {
    if (error instanceof RangeError || error instanceof TypeError) return null; // cut off; not UTF-8
    throw error;
  }
}

function parse(table, data) {
  const found = Object.groupBy(fieldsOf(data), ({ number }) => number);
  const message = {};
  for (const [name, [number, kind, inner]] of Object.entries(table)) {
    const values = (found[number] ?? []).map(({ value }) => value);
    const areOfKind = values.every((value) => (typeof value === "bigint") === (kind === "integer"));
    if (!areOfKind) throw new RangeError("a field of another kind");
    if (kind === "messages") message[name] = values.map((each) => parse(inner, each));
    else if (kind === "message") message[name] = parse(inner, values[0] ?? NOTHING);
    else if (values.length === 0) message[name] = EMPTY[kind]();
    else if (kind === "text") message[name] = UTF8.decode(values[0]);
    else message[name] = values[0];
  }
  return message;
}

/** The fields as they come. That they ascend, and that none is unknown, is seen when they are encoded again. */
function fieldsOf(data) {
  const fields = [];
  for (let rest = data; rest.length > 0; ) {
    const [tag, afterTag] = readVarint(rest);
    const [number, after] = readVarint(afterTag);
    if ((tag & 7n) === 0n) {
      fields.push({ number: tag >> 3n, value: BigInt.asIntN(64, number) });
      rest = after;
    } else {
      if ((tag & 7n) !== 2n || number > BigInt(after.length)) throw new RangeError("no field, or cut off");
      fields.push({ number: tag >> 3n, value: after.subarray(0, Number(number)) });
      rest = after.subarray(Number(number));
    }
  }
  return fields;
}

function readVarint(data) {
  const size = data.findIndex((byte) => byte < 0x80) + 1;
  if (size < 1 || size > 10) throw new RangeError("no varint");
  const number = data.subarray(0, size).reduceRight((total, byte) => (total << 7n) | BigInt(byte & 0x7f), 0n);
  return [number, data.subarray(size)];
}

/** The shortest varint of a number; a negative one is written as 64 bits. */
export function varint(number) {
  const bytes = [];
  let rest = BigInt.asUintN(64, number);
  for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  return Uint8Array.of(...bytes, Number(rest));
}

/** The one form of a message. */
export function encodeMessage(table, message) {
  const parts = Object.entries(table).flatMap(([name, [number, kind, inner]]) => {
    const value = message[name];
    if (kind === "messages") return value.map((each) => field(number, encodeMessage(inner, each)));
    if (kind === "message") return [field(number, encodeMessage(inner, value))];
    if (kind === "optional") return value === null ? [] : [field(number, encodeMessage(inner, value))];
    if (kind === "integer" || kind === "fixed") return value === 0n ? [] : [scalar(number, kind, value)];
    const data = kind === "text" ? ascii(value) : value;
    return data.length === 0 ? [] : [field(number, data)];
  });
  return join(...parts);
}

const tagOf = (number, kind) => varint(BigInt(number * 8 + kind));

const field = (number, data) => join(tagOf(number, 2), varint(BigInt(data.length)), data);

function scalar(number, kind, value) {
  const data = kind === "integer" ? varint(value) : bigEndian(BigInt.asUintN(64, value), 8).reverse();
  return join(tagOf(number, WIRE_KINDS[kind]), data);
}
