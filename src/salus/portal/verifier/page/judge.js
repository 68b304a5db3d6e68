// Step 12 of the checklist `receipt`: the rules, run again on each record that is opened (docs/spec/contracts.md, The
// decision on one record). What differs from what was done is a fault: the receipt is genuine, and shows it.

import { among, hex, NOTHING, same } from "./bytes.js";
import { DENY, explain, outcome, PERMIT } from "./provisions.js";
import { isPatientsOwn } from "./request.js";

export const [NETWORK, CUSTODIAN, CHOICE, DEFAULT, TICKET] = [1, 2, 3, 4, 5];
const EMERGENCY = 1;
const DIRECT_CARE = { purposes: [1, 2], roleClasses: [1, 2, 3] };

/**
 * Returns `released` and `withheld`, each with its opened record (or null) and what is said of its rule; `rerun` (same,
 * in part, other, not run), `whyNotRun`, `faults`.
 */
export function judge({ view, ground, request, rows, rules, records }) {
  const { event } = ground;
  const whyNotRun = reasonNotToRun(view, event, rows);
  const [network, custodian] = [rows.networkPolicy, rows.custodianPolicy].map(({ provisions }) => provisions);
  const applied = whyNotRun === "" ? { network, custodian, ...rules } : { network: [], custodian: [], ...rules };
  const faults = [];
  if (event !== null && view.rules.missing.length > 0 && !mayLackRules(event)) faults.push({ name: "lacked" });
  const named = view.named.map((each) => ({ ...each, record: records.get(hex(each.entry)) ?? null }));
  const shown = named.map((each) => ({ ...each, words: ruleOf(applied, each) }));
  if (whyNotRun === "") {
    const asked = { ...event, organisation: event.requester, day: view.conduct.day, person: view.who.certificate };
    for (const each of named.filter(({ record }) => record !== null)) {
      const said = decide(event, applied, asked, each.record);
      const found = { record: each.record, rule: ruleOf(applied, said) };
      faults.push(...faultsOf(each, said, request.scope).map((name) => ({ ...found, name })));
    }
  }
  const isWhole = named.every(({ record }) => record !== null);
  const result = faults.length > 0 ? "other" : isWhole ? "same" : "in part";
  return {
    released: shown.filter(({ name }) => name === "released"),
    withheld: shown.filter(({ name }) => name === "withheld"),
    rerun: whyNotRun === "" ? result : "not run",
    whyNotRun,
    faults,
  };
}

function reasonNotToRun({ choices, rules }, event, rows) {
  if (event === null) return "continuity";
  if (event.ticket.length > 0 && rules.ticket.length === 0) return "ticket";
  const areCurrent =
    choices.networkVersion === rows.networkPolicy.version && choices.custodianVersion === rows.custodianPolicy.version;
  return areCurrent ? "" : "policy";
}

const isDirectCare = ({ purpose, roleClass }) =>
  DIRECT_CARE.purposes.includes(purpose) && DIRECT_CARE.roleClasses.includes(roleClass);

const mayLackRules = (event) =>
  event.requester === event.custodian && (event.basis === EMERGENCY || isDirectCare(event));

/** Decide on one record: whether it may go, and by whose rule. */
export function decide(event, rules, request, record) {
  const denied = byPolicy(DENY, rules, request, record);
  if (denied !== null) return denied;
  if (event.basis === EMERGENCY) return byDefault(true);
  for (const effect of [DENY, PERMIT]) {
    const choice = rules.choices.find(({ tree }) => outcome(tree, request, record) === effect);
    if (choice !== undefined) {
      const path = explain(choice.tree, request, record);
      return { mayGo: effect === PERMIT, source: CHOICE, rule: choice.commitment, path };
    }
  }
  const isByTicket = rules.ticket.length > 0 && rules.ticket.every((tree) => outcome(tree, request, record) === PERMIT);
  if (event.ticket.length > 0 && isByTicket) return { mayGo: true, source: TICKET, rule: event.ticket, path: "" };
  const isOwn = (event.requester === event.custodian && isDirectCare(event)) || isPatientsOwn(event);
  if (isOwn) return byDefault(true);
  return byPolicy(PERMIT, rules, request, record) ?? byDefault(false);
}

const byDefault = (mayGo) => ({ mayGo, source: DEFAULT, rule: NOTHING, path: "" });

function byPolicy(effect, rules, request, record) {
  for (const [source, policy] of [[NETWORK, rules.network], [CUSTODIAN, rules.custodian]]) {
    const number = policy.findIndex((tree) => outcome(tree, request, record) === effect);
    if (number >= 0) {
      const path = explain(policy[number], request, record);
      return { mayGo: effect === PERMIT, source, rule: Uint8Array.of(number), path };
    }
  }
  return null;
}

function faultsOf(named, said, scope) {
  if (named.name === "released") {
    const isAsked = isAskedFor(scope, named.record);
    return [...(said.mayGo ? [] : ["released"]), ...(isAsked ? [] : ["unasked"])];
  }
  if (said.mayGo) return ["withheld"];
  const isStated = said.source === named.source && same(said.rule, named.rule) && said.path === named.path;
  return isStated ? [] : ["otherRule"];
}

function isAskedFor({ classes, records, fromS, toS }, { classes: present, ids, period }) {
  const isOfClass = classes.length === 0 || present.some((each) => classes.includes(each));
  const isNamed = records.length === 0 || among(records, ids[0]);
  return isOfClass && isNamed && period.fromS <= toS && period.toS >= fromS;
}

/** Whose rule it is, when it was filed, its place and its tree; `tree` is null where it is not known here. */
function ruleOf(rules, { source, rule, path }) {
  if (source === CHOICE) {
    const choice = rules.choices.find(({ commitment }) => same(commitment, rule));
    return { source, path, tree: choice?.tree ?? null, filedAtS: choice?.filedAtS ?? null };
  }
  const policy = source === NETWORK ? rules.network : source === CUSTODIAN ? rules.custodian : [];
  const tree = rule?.length === 1 ? (policy[rule[0]] ?? null) : null;
  return { source: source ?? DEFAULT, path, tree, filedAtS: null };
}
