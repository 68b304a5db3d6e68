// Committed lists of fields (docs/spec/sealing.md, "Commitments"): what stands behind a message and never on the ledger.

import { bigEndian, concat, random, utf8 } from "./bytes.js";
import { encode } from "./encoding.js";
import { hkdf, hmac, merkleRoot, tagged } from "./hashing.js";

const SALT_INFO = utf8("salus/field-salt/1");

// Returns {bytes: the whole list as those keep it who may open it, root: what may stand on the ledger}.
// `values` are the fields' canonical bytes; `secret` is 32 random bytes of this list alone.
export async function commit(values, secret = random(32)) {
  const leaves = await Promise.all(values.map(async (value, index) => hmac(await salt(secret, index), value)));
  const root = await tagged("salus/fields/1", bigEndian(values.length, 8), await merkleRoot(leaves));
  return { bytes: encode([secret, values]), root };
}

// The residual of a message that needs no more than a reason in words.
export async function reason(words, secret = random(32)) {
  return commit([encode(words)], secret);
}

async function salt(secret, index) {
  return hkdf(secret, new Uint8Array(0), concat(SALT_INFO, bigEndian(index, 4)));
}
