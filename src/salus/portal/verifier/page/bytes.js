// Byte strings: joining, comparing, and the texts that stand for them.

export const NOTHING = new Uint8Array(0);
export const ZEROS = new Uint8Array(32);

export function join(...parts) {
  const joined = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let place = 0;
  for (const part of parts) {
    joined.set(part, place);
    place += part.length;
  }
  return joined;
}

export const same = (one, other) => one.length === other.length && one.every((byte, place) => byte === other[place]);

export const among = (list, one) => list.some((each) => same(each, one));

export const sameLists = (one, other) =>
  one.length === other.length && one.every((each, place) => same(each, other[place]));

export const hex = (data) => Array.from(data, (byte) => byte.toString(16).padStart(2, "0")).join("");

export const ascii = (text) => new TextEncoder().encode(text);

/** A number in a fixed width, the highest byte first. */
export function bigEndian(number, width) {
  const data = new Uint8Array(width);
  let rest = BigInt(number);
  for (let place = width - 1; place >= 0; place--) {
    data[place] = Number(rest & 255n);
    rest >>= 8n;
  }
  return data;
}

/** Bytes of base64 with padding in its one form; null for any other text. */
export function fromBase64(text) {
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text) || text.length % 4 !== 0) return null;
  const data = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  return btoa(String.fromCharCode(...data)) === text ? data : null;
}
