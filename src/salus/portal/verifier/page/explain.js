// What a check came to, in words: a report of headings, rows and lists that the page shows as it is.
//
// tone: good, bad (refused) or wrong (genuine, and somebody did wrong). Every sentence is true because it was checked.

import { hex } from "./bytes.js";
import { explainEvents } from "./events.js";
import { recordWords, ruleWords } from "./rules.js";
import { isPatientsOwn } from "./request.js";

const [CUSTODIAN_END, REQUESTER_END] = [1, 2];
const BY_TLS = 2;

const AGAIN = "do.again";
const REFUSALS = {
  "bundle 0": ["file", "do.file"],
  "link 0": ["link", "do.link"],
  "bundle 3": ["event", AGAIN],
  "bundle 4": ["foreign", AGAIN],
  "bundle 5": ["match", AGAIN],
  "trust 0": ["trust", "do.trust"],
  "state 1": ["old", "do.newer"],
  "state 2": ["damaged", AGAIN],
  "state 3": ["others", "do.network"],
  "state 4": ["signatures", "do.network"],
  "state 5": ["future", "do.clock"],
  "state 6": ["state", AGAIN],
  "skip 1": ["old", "do.newer"],
  "skip 2": ["fork", "do.network"],
  "skip 3": ["fork", "do.network"],
  "skip 4": ["future", "do.clock"],
  "skip 5": ["others", "do.newer"],
  "skip 6": ["others", "do.network"],
  "skip 7": ["moved", "do.newer"],
  "skip 8": ["signatures", "do.network"],
  "receipt 2": ["fields", AGAIN],
  "receipt 3": ["permit", AGAIN],
  "receipt 4": ["request", AGAIN],
  "receipt 5": ["person", AGAIN],
  "receipt 6": ["transaction", AGAIN],
  "receipt 7": ["rows", AGAIN],
  "receipt 8": ["anchor", AGAIN],
  "receipt 9": ["signature", AGAIN],
  "receipt 10": ["choices", AGAIN],
  "receipt 11": ["records", AGAIN],
  outcome: ["outcome", AGAIN],
  row: ["row", AGAIN],
  history: ["incomplete", AGAIN],
};

/** The report of a file that was refused. */
export function explainRefusal(words, { checklist, step }) {
  const [reason, action] = REFUSALS[`${checklist} ${step}`] ?? REFUSALS[checklist];
  const { say } = words;
  return {
    tone: "bad",
    title: say(checklist === "trust" ? "refusedTrust" : "refused"),
    lead: "",
    sections: [
      { title: say("why"), texts: [say(`refusal.${reason}`)] },
      { title: say("whatToDo"), texts: [say(action)] },
    ],
    rows: [],
    receipts: [],
    technical: [[say("detail.step"), say("detail.stepIs", { checklist, step })]],
  };
}

/** The report of a file that holds. */
export function explainVerified(words, { state, receipt, history }, trust) {
  const nameOf = namesIn(receipt === null ? history.receipts : [receipt]);
  const report = receipt === null ? explainHistory(words, history, nameOf) : explainReceipt(words, receipt);
  const ledger = [words.say("row.ledger"), [ledgerWords(words, state, trust, nameOf)]];
  const details = [
    ["detail.chain", state.chain],
    ["detail.block", hex(state.headerHash)],
    ["detail.state", hex(state.appHash)],
    ["detail.log", String(state.logSize)],
    ["detail.genesis", hex(trust.genesisHash)],
  ];
  const stated = details.map(([key, value]) => [words.say(key), value]);
  return { ...report, rows: [...report.rows, ledger], technical: [...report.technical, ...stated] };
}

/** What an organisation is called, by its code: with its name where a receipt here has it. */
function namesIn(receipts) {
  const parties = receipts.flatMap(({ custodian, requester }) => [custodian, requester]);
  return (code) => partyWords(parties.find((each) => each.code === code) ?? { code, name: "" });
}

function ledgerWords({ say, date, join }, state, trust, nameOf) {
  const names = join(state.signers.map((signer) => (signer === "" ? say("unnamed") : nameOf(signer))));
  const values = { height: state.height, date: date(state.timeS), names, since: date(trust.trustedAtS) };
  if (state.engine === "embedded") return say("ledger.one", values);
  return say("ledger.many", { ...values, signed: state.signers.length, count: state.validatorCount });
}

export const partyWords = ({ code, name }) => (name === "" ? code : `${name} (${code})`);

/** The report of one receipt. */
function explainReceipt(words, receipt) {
  const { say } = words;
  const isWrong = receipt.faults.length > 0;
  const wrong = faultsIn(words, receipt);
  return {
    tone: isWrong ? "wrong" : "good",
    title: say(isWrong ? "faulty" : "genuine"),
    lead: say(isWrong ? "faultyDo" : "genuineLead"),
    sections: [
      { title: say("wrong"), texts: wrong },
      { title: say("notes"), texts: notesOf(words, receipt) },
    ].filter(({ texts }) => texts.length > 0),
    rows: rowsOf(words, receipt),
    receipts: [],
    technical: [
      [say("detail.pseudonym"), hex(receipt.pseudonym)],
      [say("detail.permit"), hex(receipt.statement.permit)],
      [say("detail.root"), hex(receipt.statement.root)],
    ],
  };
}

