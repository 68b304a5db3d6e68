// A ticket as its holder has it (docs/spec/tickets.md): a JWT whose key is derived from all that is signed.

import { base64url, hex, random, utf8 } from "./bytes.js";
import { hkdf, tag } from "./hashing.js";
import { signingKey } from "./signing.js";

const HEADER = base64url(utf8('{"alg":"EdDSA","typ":"JWT"}'));

// Returns {bearer, key}; `resources` as docs/spec/tickets.md has them, checked.
export async function newTicket({ chain, audience, pseudonym, resources, timeS, expiresAtS, secret = random(32) }) {
  const claims = {
    iss: `urn:salus:ledger:${chain}`,
    aud: audience,
    exp: expiresAtS,
    iat: timeS,
    jti: base64url(secret),
    ticket_type: "urn:salus:ticket-type:1",
    subject: {
      patient: {
        resourceType: "Patient",
        identifier: [{ system: "urn:salus:pseudonym", value: hex(pseudonym) }],
      },
    },
    access: { fhir_resources: resources },
  };
  const signed = `${HEADER}.${base64url(utf8(JSON.stringify(claims)))}`;
  const key = await signingKey(await hkdf(utf8(signed), new Uint8Array(0), tag("salus/ticket-key/1")));
  return { bearer: `${signed}.${base64url(await key.sign(utf8(signed)))}`, key };
}
