// The checklist `bundle` of a history's file: n of n events, the receipts, and what only completeness shows.

import { among, bigEndian, hex, NOTHING, same } from "./bytes.js";
import { checkHistory } from "./claims.js";
import { rootOfList } from "./fields.js";
import { hash, tagged } from "./hashing.js";
import { readOutcome } from "./outcomes.js";
import { checkReceipt } from "./receipt.js";
import { need, step } from "./refusal.js";
import { isPatientsOwn } from "./request.js";
import { inside, text } from "./shapes.js";

const ANCHOR_GRACE_S = 600;
const MATCH_FIELDS = 4;
const END_CUSTODIAN = 1;
const KEY_EVENTS = ["Enrolled", "PseudonymKeyRotated", "KeyTakenOver", "KeyAdded", "RecoveryFinished"];

/** Check a history under a verified state; its events come with the numbers of those that they speak of. */
export async function checkHistoryBundle(state, { history, receipts: opened, matches }) {
  const leaves = await checkHistory(state, history); // 2
  const events = leaves.map((leaf, place) => readOutcome(step("bundle", 3), leaf, place));
  need(step("bundle", 3), events.every(({ pseudonym }) => same(pseudonym, history.pseudonym))); // 3
  const receipts = [];
  for (const each of opened) receipts.push(await checkReceipt(state, each)); // 4
  need(step("bundle", 4), receipts.every(({ pseudonym }) => same(pseudonym, history.pseudonym)));
  const parts = receipts.map(({ statement }) => `${hex(statement.permit)} ${statement.part}`);
  need(step("bundle", 4), new Set(parts).size === parts.length);
  const asked = await checkMatches(events, matches); // 5
  const permits = await permitsOf(events);
  const emptyRoot = await hash(NOTHING);
  const custodian = events.find(({ name }) => name === "Enrolled")?.custodian ?? "";
  const shown = events.map((event) => ({
    ...event,
    about: "permit" in event ? (permits.get(hex(event.permit)) ?? null) : null,
    isEmpty: event.name === "ReleasesCommitted" && same(event.root, emptyRoot),
    askedBy: event.name === "ReleasesCommitted" ? (asked.get(hex(event.root)) ?? "") : "",
    relationshipCustodian: custodian,
  }));
  const accesses = accessesOf(shown, permits);
  return {
    pseudonym: history.pseudonym,
    events: shown,
    receipts,
    faults: [...silentEnds(state, accesses), ...strangeKeys(events, receipts)],
    notes: accesses.filter((each) => isWithoutReceipt(each, receipts)).map(({ event }) => event.index + 1),
  };
}

/** What a committed list at the end says: who asked, by the root of the event that it belongs to. */
async function checkMatches(events, matches) {
  const at = step("bundle", 5);
  const notes = events.filter(({ name, permit }) => name === "ReleasesCommitted" && permit.length === 0);
  const roots = notes.map(({ root }) => root);
  const asked = new Map();
  for (const match of matches) {
    need(at, match.values.length === MATCH_FIELDS);
    const root = await rootOfList(match);
    need(at, among(roots, root) && !asked.has(hex(root)));
    asked.set(hex(root), inside(at, text, match.values[0]));
  }
  return asked;
}

async function permitsOf(events) {
  const permits = new Map();
  for (const event of events.filter(({ name }) => name.startsWith("Access"))) {
    const permit = await tagged("salus/permit/1", event.leaf.transaction, bigEndian(event.leaf.index, 4));
    permits.set(hex(permit.slice(0, 16)), event);
  }
  return permits;
}

/** Each permit with the ends that anchored receipts under it. */
function accessesOf(events, permits) {
  const anchors = events.filter(({ name, isEmpty }) => name === "ReleasesCommitted" && !isEmpty);
  const ends = Map.groupBy(anchors, ({ permit }) => hex(permit));
  const given = [...permits].filter(([, { name }]) => name === "AccessPermitted");
  return given.map(([permit, event]) => ({
    permit,
    event,
    ends: new Set((ends.get(permit) ?? []).map(({ end }) => end)),
  }));
}

function silentEnds(state, accesses) {
  const silent = accesses.filter(({ event, ends }) => {
    const isLate = state.timeS > event.untilS + ANCHOR_GRACE_S;
    return event.requester !== event.custodian && ends.size === 1 && isLate;
  });
  return silent.map(({ event, ends }) => {
    const { custodian, requester } = event;
    const [quiet, other] = ends.has(END_CUSTODIAN) ? [requester, custodian] : [custodian, requester];
    return { name: "silent", quiet, other, number: event.index + 1 };
  });
}

function strangeKeys(events, receipts) {
  const known = events.filter(({ name }) => KEY_EVENTS.includes(name)).map(({ key }) => key);
  const strange = receipts.filter(
    ({ event, askerKey }) => event !== null && isPatientsOwn(event) && !among(known, askerKey),
  );
  return strange.map(({ custodian }) => ({ name: "strangeKey", custodian: custodian.code }));
}

const isWithoutReceipt = ({ permit, ends }, receipts) =>
  ends.size > 0 && receipts.every(({ statement }) => hex(statement.permit) !== permit);
