// The page itself: from the id in its address to the answer, one screen at a time.
//
// 1. Take the id out of the address and fetch the request, once.
// 2. Check the request and this browser.
// 3. Show what it means; wait for the person.
// 4. Put together what guardians gave, if it takes them, and see that it is theirs. Use the passkey; open or make the wallet.
// 5. Where the wallet does not know the choice that is to end, say so and ask again.
// 6. Where guardians were chosen, show the words of each, and wait until the person has them on paper.
// 7. Sign, send the answer, leave.
//
// Never: a cookie, storage, a word to the console, markup from a string, a call to anybody but the portal.

import { CHAIN, PORTAL } from "./configuration.js";
import { CHANGES_WALLET, GIVES_SHARES, TAKES_SHARES, checkItem, codeToType, custodiansIn } from "./kinds.js";
import { isDoubtful, itemsUnfit, linesOf, particularsOf, signAll } from "./kinds.js";
import { PasskeyClosed, PasskeyUnable, hasPasskeys, makePasskey, usePasskey } from "./passkey.js";
import { PortalAway, fetchRequest, leave, sendAnswer, takeId } from "./portal.js";
import { ClocksApart, RequestUnfit, deviceOf, readRequest } from "./requests.js";
import { SharesUnfit, combineShares, newSeed, splitSeed } from "./shares.js";
import { canSign } from "./signing.js";
import { STRINGS, say } from "./strings.js";
import { WalletRefuses, codeOf, newSalt, newWallet, saltOf, unwrap, wrap } from "./wallet.js";

let language = Object.keys(STRINGS).find((each) => navigator.language.startsWith(each)) ?? "en";
const main = document.getElementById("main");

// A tab that is here already loads the page anew for another request.
window.addEventListener("hashchange", () => location.reload());
await begin();

async function begin() {
  if (window.top !== window) return showProblem("framed", null);
  const id = takeId();
  if (id === null) return showProblem("away", null);
  try {
    const json = await fetchRequest(PORTAL, id); // 1
    const request = readRequest(json, { chain: CHAIN, nowS: Math.floor(Date.now() / 1000) }); // 2
    language = request.language;
    for (const item of request.items) checkItem(request, item);
    if (!hasPasskeys() || !(await canSign())) return showProblem("unable", id);
    showRequest(id, request); // 3
  } catch (error) {
    showFailure(error, id);
  }
}

async function approve(id, request, note, texts) {
  note();
  try {
    const given = texts ? await combineShares(texts) : null;
    const unfit = given ? await itemsUnfit(request, given) : [];
    if (unfit.length) return note(unfitWords(request, unfit));
    const used = request.kind === "create" ? await makeDevice(request) : await openDevice(request); // 4
    for (const item of request.items) {
      if (await isDoubtful(used.wallet, request, item)) return showDoubt(id, request, used); // 5
    }
    if (GIVES_SHARES.includes(request.kind)) return await showSheets(id, request, used, given); // 6
    await finish(id, request, used, { given });
  } catch (error) {
    if (error instanceof PasskeyClosed) note(say(language, "closed"));
    else if (error instanceof SharesUnfit) note(say(language, error.place ? "words_wrong" : "words_few", error));
    else showFailure(error, id);
  }
}

async function finish(id, request, { wallet, place, prf, salt, credential }, seeds) {
  const signed = await signAll(wallet, request, seeds); // 7
  const isChanged = CHANGES_WALLET.includes(request.kind);
  const blob = isChanged ? await wrap(signed.wallet, { place, prf, salt }) : null;
  const device = isChanged ? { id: place.device, credential, blob } : null;
  await sendAnswer(PORTAL, id, { device, items: signed.items });
  const isNewKey = request.kind === "create" || request.kind === "new-key";
  if (isNewKey && signed.items.length) return showCode(id, await codeOf(signed.items));
  leave(PORTAL, id);
}

async function makeDevice({ account, devices: [{ id: device, share }], person }) {
  const salt = newSalt();
  const { credential, prf } = await makePasskey({ device, person, salt });
  return { wallet: newWallet(), place: { account, device, share }, prf, salt, credential };
}

