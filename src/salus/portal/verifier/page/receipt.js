// The checklist `receipt`: what a patient can know of one release, alone and offline (docs/spec/receipts.md).

import { among, hex, join, same, sameLists } from "./bytes.js";
import { holds } from "./ed25519.js";
import { openValues } from "./fields.js";
import { leafHash, rootByPath, rootOf, tag } from "./hashing.js";
import { encode } from "./msgpack.js";
import { provedOutcome } from "./outcomes.js";
import { need, step } from "./refusal.js";
import { askedBy, BY_TLS, checkTransaction, standOn } from "./request.js";
import { checkRows, keysBetween } from "./rows.js";
import { judge } from "./judge.js";
import { PROVISION } from "./provisions.js";
import { bytes, inside, list, signedNumber, struct, text } from "./shapes.js";
import { openView } from "./view.js";

const END_CUSTODIAN = 1;
const CONCLUSIONS = { 1: [1, 2], 2: [3, 4] };
const METADATA = [
  ["classes", list(text, 4096)],
  ["codes", list(text, 4096)],
  ["labels", list(text, 4096)],
  ["period", struct({ fromS: signedNumber, toS: signedNumber })],
  ["ids", list(bytes, 4096)],
  ["title", text],
];
const METADATA_SIZE = BigInt(METADATA.length);

/** Walk steps 2 to 12 under a verified state; what comes back is what the receipt says, every part of it checked. */
export async function checkReceipt(state, opened) {
  const view = await openView(state, opened); // 2
  const ground = await standOn(state, opened, view); // 3
  const { certificate, request } = await askedBy(opened, view, ground); // 4, 5
  const isTransactionShown = await checkTransaction(state, opened, ground, request); // 6
  const rows = await checkRows(state, opened, view, ground); // 7
  const anchors = await checkAnchors(state, opened, ground); // 8
  await checkSignatures(state, opened.receipt, view, ground, rows, anchors); // 9
  const rules = await checkChoices(state, opened, view, ground); // 10
  const records = await checkRecords(state, opened, view, ground); // 11
  return {
    ...judge({ view, ground, request, rows, rules, records }), // 12
    pseudonym: ground.pseudonym,
    statement: opened.receipt.statement,
    partCount: view.request.partCount,
    custodian: rows.custodian,
    requester: rows.requester,
    certificate,
    authentication: view.who.authentication,
    askerKey: view.who.certificate,
    event: ground.event,
    justification: request?.justification ?? "",
    conduct: view.conduct,
    isOneSided: opened.receipt.requester.length === 0,
    anchors,
    isTransactionShown,
    isCertified: rows.hasCertificate,
    isKnownKey: patientKeys(rows.relationship).some((key) => same(key, view.who.certificate)),
    missingRules: view.rules.missing.length,
  };
}

const patientKeys = ({ key, keys }) => [key, ...keys.map(([each]) => each)];

async function checkAnchors(state, { receipt, anchors }, ground) {
  const at = step("receipt", 8);
  const shown = [];
  for (const { outcome, conclusion, leaves } of anchors) {
    const event = await provedOutcome(state, outcome, at);
    need(at, event.name === "ReleasesCommitted");
    need(at, same(event.pseudonym, ground.pseudonym) && same(event.permit, ground.permit));
    need(at, ground.event === null || event.index > ground.event.index);
    need(at, same(await rootOf(leaves), event.root));
    const anchored = Uint8Array.of(0x92, ...receipt.encoding, ...encode(BigInt(conclusion)));
    need(at, among(leaves, await leafHash(anchored)));
    need(at, CONCLUSIONS[event.end].includes(conclusion));
    shown.push({ end: event.end, atS: event.leaf.timeS, conclusion });
  }
  need(at, shown.length < 2 || shown[0].end < shown[1].end);
  return shown;
}

async function checkSignatures(state, receipt, view, ground, rows, anchors) {
  const at = step("receipt", 9);
  const lastS = anchors.length > 0 ? Math.max(...anchors.map(({ atS }) => atS)) : state.timeS;
  const isSigned = async (name, keys, end, signature) => {
    const untilS = anchors.find((each) => each.end === end)?.atS ?? lastS;
    const message = join(tag(`salus/receipt/${name}/1`), receipt.statement.encoding);
    for (const key of keysBetween(keys, ground.fromS, untilS)) if (await holds(key, message, signature)) return true;
    return false;
  };
  need(at, await isSigned("custodian", rows.custodianKeys, END_CUSTODIAN, receipt.custodian));
  if (receipt.requester.length === 0) {
    need(at, view.conduct.delivery === BY_TLS || ground.requester === ground.custodian);
  } else {
    need(at, await isSigned("requester", rows.requesterKeys, END_CUSTODIAN + 1, receipt.requester));
  }
}

