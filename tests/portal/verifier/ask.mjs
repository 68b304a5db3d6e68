// Answers for the tests what the page's modules say, without a browser: one JSON object a line, one line back.
//
//   {"trust": "<trust file>", "now_s": 1750000000, "file": "<hex of a bundle>"}   accept, or refuse CHECKLIST STEP
//       with "claim": true   the claim of a bundle alone; with "says": true   what running the rules again came to
//   {"public": "<hex>", "message": "<hex>", "signature": "<hex>", "rule": "zip215" | "plain", "alone"}
//   {"tree": "<hex>", "request": {…}, "record": {…}}          the outcome and by which provision, as docs/spec has them
//   {"permit": {…}, "network": […], …, "record": {…}}         whether a record goes, and by whose rule
//   {"outcome": "<hex>"}                                      its name, and what it is in English and Welsh
//   {"key", "row", "proof", "root"}, {"leaf", "index", "size", "path"}, {"leaves"}, {"signed_header"}, {"set"}, {"commit"}: parts
//   {"called": {"title", "classes"}}                          what a record is called in English and Welsh
//   {"link": "<text>"}                                        the file that it stands for, in hexadecimal
import { createInterface } from "node:readline";

const page = "../../../src/salus/portal/verifier/page";
const { ascii, hex } = await import(`${page}/bytes.js`);
const { checkHistory, checkOutcome, checkRow, checkState, HISTORY_PROOF, OUTCOME_PROOF, SIGNED_STATE, STATE_PROOF } =
  await import(`${page}/claims.js`);
const { holds, holdsZip215 } = await import(`${page}/ed25519.js`);
const { leafHash, rootByPath, rootOver } = await import(`${page}/hashing.js`);
const { fits, isCommitted, readSignedHeader, setHash } = await import(`${page}/header.js`);
const { decide } = await import(`${page}/judge.js`);
const { readLink } = await import(`${page}/link.js`);
const { decode } = await import(`${page}/msgpack.js`);
const { explainEvents } = await import(`${page}/events.js`);
const { readOutcome } = await import(`${page}/outcomes.js`);
const { explain, outcome, PROVISION } = await import(`${page}/provisions.js`);
const { recordWords } = await import(`${page}/rules.js`);
const { Refusal, step } = await import(`${page}/refusal.js`);
const { inside } = await import(`${page}/shapes.js`);
const { readTrust } = await import(`${page}/trust.js`);
const { verify } = await import(`${page}/verify.js`);
const { LANGUAGES, speaker } = await import(`${page}/words.js`);

const unhex = (text) => Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
const EFFECTS = ["none", "deny", "permit"];
const SOURCES = ["", "network", "custodian", "choice", "default", "ticket"];
const AT = step("bundle", 0);

// The claims alone, as the golden proofs have them: files of outcomes and rows, and histories without receipts.
const CLAIMS = new Map([
  [1n, { shape: OUTCOME_PROOF, check: checkOutcome }],
  [2n, { shape: STATE_PROOF, check: checkRow }],
  [5n, { shape: HISTORY_PROOF, check: checkHistory }],
]);

async function checkClaim(file, trust, nowS) {
  const items = decode(file);
  const { shape, check } = CLAIMS.get(items[0]);
  const [signed, claim] = [SIGNED_STATE(AT, items[2]), shape(AT, items[3])];
  await check(await checkState(trust, signed, nowS), claim);
}

const treeOf = (text) => inside(AT, PROVISION, unhex(text));
const requestOf = (request) => ({ ...request, person: unhex(request.person) });
const recordOf = (record) => ({ ...record, ids: record.ids.map(unhex) });

function decision({ permit, network, custodian, choices, ticket, request, record }) {
  const rules = {
    network: network.map(treeOf),
    custodian: custodian.map(treeOf),
    choices: choices.map(([commitment, tree]) => ({ commitment: unhex(commitment), tree: treeOf(tree) })),
    ticket: ticket.map(treeOf),
  };
  const event = { ...permit, ticket: unhex(permit.ticket) };
  const { mayGo, source, path } = decide(event, rules, requestOf(request), recordOf(record));
  return `${mayGo ? "goes" : "stays"}: ${SOURCES[source]} ${path}`.trim();
}

