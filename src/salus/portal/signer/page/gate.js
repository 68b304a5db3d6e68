// The gate of a tree (docs/spec/provisions.md, "Gate"): all that the ledger holds of a choice besides its commitment.
// A condition is the array organisations, role_classes, purposes, verbs, valid_from_day, valid_to_day.

import { encode } from "./encoding.js";
import { EARLIEST_S, FIRST_DAY, LAST_DAY, LATEST_S, PERMIT, compare } from "./provisions.js";

const ENTRIES_MAX = 16, ORGANISATIONS_MAX = 16, GATE_BYTES_MAX = 4096;
const SETS = ["organisations", "role_classes", "purposes", "verbs"];
const CLOSED_SETS = ["labels", "classes", "codes", "persons", "data"];
const [ORGANISATIONS, FROM, TO] = [0, 4, 5];
const ANYBODY = [[], [], [], [], FIRST_DAY, LAST_DAY];

// Returns [may permit, surely denies] of a checked tree.
export function gateOf(tree) {
  const denials = [];
  const permits = widened(collect(tree, ANYBODY, true, denials));
  let kept = asSet(denials).slice(0, ENTRIES_MAX);
  while (encode([permits, kept]).length > GATE_BYTES_MAX) kept = kept.slice(0, -1);
  return [permits, kept];
}

// Adds the sure denials at and below a provision; returns the conditions under which it or one below may permit.
function collect(provision, path, isOnOpenPath, denials) {
  const condition = narrowed(path, provision);
  if (condition === null) return [];
  const isSurelyMet = isOnOpenPath && isOpen(provision);
  const permits = provision.provisions.flatMap((child) => collect(child, condition, isSurelyMet, denials));
  if (provision.type === PERMIT) return [condition]; // it covers every permit below it
  if (isSurelyMet) denials.push(...denial(condition, permits));
  return permits;
}

function denial(condition, permits) {
  const exceptions = widened(permits);
  const isDropped = condition[ORGANISATIONS].length > ORGANISATIONS_MAX;
  return isDropped || exceptions.some((each) => covers(each, condition)) ? [] : [[condition, exceptions]];
}

// The path's condition and the provision's open criteria together; null when no request can meet both.
function narrowed(path, provision) {
  const sets = [];
  for (const [place, name] of SETS.entries()) {
    const [above, own] = [path[place], provision[name]];
    const both = above.length && own.length ? own.filter((value) => above.includes(value)) : above.length ? above : own;
    if ((above.length || own.length) && !both.length) return null;
    sets.push(both);
  }
  const from = Math.max(path[FROM], provision.valid_from_day);
  const to = Math.min(path[TO], provision.valid_to_day);
  return from <= to ? [...sets, from, to] : null;
}

function isOpen(provision) {
  const isOfAllTime = provision.data_from_s === EARLIEST_S && provision.data_to_s === LATEST_S;
  return isOfAllTime && CLOSED_SETS.every((name) => provision[name].length === 0);
}

function widened(conditions) {
  const entries = condensed(conditions.map(withFewOrganisations));
  if (entries.length <= ENTRIES_MAX) return entries;
  return condensed([...entries.slice(0, ENTRIES_MAX - 1), hull(entries.slice(ENTRIES_MAX - 1))]);
}

function withFewOrganisations(condition) {
  return condition[ORGANISATIONS].length <= ORGANISATIONS_MAX ? condition : [[], ...condition.slice(1)];
}

// The narrowest one condition within the bounds that is met wherever one of these is.
function hull(conditions) {
  const sets = SETS.map((_, place) => {
    const listed = conditions.map((condition) => condition[place]);
    return listed.every((values) => values.length) ? asSet(listed.flat()) : [];
  });
  const from = Math.min(...conditions.map((condition) => condition[FROM]));
  const to = Math.max(...conditions.map((condition) => condition[TO]));
  return withFewOrganisations([...sets, from, to]);
}

function condensed(conditions) {
  const entries = asSet(conditions);
  return entries.filter((entry) => !entries.some((other) => other !== entry && covers(other, entry)));
}

function covers(wide, narrow) {
  const coversSets = SETS.every((_, place) => {
    const [outer, inner] = [wide[place], narrow[place]];
    return !outer.length || (inner.length > 0 && inner.every((value) => outer.includes(value)));
  });
  return coversSets && wide[FROM] <= narrow[FROM] && narrow[TO] <= wide[TO];
}

function asSet(values) {
  const sorted = [...values].sort(compare);
  return sorted.filter((value, place) => place === 0 || compare(sorted[place - 1], value) !== 0);
}
