// How far a helper may act (salus.contracts.residuals, DelegateTerms): read from canonical bytes, and in plain words.

import { classesInWords, joined } from "./choice_words.js";
import { EncodingInvalid, decode } from "./encoding.js";
import { say } from "./strings.js";

const RELATIONS_MAX = 4, BANDS_MAX = 4, CLASSES_MAX = 64, AGE_MAX = 120;
const PARENT = 1;
const READ = 1, SHARE = 2;
const CHILD_AGES = [11, 13, 16];

// Returns {name, relation, bands: [{untilAge, abilities, classes}]}. Throws EncodingInvalid for what no custodian takes.
export function decodeTerms(bytes) {
  const fields = decode(bytes);
  need(Array.isArray(fields) && fields.length === 3, "the three fields of terms");
  const [name, relation, rows] = fields;
  need(typeof name === "string", "a name");
  need(isNumber(relation, 1, RELATIONS_MAX), "a relation");
  need(Array.isArray(rows) && rows.length >= 1 && rows.length <= BANDS_MAX, `1 to ${BANDS_MAX} bands`);
  const bands = rows.map(bandOf);
  const ages = bands.map((band) => band.untilAge);
  need(ages.every((age, place) => place === 0 || (ages[place - 1] && (!age || ages[place - 1] < age))), "ages that rise");
  need(relation !== PARENT || ages.every((age) => CHILD_AGES.includes(age)), "an end to a parent's time");
  return { name, relation, bands };
}

// Returns the lines that say what a helper may do, from which age to which.
export function termsInWords(language, { bands }) {
  const lines = bands.map((band, place) => {
    const from = place === 0 ? "" : say(language, "age_from", { age: bands[place - 1].untilAge });
    const until = band.untilAge === 0 ? "" : say(language, "age_until", { age: band.untilAge });
    return say(language, "helper_may", { abilities: abilitiesOf(language, band), ages: from + until });
  });
  return bands.at(-1).untilAge === 0 ? lines : [...lines, say(language, "helper_ends")];
}

function abilitiesOf(language, { abilities, classes }) {
  const what = classes.length ? classesInWords(language, classes) : say(language, "your_records");
  const may = [
    ...(abilities.includes(READ) ? [say(language, "ability_read", { what })] : []),
    ...(abilities.includes(SHARE) ? [say(language, "ability_share")] : []),
  ];
  return joined(language, "and", may) || say(language, "ability_none");
}

function bandOf(row) {
  need(Array.isArray(row) && row.length === 3, "the three fields of a band");
  const [untilAge, abilities, classes] = row;
  need(isNumber(untilAge, 0, AGE_MAX), "an age");
  need(Array.isArray(abilities) && abilities.length <= 2, "at most two abilities");
  need(abilities.every((each) => isNumber(each, READ, SHARE)), "abilities that are known");
  need(Array.isArray(classes) && classes.length <= CLASSES_MAX, `at most ${CLASSES_MAX} classes`);
  need(classes.every((each) => typeof each === "string" && /^[A-Z][A-Za-z]{0,63}$/.test(each)), "types of resources");
  return { untilAge, abilities, classes };
}

function isNumber(value, least, most) {
  return Number.isInteger(value) && value >= least && value <= most;
}

function need(holds, expected) {
  if (!holds) throw new EncodingInvalid(`expected ${expected}`);
}
