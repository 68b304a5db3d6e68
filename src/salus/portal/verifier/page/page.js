// The page: takes files, links and a trust file, has them checked, and shows the report. It asks nobody for anything.

import { fromBase64 } from "./bytes.js";
import { explainRefusal, explainVerified } from "./explain.js";
import { readLink } from "./link.js";
import { Refusal } from "./refusal.js";
import { readTrust } from "./trust.js";
import { verify } from "./verify.js";
import { LANGUAGES, speaker } from "./words.js";

const TRUST_BEGINS = "{".charCodeAt(0);
const MARKS = { good: "✓", wrong: "!", bad: "✗" };
const byId = (id) => document.getElementById(id);

/** What the page knows: its language, who is trusted, the file that waits or was checked, and what came of it. */
const known = { language: "en", trust: null, file: null, verified: null, refusal: null };

function start() {
  for (const id of ["trust", "receipt"]) {
    byId(id).addEventListener("change", (event) => inTurn(() => takeFiles([...event.target.files])));
  }
  byId("paste").addEventListener("submit", (event) => {
    event.preventDefault();
    inTurn(() => takeLink(byId("link").value));
  });
  byId("language").addEventListener("click", () => {
    known.language = LANGUAGES.find((each) => each !== known.language);
    show({ isMoved: false });
  });
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    const files = [...event.dataTransfer.files];
    inTurn(() => takeFiles(files));
  });
  addEventListener("hashchange", () => inTurn(takeAddress));
  inTurn(begin);
}

/** Do one thing after the other: a check may take longer than a person needs to choose the next file. */
let turns = Promise.resolve();
let waitingCount = 0;

function inTurn(work) {
  waitingCount += 1;
  byId("result").ariaBusy = "true";
  turns = turns
    .then(work)
    .catch((error) => {
      sayUnfit();
      reportError(error);
    })
    .finally(() => {
      waitingCount -= 1;
      byId("result").ariaBusy = String(waitingCount > 0);
    });
}

/** Something went wrong that is no refusal: this browser lacks what the page needs. */
function sayUnfit() {
  byId("not-started").textContent = speaker(known.language).say("unfit");
  byId("not-started").hidden = false;
}

async function begin() {
  const given = byId("given-trust").textContent.trim();
  if (given !== "") await take(fromBase64(given));
  await takeAddress();
  show({ isMoved: known.file !== null });
}

async function takeAddress() {
  if (location.hash.length > 1 && location.hash !== "#main") await takeLink(location.hash);
}

async function takeFiles(files) {
  for (const file of files) await take(new Uint8Array(await file.arrayBuffer()));
}

function takeLink(text) {
  return settle(async () => {
    known.file = null;
    await take(await readLink(text));
  });
}

/** Take a file, whichever kind it is: a trust file begins with a brace, no other file does. */
async function take(file) {
  if (file[0] === TRUST_BEGINS) {
    await settle(async () => {
      known.trust = null;
      known.trust = await readTrust(file);
    });
  } else {
    known.file = file;
  }
  if (known.trust === null || known.file === null) {
    return show({ isMoved: known.file !== null || known.refusal !== null });
  }
  return settle(async () => {
    known.verified = await verify(known.file, known.trust, Math.floor(Date.now() / 1000));
  });
}

/** Do something that may be refused, and show what came of it; what came of anything before is gone first. */
async function settle(work) {
  [known.verified, known.refusal] = [null, null];
  byId("result").replaceChildren();
  try {
    await work();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    known.refusal = error;
  }
  show({ isMoved: true });
}

// What it shows

function show({ isMoved }) {
  const words = speaker(known.language);
  document.documentElement.lang = known.language;
  document.title = `${words.say("title")} – ${words.say("product")}`;
  for (const each of document.querySelectorAll("[data-words]")) each.textContent = words.say(each.dataset.words);
  byId("language").lang = LANGUAGES.find((each) => each !== known.language);
  byId("trusted").textContent = trustedWords(words);
  const report = reportOf(words);
  byId("result").replaceChildren(...(report === null ? waiting(words) : reportParts(words, report)));
  if (isMoved) byId("result").querySelector("h2")?.focus();
}

function trustedWords({ say, date, join }) {
  if (known.trust === null) return say("trustNone");
  return say("trustIs", { names: join([...known.trust.names.values()]), date: date(known.trust.trustedAtS) });
}

function reportOf(words) {
  if (known.refusal !== null) return explainRefusal(words, known.refusal);
  return known.verified === null ? null : explainVerified(words, known.verified, known.trust);
}

function waiting({ say }) {
  return known.file !== null && known.trust === null ? [element("p", { class: "inset" }, say("trustFirst"))] : [];
}

function reportParts(words, report) {
  const mark = element("span", { class: "mark", "aria-hidden": "true" }, MARKS[report.tone]);
  const title = element("h2", { tabindex: "-1" }, mark, report.title);
  const lead = report.lead === "" ? [] : [element("p", {}, report.lead)];
  return [
    element("div", { class: `panel ${report.tone}` }, title, ...lead),
    ...bodyOf(report, "h3"),
    ...receiptsOf(words, report.receipts),
    technicalOf(words, report.technical),
  ];
}

function bodyOf({ sections, rows }, heading) {
  const parts = sections.map(({ title, texts, isNumbered }) => [
    element(heading, {}, title),
    listOf(texts, isNumbered),
  ]);
  return [...parts.flat(), ...(rows.length > 0 ? [rowsOf(rows)] : [])];
}

function receiptsOf(words, receipts) {
  if (receipts.length === 0) return [];
  const parts = receipts.map((each) => {
    const body = [...bodyOf(each, "h4"), technicalOf(words, each.technical)];
    return element("details", {}, element("summary", {}, each.title), ...body);
  });
  return [element("h3", {}, words.say("receiptsHeading")), ...parts];
}

function technicalOf({ say }, technical) {
  const rows = technical.map(([label, text]) => [label, [text]]);
  return element("details", {}, element("summary", {}, say("technical")), rowsOf(rows));
}

function rowsOf(rows) {
  const parts = rows.map(([label, texts]) => {
    const content = texts.length === 1 ? texts[0] : listOf(texts, false);
    return element("div", {}, element("dt", {}, label), element("dd", {}, content));
  });
  return element("dl", {}, ...parts);
}

function listOf(texts, isNumbered) {
  if (texts.length === 1 && !isNumbered) return element("p", {}, texts[0]);
  return element(isNumbered ? "ol" : "ul", {}, ...texts.map((text) => element("li", {}, text)));
}

function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// Until here the page says that it needs JavaScript: a browser that cannot run this never takes those words away.
if (globalThis.crypto?.subtle === undefined) {
  sayUnfit();
} else {
  byId("not-started").hidden = true;
  start();
}
