// Transactions and sessions (docs/spec/machine.md, contracts.md): the page builds each byte that it signs.

import { random, sameBytes } from "./bytes.js";
import { decode, encode } from "./encoding.js";

const FORMAT = 1;
const TRANSACTION_TAG = "salus/transaction/1";
const SESSION_TAG = "salus/session/1";
const EXPIRY_S = 300;
const EXPIRY_AHEAD_S_MAX = 600;

const NOTHING = new Uint8Array(0);
const BY_PATIENT = 1;
const ADD_KEY = 204;

// Messages are arrays: tag, pseudonym, then the fields of docs/spec/contracts.md in order.
export const enrol = (pseudonym, custodian, key, commitment) =>
  [201, pseudonym, custodian, key, BY_PATIENT, NOTHING, commitment];
export const takeOverKey = (pseudonym, key, commitment) => [203, pseudonym, key, NOTHING, commitment];
export const addKey = (pseudonym, key, kind, expiresAtS, commitment) =>
  [ADD_KEY, pseudonym, key, kind, expiresAtS, commitment];
export const removeKey = (pseudonym, key, commitment) => [205, pseudonym, key, commitment];
export const startRecovery = (pseudonym, key, commitment) => [207, pseudonym, key, commitment];
export const finishRecovery = (pseudonym, commitment) => [208, pseudonym, commitment];
export const changeRecoveryKey = (pseudonym, key, second, commitment) => [209, pseudonym, key, second, commitment];
export const undoRecoveryKey = (pseudonym, commitment) => [210, pseudonym, commitment];
export const cancelRecovery = (pseudonym, commitment) => [211, pseudonym, commitment];
export const fileConsent = (pseudonym, choice, gate, commitment) => [401, pseudonym, choice, gate, commitment, 0];
export const withdrawConsent = (pseudonym, choice, commitment) => [402, pseudonym, choice, commitment, 0];
export const issueTicket = (pseudonym, ticket, condition, usesMax, expiresAtS, commitment) =>
  [501, pseudonym, ticket, condition, usesMax, expiresAtS, commitment];
export const challenge = (pseudonym, permit, commitment) => [604, pseudonym, permit, commitment];
export const revokeTicket = (pseudonym, ticket, commitment) => [502, pseudonym, ticket, commitment];

// Returns the body of one message; `signers` are public keys, in the order in which the message needs them.
// It ends at `expiresAtS`, or 5 minutes after `timeS`.
export function bodyOf(message, { chain, signers, timeS, expiresAtS = timeS + EXPIRY_S, nonce = random(16) }) {
  return encode([FORMAT, chain, signers, expiresAtS, nonce, [message]]);
}

export async function signBody(body, key) {
  return key.signTagged(TRANSACTION_TAG, body);
}

// Returns the bytes of a transaction whose signers are all here; `keys` in the order of the signers.
export async function signedBy(message, keys, terms) {
  const body = bodyOf(message, { ...terms, signers: keys.map((key) => key.public) });
  return encode([body, await Promise.all(keys.map((key) => signBody(body, key)))]);
}

// Returns the encoding of a certified session.
export async function certifySession({ sessionKey, custodian, fromS, untilS }, key) {
  const session = [sessionKey, custodian, fromS, untilS];
  return encode([session, await key.signTagged(SESSION_TAG, encode(session))]);
}

// Returns {pseudonym, key, kind, expiresAtS} of a body that adds one key and does nothing else; null for any other.
// Throws EncodingInvalid for bytes that are not canonical.
export function keyAddedBy(body, { chain, timeS }) {
  const fields = decode(body);
  if (!isArray(fields, 6)) return null;
  const [format, named, signers, expiresAtS, nonce, messages] = fields;
  const isTimely = Number.isInteger(expiresAtS) && expiresAtS > timeS && expiresAtS <= timeS + EXPIRY_AHEAD_S_MAX;
  const isPlain = format === FORMAT && named === chain && isTimely && isBytes(nonce, 16);
  if (!isPlain || !isArray(messages, 1) || !isArray(messages[0], 6) || !isArray(signers, 2)) return null;
  const [tag, pseudonym, key, kind, keyExpiresAtS, commitment] = messages[0];
  const isWhole = tag === ADD_KEY && isBytes(pseudonym, 16) && isBytes(key, 32) && isBytes(commitment, 32);
  if (!isWhole || !Number.isInteger(keyExpiresAtS) || ![1, 2].includes(kind)) return null;
  if (!isBytes(signers[0], 32) || !isBytes(signers[1], 32) || !sameBytes(signers[1], key)) return null;
  return { pseudonym, key, kind, expiresAtS: keyExpiresAtS };
}

function isArray(value, length) {
  return Array.isArray(value) && value.length === length;
}

function isBytes(value, size) {
  return value instanceof Uint8Array && value.length === size;
}
