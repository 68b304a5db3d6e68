// The wallet of one device (docs/spec/wallet.md, signer.md): a seed, its relationships, and how both are wrapped.

import { base32, concat, hex, random, sameBytes } from "./bytes.js";
import { decode, encode } from "./encoding.js";
import { branch, hkdf, hmac, tag, tagged } from "./hashing.js";
import { compare } from "./provisions.js";
import { signingKey } from "./signing.js";

const FORMAT = 1;
const BLOB_FORMAT = 1;
const SALT_SIZE = 32, NONCE_SIZE = 12, HEAD_SIZE = 1 + SALT_SIZE;
const CODE_BYTES = 10;
const WRAP_TAG = "salus/signer/wrap/1";

export class WalletRefuses extends Error {}

export function newWallet() {
  return { seed: random(32), relationships: [] };
}

// Returns the wallet with a relationship under its own number of key; one that is there already stays.
export function withRelationship(wallet, { chain, custodian, pseudonym }) {
  const found = wallet.relationships.find((each) => sameBytes(each.pseudonym, pseudonym));
  if (found && (found.chain !== chain || found.custodian !== custodian)) {
    throw new WalletRefuses("the wallet has this relationship with another custodian");
  }
  const added = { chain, custodian, pseudonym, keyNumber: 0 };
  return found ? wallet : { ...wallet, relationships: [...wallet.relationships, added] };
}

// Returns the relationship that a request names. Throws WalletRefuses when the wallet has none, or with another custodian.
export function relationship(wallet, { chain, custodian, pseudonym }) {
  const found = wallet.relationships.find((each) => sameBytes(each.pseudonym, pseudonym));
  if (!found) throw new WalletRefuses("this device has no key for what is to be signed");
  if (found.chain !== chain || found.custodian !== custodian) {
    throw new WalletRefuses("the portal names another custodian than this device knows");
  }
  return found;
}

export async function ownKey(wallet, { pseudonym, keyNumber }) {
  return signingKey(await branch(wallet.seed, "signing", hex(pseudonym), String(keyNumber)));
}

// By which this device knows a choice that it filed; `tree` is its encoding.
export async function voucherOf(wallet, pseudonym, choice, tree) {
  const key = await branch(wallet.seed, "voucher", hex(pseudonym));
  return hmac(key, concat(tag("salus/voucher/1"), choice, tree));
}

// By which people see that two devices mean the same keys; `items` are {pseudonym, key}, in any order.
export async function codeOf(items) {
  const sorted = [...items].sort((one, other) => compare(one.pseudonym, other.pseudonym));
  const parts = sorted.flatMap(({ pseudonym, key }) => [pseudonym, key]);
  const digest = await tagged("salus/signer/code/1", ...parts);
  return base32(digest.slice(0, CODE_BYTES)).match(/.{4}/g).join(" ");
}

export function newSalt() {
  return random(SALT_SIZE);
}

// What the passkey's PRF is asked about.
export function saltOf(blob) {
  return blob.slice(1, HEAD_SIZE);
}

// Returns a device's blob. `place` is {account, device, share}; `prf` what the passkey yields for `salt`.
export async function wrap(wallet, { place, prf, salt, nonce = random(NONCE_SIZE) }) {
  const head = concat(Uint8Array.of(BLOB_FORMAT), salt);
  const { key, additionalData } = await wrapping(place, prf, head);
  const content = await crypto.subtle.encrypt({ name: "AES-GCM", iv: nonce, additionalData }, key, encodeWallet(wallet));
  return concat(head, nonce, new Uint8Array(content));
}

// Returns the wallet of a blob. Throws WalletRefuses when this passkey, share, account and device do not open it.
export async function unwrap(blob, { place, prf }) {
  if (blob[0] !== BLOB_FORMAT) throw new WalletRefuses("expected a blob of format 1");
  const [head, nonce, sealed] = [blob.slice(0, HEAD_SIZE), blob.slice(HEAD_SIZE, HEAD_SIZE + NONCE_SIZE), blob.slice(HEAD_SIZE + NONCE_SIZE)];
  const { key, additionalData } = await wrapping(place, prf, head);
  try {
    const content = await crypto.subtle.decrypt({ name: "AES-GCM", iv: nonce, additionalData }, key, sealed);
    return decodeWallet(new Uint8Array(content));
  } catch (error) {
    if (error instanceof DOMException) throw new WalletRefuses("this passkey does not open what the portal keeps");
    throw error;
  }
}

export function encodeWallet({ seed, relationships }) {
  const rows = relationships.map((each) => [each.chain, each.custodian, each.pseudonym, each.keyNumber, []]);
  return encode([FORMAT, seed, rows]);
}

function decodeWallet(bytes) {
  const [format, seed, rows] = decode(bytes);
  if (format !== FORMAT) throw new WalletRefuses("expected a wallet of format 1");
  const relationships = rows.map(([chain, custodian, pseudonym, keyNumber]) => ({ chain, custodian, pseudonym, keyNumber }));
  return { seed, relationships };
}

async function wrapping({ account, device, share }, prf, head) {
  const secret = await hkdf(concat(prf, share), head.slice(1), tag(WRAP_TAG));
  const key = await crypto.subtle.importKey("raw", secret, "AES-GCM", false, ["encrypt", "decrypt"]);
  return { key, additionalData: concat(tag(WRAP_TAG), account, device, head) };
}
