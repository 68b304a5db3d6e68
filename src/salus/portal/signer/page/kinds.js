// What each kind of request says in words, and what it signs (docs/spec/signer.md, "Kinds").
// What is shown and what is signed come from the same values of the same item.

import { base64url, hex, random, sameBytes } from "./bytes.js";
import { classesInWords, joined, sentences } from "./choice_words.js";
import { EncodingInvalid, encode } from "./encoding.js";
import { commit, reason } from "./fields.js";
import { gateOf } from "./gate.js";
import { branch } from "./hashing.js";
import { RequestUnfit, need } from "./requests.js";
import { signingKey } from "./signing.js";
import { say } from "./strings.js";
import { termsInWords } from "./terms.js";
import { newTicket } from "./tickets.js";
import * as transactions from "./transactions.js";
import { ukTime } from "./uk_time.js";
import { WalletRefuses, codeOf, ownKey, relationship, voucherOf, withRelationship } from "./wallet.js";

const SESSION_S_MAX = 12 * 3600;
const SESSION_AHEAD_S_MAX = 2 * 3600;
const TICKET_S_MAX = 366 * 86_400;
const DEVICE = 1;

// Kinds after which the wallet has another relationship, so that the blob is written anew.
export const CHANGES_WALLET = ["create", "new-key", "enrol", "take-over", "start-recovery"];

// Kinds for which guardians give their words.
export const TAKES_SHARES = ["start-recovery", "finish-recovery", "change-recovery", "undo-recovery"];

// Kinds after which guardians have new words, which they get on sheets.
export const GIVES_SHARES = ["set-recovery", "change-recovery"];

// Refuses, before anything is shown, what no person could agree to. Throws RequestUnfit.
export function checkItem(request, item) {
  const { kind, time_s: timeS } = request;
  if (kind === "session") {
    need(item.until_s > item.from_s && item.until_s - item.from_s <= SESSION_S_MAX, "a session of at most 12 hours");
    need(Math.abs(item.from_s - timeS) <= SESSION_AHEAD_S_MAX, "a session that begins now");
  }
  if (kind === "issue-ticket") {
    need(item.expires_at_s > timeS && item.expires_at_s - timeS <= TICKET_S_MAX, "a ticket of at most a year");
    need(gateOf(item.tree.rules)[0].length === 1, "rules with one condition");
  }
  if (kind === "add-key") {
    need(item.expires_at_s === 0 || item.expires_at_s > timeS, "an end that is to come");
    need(!item.terms || (item.key_kind !== DEVICE && item.terms.name === item.name), "terms of the helper who is named");
  }
  if (kind === "accept-key") keyIn(request, item);
  if (GIVES_SHARES.includes(kind)) checkCircle(request, item);
}

// Returns the lines that say what an item means, and the sentences of its rules: [{words} or {path, words}].
export function linesOf(request, item) {
  const { language, names } = request;
  const plain = (key, values) => [{ words: say(language, `line.${key}`, values) }];
  const rules = (tree) => sentences(language, tree.rules, names);
  const until = (timeS) => ukTime(language, timeS);
  switch (request.kind) {
    case "session": {
      const isNow = item.from_s <= request.time_s;
      return plain(isNow ? "session" : "session_later", { from: until(item.from_s), until: until(item.until_s) });
    }
    case "file-consent":
      return item.replaces
        ? [...rules(item.tree), ...plain("replaces"), ...rules(item.replaces.tree)]
        : rules(item.tree);
    case "withdraw-consent": return rules(item.tree);
    case "issue-ticket": {
      const uses = item.uses_max === 1 ? "uses_one" : "uses_many";
      const ends = plain(uses, { count: item.uses_max, until: until(item.expires_at_s) });
      return [...rules(item.tree), ...kindsOfRecords(request, item, plain), ...ends];
    }
    case "file-challenge": return item.words.split("\n").map((words) => ({ words }));
    case "add-key": {
      const key = item.key_kind === DEVICE ? "device" : "helper";
      const limits = item.terms ? termsInWords(language, item.terms) : [];
      const first = plain(ending(key, item.expires_at_s), { name: item.name, until: until(item.expires_at_s) });
      return [...first, ...relationOf(item, plain), ...limits.map((words) => ({ words }))];
    }
    case "accept-key": {
      const { kind, expiresAtS } = keyIn(request, item);
      return plain(ending(kind === DEVICE ? "this_device" : "this_helper", expiresAtS), { until: until(expiresAtS) });
    }
    case "remove-key": return plain("remove-key", { name: item.name });
    case "set-recovery": return circleLines(request, item, plain);
    case "change-recovery": return [...circleLines(request, item, plain), ...plain("change-recovery")];
    default: return plain(request.kind);
  }
}

