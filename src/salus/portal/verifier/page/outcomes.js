// The outcomes that a patient's history can have (docs/spec/contracts.md), and where the ledger has them.

import { checkOutcome } from "./claims.js";
import { need } from "./refusal.js";
import {
  anything, bytes, count, digest, flag, inside, list, number, seconds, sized, struct, text, upTo,
} from "./shapes.js";

const DENIED = 1;
const pseudonym = sized(16);
const kind = anything;
const actor = number(4, 1);
const commitment = anything;
const versions = { choicesVersion: count, networkVersion: count, custodianVersion: count };
const asked = {
  kind,
  pseudonym,
  custodian: text,
  requester: text,
  roleClass: number(9, 1),
  purpose: number(9, 1),
  verb: number(5, 1),
};

const OUTCOMES = {
  201: {
    name: "Enrolled",
    shape: { kind, pseudonym, custodian: text, key: bytes, holder: number(3, 1), recoveryKey: bytes, commitment },
  },
  202: { name: "PseudonymKeyRotated", shape: { kind, pseudonym, key: bytes, holder: number(3, 1), commitment } },
  203: { name: "KeyTakenOver", shape: { kind, pseudonym, key: bytes, recoveryKey: bytes, commitment } },
  204: {
    name: "KeyAdded",
    shape: { kind, pseudonym, key: bytes, keyKind: number(3, 1), appointedBy: anything, expiresAtS: count, commitment },
  },
  205: { name: "KeyRemoved", shape: { kind, pseudonym, key: bytes, actor, commitment } },
  206: { name: "RelationshipClosed", shape: { kind, pseudonym, actor, commitment } },
  207: {
    name: "RecoveryStarted",
    shape: { kind, pseudonym, key: bytes, isSecond: flag, readyAtS: seconds, commitment },
  },
  208: { name: "RecoveryFinished", shape: { kind, pseudonym, key: bytes, isSecond: flag, commitment } },
  209: {
    name: "RecoveryKeyChanged",
    shape: { kind, pseudonym, recoveryKey: bytes, secondKey: bytes, inForceAtS: seconds, commitment },
  },
  210: { name: "RecoveryKeyUndone", shape: { kind, pseudonym, commitment } },
  211: { name: "RecoveryCancelled", shape: { kind, pseudonym, commitment } },
  207: {
    name: "RecoveryStarted",
    shape: { kind, pseudonym, key: bytes, isSecond: flag, readyAtS: seconds, commitment },
  },
  208: { name: "RecoveryFinished", shape: { kind, pseudonym, key: bytes, isSecond: flag, commitment } },
  209: {
    name: "RecoveryKeyChanged",
    shape: { kind, pseudonym, recoveryKey: bytes, secondKey: bytes, readyAtS: seconds, commitment },
  },
  210: { name: "RecoveryKeyUndone", shape: { kind, pseudonym, commitment } },
  211: { name: "RecoveryCancelled", shape: { kind, pseudonym, commitment } },
  301: { name: "BatchRegistered", shape: { kind, pseudonym, custodian: text, root: digest, size: count } },
  302: { name: "Verified", shape: { kind, pseudonym, entry: anything, commitment } },
  303: { name: "Superseded", shape: { kind, pseudonym, entry: anything, by: anything, commitment } },
  304: { name: "ErasureMarked", shape: { kind, pseudonym, entry: anything, commitment } },
  305: { name: "RelationshipErased", shape: { kind, pseudonym, custodian: text, commitment } },
  401: {
    name: "ConsentFiled",
    shape: {
      kind,
      pseudonym,
      choice: sized(16),
      version: count,
      gate: list(anything),
      commitment: digest,
      actor,
      evidenceOnDay: anything,
    },
  },
  402: {
    name: "ConsentWithdrawn",
    shape: { kind, pseudonym, choice: sized(16), version: count, commitment, actor, evidenceOnDay: anything },
  },
  501: {
    name: "TicketIssued",
    shape: {
      kind,
      pseudonym,
      ticket: bytes,
      issuer: actor,
      condition: anything,
      usesMax: count,
      expiresAtS: count,
      commitment: digest,
    },
  },
  502: { name: "TicketRevoked", shape: { kind, pseudonym, ticket: bytes, actor, commitment } },
  503: { name: "TicketUsed", shape: { kind, pseudonym, ticket: bytes, usesLeft: count } },
  504: {
    name: "TicketAttenuated",
    shape: {
      kind,
      pseudonym,
      ticket: bytes,
      narrower: bytes,
      condition: anything,
      usesMax: count,
      expiresAtS: count,
      commitment: digest,
    },
  },
  601: {
    name: "AccessPermitted",
    shape: { ...asked, untilS: seconds, basis: number(7, 1), ticket: upTo(32), ...versions, residual: digest },
  },
  602: {
    name: "ReleasesCommitted",
    shape: { kind, pseudonym, permit: upTo(16), end: number(3, 1), root: digest, isClosed: flag },
  },
  603: { name: "EmergencyReviewed", shape: { kind, pseudonym, permit: bytes, verdict: number(3, 1), commitment } },
  604: { name: "Challenged", shape: { kind, pseudonym, permit: bytes, actor, commitment } },
  605: { name: "AccessDenied", shape: { ...asked, reason: number(12, 1), ...versions, residual: anything } },
};
const READERS = new Map(
  Object.entries(OUTCOMES).map(([tag, { name, shape }]) => [BigInt(tag), { name, read: struct(shape) }]),
);

/** The outcome of a leaf that is no rejection: its name, its index in the log, its leaf, and its fields. */
export function readOutcome(at, leaf, index) {
  need(at, leaf.code <= DENIED);
  return inside(at, (_, item) => {
    const reader = Array.isArray(item) ? READERS.get(item[0]) : undefined;
    need(at, reader !== undefined);
    return { ...reader.read(at, item), name: reader.name, index, leaf };
  }, leaf.data);
}

/** An outcome that the log has. */
export async function provedOutcome(state, proof, at) {
  return readOutcome(at, await checkOutcome(state, proof), proof.index);
}
