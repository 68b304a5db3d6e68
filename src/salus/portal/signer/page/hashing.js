// Hashes and derived secrets (docs/spec/sealing.md), by the browser's own cryptography.

import { bigEndian, concat, utf8 } from "./bytes.js";

export async function sha256(bytes) {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}

// One length byte and the tag: what stands before everything that is hashed or signed for one purpose.
export function tag(name) {
  return concat(Uint8Array.of(name.length), utf8(name));
}

export async function tagged(name, ...parts) {
  return sha256(concat(tag(name), ...parts.flatMap((part) => [bigEndian(part.length, 8), part])));
}

export async function hmac(secret, bytes) {
  const key = await crypto.subtle.importKey("raw", secret, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  return new Uint8Array(await crypto.subtle.sign("HMAC", key, bytes));
}

// RFC 5869 with SHA-256, 32 bytes.
export async function hkdf(secret, salt, info) {
  const key = await crypto.subtle.importKey("raw", secret, "HKDF", false, ["deriveBits"]);
  return new Uint8Array(await crypto.subtle.deriveBits({ name: "HKDF", hash: "SHA-256", salt, info }, key, 256));
}

// The hardened derivation of a patient's keys: one HKDF for each name.
export async function branch(seed, ...names) {
  let secret = seed;
  for (const name of names) secret = await hkdf(secret, new Uint8Array(0), concat(tag("salus/branch/1"), tag(name)));
  return secret;
}

// RFC 9162 2.1.1: the root over leaf data.
export async function merkleRoot(leaves) {
  if (leaves.length === 0) return sha256(new Uint8Array(0));
  if (leaves.length === 1) return sha256(concat(Uint8Array.of(0), leaves[0]));
  let split = 1;
  while (split * 2 < leaves.length) split *= 2;
  const [left, right] = [await merkleRoot(leaves.slice(0, split)), await merkleRoot(leaves.slice(split))];
  return sha256(concat(Uint8Array.of(1), left, right));
}
