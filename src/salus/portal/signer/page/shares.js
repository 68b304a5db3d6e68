// Shares of a recovery seed as words (SLIP-0039): one group, a threshold of its members, no passphrase.
// Written so that `salus.sdk.guardians` reads what is made here and the other way about.

import { concat, random, sameBytes, utf8 } from "./bytes.js";
import { hmac } from "./hashing.js";
import { SHARE_WORDS } from "./share_words.js";

const SEED_SIZE = 32;
const ROUNDS = 4, BASE_ITERATIONS = 10_000, EXPONENT = 1;
const WORD_BITS = 10n, WORD_MASK = 1023n;
const CHECKSUM = 3, HEADER = 4;
const VALUE_WORDS = 26; // 256 bits in words of ten, with four zeros before
const DIGEST_SIZE = 4, DIGEST_AT = 254, SECRET_AT = 255;
const CUSTOMISATION = [...utf8("shamir_extendable")];
const GENERATORS = [
  0xe0e040, 0x1c1c080, 0x3838100, 0x7070200, 0xe0e0009, 0x1c0c2412, 0x38086c24, 0x3090fc48, 0x21b1f890, 0x3f3f120,
];

// The words make no seed. `place` is the number of the share that is wrong, from 1; 0 for all of them together.
export class SharesUnfit extends Error {
  constructor(place = 0) {
    super("these words make no seed");
    this.place = place;
  }
}

export function newSeed() {
  return random(SEED_SIZE);
}

// Returns the words of each guardian, of whom `threshold` together make the seed again.
export async function splitSeed(seed, threshold, count, draw = random) {
  const identifier = ((draw(2)[0] & 0x7f) << 8) | draw(1)[0];
  const shared = await scrambled(seed, [0, 1, 2, 3], EXPONENT);
  const points = await splitSecret(shared, threshold, count, draw);
  return points.map(({ at, value }) => written({ identifier, exponent: EXPONENT, threshold, at, value }));
}

// Returns the seed that shares make; each is the words of one guardian, as somebody typed them. Throws SharesUnfit.
export async function combineShares(texts) {
  const shares = texts.map((text, place) => read(text, place + 1));
  if (!shares.length) throw new SharesUnfit();
  const [{ identifier, exponent, threshold }] = shares;
  const isAlike = (each) => each.identifier === identifier && each.exponent === exponent && each.threshold === threshold;
  const byPlace = new Map(shares.map((each) => [each.at, each]));
  if (!shares.every(isAlike) || byPlace.size < threshold) throw new SharesUnfit();
  const points = [...byPlace.values()].slice(0, threshold);
  const secret = threshold === 1 ? points[0].value : interpolated(points, SECRET_AT);
  if (threshold > 1) {
    const digest = interpolated(points, DIGEST_AT);
    const expected = await digestOf(digest.slice(DIGEST_SIZE), secret);
    if (!sameBytes(digest.slice(0, DIGEST_SIZE), expected)) throw new SharesUnfit();
  }
  return scrambled(secret, [3, 2, 1, 0], exponent);
}

async function splitSecret(secret, threshold, count, draw) {
  const points = [];
  for (let at = 0; at < threshold - 2; at += 1) points.push({ at, value: draw(secret.length) });
  const filler = draw(secret.length - DIGEST_SIZE);
  const digest = { at: DIGEST_AT, value: concat(await digestOf(filler, secret), filler) };
  const known = [...points, digest, { at: SECRET_AT, value: secret }];
  for (let at = threshold - 2; at < count; at += 1) points.push({ at, value: interpolated(known, at) });
  return points;
}

async function digestOf(filler, secret) {
  return (await hmac(filler, secret)).slice(0, DIGEST_SIZE);
}

// The Feistel network of SLIP-0039 with an empty passphrase; backwards with the rounds in the other order.
async function scrambled(secret, rounds, exponent) {
  let [left, right] = [secret.slice(0, secret.length / 2), secret.slice(secret.length / 2)];
  for (const round of rounds) {
    const mask = await roundOf(round, right, exponent);
    [left, right] = [right, left.map((byte, place) => byte ^ mask[place])];
  }
  return concat(right, left);
}

