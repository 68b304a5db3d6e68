// Steps 3 to 6 of the checklist `receipt`: on which permit it stands, and who asked for what (docs/spec/receipts.md).

import { bigEndian, join, NOTHING, same } from "./bytes.js";
import { checkRow } from "./claims.js";
import { holds } from "./ed25519.js";
import { COMMITTED_FIELDS, openValues, rootOfList } from "./fields.js";
import { hash, tag, tagged } from "./hashing.js";
import { provedOutcome } from "./outcomes.js";
import { need, step } from "./refusal.js";
import { RELATIONSHIP, rowKey } from "./rows.js";
import {
  anything, bytes, digest, inside, kept, list, number, seconds, signedNumber, sized, struct, text,
} from "./shapes.js";

const SLACK_S = 60;
const DAY_S = 86_400;
const SESSION_S_MAX = 12 * 3600;
const [ON_THE_LEDGER, IN_CONTINUITY] = [1, 2];
export const BY_TLS = 2;
const PATIENTS_OWN = { purpose: 4, roleClass: 4 };
const REQUEST_ACCESS = 601n;

const CERTIFICATE = struct({
  organisation: text,
  name: text,
  role: text,
  registration: text,
  roleClasses: list(number(9, 1)),
  key: digest,
});
const SESSION = kept(struct({ key: digest, custodian: text, fromS: seconds, untilS: seconds }));
const REQUEST = [
  ["request", sized(16)],
  ["scope", struct({ classes: list(text), records: list(bytes), fromS: signedNumber, toS: signedNumber })],
  ["certificate", COMMITTED_FIELDS],
  ["session", struct({ session: SESSION, signature: sized(64) })],
  ["justification", text],
];
const TRANSACTION = struct({ body: bytes, signatures: list(sized(64)) });
const BODY = struct({
  format: number(2, 1),
  chain: text,
  signers: list(digest, 16),
  expiresAtS: seconds,
  nonce: sized(16),
  messages: list(list(anything), 256),
});
const MESSAGE = struct({
  kind: anything,
  pseudonym: anything,
  custodian: anything,
  requester: anything,
  roleClass: anything,
  purpose: anything,
  verb: anything,
  durationS: anything,
  session: number(16),
  readerKey: anything,
  ticket: anything,
  residual: anything,
});

/** Step 3. `event` is the AccessPermitted; null in continuity, and then `permit` is empty. */
export async function standOn(state, opened, view) {
  const at = step("receipt", 3);
  if (opened.permitted.length === 0) return standOnContinuity(state, opened, view, at);
  const event = await provedOutcome(state, opened.permitted[0], at);
  need(at, event.name === "AccessPermitted" && event.leaf.code === 0);
  const permit = (await tagged("salus/permit/1", event.leaf.transaction, bigEndian(event.leaf.index, 4))).slice(0, 16);
  need(at, same(permit, opened.receipt.statement.permit));
  const fromS = event.leaf.timeS;
  const { choices, conduct } = view;
  need(at, conduct.standing === ON_THE_LEDGER && view.scope.asOfS === fromS);
  need(at, choices.version === event.choicesVersion);
  need(at, choices.networkVersion === event.networkVersion && choices.custodianVersion === event.custodianVersion);
  need(at, conduct.atS >= fromS - SLACK_S && conduct.atS <= event.untilS + SLACK_S);
  need(at, conduct.day >= Math.floor(fromS / DAY_S) && conduct.day <= Math.floor((event.untilS + SLACK_S) / DAY_S));
  const { pseudonym, custodian, requester } = event;
  return { pseudonym, custodian, requester, permit, event, fromS };
}