function rowsOf(words, receipt) {
  const { say, date } = words;
  const { event, conduct } = receipt;
  const values = {
    from: event === null ? "" : date(event.leaf.timeS),
    minutes: event === null ? 0 : Math.ceil((event.untilS - event.leaf.timeS) / 60),
    at: date(conduct.atS),
  };
  const rows = [
    ["who", [whoWords(words, receipt)]],
    ["where", [partyWords(receipt.custodian)]],
    ["when", [say(event === null ? "whenContinuity" : "whenPermitted", values)]],
    ["why", [whyWords(say, event)]],
    ["reason", receipt.justification === "" ? [] : [`“${receipt.justification}”`]],
    ["because", becauseWords(say, event)],
    ["released", [...partWords(say, receipt), ...recordsOf(words, receipt.released)]],
    ["withheld", recordsOf(words, receipt.withheld)],
    ["rules", [say(`rerun.${receipt.rerun}`, { why: receipt.whyNotRun && say(`whyNot.${receipt.whyNotRun}`) })]],
    ["signed", signedWords(words, receipt)],
  ];
  return rows.filter(([, texts]) => texts.length > 0).map(([name, texts]) => [say(`row.${name}`), texts]);
}

function whoWords({ say }, { certificate, requester, event }) {
  if (certificate === null) return say("you");
  const { name, role, registration } = certificate;
  const about = [role, registration].filter((each) => each !== "").join(", ");
  const person = about === "" ? name : say("person", { name, about });
  const who = say("at", { person, organisation: partyWords(requester) });
  if (event === null) return who;
  return `${who}, ${say("asRole", { role: say(`role.${event.roleClass}`) })}`;
}

function whyWords(say, event) {
  if (event === null) return say("continuity");
  return say("toDo", { verb: say(`verb.${event.verb}`), purpose: say(`purpose.${event.purpose}`) });
}

const becauseWords = (say, event) => (event === null ? [] : [capital(say(`basis.${event.basis}`))]);

const capital = (text) => text.slice(0, 1).toUpperCase() + text.slice(1);

const partWords = (say, { statement: { part }, partCount }) =>
  partCount > 1 ? [say("part", { part, count: partCount })] : [];

function recordsOf(words, named) {
  if (named.length === 0) return [words.say("nothing")];
  return named.map(({ name, record, words: rule }) => {
    const what = recordWords(words, record);
    return name === "released" ? what : words.say("keptBy", { record: what, rule: ruleWords(words, rule) });
  });
}

function signedWords(words, receipt) {
  const { isOneSided, conduct, custodian, requester, authentication } = receipt;
  const isOwn = custodian.code === requester.code && conduct.delivery !== BY_TLS;
  const by = !isOneSided ? "signed.both" : isOwn ? "signed.own" : "signed.one";
  const signed = words.say(by, { custodian: partyWords(custodian) });
  return [signed, words.say(`authentication.${authentication}`), ...anchorWords(words, receipt)];
}

const anchorWords = ({ say, date }, { anchors, custodian, requester }) =>
  anchors.map(({ end, atS, conclusion }) => {
    const organisation = partyWords(end === CUSTODIAN_END ? custodian : requester);
    return say("anchored", { organisation, date: date(atS), conclusion: say(`conclusion.${conclusion}`) });
  });

function faultsIn(words, { custodian, faults }) {
  return faults.map(({ name, record, rule }) => {
    const values = { custodian: partyWords(custodian) };
    if (record === undefined) return words.say(`fault.${name}`, values);
    return words.say(`fault.${name}`, { ...values, record: recordWords(words, record), rule: ruleWords(words, rule) });
  });
}

function notesOf({ say }, receipt) {
  const { anchors, custodian, requester, event } = receipt;
  const ends = new Set(anchors.map(({ end }) => end));
  const isOwn = custodian.code === requester.code;
  const isPatients = event !== null && isPatientsOwn(event);
  const notes = [
    [receipt.missingRules > 0, "missing", { custodian: partyWords(custodian), count: receipt.missingRules }],
    [!ends.has(CUSTODIAN_END), "anchor", { organisation: partyWords(custodian) }],
    [!ends.has(REQUESTER_END) && !isOwn, "anchor", { organisation: partyWords(requester) }],
    [event !== null && !receipt.isTransactionShown, "transaction", {}],
    [isPatients && !receipt.isKnownKey, "key", {}],
    [event !== null && !isPatients && !receipt.isCertified, "certificate", { requester: partyWords(requester) }],
  ];
  return notes.filter(([holds]) => holds).map(([, name, values]) => say(`note.${name}`, values));
}

/** The report of a history: its events, and each receipt in it as a report of its own. */
function explainHistory(words, history, nameOf) {
  const { say, date } = words;
  const inReceipts = history.receipts.flatMap((receipt) => faultsIn(words, receipt));
  const own = history.faults.map(({ name, custodian, quiet, other, number }) => {
    const values = { custodian: nameOf(custodian), quiet: nameOf(quiet), other: nameOf(other), number };
    return say(`fault.${name}`, values);
  });
  const wrong = [...own, ...inReceipts];
  const count = history.events.length;
  return {
    tone: wrong.length > 0 ? "wrong" : "good",
    title: say(wrong.length > 0 ? "faultyHistory" : "complete"),
    lead: `${say("events", { count })}${wrong.length > 0 ? ` ${say("faultyDo")}` : ""}`,
    sections: [
      { title: say("wrong"), texts: wrong },
      { title: say("notes"), texts: history.notes.map((number) => say("note.receipts", { number })) },
      { title: say("eventsHeading"), texts: explainEvents(words, history, nameOf), isNumbered: true },
    ].filter(({ texts }) => texts.length > 0),
    rows: [],
    receipts: history.receipts.map((receipt) => {
      const when = date(receipt.event?.leaf.timeS ?? receipt.conduct.atS);
      const { rows, sections, technical } = explainReceipt(words, receipt);
      return { title: say("receiptOf", { who: whoWords(words, receipt), when }), rows, sections, technical };
    }),
    technical: [[say("detail.pseudonym"), hex(history.pseudonym)]],
  };
}