// Returns what stands behind the words, for who asks: [{term, value}].
export function particularsOf(request, item) {
  const { language } = request;
  const row = (term, value) => ({ term: say(language, `term.${term}`), value });
  const rows = [row("chain", request.chain), row("custodian", item.custodian)];
  if (item.pseudonym) rows.push(row("pseudonym", hex(item.pseudonym)));
  const key = item.key ?? item.ticket ?? item.recovery;
  if (key) rows.push(row("key", hex(key)));
  if (item.permit) rows.push(row("permit", hex(item.permit)));
  if (item.audience) rows.push(row("audience", item.audience));
  if (item.body) rows.push(row("body", base64url(item.body)));
  for (const tree of [item.tree, item.replaces?.tree].filter(Boolean)) {
    rows.push(...closedRows(tree.rules, row), row("tree", base64url(tree.encoded)));
  }
  return rows;
}

// Returns whether this wallet did not file the choice that is to go. `replaces` and a withdrawal show it alike.
export async function isDoubtful(wallet, request, item) {
  const ended = request.kind === "withdraw-consent" ? item : item.replaces;
  if (!ended) return false;
  if (!ended.voucher) return true;
  const own = await voucherOf(wallet, item.pseudonym, ended.choice, ended.tree.encoded);
  return !sameBytes(own, ended.voucher);
}

// Returns the code that another device must have shown for what is asked.
export async function codeToType(request) {
  return codeOf(request.items);
}

// Returns the items that say which key guardians' words have to make, and for which this seed makes another.
export async function itemsUnfit({ items }, seed) {
  const named = items.filter((item) => item.recovery);
  const fits = await Promise.all(named.map(async (item) => sameBytes((await recoveryKey(seed, item.pseudonym)).public, item.recovery)));
  return named.filter((_, place) => !fits[place]);
}

// Returns {wallet, items of the answer}; the wallet is another one for CHANGES_WALLET. Throws WalletRefuses, RequestUnfit.
// `seeds` are {given, first, second}: of TAKES_SHARES what the words make; of GIVES_SHARES the new ones, or null.
export async function signAll(wallet, request, seeds = null) {
  const answers = [];
  for (const item of request.items) {
    const [changed, answer] = await SIGN[request.kind](wallet, request, item, seeds);
    wallet = changed;
    answers.push(answer);
  }
  return { wallet, items: answers };
}