async function standOnContinuity(state, opened, { conduct, request, scope }, at) {
  need(at, conduct.standing === IN_CONTINUITY && conduct.delivery === BY_TLS);
  const permit = (await tagged("salus/continuity/1", request.request)).slice(0, 16);
  need(at, same(permit, opened.receipt.statement.permit));
  need(at, opened.anchors.length > 0);
  const anchor = await provedOutcome(state, opened.anchors[0].outcome, at);
  need(at, anchor.name === "ReleasesCommitted" && anchor.permit.length === 0);
  need(at, conduct.atS >= scope.asOfS - SLACK_S && conduct.atS <= anchor.leaf.timeS + SLACK_S);
  const key = rowKey("patients.relationships", anchor.pseudonym);
  const proof = opened.rows.find((each) => same(each.key, key));
  need(at, proof !== undefined);
  const row = await checkRow(state, proof);
  need(at, row.length > 0);
  const { custodian } = inside(step("receipt", 7), RELATIONSHIP, row);
  const { pseudonym } = anchor;
  return { pseudonym, custodian, requester: custodian, permit: NOTHING, event: null, fromS: scope.asOfS };
}

export const isPatientsOwn = (event) =>
  event.purpose === PATIENTS_OWN.purpose && event.roleClass === PATIENTS_OWN.roleClass;

/** Steps 4 and 5: the certificate of who asked (null for the patient), and the request (null in continuity). */
export async function askedBy(opened, view, ground) {
  const [at, who] = [step("receipt", 4), step("receipt", 5)];
  if (ground.event === null) {
    const values = await openValues(at, opened.request, view.who.certificate);
    need(at, values.length === 1);
    const certificate = inside(who, CERTIFICATE, values[0]);
    need(who, certificate.organisation === ground.custodian);
    return { certificate, request: null };
  }
  const values = await openValues(at, opened.request, ground.event.residual);
  need(at, values.length === REQUEST.length && opened.request[0].size === BigInt(REQUEST.length));
  const request = Object.fromEntries(REQUEST.map(([name, shape], place) => [name, inside(at, shape, values[place])]));
  need(at, same(request.request, view.request.request));
  const certificate = await certificateOf(who, request, view, ground.event);
  await checkSession(who, request.session, certificate?.key ?? view.who.certificate, ground);
  return { certificate, request };
}

async function certificateOf(at, request, view, event) {
  const { values } = request.certificate;
  need(at, values.length === (isPatientsOwn(event) ? 0 : 1));
  if (values.length === 0) return null;
  const certificate = inside(at, CERTIFICATE, values[0]);
  need(at, same(await rootOfList(request.certificate), view.who.certificate));
  need(at, certificate.organisation === event.requester && certificate.roleClasses.includes(event.roleClass));
  return certificate;
}

async function checkSession(at, { session, signature }, key, { custodian, event, fromS }) {
  need(at, await holds(key, join(tag("salus/session/1"), session.encoding), signature));
  need(at, session.custodian === custodian && session.untilS - session.fromS <= SESSION_S_MAX);
  need(at, session.fromS - SLACK_S <= event.untilS && fromS < session.untilS + SLACK_S);
}

/** Step 6: if the request's own bytes are shown, they are the permit's; tells whether they are. */
export async function checkTransaction(state, { transaction }, { event }, request) {
  const at = step("receipt", 6);
  if (transaction.length === 0) return false;
  need(at, event !== null);
  const { body, signatures } = inside(at, TRANSACTION, transaction);
  const { chain, signers, messages } = inside(at, BODY, body);
  need(at, chain === state.chain && signers.length > 0 && signers.length === signatures.length);
  need(at, new Set(signers.map((key) => key.join())).size === signers.length);
  const signed = join(tag("salus/transaction/1"), body);
  for (const [place, key] of signers.entries()) need(at, await holds(key, signed, signatures[place]));
  need(at, same(await hash(body), event.leaf.transaction) && event.leaf.index < messages.length);
  const message = MESSAGE(at, messages[event.leaf.index]);
  need(at, message.kind === REQUEST_ACCESS && message.session < signers.length);
  need(at, same(signers[message.session], request.session.session.key));
  return true;
}
