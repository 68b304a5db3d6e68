// The ledger's one encoding (docs/spec/machine.md, "Encoding"): MessagePack in its one canonical form.
// Integers, bytes, text in NFC, booleans, arrays; there is no nil, no float, no map. A struct is the array of its fields.

import { bigEndian, concat, sameBytes, utf8 } from "./bytes.js";

const DEPTH_MAX = 40;

export class EncodingInvalid extends Error {}

export function encode(value) {
  if (value === true) return Uint8Array.of(0xc3);
  if (value === false) return Uint8Array.of(0xc2);
  if (typeof value === "number") return encodeInteger(value);
  if (typeof value === "string") return encodeText(value);
  if (value instanceof Uint8Array) return concat(sized(value.length, [0xc4, 0xc5, 0xc6]), value);
  if (Array.isArray(value)) return concat(arrayHead(value.length), ...value.map(encode));
  throw new EncodingInvalid("expected an integer, bytes, text, a boolean or an array");
}

// Returns numbers, Uint8Arrays, strings, booleans and arrays. Throws EncodingInvalid for bytes that are not canonical.
export function decode(bytes) {
  const reader = { bytes, place: 0 };
  const value = read(reader, 0);
  if (reader.place !== bytes.length) throw new EncodingInvalid("expected one value, came more bytes");
  if (!sameBytes(encode(value), bytes)) throw new EncodingInvalid("expected the canonical encoding, came another");
  return value;
}

function encodeInteger(value) {
  if (!Number.isSafeInteger(value)) throw new EncodingInvalid("expected an integer of at most 53 bits");
  if (value >= 0) {
    if (value < 0x80) return Uint8Array.of(value);
    if (value < 0x100) return Uint8Array.of(0xcc, value);
    if (value < 0x10000) return concat(Uint8Array.of(0xcd), bigEndian(value, 2));
    if (value < 0x100000000) return concat(Uint8Array.of(0xce), bigEndian(value, 4));
    return concat(Uint8Array.of(0xcf), bigEndian(value, 8));
  }
  if (value >= -0x20) return Uint8Array.of(0x100 + value);
  if (value >= -0x80) return Uint8Array.of(0xd0, 0x100 + value);
  if (value >= -0x8000) return concat(Uint8Array.of(0xd1), bigEndian(0x10000 + value, 2));
  if (value >= -0x80000000) return concat(Uint8Array.of(0xd2), bigEndian(0x100000000 + value, 4));
  const view = new DataView(new ArrayBuffer(8));
  view.setBigInt64(0, BigInt(value));
  return concat(Uint8Array.of(0xd3), new Uint8Array(view.buffer));
}

function encodeText(text) {
  if (!text.isWellFormed() || text.normalize("NFC") !== text) throw new EncodingInvalid("expected text in Unicode NFC");
  const bytes = utf8(text);
  return concat(bytes.length < 32 ? Uint8Array.of(0xa0 | bytes.length) : sized(bytes.length, [0xd9, 0xda, 0xdb]), bytes);
}

function arrayHead(length) {
  if (length < 16) return Uint8Array.of(0x90 | length);
  const [tag, size] = length < 0x10000 ? [0xdc, 2] : [0xdd, 4];
  return concat(Uint8Array.of(tag), bigEndian(length, size));
}

function sized(length, tags) {
  const [tag, size] = length < 0x100 ? [tags[0], 1] : length < 0x10000 ? [tags[1], 2] : [tags[2], 4];
  return concat(Uint8Array.of(tag), bigEndian(length, size));
}

function read(reader, depth) {
  if (depth > DEPTH_MAX) throw new EncodingInvalid(`expected at most ${DEPTH_MAX} levels`);
  const tag = take(reader, 1)[0];
  if (tag < 0x80) return tag;
  if (tag >= 0xe0) return tag - 0x100;
  if (tag >= 0x90 && tag < 0xa0) return readArray(reader, tag & 0x0f, depth);
  if (tag >= 0xa0 && tag < 0xc0) return readText(reader, tag & 0x1f);
  switch (tag) {
    case 0xc2: return false;
    case 0xc3: return true;
    case 0xc4: case 0xc5: case 0xc6: return take(reader, readNumber(reader, 1 << (tag - 0xc4))).slice();
    case 0xcc: case 0xcd: case 0xce: case 0xcf: return readNumber(reader, 1 << (tag - 0xcc));
    case 0xd0: case 0xd1: case 0xd2: case 0xd3: return readSigned(reader, 1 << (tag - 0xd0));
    case 0xd9: case 0xda: case 0xdb: return readText(reader, readNumber(reader, 1 << (tag - 0xd9)));
    case 0xdc: case 0xdd: return readArray(reader, readNumber(reader, 2 << (tag - 0xdc)), depth);
    default: throw new EncodingInvalid("expected an integer, bytes, text, a boolean or an array");
  }
}

function readArray(reader, length, depth) {
  if (length > reader.bytes.length - reader.place) throw new EncodingInvalid("expected as many values as the array says");
  return Array.from({ length }, () => read(reader, depth + 1));
}

function readText(reader, length) {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(take(reader, length));
  } catch (error) {
    if (error instanceof TypeError) throw new EncodingInvalid("expected UTF-8");
    throw error;
  }
}

function readNumber(reader, size) {
  const number = take(reader, size).reduce((sum, byte) => sum * 256 + byte, 0);
  if (!Number.isSafeInteger(number)) throw new EncodingInvalid("expected an integer of at most 53 bits");
  return number;
}

function readSigned(reader, size) {
  const bytes = take(reader, size);
  const view = new DataView(bytes.buffer, bytes.byteOffset, size);
  return size === 8 ? Number(view.getBigInt64(0)) : view[`getInt${size * 8}`](0);
}

function take(reader, size) {
  const end = reader.place + size;
  if (end > reader.bytes.length) throw new EncodingInvalid("expected more bytes");
  const taken = reader.bytes.subarray(reader.place, end);
  reader.place = end;
  return taken;
}
