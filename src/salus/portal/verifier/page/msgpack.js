// The canonical encoding (docs/spec/machine.md, Encoding). Integers are BigInt, since 64 bits occur.

import { ascii, bigEndian, join, same } from "./bytes.js";

const DEPTH_MAX = 64;
const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

class Reader {
  constructor(data) {
    this.data = data;
    this.place = 0;
  }

  take(size) {
    if (size > this.data.length - this.place) throw new RangeError("the bytes end too early");
    this.place += size;
    return this.data.subarray(this.place - size, this.place);
  }

  number(size) {
    return this.take(size).reduce((total, byte) => (total << 8n) | BigInt(byte), 0n);
  }

  size(width) {
    return Number(this.number(width));
  }

  list(size, depth) {
    if (size > this.data.length - this.place) throw new RangeError("the bytes end too early");
    return Array.from({ length: size }, () => this.value(depth + 1));
  }

  value(depth = 0) {
    if (depth > DEPTH_MAX) throw new RangeError("arrays are nested too deep");
    const head = this.take(1)[0];
    if (head < 0x80) return BigInt(head);
    if (head >= 0xe0) return BigInt(head - 256);
    if (head >= 0xa0 && head < 0xc0) return UTF8.decode(this.take(head & 31));
    if (head >= 0x90 && head < 0xa0) return this.list(head & 15, depth);
    if (head === 0xc2 || head === 0xc3) return head === 0xc3;
    if (head >= 0xc4 && head <= 0xc6) return this.take(this.size(1 << (head - 0xc4)));
    if (head >= 0xcc && head <= 0xcf) return this.number(1 << (head - 0xcc));
    if (head >= 0xd0 && head <= 0xd3) {
      const size = 1 << (head - 0xd0);
      return BigInt.asIntN(8 * size, this.number(size));
    }
    if (head >= 0xd9 && head <= 0xdb) return UTF8.decode(this.take(this.size(1 << (head - 0xd9))));
    if (head === 0xdc || head === 0xdd) return this.list(this.size(2 << (head - 0xdc)), depth);
    throw new TypeError("nil, floats, maps and extensions are not part of the encoding");
  }
}

/** The one value that bytes are the encoding of; undefined for bytes that do not re-encode to themselves. */
export function decode(data) {
  let value;
  try {
    value = new Reader(data).value();
  } catch (error) {
    if (error instanceof RangeError || error instanceof TypeError) return undefined; // UTF8 throws the second
    throw error;
  }
  return same(encode(value), data) ? value : undefined;
}

/** The one encoding of a value. */
export function encode(value) {
  const parts = [];
  write(parts, value);
  return join(...parts);
}

function write(parts, value) {
  if (typeof value === "bigint") parts.push(integer(value));
  else if (typeof value === "boolean") parts.push(Uint8Array.of(value ? 0xc3 : 0xc2));
  else if (typeof value === "string") {
    const data = ascii(value);
    parts.push(data.length < 32 ? Uint8Array.of(0xa0 | data.length) : sized(data.length, [0xd9, 0xda, 0xdb]), data);
  } else if (value instanceof Uint8Array) parts.push(sized(value.length, [0xc4, 0xc5, 0xc6]), value);
  else {
    parts.push(value.length < 16 ? Uint8Array.of(0x90 | value.length) : sized(value.length, [null, 0xdc, 0xdd]));
    for (const each of value) write(parts, each);
  }
}

function integer(number) {
  if (number >= -32n && number < 128n) return Uint8Array.of(Number(BigInt.asUintN(8, number)));
  const first = number < 0n ? 0xd0 : 0xcc;
  const cut = number < 0n ? BigInt.asIntN : BigInt.asUintN;
  const power = [8, 16, 32, 64].findIndex((bits) => cut(bits, number) === number);
  const width = 1 << power;
  return join(Uint8Array.of(first + power), bigEndian(BigInt.asUintN(8 * width, number), width));
}

function sized(size, [byte, two, four]) {
  if (byte !== null && size < 0x100) return Uint8Array.of(byte, size);
  return size < 0x10000 ? join(Uint8Array.of(two), bigEndian(size, 2)) : join(Uint8Array.of(four), bigEndian(size, 4));
}
