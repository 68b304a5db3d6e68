// Ed25519 signatures, verified by the browser; where it says no, or does not know Ed25519, by plain arithmetic.
//
// Votes of validators count by ZIP-215 (docs/spec/header.md), which accepts more than browsers do: keys and R whose
// encoding is not canonical, and equations that hold only times 8. Whatever a browser accepts, ZIP-215 accepts.
// All other signatures are judged as in docs/spec/sealing.md, Signatures.

import { join, same } from "./bytes.js";

const PRIME = 2n ** 255n - 19n;
const ORDER = 2n ** 252n + 27742317777372353535851937790883648493n;
const D = mod(-121665n * power(121666n, PRIME - 2n));
const ROOT_OF_MINUS_ONE = power(2n, (PRIME - 1n) / 4n);
const BASE = decodePoint(join(Uint8Array.of(0x58), new Uint8Array(31).fill(0x66)));
const NEUTRAL = { x: 0n, y: 1n, z: 1n, t: 0n };

/** Tell whether a vote's signature holds by ZIP-215. */
export async function holdsZip215(key, message, signature) {
  if (key.length !== 32 || signature.length !== 64) return false;
  if (await browserAccepts(key, message, signature)) return true;
  const off = await difference(key, message, signature);
  return off !== null && isNeutral(timesEight(off));
}

/** Tell whether any other signature holds. */
export async function holds(key, message, signature) {
  if (key.length !== 32 || signature.length !== 64) return false;
  const [point, nonce] = [decodePoint(key), decodePoint(signature.slice(0, 32))];
  if (point === null || nonce === null || !same(encodePoint(point), key)) return false;
  if (isNeutral(timesEight(point)) || isNeutral(timesEight(nonce))) return false;
  if (await browserAccepts(key, message, signature)) return true;
  const off = await difference(key, message, signature);
  return off !== null && isNeutral(off) && same(encodePoint(nonce), signature.slice(0, 32));
}

async function browserAccepts(key, message, signature) {
  try {
    const imported = await crypto.subtle.importKey("raw", key, "Ed25519", false, ["verify"]);
    return await crypto.subtle.verify("Ed25519", imported, signature, message);
  } catch {
    return false; // it does not know Ed25519, or calls the key unfit: the arithmetic below decides
  }
}

/** [S]B − [k]A − R; null when S is not below the order, or there is no such point. */
async function difference(key, message, signature) {
  const scalar = littleEndian(signature.slice(32));
  const [point, nonce] = [decodePoint(key), decodePoint(signature.slice(0, 32))];
  if (scalar >= ORDER || point === null || nonce === null) return null;
  const digest = await crypto.subtle.digest("SHA-512", join(signature.slice(0, 32), key, message));
  const challenge = littleEndian(new Uint8Array(digest)) % ORDER;
  return add(times(scalar, BASE), negative(add(times(challenge, point), nonce)));
}

function mod(number) {
  const rest = number % PRIME;
  return rest < 0n ? rest + PRIME : rest;
}

function power(base, exponent) {
  let [result, square] = [1n, mod(base)];
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = mod(result * square);
    square = mod(square * square);
  }
  return result;
}

function littleEndian(data) {
  return data.reduceRight((total, byte) => (total << 8n) | BigInt(byte), 0n);
}

/** The point of an encoding, canonical or not (RFC 8032 5.1.3 without the refusals); null where there is none. */
function decodePoint(data) {
  const number = littleEndian(data);
  const y = mod(number & (2n ** 255n - 1n));
  const squared = mod((y * y - 1n) * power(D * y * y + 1n, PRIME - 2n));
  let x = power(squared, (PRIME + 3n) / 8n);
  if (mod(x * x) !== squared) x = mod(x * ROOT_OF_MINUS_ONE);
  if (mod(x * x) !== squared) return null;
  if ((x & 1n) !== number >> 255n) x = mod(-x);
  return { x, y, z: 1n, t: mod(x * y) };
}

function encodePoint(point) {
  const inverse = power(point.z, PRIME - 2n);
  let number = mod(point.y * inverse) | ((mod(point.x * inverse) & 1n) << 255n);
  return Uint8Array.from({ length: 32 }, () => {
    const byte = Number(number & 255n);
    number >>= 8n;
    return byte;
  });
}

/** The sum of two points in extended coordinates (RFC 8032 5.1.4). */
function add(one, other) {
  const a = mod((one.y - one.x) * (other.y - other.x));
  const b = mod((one.y + one.x) * (other.y + other.x));
  const c = mod(2n * D * one.t * other.t);
  const d = mod(2n * one.z * other.z);
  const [e, f, g, h] = [b - a, d - c, d + c, b + a];
  return { x: mod(e * f), y: mod(g * h), z: mod(f * g), t: mod(e * h) };
}

const negative = (point) => ({ ...point, x: mod(-point.x), t: mod(-point.t) });

function times(scalar, point) {
  let [sum, doubled] = [NEUTRAL, point];
  for (let rest = scalar; rest > 0n; rest >>= 1n) {
    if (rest & 1n) sum = add(sum, doubled);
    doubled = add(doubled, doubled);
  }
  return sum;
}

const timesEight = (point) => times(8n, point);

const isNeutral = (point) => point.x === 0n && point.y === point.z;