async function openDevice(request) {
  const passkeys = request.devices.map(({ credential, blob }) => ({ credential, salt: saltOf(blob) }));
  const { credential, prf } = await usePasskey(passkeys);
  const found = deviceOf(request, credential);
  if (!found) throw new WalletRefuses("expected one of the passkeys that were asked for");
  const place = { account: request.account, device: found.id, share: found.share };
  return { wallet: await unwrap(found.blob, { place, prf }), place, prf, salt: saltOf(found.blob), credential };
}

async function refuse(id, reason) {
  try {
    await sendAnswer(PORTAL, id, { refused: reason });
  } catch (error) {
    if (!(error instanceof PortalAway)) throw error; // the portal learns of it when the request ends
  }
  leave(PORTAL, id);
}

function showRequest(id, request) {
  const warning = element("p", { className: "warning", role: "alert", hidden: true });
  const note = (words = "") => {
    warning.hidden = !words;
    warning.textContent = words;
    setBusy(!words);
  };
  const code = request.kind === "add-key" ? codeField() : null;
  const shares = TAKES_SHARES.includes(request.kind) ? sharesField() : null;
  const onApprove = async () => {
    if (code && code.value() !== (await codeToType(request)).replaceAll(" ", "")) return note(say(language, "code_wrong"));
    return approve(id, request, note, shares?.values());
  };
  show(
    say(language, `title.${request.kind}`),
    element("p", { textContent: say(language, `intro.${request.kind}`) }),
    ...cardsOf(request),
    ...(code ? code.elements : []),
    ...(shares ? shares.elements : []),
    warning,
    button("go", "approve", onApprove),
    button("other", "refuse", () => refuse(id, "person")),
    element("p", { className: "quiet", textContent: say(language, "from_portal", { portal: new URL(PORTAL).host }) }),
    ...(request.items.length ? [particulars(request)] : []),
  );
}

function showDoubt(id, request, used) {
  const onAnyway = async () => {
    setBusy(true);
    try {
      await finish(id, request, used);
    } catch (error) {
      showFailure(error, id);
    }
  };
  show(
    say(language, `title.${request.kind}`),
    element("p", { className: "warning", textContent: say(language, "doubt") }),
    ...cardsOf(request),
    button("go", "anyway", onAnyway),
    button("other", "refuse", () => refuse(id, "person")),
  );
}

// Words of other people, or of the other list on the paper; for some of the records perhaps the right ones.
function unfitWords(request, unfit) {
  const isAll = unfit.length === request.items.length;
  return isAll ? say(language, "words_other") : say(language, "words_some", { names: custodiansIn(request, unfit) });
}

// Each guardian's words on a sheet of its own. They are on this page, and nowhere else, until it is left: a browser that
// translates pages would send them to whoever does that for it, and show others.
async function showSheets(id, request, used, given) {
  const { guardians, threshold, second } = request.items[0];
  const seeds = { given, first: newSeed(), second: second ? newSeed() : null };
  const first = await splitSeed(seeds.first, threshold, guardians.length);
  const other = second ? await splitSeed(seeds.second, second, guardians.length) : [];
  const onDone = async () => {
    setBusy(true);
    try {
      await finish(id, request, used, seeds);
    } catch (error) {
      showFailure(error, id);
    }
  };
  show(
    say(language, "sheets"),
    element("p", { className: "screen", textContent: say(language, "sheets_how") }),
    ...guardians.map((name, place) => sheetOf(name, first[place], other[place], request.items[0])),
    button("other", "print", () => window.print()),
    button("go", "have_them", onDone),
    button("other", "refuse", () => refuse(id, "person")),
  );
}

function sheetOf(name, words, more, { threshold, second }) {
  const lists = [wordsOf("words_first", threshold, words), ...(more ? [wordsOf("words_second", second, more)] : [])];
  return element(
    "section",
    { className: "card sheet" },
    element("h2", { textContent: say(language, "sheet_for", { name }) }),
    element("p", { textContent: say(language, "sheet_what") }),
    ...lists.flat(),
  );
}

function wordsOf(key, count, words) {
  const items = words.split(" ").map((word) => element("li", { textContent: word }));
  const list = element("ol", { className: "words", translate: false }, ...items);
  return [element("h3", { textContent: say(language, key, { count }) }), list];
}