function outcomeWords(data) {
  const alone = { about: null, askedBy: "", relationshipCustodian: "RX1" };
  const event = { ...readOutcome(AT, { code: 0, timeS: 0, data }, 0), ...alone };
  const said = LANGUAGES.map((language) => explainEvents(speaker(language), { events: [event] }, (code) => code));
  return [event.name, ...said.flat()].join(" | ");
}

/** Do something as in a browser that does not know Ed25519. */
async function withoutEd25519(work) {
  const known = crypto.subtle.importKey;
  crypto.subtle.importKey = () => Promise.reject(new DOMException("unknown", "NotSupportedError"));
  try {
    return await work();
  } finally {
    crypto.subtle.importKey = known;
  }
}

const setOf = (validators) =>
  validators.map(({ public_key: key, power }) => ({ key: unhex(key), power: BigInt(power) }));

// What single parts of the checks say: rows under a tree root, paths and roots of a log, headers, validator sets.
const PARTS = [
  ["key", async ({ key, row, proof, root }) => {
    const [bitmap, siblings, other] = proof.map(unhex);
    await checkRow({ treeRoot: unhex(root) }, { key: unhex(key), row: unhex(row), proof: { bitmap, siblings, other } });
    return "accept";
  }],
  ["leaf", async ({ leaf, index, size, path }) => {
    const root = await rootByPath(await leafHash(unhex(leaf)), index, size, path.map(unhex));
    return root === null ? "nowhere" : hex(root);
  }],
  ["leaves", async ({ leaves }) => hex(await rootOver(leaves.map(unhex)))],
  ["signed_header", (asked) => (readSignedHeader(unhex(asked.signed_header)) === null ? "refuse" : "accept")],
  ["set", async ({ set }) => hex(await setHash(setOf(set)))],
  ["commit", async ({ commit, chain, validators }) => {
    const [signed, set] = [readSignedHeader(unhex(commit)), setOf(validators)];
    return (await fits(signed, chain, set)) && (await isCommitted(signed, chain, set)) ? "accept" : "refuse";
  }],
];

async function answer(asked) {
  if ("link" in asked) return Buffer.from(await readLink(asked.link)).toString("hex");
  if ("outcome" in asked) return outcomeWords(unhex(asked.outcome));
  if ("called" in asked) return LANGUAGES.map((language) => recordWords(speaker(language), asked.called)).join(" | ");
  if ("permit" in asked) return decision(asked);
  const part = PARTS.find(([name]) => name in asked);
  if (part !== undefined) return part[1](asked);
  if ("signature" in asked) {
    const rule = asked.rule === "plain" ? holds : holdsZip215;
    const parts = [asked.public, asked.message, asked.signature].map(unhex);
    return (await (asked.alone ? withoutEd25519 : (work) => work())(() => rule(...parts))) ? "accept" : "refuse";
  }
  if ("tree" in asked) {
    const [tree, request, record] = [treeOf(asked.tree), requestOf(asked.request), recordOf(asked.record)];
    return `${EFFECTS[outcome(tree, request, record)]} ${explain(tree, request, record)}`.trim();
  }
  const trust = await readTrust(ascii(asked.trust));
  if (asked.claim) {
    await checkClaim(unhex(asked.file), trust, asked.now_s);
    return "accept";
  }
  const { receipt, history } = await verify(unhex(asked.file), trust, asked.now_s);
  if (!asked.says) return "accept";
  const { rerun, faults } = receipt ?? { rerun: "none", faults: history.faults };
  return [rerun, ...faults.map(({ name }) => name)].join(" ");
}

for await (const line of createInterface({ input: process.stdin })) {
  try {
    console.log(await answer(JSON.parse(line)));
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    console.log(`refuse ${error.checklist} ${error.step}`);
  }
}
