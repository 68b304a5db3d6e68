// Bytes: joined, compared, and written as text. A reader here refuses what a writer here would not have written.

const BASE64_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const BASE32_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

export class BytesUnfit extends Error {}

export function utf8(text) {
  return new TextEncoder().encode(text);
}

export function concat(...parts) {
  const joined = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let place = 0;
  for (const part of parts) {
    joined.set(part, place);
    place += part.length;
  }
  return joined;
}

// A number as big-endian bytes.
export function bigEndian(number, size) {
  const bytes = new Uint8Array(size);
  for (let place = size - 1, rest = number; place >= 0; place -= 1) {
    bytes[place] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  return bytes;
}

// The order of Python's bytes: the first byte that differs, then the length.
export function compareBytes(left, right) {
  const shared = Math.min(left.length, right.length);
  for (let place = 0; place < shared; place += 1) {
    if (left[place] !== right[place]) return left[place] - right[place];
  }
  return left.length - right.length;
}

export function sameBytes(left, right) {
  return compareBytes(left, right) === 0;
}

export function random(size) {
  return crypto.getRandomValues(new Uint8Array(size));
}

export function hex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// RFC 4648 section 5, without padding.
export function base64url(bytes) {
  return inLetters(bytes, BASE64_LETTERS, 6);
}

export function fromBase64url(text) {
  const bytes = new Uint8Array(Math.floor((text.length * 6) / 8));
  let bits = 0, held = 0, place = 0;
  for (const letter of text) {
    const value = BASE64_LETTERS.indexOf(letter);
    if (value < 0) throw new BytesUnfit("expected base64url without padding, came another letter");
    held = ((held << 6) | value) & 0xffff;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes[place] = (held >> bits) & 0xff;
      place += 1;
    }
  }
  if (base64url(bytes) !== text) throw new BytesUnfit("expected base64url in its one form, came another");
  return bytes;
}

// RFC 4648 section 6, without padding.
export function base32(bytes) {
  return inLetters(bytes, BASE32_LETTERS, 5);
}

function inLetters(bytes, letters, width) {
  let text = "", bits = 0, held = 0;
  for (const byte of bytes) {
    held = ((held << 8) | byte) & 0xffff;
    bits += 8;
    while (bits >= width) {
      bits -= width;
      text += letters[(held >> bits) & ((1 << width) - 1)];
    }
  }
  return bits ? text + letters[(held << (width - bits)) & ((1 << width) - 1)] : text;
}