function showCode(id, code) {
  show(
    say(language, "code_show"),
    element("p", { className: "code", textContent: code, translate: false }),
    element("p", { textContent: say(language, "code_use") }),
    button("go", "go_on", () => leave(PORTAL, id)),
  );
}

function showFailure(error, id) {
  const kinds = [
    [PortalAway, "away"], [RequestUnfit, "request"], [ClocksApart, "clock"],
    [PasskeyUnable, "unable"], [WalletRefuses, "wallet"],
  ];
  const [, problem] = kinds.find(([kind]) => error instanceof kind) ?? [];
  showProblem(problem ?? "away", id);
  if (!problem) throw error; // a mistake of ours
}

function showProblem(problem, id) {
  const isToldOf = ["unable", "request", "clock", "wallet"].includes(problem);
  const onBack = () => (isToldOf ? refuse(id, problem) : location.replace(PORTAL));
  show(
    say(language, `problem.${problem}`),
    element("p", { textContent: say(language, `problem.${problem}.words`) }),
    ...(problem === "framed" ? [] : [button("go", "go_back", onBack)]),
  );
}

// Items that say the same are one card, with all their custodians.
function cardsOf(request) {
  const groups = new Map();
  for (const item of request.items) {
    const lines = linesOf(request, item);
    const said = JSON.stringify(lines);
    groups.set(said, { lines, items: [...(groups.get(said)?.items ?? []), item] });
  }
  return [...groups.values()].map(({ lines, items }) =>
    element(
      "section",
      { className: "card" },
      element("h2", { textContent: say(language, "custodians", { names: custodiansIn(request, items) }) }),
      element("ul", {}, ...lines.map(lineOf)),
    ),
  );
}

// An exception stands further in than what it is an exception to.
function lineOf({ path = "1", words }) {
  const level = path.split(".").length;
  return element("li", { className: level === 1 ? "" : `exception level-${level}`, textContent: words });
}

function particulars(request) {
  const lists = request.items.map((item) => {
    const rows = particularsOf(request, item);
    const pairs = rows.flatMap(({ term, value }) => [
      element("dt", { textContent: term }),
      element("dd", { textContent: value }),
    ]);
    return element("dl", {}, ...pairs);
  });
  return element("details", {}, element("summary", { textContent: say(language, "exactly") }), ...lists);
}

function codeField() {
  const hint = element("p", { className: "quiet", id: "code-hint", textContent: say(language, "code_hint") });
  const input = element("input", { id: "code", autocomplete: "off", spellcheck: false });
  input.setAttribute("aria-describedby", hint.id);
  const label = element("label", { htmlFor: "code", textContent: say(language, "code_ask") });
  return { elements: [label, hint, input], value: () => input.value.toUpperCase().replace(/[\s-]/g, "") };
}

// One guardian's words a paragraph.
function sharesField() {
  const hint = element("p", { className: "quiet", id: "shares-hint", textContent: say(language, "words_hint") });
  const input = element("textarea", { id: "shares", rows: 10, autocomplete: "off", spellcheck: false });
  input.setAttribute("aria-describedby", hint.id);
  input.setAttribute("autocapitalize", "none");
  const label = element("label", { htmlFor: "shares", textContent: say(language, "words_ask") });
  const values = () => input.value.split(/\n\s*\n/).map((each) => each.trim()).filter(Boolean);
  return { elements: [label, hint, input], values };
}

function button(look, key, onPress) {
  const made = element("button", { type: "button", className: look, textContent: say(language, key) });
  made.addEventListener("click", onPress);
  return made;
}

function setBusy(isBusy) {
  for (const each of main.querySelectorAll("button")) each.disabled = isBusy;
}

function show(title, ...content) {
  document.documentElement.lang = language;
  document.title = `${title} – Salus`;
  document.getElementById("service").textContent = say(language, "service");
  const heading = element("h1", { textContent: title, tabIndex: -1 });
  main.replaceChildren(heading, ...content);
  heading.focus();
}

function element(name, properties, ...children) {
  const { role, ...rest } = properties;
  const made = Object.assign(document.createElement(name), rest);
  if (role) made.setAttribute("role", role);
  made.append(...children);
  return made;
}