async function roundOf(round, right, exponent) {
  const key = await crypto.subtle.importKey("raw", Uint8Array.of(round), "PBKDF2", false, ["deriveBits"]);
  const iterations = Math.floor((BASE_ITERATIONS * 2 ** exponent) / ROUNDS);
  const terms = { name: "PBKDF2", hash: "SHA-256", salt: right, iterations };
  return new Uint8Array(await crypto.subtle.deriveBits(terms, key, right.length * 8));
}

// Header: identifier (15 bits), extendable (1), exponent (4), then group 0 of 1 with threshold 1, member, threshold.
function written({ identifier, exponent, threshold, at, value }) {
  const head = (((BigInt(identifier) << 1n) | 1n) << 4n) | BigInt(exponent);
  const member = BigInt(at * 16 + (threshold - 1));
  const number = value.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  const data = [...inWords(head, 2), ...inWords(member, 2), ...inWords(number, VALUE_WORDS)];
  const check = polymod([...CUSTOMISATION, ...data, 0, 0, 0]) ^ 1;
  const sum = [2, 1, 0].map((place) => (check >>> (10 * place)) & 1023);
  return [...data, ...sum].map((index) => SHARE_WORDS[index]).join(" ");
}

function read(text, place) {
  const words = text.toLowerCase().split(/[^a-z]+/).filter(Boolean);
  const indices = words.map((word) => SHARE_WORDS.indexOf(word));
  const isWhole = indices.length === HEADER + VALUE_WORDS + CHECKSUM && !indices.includes(-1);
  if (!isWhole || polymod([...CUSTOMISATION, ...indices]) !== 1) throw new SharesUnfit(place);
  const head = asNumber(indices.slice(0, 2)), member = asNumber(indices.slice(2, HEADER));
  const number = asNumber(indices.slice(HEADER, -CHECKSUM));
  const isOneGroup = member >> 8n === 0n && ((head >> 4n) & 1n) === 1n;
  if (!isOneGroup || number >> BigInt(SEED_SIZE * 8)) throw new SharesUnfit(place);
  const byteAt = (_, at) => Number((number >> BigInt(8 * (SEED_SIZE - 1 - at))) & 255n);
  const value = Uint8Array.from({ length: SEED_SIZE }, byteAt);
  const [at, threshold] = [Number((member >> 4n) & 15n), Number(member & 15n) + 1];
  return { identifier: Number(head >> 5n), exponent: Number(head & 15n), threshold, at, value };
}

function inWords(number, count) {
  const wordAt = (_, place) => Number((number >> (WORD_BITS * BigInt(count - 1 - place))) & WORD_MASK);
  return Array.from({ length: count }, wordAt);
}

function asNumber(indices) {
  return indices.reduce((sum, index) => (sum << WORD_BITS) | BigInt(index), 0n);
}

// RS1024, the checksum of SLIP-0039.
function polymod(values) {
  let sum = 1;
  for (const value of values) {
    const top = sum >>> 20;
    sum = ((sum & 0xfffff) << 10) ^ value;
    GENERATORS.forEach((generator, bit) => (sum ^= (top >>> bit) & 1 ? generator : 0));
  }
  return sum >>> 0;
}

const [EXPONENTS, LOGARITHMS] = tables();

// GF(256) with the polynomial of AES and the generator 3.
function tables() {
  const exponents = [], logarithms = [];
  for (let power = 0, value = 1; power < 255; power += 1) {
    exponents.push(value);
    logarithms[value] = power;
    value = (value << 1) ^ value;
    if (value & 0x100) value ^= 0x11b;
  }
  return [exponents, logarithms];
}

// The value at a place of the polynomials through these points (Lagrange).
function interpolated(points, at) {
  const found = points.find((each) => each.at === at);
  if (found) return found.value;
  const all = points.reduce((sum, each) => sum + LOGARITHMS[each.at ^ at], 0);
  const result = new Uint8Array(points[0].value.length);
  for (const point of points) {
    const others = points.filter((each) => each !== point);
    const below = others.reduce((sum, each) => sum + LOGARITHMS[point.at ^ each.at], LOGARITHMS[point.at ^ at]);
    const basis = (((all - below) % 255) + 255) % 255;
    point.value.forEach((byte, place) => {
      if (byte) result[place] ^= EXPONENTS[(LOGARITHMS[byte] + basis) % 255];
    });
  }
  return result;
}
