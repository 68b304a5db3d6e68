// Times as people in the UK read them: `25 November 2026, 20:14:05 GMT`. The rule is part of this file, for times since 1996.

import { say } from "./strings.js";

const DAY_S = 86_400;

export function ukDay(language, day) {
  return dateOf(language, new Date(day * DAY_S * 1000));
}

export function ukTime(language, timeS) {
  const isSummer = isSummerTime(timeS);
  const local = new Date((timeS + (isSummer ? 3600 : 0)) * 1000);
  const clock = [local.getUTCHours(), local.getUTCMinutes(), local.getUTCSeconds()].map(twoDigits).join(":");
  return `${dateOf(language, local)}, ${clock} ${isSummer ? "BST" : "GMT"}`;
}

// Summer Time Act 1972: from one o'clock GMT of the last Sunday of March to the same hour of the last Sunday of October.
function isSummerTime(timeS) {
  const year = new Date(timeS * 1000).getUTCFullYear();
  return change(year, 2) <= timeS && timeS < change(year, 9);
}

function change(year, month) {
  const moment = new Date(0);
  moment.setUTCFullYear(year, month, 31);
  moment.setUTCDate(31 - moment.getUTCDay());
  moment.setUTCHours(1);
  return moment.getTime() / 1000;
}

function dateOf(language, moment) {
  const month = say(language, "months").split(" ")[moment.getUTCMonth()];
  return `${moment.getUTCDate()} ${month} ${moment.getUTCFullYear()}`;
}

function twoDigits(number) {
  return String(number).padStart(2, "0");
}