const SIGN = {
  create: newKey,
  "new-key": newKey,
  enrol: (wallet, request, item) => beginHolding(wallet, request, { ...item, pseudonym: random(16) }),
  "take-over": beginHolding,
  "withdraw-consent": withReason(
    "withdrawn by the patient",
    ({ pseudonym, choice }, root) => transactions.withdrawConsent(pseudonym, choice, root),
    ({ choice }) => ({ choice }),
  ),
  "revoke-ticket": withReason("revoked by the patient", ({ pseudonym, ticket }, root) =>
    transactions.revokeTicket(pseudonym, ticket, root),
  ),
  "file-challenge": withReason(null, ({ pseudonym, permit }, root) => transactions.challenge(pseudonym, permit, root)),
  "remove-key": withReason("removed by the patient", ({ pseudonym, key }, root) =>
    transactions.removeKey(pseudonym, key, root),
  ),
  "cancel-recovery": withReason("cancelled by the patient", ({ pseudonym }, root) =>
    transactions.cancelRecovery(pseudonym, root),
  ),

  async "set-recovery"(wallet, request, item, seeds) {
    const { key } = await opened(wallet, request, item);
    return [wallet, await circleSigned(request, item, seeds, key)];
  },

  async "change-recovery"(wallet, request, item, seeds) {
    await opened(wallet, request, item);
    const present = await recoveryKey(seeds.given, item.pseudonym);
    return [wallet, { recovery: present.public, ...(await circleSigned(request, item, seeds, present)) }];
  },

  async "undo-recovery"(wallet, request, item, { given }) {
    return [wallet, await byGuardians(wallet, request, item, { given, words: "undone", make: transactions.undoRecoveryKey })];
  },

  async "start-recovery"(wallet, request, item, { given }) {
    const { chain } = request, { custodian, pseudonym } = item;
    const changed = withRelationship(wallet, { chain, custodian, pseudonym });
    const own = await ownKey(changed, relationship(changed, { chain, custodian, pseudonym }));
    const recovery = await recoveryKey(given, pseudonym);
    const { bytes: residual, root } = await reason("the device was lost");
    const message = transactions.startRecovery(pseudonym, own.public, root);
    const transaction = await slowlySigned(message, request, [recovery, own]);
    return [changed, { pseudonym, key: own.public, recovery: recovery.public, transaction, residual }];
  },

  async "finish-recovery"(wallet, request, item, { given }) {
    return [wallet, await byGuardians(wallet, request, item, { given, words: "recovered", make: transactions.finishRecovery })];
  },

  async session(wallet, request, item) {
    const { key, custodian } = await opened(wallet, request, item);
    const terms = { sessionKey: item.key, custodian, fromS: item.from_s, untilS: item.until_s };
    return [wallet, { pseudonym: item.pseudonym, session: await transactions.certifySession(terms, key) }];
  },

  async "file-consent"(wallet, request, item) {
    const { key, sign } = await opened(wallet, request, item);
    const { pseudonym, tree } = item;
    const choice = item.replaces?.choice ?? random(16);
    const { bytes: residual, root } = await commit([tree.encoded]);
    const transaction = await sign(transactions.fileConsent(pseudonym, choice, gateOf(tree.rules), root), [key]);
    const voucher = await voucherOf(wallet, pseudonym, choice, tree.encoded);
    return [wallet, { pseudonym, choice, transaction, residual, voucher }];
  },

  async "issue-ticket"(wallet, request, item) {
    const { key, sign } = await opened(wallet, request, item);
    const { pseudonym, audience, resources, tree, uses_max: usesMax, expires_at_s: expiresAtS } = item;
    const { chain, time_s: timeS } = request;
    const ticket = await newTicket({ chain, audience, pseudonym, resources, timeS, expiresAtS });
    const [condition] = gateOf(tree.rules)[0];
    const { bytes: residual, root } = await commit([tree.encoded]);
    const message = transactions.issueTicket(pseudonym, ticket.key.public, condition, usesMax, expiresAtS, root);
    const transaction = await sign(message, [key, ticket.key]);
    return [wallet, { pseudonym, ticket: ticket.key.public, transaction, residual, bearer: ticket.bearer }];
  },

  async "add-key"(wallet, request, item) {
    const { key } = await opened(wallet, request, item);
    const { pseudonym, key: added, key_kind: kind, expires_at_s: expiresAtS } = item;
    const why = encode("let act by the patient");
    const { bytes: residual, root } = await commit(item.terms ? [why, item.terms.encoded] : [why]);
    const message = transactions.addKey(pseudonym, added, kind, expiresAtS, root);
    const signed = await halfSigned(message, request, [key.public, added], key);
    return [wallet, { pseudonym, ...signed, residual }];
  },

  async "accept-key"(wallet, request, item) {
    const { pseudonym, key: added } = keyIn(request, item);
    const { key } = await opened(wallet, request, { ...item, pseudonym });
    if (!sameBytes(key.public, added)) throw new WalletRefuses("the key that is to act is not this device's");
    return [wallet, { pseudonym, signature: await transactions.signBody(item.body, key) }];
  },
};

// One message by the own key, for a reason that is always the same, or with the words of the item.
function withReason(words, messageOf, more = () => ({})) {
  return async (wallet, request, item) => {
    const { key, sign } = await opened(wallet, request, item);
    const { bytes: residual, root } = await reason(words ?? item.words);
    const transaction = await sign(messageOf(item, root), [key]);
    return [wallet, { pseudonym: item.pseudonym, ...more(item), transaction, residual }];
  };
}

// People print, and type what others read to them: such a transaction ends with the request, and not before.
async function slowlySigned(message, { chain, expires_at_s: expiresAtS }, keys) {
  return transactions.signedBy(message, keys, { chain, expiresAtS });
}

// New recovery keys for one pseudonym; `by` is the key that may set them.
async function circleSigned(request, { pseudonym }, { first, second }, by) {
  const key = (await recoveryKey(first, pseudonym)).public;
  const other = second ? (await recoveryKey(second, pseudonym)).public : new Uint8Array(0);
  const { bytes: residual, root } = await reason("guardians chosen");
  const message = transactions.changeRecoveryKey(pseudonym, key, other, root);
  return { pseudonym, key, second: other, transaction: await slowlySigned(message, request, [by]), residual };
}

