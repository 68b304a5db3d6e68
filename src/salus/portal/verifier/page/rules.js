// Rules and records in words.

import { EARLIEST_S, LAST_DAY, LATEST_S, provisionAt } from "./provisions.js";

const CHOICE = 3;
const PERMIT = 1;

/** What a record is called: its title where it is shown, and what kind it is: its first class is its FHIR type. */
export function recordWords(words, record) {
  if (record === null) return words.say("unopened");
  const kind = named(words, "class", record.classes.slice(0, 1)) || words.say("aRecord");
  return record.title === "" ? kind : words.say("record", { title: record.title, kind });
}

/** Whose rule it is, with its number and what it says, where that is known here. */
export function ruleWords(words, { source, path, tree, filedAtS }) {
  const { say, date } = words;
  const isUnknown = source === CHOICE && filedAtS === null;
  const filed = { date: filedAtS === null ? "" : date(filedAtS) };
  const rule = isUnknown ? say("rule.3.unknown") : say(`rule.${source}`, filed);
  const provision = tree === null ? null : provisionAt(tree, path);
  return provision === null ? rule : say("ruleAt", { rule, path, words: provisionWords(words, provision) });
}

function provisionWords(words, provision) {
  const { say } = words;
  const criteria = criteriaOf(words, provision).map(([name, values]) => say(`criteria.${name}`, { values }));
  const what = criteria.length > 0 ? criteria.join(", ") : say("criteria.everything");
  return `${say(provision.type === PERMIT ? "allowed" : "notAllowed")}: ${what}`;
}

/** The criteria that a provision has, each with its values in words. */
function criteriaOf(words, provision) {
  const { organisations, persons, codes, data, dataFromS, dataToS, validFromDay, validToDay } = provision;
  const all = [
    ["classes", named(words, "class", provision.classes)],
    ["labels", named(words, "label", provision.labels.map((label) => label.split("|").at(-1)))],
    ["roleClasses", named(words, "role", provision.roleClasses)],
    ["organisations", words.join(organisations, "or")],
    ["purposes", named(words, "purpose", provision.purposes)],
    ["verbs", named(words, "verb", provision.verbs)],
    ["codes", codes.length > 0],
    ["persons", persons.length > 0],
    ["data", data.length > 0],
    ["period", dataFromS !== EARLIEST_S || dataToS !== LATEST_S],
    ["valid", validFromDay !== 0 || validToDay !== LAST_DAY],
  ];
  return all.filter(([, values]) => values);
}

const named = ({ say, knows, join }, kind, values) =>
  join(values.map((value) => (knows(`${kind}.${value}`) ? say(`${kind}.${value}`) : value)), "or");
