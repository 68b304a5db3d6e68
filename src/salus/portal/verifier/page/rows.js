// Rows of the proved tables on which a receipt rests: step 7 of the checklist `receipt` (docs/spec/receipts.md).

import { among, ascii, hex, join, same } from "./bytes.js";
import { checkRow } from "./claims.js";
import { encode } from "./msgpack.js";
import { PROVISION } from "./provisions.js";
import { need, step } from "./refusal.js";
import { anything, bytes, count, inside, list, seconds, struct, text } from "./shapes.js";

const AT = step("receipt", 7);
const USE_RECEIPT = 4n;

export const RELATIONSHIP = struct({
  custodian: text,
  key: bytes,
  holder: anything,
  recoveryKey: bytes,
  keys: list(list(anything)),
  closedAtS: anything,
});
const ORGANISATION = struct({
  name: text,
  roleClasses: anything,
  access: anything,
  endpoint: anything,
  joinedAtS: anything,
  suspendedUntilS: anything,
});
const KEYS = struct({ current: bytes, retired: list(struct({ key: bytes, untilS: seconds })) });
const POLICY = struct({ version: count, provisions: list(PROVISION), gates: anything });
const NO_POLICY = { version: 0, provisions: [] };

/** The key of a row: the table's name, a zero byte, the encoded key. */
export const rowKey = (table, key) => join(ascii(table), Uint8Array.of(0), encode(key));

/**
 * Check the rows; returns what they say: the relationship, and of both organisations their names and receipt keys, the
 * two policies, and whether the certificate of who asked is in force.
 */
export async function checkRows(state, opened, view, { pseudonym, custodian, requester }) {
  const keys = {
    relationship: rowKey("patients.relationships", pseudonym),
    custodian: rowKey("membership.organisations", custodian),
    requester: rowKey("membership.organisations", requester),
    custodianKeys: rowKey("membership.keys", [custodian, USE_RECEIPT]),
    requesterKeys: rowKey("membership.keys", [requester, USE_RECEIPT]),
    networkPolicy: rowKey("membership.policies", ""),
    custodianPolicy: rowKey("membership.policies", custodian),
    certificate: rowKey("membership.certificates", [requester, view.who.certificate]),
  };
  const expected = Object.values(keys).filter((key, place, all) => !among(all.slice(0, place), key));
  need(AT, opened.rows.length === expected.length && opened.rows.every(({ key }, place) => same(key, expected[place])));
  const rows = new Map();
  for (const proof of opened.rows) rows.set(hex(proof.key), await checkRow(state, proof));
  const read = (key, shape, absent) => {
    const row = rows.get(hex(key));
    return row.length > 0 ? inside(AT, shape, row) : absent;
  };
  const relationship = read(keys.relationship, RELATIONSHIP, null);
  need(AT, relationship !== null && relationship.custodian === custodian);
  return {
    relationship,
    custodian: { code: custodian, name: read(keys.custodian, ORGANISATION, { name: "" }).name },
    requester: { code: requester, name: read(keys.requester, ORGANISATION, { name: "" }).name },
    custodianKeys: read(keys.custodianKeys, KEYS, null),
    requesterKeys: read(keys.requesterKeys, KEYS, null),
    networkPolicy: read(keys.networkPolicy, POLICY, NO_POLICY),
    custodianPolicy: read(keys.custodianPolicy, POLICY, NO_POLICY),
    hasCertificate: rows.get(hex(keys.certificate)).length > 0,
  };
}

/** The keys of a member that were current at some second of a time. */
export function keysBetween(keys, fromS, untilS) {
  if (keys === null) return [];
  let sinceS = 0;
  const current = [];
  for (const retired of keys.retired) {
    if (sinceS <= untilS && fromS < retired.untilS) current.push(retired.key);
    sinceS = retired.untilS;
  }
  return sinceS <= untilS ? [...current, keys.current] : current;
}
