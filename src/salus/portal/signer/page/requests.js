// A signing request, read once and strictly (docs/spec/signer.md): every member there, none besides, each within its bounds.

import { BytesUnfit, fromBase64url, hex, sameBytes } from "./bytes.js";
import { EncodingInvalid } from "./encoding.js";
import { ProvisionInvalid, decodeTree } from "./provisions.js";
import { decodeTerms } from "./terms.js";

const CLOCKS_APART_S_MAX = 2 * 3600;
const REQUEST_S_MAX = 600;
const TIME_S_MAX = 2 ** 40 - 1;
const BLOB_BYTES_MAX = 65_536;
const TREE_BYTES_MAX = 16_384;
const TERMS_BYTES_MAX = 20_000;
const USES_MAX = 10_000;
const WORDS_MAX = 2_000;
const GUARDIANS_MAX = 16;
const CODE = /^[A-Z0-9]{2,12}$/;
const NAME = /^[\p{L}\p{M}\p{Nd} .,&'\/-]{1,120}$/u;

// The portal sent what does not fit. The message says what was expected, never what came.
export class RequestUnfit extends Error {}

// It fits but for its time: this device's clock or the portal's is wrong, and its owner can see which.
export class ClocksApart extends Error {}

export function need(holds, expected) {
  if (!holds) throw new RequestUnfit(`expected ${expected}`);
}

const text = (shape) => (value) => {
  need(typeof value === "string" && shape.test(value) && value.normalize("NFC") === value, "text of its shape");
  return value;
};
const integer = (least, most) => (value) => {
  need(Number.isSafeInteger(value) && value >= least && value <= most, `an integer from ${least} to ${most}`);
  return value;
};
const bytes = (least, most = least) => (value) => {
  need(typeof value === "string", "bytes in base64url");
  const read = fromBase64url(value);
  need(read.length >= least && read.length <= most, `${least} to ${most} bytes`);
  return read;
};
const list = (least, most, read) => (value) => {
  need(Array.isArray(value) && value.length >= least && value.length <= most, `${least} to ${most} entries`);
  return value.map(read);
};
// A member that is missing is undefined, which no reader takes.
const members = (readers) => (value) => {
  need(value !== null && typeof value === "object" && !Array.isArray(value), "an object");
  need(Object.keys(value).every((name) => Object.hasOwn(readers, name)), "no member that is not known");
  return Object.fromEntries(Object.entries(readers).map(([name, read]) => [name, read(value[name])]));
};
const optional = (readers, more) => (value) => {
  const given = Object.keys(more).filter((name) => Object.hasOwn(Object(value), name));
  return members({ ...readers, ...Object.fromEntries(given.map((name) => [name, more[name]])) })(value);
};
const oneOf = (...values) => (value) => {
  need(values.includes(value), "one of the known values");
  return value;
};
const orNull = (read) => (value) => (value === null ? null : read(value));

const time = integer(0, TIME_S_MAX);
const code = text(CODE);
// What somebody says, in lines: nothing in it turns the order around in which it is read.
const words = (value) => {
  const said = text(/^[^\p{C}]+(\n+[^\p{C}]+)*$/u)(value);
  need([...said].length <= WORDS_MAX, "a few words");
  return said;
};
const name = text(NAME);
const pseudonym = bytes(16);
const choice = bytes(16);
const key = bytes(32);
const voucher = (value) => (value === "" ? null : bytes(32)(value));
const tree = (value) => {
  const encoded = bytes(1, TREE_BYTES_MAX)(value);
  return { encoded, rules: decodeTree(encoded) };
};
const terms = (value) => {
  const encoded = bytes(1, TERMS_BYTES_MAX)(value);
  const read = decodeTerms(encoded);
  return { encoded, ...read, name: name(read.name) };
};
const coding = optional({ code: text(/^[^\p{C}]{1,512}$/u) }, { system: text(/^[^\s\p{C}]{1,512}$/u) });
const resources = optional(
  { type: text(/^(\*|[A-Z][A-Za-z]{1,63})$/), interactions: list(1, 2, oneOf("read", "search")) },
  { category: coding, code: coding },
);
const relationship = { custodian: code, pseudonym };
const circle = {
  threshold: integer(2, GUARDIANS_MAX),
  second: integer(0, GUARDIANS_MAX),
  guardians: list(2, GUARDIANS_MAX, name),
};

const ITEMS = {
  create: relationship,
  "new-key": relationship,
  enrol: { custodian: code, key },
  "take-over": { ...relationship, key },
  session: { ...relationship, key, from_s: time, until_s: time },
  "file-consent": { ...relationship, tree, replaces: orNull(members({ choice, tree, voucher })) },
  "withdraw-consent": { ...relationship, choice, tree, voucher },
  "issue-ticket": {
    ...relationship,
    tree,
    audience: text(/^https:\/\/[^\s\p{C}]{1,500}$/u),
    resources: list(1, 64, resources),
    uses_max: integer(1, USES_MAX),
    expires_at_s: time,
  },
  "revoke-ticket": { ...relationship, ticket: key },
  "file-challenge": { ...relationship, permit: bytes(16), words },
  "add-key": { ...relationship, key, key_kind: integer(1, 2), expires_at_s: time, name, terms: orNull(terms) },
  "accept-key": { custodian: code, body: bytes(1, 1024) },
  "remove-key": { ...relationship, key, name },
  "cancel-recovery": relationship,
  "set-recovery": { ...relationship, ...circle },
  "change-recovery": { ...relationship, recovery: key, ...circle },
  "undo-recovery": { ...relationship, recovery: key },
  "start-recovery": relationship,
  "finish-recovery": relationship,
};
export const KINDS = Object.keys(ITEMS);

// Returns the request. `chain` is the configuration's, `nowS` this device's clock. Throws RequestUnfit, ClocksApart.
export function readRequest(json, { chain, nowS }) {
  try {
    const request = parsed(json);
    need(request.chain === chain, "the chain of this page's configuration");
    need(request.expires_at_s > request.time_s, "a request that has not ended");
    need(request.expires_at_s <= request.time_s + REQUEST_S_MAX, "a request of at most 10 minutes");
    checkDistinct(request.items);
    if (Math.abs(request.time_s - nowS) > CLOCKS_APART_S_MAX) {
      throw new ClocksApart("expected the portal's clock and this device's within two hours");
    }
    return { ...request, names: namesOf(request.organisations) };
  } catch (error) {
    if ([BytesUnfit, EncodingInvalid, ProvisionInvalid, SyntaxError].some((kind) => error instanceof kind)) {
      throw new RequestUnfit(error.message);
    }
    throw error;
  }
}

function parsed(json) {
  const value = JSON.parse(json);
  need(value !== null && Object.hasOwn(Object(value), "kind") && KINDS.includes(value.kind), "a kind that is known");
  const isCreate = value.kind === "create";
  const device = { id: bytes(16), share: bytes(32) };
  const kept = { ...device, credential: bytes(1, 1023), blob: bytes(62, BLOB_BYTES_MAX) };
  return members({
    format: oneOf(1),
    kind: oneOf(...KINDS),
    chain: text(/^.{1,50}$/u),
    language: oneOf("en", "cy"),
    account: bytes(16),
    time_s: time,
    expires_at_s: time,
    devices: isCreate ? list(1, 1, members(device)) : list(1, 16, members(kept)),
    person: isCreate ? text(/^[^\p{C}]{1,64}$/u) : oneOf(""),
    organisations: list(0, 256, members({ code, name })),
    items: list(isCreate ? 0 : 1, 32, members(ITEMS[value.kind])),
  })(value);
}

// Codes with their names as the page writes them: the code is what is signed, so it is always there.
function namesOf(organisations) {
  const called = organisations.map((each) => each.name.trim().toLowerCase());
  need(new Set(called).size === called.length, "a name of its own for each organisation");
  need(new Set(organisations.map((each) => each.code)).size === called.length, "each organisation once");
  return new Map(organisations.map((each) => [each.code, `${each.name} (${each.code})`]));
}

// No two items share a key, or a pseudonym with the same choice: what is signed twice would be shown once.
function checkDistinct(items) {
  const keys = items.map((item) => item.key ?? item.recovery).filter(Boolean).map(hex);
  need(new Set(keys).size === keys.length, "a key of its own in each item");
  const marks = items.map((item) => {
    const about = item.choice ?? item.replaces?.choice ?? item.ticket ?? item.permit ?? item.key ?? item.body ?? item.tree?.encoded;
    return `${item.pseudonym ? hex(item.pseudonym) : item.custodian} ${about ? hex(about) : ""}`;
  });
  need(new Set(marks).size === marks.length, "items that differ");
}

// Returns the device whose passkey was used.
export function deviceOf(request, credential) {
  return request.devices.find((device) => sameBytes(device.credential, credential));
}
