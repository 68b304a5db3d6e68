// A tree in plain words: one sentence for each provision, numbered as receipts number them.
// The same words as `salus.sdk.choice_words`, so that what is approved here is what is later explained.

import { DENY, EARLIEST_S, FIRST_DAY, LAST_DAY, LATEST_S, PERMIT } from "./provisions.js";
import { nameOf, say } from "./strings.js";
import { ukDay, ukTime } from "./uk_time.js";

const CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality";
const ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode";
const MEDICINES = ["MedicationRequest", "MedicationAdministration", "MedicationDispense", "MedicationStatement"];
const CONFIDENTIALITIES = ["U", "L", "M", "N", "R", "V"];

// Returns {path, words} of each provision, parents before their exceptions; `names` has what codes are called.
export function sentences(language, tree, names, path = "1") {
  const said = path === "1" ? rootOf(language, tree, names) : exceptionOf(language, tree, names);
  const below = tree.provisions.flatMap((each, place) => sentences(language, each, names, `${path}.${place + 1}`));
  return [{ path, words: said }, ...below];
}

// Returns classes of records as people call them; where all that are medicines are meant, that one word.
export function classesInWords(language, classes) {
  const isWhole = MEDICINES.every((each) => classes.includes(each));
  const said = classes.filter((each) => !isWhole || each === MEDICINES[0] || !MEDICINES.includes(each));
  const named = said.map((each) => (isWhole && each === MEDICINES[0] ? "medicines" : each));
  return joined(language, "or", named.map((each) => nameOf(language, "class", each)));
}

export function joined(language, word, parts) {
  if (parts.length < 2) return parts.join("");
  return say(language, word, { list: parts.slice(0, -1).join(", "), last: parts.at(-1) });
}

function rootOf(language, tree, names) {
  const verbs = tree.verbs.length ? tree.verbs : [1];
  return capital(
    say(language, tree.type === PERMIT ? "may" : "may_not", {
      who: whoOf(language, tree, names) || say(language, "anybody"),
      verb: joined(language, "or", verbs.map((each) => nameOf(language, "may", each))),
      what: whatOf(language, tree) || say(language, "your_records"),
      why: whyOf(language, tree),
      when: whenOf(language, tree),
    }),
  );
}

function exceptionOf(language, tree, names) {
  const verbs = joined(language, "or", tree.verbs.map((each) => nameOf(language, "verb", each)));
  const what = [whatOf(language, tree), whoOf(language, tree, names), verbs].filter(Boolean).join(", ");
  return say(language, tree.type === DENY ? "but_not" : "but_yes", {
    what: what || say(language, "everything"),
    why: whyOf(language, tree),
    when: whenOf(language, tree),
  });
}

function whoOf(language, tree, names) {
  const people = joined(language, "and", tree.role_classes.map((each) => nameOf(language, "role", each)));
  const places = joined(language, "and", tree.organisations.map((each) => names.get(each) ?? each));
  const named = counted(language, "named", tree.persons.length);
  const who = joined(language, "and", [named, people].filter(Boolean));
  return places ? say(language, "at", { who: who || say(language, "anybody"), places }) : who;
}

function whatOf(language, tree) {
  const parts = [];
  if (tree.classes.length) parts.push(classesInWords(language, tree.classes));
  if (tree.labels.length) {
    const labels = tree.labels.map((each) => labelOf(language, each));
    parts.push(say(language, "about", { labels: joined(language, "or", labels) }));
  }
  parts.push(counted(language, "code", tree.codes.length), counted(language, "data", tree.data.length));
  const what = parts.filter(Boolean).reduce((one, other) => (one ? say(language, "that_are", { one, other }) : other), "");
  return withPeriod(language, tree, what);
}

// A label of another system than its own meets no record: it is written out, so that nobody takes it for what it is not.
function labelOf(language, label) {
  const [system, code] = [label.slice(0, label.lastIndexOf("|")), label.slice(label.lastIndexOf("|") + 1)];
  const isKnown = system === (CONFIDENTIALITIES.includes(code) ? CONFIDENTIALITY : ACT_CODE);
  return isKnown ? nameOf(language, "label", code) : label;
}

function withPeriod(language, tree, what) {
  const from = tree.data_from_s === EARLIEST_S ? "" : say(language, "from", { when: ukTime(language, tree.data_from_s) });
  const to = tree.data_to_s === LATEST_S ? "" : say(language, "up_to", { when: ukTime(language, tree.data_to_s) });
  return from || to ? say(language, "written", { what: what || say(language, "records"), from, to }) : what;
}

function whyOf(language, tree) {
  const purposes = joined(language, "or", tree.purposes.map((each) => nameOf(language, "purpose", each)));
  return purposes ? say(language, "why", { purposes }) : "";
}

function whenOf(language, tree) {
  const { valid_from_day: first, valid_to_day: last } = tree;
  const from = first === FIRST_DAY ? "" : say(language, "from", { when: ukDay(language, first) });
  const until = last === LAST_DAY ? "" : say(language, "until", { when: ukDay(language, last) });
  return from || until ? `,${from}${until}` : "";
}

function counted(language, key, count) {
  if (count === 0) return "";
  return say(language, count === 1 ? `${key}_one` : `${key}_many`, { count });
}

function capital(words) {
  return words.slice(0, 1).toUpperCase() + words.slice(1);
}
