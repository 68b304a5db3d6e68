// Words in English and Welsh, times and lists as people in the UK read them.

import WORDS from "./words.json" with { type: "json" };

export const LANGUAGES = ["en", "cy"];
// Numbers alone: not every browser has the names of months in Welsh.
const UK_TIME = new Intl.DateTimeFormat("en-GB", {
  timeZone: "Europe/London",
  hourCycle: "h23",
  ...{ year: "numeric", month: "2-digit", day: "numeric", hour: "2-digit", minute: "2-digit" },
});

/** The words of a language: `say(key, values)`, `date(seconds)`, `join(texts, "and")`. */
export function speaker(language) {
  const place = LANGUAGES.indexOf(language);
  const say = (key, values = {}) => WORDS[key][place].replace(/\{(\w+)\}/g, (_, name) => values[name]);
  return {
    say,
    knows: (key) => key in WORDS,
    date: (seconds) => {
      const parts = Object.fromEntries(UK_TIME.formatToParts(1000 * seconds).map(({ type, value }) => [type, value]));
      const hour = Number(parts.hour);
      const time = `${hour % 12 || 12}:${parts.minute}${say(hour < 12 ? "half.am" : "half.pm")}`;
      return `${parts.day} ${say(`month.${Number(parts.month)}`)} ${parts.year}, ${time}`;
    },
    join: (texts, last = "and") => {
      if (texts.length < 2) return texts.join();
      return `${texts.slice(0, -1).join(", ")} ${say(last)} ${texts.at(-1)}`;
    },
  };
}