// What guardians alone sign, in a wallet that has the relationship.
async function byGuardians(wallet, request, item, { given, words, make }) {
  await opened(wallet, request, item);
  const { pseudonym } = item;
  const recovery = await recoveryKey(given, pseudonym);
  const { bytes: residual, root } = await reason(words);
  const transaction = await slowlySigned(make(pseudonym, root), request, [recovery]);
  return { pseudonym, recovery: recovery.public, transaction, residual };
}

// Its guardians' key for one pseudonym alone.
async function recoveryKey(seed, pseudonym) {
  return signingKey(await branch(seed, "recovery", hex(pseudonym)));
}

// One circle for all relationships of a request: guardians have the same words for each.
function checkCircle({ items }, { threshold, second, guardians }) {
  const called = guardians.map((each) => each.trim().toLowerCase());
  need(new Set(called).size === called.length, "guardians of different names");
  need(threshold <= called.length, "as many guardians as are needed");
  need(second === 0 || (second > threshold && second <= called.length), "a second number that is higher, and reached");
  const circle = JSON.stringify([threshold, second, guardians]);
  const isSame = (each) => JSON.stringify([each.threshold, each.second, each.guardians]) === circle;
  need(items.every(isSame), "the same guardians everywhere");
}

async function newKey(wallet, { chain }, { custodian, pseudonym }) {
  const changed = withRelationship(wallet, { chain, custodian, pseudonym });
  const { public: key } = await ownKey(changed, relationship(changed, { chain, custodian, pseudonym }));
  return [changed, { pseudonym, key }];
}

// Enrol and take-over: somebody else's key signs the same body before this one.
async function beginHolding(wallet, request, { custodian, pseudonym, key: theirs }) {
  const { chain, kind } = request;
  const changed = withRelationship(wallet, { chain, custodian, pseudonym });
  const own = await ownKey(changed, relationship(changed, { chain, custodian, pseudonym }));
  const isNew = kind === "enrol";
  const { bytes: residual, root } = await reason(isNew ? "enrolled by the patient" : "taken over by the patient");
  const message = isNew
    ? transactions.enrol(pseudonym, custodian, own.public, root)
    : transactions.takeOverKey(pseudonym, own.public, root);
  const signed = await halfSigned(message, request, [theirs, own.public], own);
  return [changed, { pseudonym, key: own.public, ...signed, residual }];
}

async function halfSigned(message, { chain, time_s: timeS }, signers, key) {
  const body = transactions.bodyOf(message, { chain, signers, timeS });
  return { body, signature: await transactions.signBody(body, key) };
}

async function opened(wallet, request, { custodian, pseudonym }) {
  const { chain, time_s: timeS } = request;
  const found = relationship(wallet, { chain, custodian, pseudonym });
  const sign = (message, keys) => transactions.signedBy(message, keys, { chain, timeS });
  return { key: await ownKey(wallet, found), custodian: found.custodian, sign };
}

function keyIn({ chain, time_s: timeS }, { body }) {
  try {
    const added = transactions.keyAddedBy(body, { chain, timeS });
    need(added !== null, "a body that adds one key and does nothing else");
    return added;
  } catch (error) {
    if (error instanceof EncodingInvalid) throw new RequestUnfit(error.message);
    throw error;
  }
}

function circleLines({ language }, { guardians, threshold, second }, plain) {
  const first = plain("set-recovery", { names: joined(language, "and", guardians), count: threshold });
  return [...first, ...(second ? plain("set_second", { count: second }) : plain("set_no_second"))];
}

function relationOf({ terms }, plain) {
  return terms ? plain(`relation_${terms.relation}`) : [];
}

function kindsOfRecords({ language }, { resources }, plain) {
  const types = [...new Set(resources.map((each) => each.type))];
  if (types.includes("*")) return plain("all_kinds");
  return plain("kinds", { kinds: classesInWords(language, types) });
}

function closedRows(rules, row) {
  const all = (tree) => [tree, ...tree.provisions.flatMap(all)];
  const of = (name) => [...new Set(all(rules).flatMap((tree) => tree[name]))];
  const codes = of("codes"), people = of("persons"), records = of("data").map((each) => each[1]);
  return [
    ...(codes.length ? [row("codes", codes.join(", "))] : []),
    ...(people.length ? [row("people", people.map(hex).join(", "))] : []),
    ...(records.length ? [row("records", records.map(hex).join(", "))] : []),
  ];
}

function ending(key, expiresAtS) {
  return expiresAtS === 0 ? key : `${key}_until`;
}

// Returns what custodians are called, joined: items that say the same are shown once.
export function custodiansIn({ language, names }, items) {
  return joined(language, "and", items.map((item) => names.get(item.custodian) ?? item.custodian));
}
