// The language of sharing choices and policies, applied to one request and one record (docs/spec/provisions.md).

import { among } from "./bytes.js";
import { need } from "./refusal.js";
import { bytes, list, number, signedNumber, sized, struct, text } from "./shapes.js";

export const [NONE, DENY, PERMIT] = [0, 1, 2];
const [NO, PERHAPS, YES] = [0, 1, 2];
const LEVELS_MAX = 8;
export const EARLIEST_S = -62_135_596_800;
export const LATEST_S = 253_402_300_799;
export const LAST_DAY = 2_932_896;
const INSTANCE = 1;

function provision(at, item, levels = LEVELS_MAX) {
  need(at, levels > 0);
  return struct({
    type: number(2),
    organisations: list(text, 64),
    roleClasses: list(number(9, 1), 64),
    purposes: list(number(9, 1), 64),
    verbs: list(number(5, 1), 64),
    validFromDay: number(LAST_DAY + 1),
    validToDay: number(LAST_DAY + 1),
    dataFromS: signedNumber,
    dataToS: signedNumber,
    labels: list(text, 64),
    classes: list(text, 64),
    codes: list(text, 64),
    persons: list(sized(32), 64),
    data: list(struct({ meaning: number(INSTANCE + 1, INSTANCE), id: bytes }), 64),
    provisions: list((step, each) => provision(step, each, levels - 1), 64),
  })(at, item);
}

/** A tree of provisions. That it keeps every other rule was seen when it was filed. */
export const PROVISION = (at, item) => provision(at, item);

/** What a tree says of a request and a record: NONE, DENY or PERMIT. */
export function outcome(tree, request, record) {
  const match = matchOf(tree, request, record);
  if (match === NO) return NONE;
  const said = tree.provisions.map((each) => outcome(each, request, record));
  const own = tree.type === 1 ? PERMIT : DENY;
  const effect = said.includes(DENY) ? DENY : said.includes(PERMIT) ? PERMIT : own;
  return match === PERHAPS && effect === PERMIT ? NONE : effect;
}

/** The place of the provision whose own type is the outcome: `1` is the root, `1.2` its second exception. */
export function explain(tree, request, record) {
  const effect = outcome(tree, request, record);
  if (effect === NONE) return "";
  let [path, at] = ["1", tree];
  for (;;) {
    const next = at.provisions.findIndex((each) => outcome(each, request, record) === effect);
    if (next < 0) return path;
    [path, at] = [`${path}.${next + 1}`, at.provisions[next]];
  }
}

/** The provision at a place; null where there is none. */
export function provisionAt(tree, path) {
  const [root, ...places] = path.split(".");
  return places.reduce((at, place) => at?.provisions[place - 1] ?? null, root === "1" ? tree : null);
}

const anyOf = (wanted, present) => wanted.length === 0 || present.some((each) => wanted.includes(each));

function matchOf(tree, request, record) {
  const isOpen =
    anyOf(tree.organisations, [request.organisation]) &&
    anyOf(tree.roleClasses, [request.roleClass]) &&
    anyOf(tree.purposes, [request.purpose]) &&
    anyOf(tree.verbs, [request.verb]) &&
    tree.validFromDay <= request.day &&
    request.day <= tree.validToDay;
  const hasFacts =
    anyOf(tree.labels, record.labels) && anyOf(tree.classes, record.classes) && anyOf(tree.codes, record.codes);
  if (!isOpen || !hasFacts) return NO;
  return Math.min(personMatch(tree, request), periodMatch(tree, record), dataMatch(tree, record));
}

function personMatch({ persons }, { person }) {
  if (persons.length === 0 || among(persons, person)) return YES;
  return person.length > 0 ? NO : PERHAPS;
}

function periodMatch({ dataFromS, dataToS }, { period }) {
  const isKnown = period.fromS <= period.toS;
  const [fromS, toS] = isKnown ? [period.fromS, period.toS] : [EARLIEST_S, LATEST_S];
  if (dataFromS <= fromS && toS <= dataToS) return YES;
  return toS < dataFromS || dataToS < fromS ? NO : PERHAPS;
}

const dataMatch = ({ data }, { ids }) => (data.length === 0 || data.some(({ id }) => among(ids, id)) ? YES : NO);