/** Step 10: the choices in force with their rules, and those of the permit's ticket: none where not all were held. */
async function checkChoices(state, opened, view, ground) {
  const at = step("receipt", 10);
  const { missing, ticket } = view.rules;
  const applied = view.choices.version;
  need(at, opened.choices.length === applied + ticket.length);
  const events = [];
  for (const proof of opened.choices) events.push(await provedOutcome(state, proof, at));
  need(at, events.every(({ pseudonym }) => same(pseudonym, ground.pseudonym)));
  const inForce = choicesInForce(at, events.slice(0, applied));
  need(at, sameLists(inForce.map(({ commitment }) => commitment), view.choices.commitments));
  checkTicket(at, events.slice(applied), ticket, ground);
  const stated = [...view.choices.commitments, ...ticket];
  need(at, missing.every((each) => among(stated, each)));
  const held = stated.filter((each) => !among(missing, each));
  need(at, opened.rules.length === held.length);
  const trees = [];
  for (const [place, field] of opened.rules.entries()) {
    const [value] = await openValues(at, [field], held[place]);
    need(at, field.size === 1n);
    trees.push(inside(at, PROVISION, value));
  }
  const treeOf = (commitment) => trees[held.findIndex((each) => same(each, commitment))];
  const choices = inForce.filter(({ commitment }) => !among(missing, commitment));
  return {
    choices: choices.map(({ commitment, leaf }) => ({ commitment, filedAtS: leaf.timeS, tree: treeOf(commitment) })),
    ticket: ticket.some((each) => among(missing, each)) ? [] : ticket.map(treeOf),
  };
}

function choicesInForce(at, events) {
  const filed = new Map();
  for (const [place, event] of events.entries()) {
    need(at, (event.name === "ConsentFiled" || event.name === "ConsentWithdrawn") && event.version === place + 1);
    filed.delete(hex(event.choice));
    if (event.name === "ConsentFiled") filed.set(hex(event.choice), event);
  }
  return [...filed.values()];
}

/** How the permit's ticket came about: its own event first, then those of the tickets that it was made from. */
function checkTicket(at, events, stated, { event: permitted }) {
  if (events.length === 0) return;
  need(at, permitted !== null && permitted.ticket.length > 0);
  let wanted = permitted.ticket;
  for (const [place, event] of events.entries()) {
    const isIssued = event.name === "TicketIssued";
    need(at, isIssued || event.name === "TicketAttenuated");
    const made = isIssued ? event.ticket : event.narrower;
    need(at, event.index < permitted.index && wanted !== null && same(made, wanted));
    need(at, same(event.commitment, stated[place]));
    wanted = isIssued ? null : event.ticket;
  }
  need(at, wanted === null);
}

/** Step 11: the records that can be opened, by their entries in hexadecimal. */
async function checkRecords(state, opened, view, ground) {
  const at = step("receipt", 11);
  const batches = [];
  for (const proof of opened.batches) {
    const event = await provedOutcome(state, proof, at);
    need(at, event.name === "BatchRegistered" && same(event.pseudonym, ground.pseudonym));
    need(at, event.custodian === ground.custodian && event.leaf.timeS <= ground.fromS);
    batches.push(event);
  }
  const records = new Map();
  const mentioned = [];
  let place = -1;
  for (const { placed, metadata } of opened.records) {
    const entry = await leafHash(placed.entry.encoding);
    place = view.named.findIndex((each, at) => at > place && same(each.entry, entry));
    need(at, place >= 0);
    const batch = batches.find(({ root }) => same(root, placed.batchRoot));
    need(at, batch !== undefined && batch.size === placed.batchSize);
    if (!mentioned.includes(batch)) mentioned.push(batch);
    await checkPlace(at, entry, placed, view.named[place]);
    records.set(hex(entry), await openRecord(at, placed.entry, metadata));
  }
  need(at, mentioned.length === batches.length && mentioned.every((batch, order) => batch === batches[order]));
  return records;
}

async function checkPlace(at, entry, placed, named) {
  const root = await rootByPath(entry, placed.index, placed.batchSize, placed.path);
  need(at, root !== null && same(root, placed.batchRoot));
  if (named.name === "withheld") return;
  need(at, same(named.batchRoot, placed.batchRoot) && same(named.sealedRoot, placed.entry.sealedRoot));
}

async function openRecord(at, entry, metadata) {
  const values = await openValues(at, metadata, entry.metadataRoot);
  need(at, values.length === METADATA.length - 1 || values.length === METADATA.length);
  need(at, metadata.every(({ index, size }, place) => index === BigInt(place) && size === METADATA_SIZE));
  const read = values.map((value, place) => [METADATA[place][0], inside(at, METADATA[place][1], value)]);
  const record = { title: "", ...Object.fromEntries(read) };
  return { ...record, ids: [entry.record, ...record.ids] };
}
