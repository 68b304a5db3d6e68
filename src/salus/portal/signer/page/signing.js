// Ed25519 (RFC 8032) by the browser's own cryptography.

import { concat, fromBase64url } from "./bytes.js";
import { tag } from "./hashing.js";

// RFC 8410: what stands before the 32 bytes of a seed in PKCS #8.
const PKCS8 = Uint8Array.of(0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20);

// Returns {public, sign(message), signTagged(purpose, message)}.
export async function signingKey(seed) {
  const key = await crypto.subtle.importKey("pkcs8", concat(PKCS8, seed), "Ed25519", true, ["sign"]);
  const { x } = await crypto.subtle.exportKey("jwk", key);
  const sign = async (message) => new Uint8Array(await crypto.subtle.sign("Ed25519", key, message));
  return { public: fromBase64url(x), sign, signTagged: (purpose, message) => sign(concat(tag(purpose), message)) };
}

// Whether this browser has Ed25519 at all.
export async function canSign() {
  try {
    await signingKey(new Uint8Array(32));
    return true;
  } catch (error) {
    if (error instanceof DOMException) return false;
    throw error;
  }
}
