// Opens a link that a patient gave out (SMART Health Links), in the browser: the key stands behind the `#`, which no
// browser sends to anybody, so it is read here and used here. Asks this page's own origin and nobody else.

// What is said elsewhere on the page: the person, and the bytes of letters.
const HIDDEN = new Set(["Patient", "Binary"]);
const PREFIX = "#shlink:/";
const NHS_NUMBER = "https://fhir.nhs.uk/Id/nhs-number";
const EMBEDDED_MAX = 16_000_000;
const SAFE_ADDRESS = /^\/link\/[A-Za-z0-9_-]{43}$/;
const page = document.querySelector("[data-shared-link]");
const words = JSON.parse(page.dataset.words);
const sections = JSON.parse(page.dataset.sections);
// Browsers that have no Welsh take the English of these islands, not their own.
const locale = document.documentElement.lang === "cy" ? ["cy", "en-GB"] : "en-GB";

const bytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (each) => each.charCodeAt(0));
const utf8 = (array) => new TextDecoder("utf-8", { fatal: true }).decode(array);

// The payload of the link in the address; null for what is none of this service's.
function read() {
  try {
    const payload = JSON.parse(utf8(bytes(location.hash.slice(PREFIX.length))));
    const url = new URL(payload.url);
    const isOurs = url.origin === location.origin && SAFE_ADDRESS.test(url.pathname);
    const isWhole = typeof payload.key === "string" && bytes(payload.key).length === 32;
    return location.hash.startsWith(PREFIX) && isOurs && isWhole && !url.search ? payload : null;
  } catch {
    return null;
  }
}

// Shows one part of the page, with its own heading and title.
function show(name) {
  for (const part of page.querySelectorAll("[data-part]")) part.hidden = part.dataset.part !== name;
  const heading = page.querySelector(`[data-part="${name}"]`).dataset.heading;
  document.querySelector("h1").textContent = heading;
  document.title = `${heading} - ${document.title.split(" - ").at(-1)}`;
}

async function opened(payload, recipient, passcode) {
  const asked = { recipient, passcode, embeddedLengthMax: EMBEDDED_MAX };
  const response = await fetch(payload.url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(asked),
    credentials: "omit",
  });
  if (!response.ok) throw Object.assign(new Error(String(response.status)), { response });
  const [file] = (await response.json()).files;
  const text = file.embedded ?? (await (await fetch(file.location, { credentials: "omit" })).text());
  return JSON.parse(utf8(await decrypted(payload.key, text)));
}

// JWE compact, dir with A256GCM, deflated (RFC 7516, RFC 7518 5.3).
async function decrypted(key, text) {
  const [header, , nonce, encrypted, tag] = text.split(".");
  const fields = JSON.parse(utf8(bytes(header)));
  if (fields.alg !== "dir" || fields.enc !== "A256GCM" || fields.zip !== "DEF") throw new Error("another encryption");
  const secret = await crypto.subtle.importKey("raw", bytes(key), "AES-GCM", false, ["decrypt"]);
  const how = { name: "AES-GCM", iv: bytes(nonce), additionalData: new TextEncoder().encode(header) };
  const plain = await crypto.subtle.decrypt(how, secret, new Uint8Array([...bytes(encrypted), ...bytes(tag)]));
  const whole = new Blob([plain]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Uint8Array(await new Response(whole).arrayBuffer());
}

const concept = (found) => {
  const one = Array.isArray(found) ? found[0] : found;
  return one?.text ?? one?.coding?.find((each) => each.display)?.display ?? "";
};
const named = (each) =>
  each.description ||
  concept(each.code ?? each.medicationCodeableConcept ?? each.vaccineCode ?? each.type ?? each.category) ||
  each.name?.[0]?.text ||
  words.unnamed;
const dated = (each) =>
  each.effectiveDateTime ??
  each.effectivePeriod?.start ??
  each.authoredOn ??
  each.occurrenceDateTime ??
  each.performedDateTime ??
  each.performedPeriod?.start ??
  each.onsetDateTime ??
  each.recordedDate ??
  each.period?.start ??
  each.date ??
  each.started ??
  "";

function day(text) {
  const moment = new Date(text);
  if (!text || Number.isNaN(moment.getTime())) return "";
  const how = text.length < 5 ? { year: "numeric" } : text.length < 8 ? { year: "numeric", month: "long" } : { dateStyle: "long" };
  return new Intl.DateTimeFormat(locale, { ...how, timeZone: "Europe/London" }).format(moment);
}

function value(each) {
  const parts = each.component ?? [each];
  const said = parts.map((part) => {
    const quantity = part.valueQuantity;
    const text = quantity
      ? [quantity.comparator, quantity.value, quantity.unit ?? quantity.code].filter((one) => one !== undefined).join(" ")
      : (part.valueString ?? concept(part.valueCodeableConcept));
    return parts.length > 1 && text ? `${concept(part.code)}: ${text}` : text;
  });
  return said.filter(Boolean).join(", ");
}

function element(name, text, className = "") {
  const made = document.createElement(name);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

function entry(resource) {
  const item = element("li", "", "app-entry");
  item.append(element("strong", named(resource)));
  const told = [value(resource), (resource.dosageInstruction ?? []).map((each) => each.text).join(", "), day(dated(resource))];
  for (const each of told.filter(Boolean)) item.append(document.createElement("br"), each);
  return item;
}

// The files of letters: text is shown, whatever else is saved.
function files({ address, resource }, at) {
  const found = [];
  for (const { attachment } of resource.content ?? []) {
    const kept = attachment.url ? at.get(`${base(address)}/${attachment.url}`) : attachment;
    if (!kept?.data) continue;
    const type = (kept.contentType ?? attachment.contentType ?? "").split(";")[0];
    found.push(type === "text/plain" ? element("pre", utf8(bytes(kept.data)), "app-letter") : saved(kept.data, type));
  }
  return found;
}

// Under which an organisation's records stand; at its end is the organisation's code.
const base = (address) => address.split("/").slice(0, -2).join("/");

function saved(data, type) {
  const link = element("a", words.save);
  link.href = URL.createObjectURL(new Blob([bytes(data)], { type: "application/octet-stream" }));
  link.download = type === "application/pdf" ? "letter.pdf" : "letter.bin";
  return link;
}

function render(bundle) {
  const at = new Map(bundle.entry.map((each) => [each.fullUrl, each.resource]));
  const composition = bundle.entry[0].resource;
  const record = page.querySelector("[data-record]");
  record.replaceChildren(about(at.get(composition.subject.reference)), origin(composition));
  const names = new Map(composition.author.map((each) => [each.identifier.value, each.display]));
  for (const section of composition.section) {
    const title = sections[section.code.coding[0].code] ?? section.title;
    record.append(element("h2", title, "nhsuk-heading-m"));
    const list = element("ul", "", "nhsuk-list nhsuk-list--border");
    for (const { reference: address } of section.entry ?? []) {
      const resource = at.get(address);
      if (HIDDEN.has(resource.resourceType)) continue;
      const item = entry(resource);
      if (names.size > 1) item.append(document.createElement("br"), names.get(base(address).split("/").at(-1)));
      for (const each of files({ address, resource }, at)) item.append(document.createElement("br"), each);
      list.append(item);
    }
    const missing = (section.author ?? []).map((each) => words.silent.replace("%(organisation)s", each.display));
    if (list.children.length) record.append(list);
    else for (const each of missing.length ? missing : [words.nothing]) record.append(element("p", each));
  }
  const file = page.querySelector("[data-save]");
  file.href = URL.createObjectURL(new Blob([JSON.stringify(bundle)], { type: "application/octet-stream" }));
}

// Whose record it is.
function about(patient) {
  const name = patient?.name?.[0];
  const whole = name?.text ?? [...(name?.prefix ?? []), ...(name?.given ?? []), name?.family].filter(Boolean).join(" ");
  const number = patient?.identifier?.find((each) => each.system === NHS_NUMBER)?.value;
  const said = [
    whole,
    patient?.birthDate && `${words.born} ${day(patient.birthDate)}`,
    number && `${words.number} ${number.replace(/^(\d{3})(\d{3})(\d{4})$/, "$1 $2 $3")}`,
  ];
  return element("p", said.filter(Boolean).join(", "), "nhsuk-lede-text");
}

function origin(composition) {
  const from = composition.author.map((each) => each.display).join(", ");
  return element("p", words.from.replace("%(organisation)s", from).replace("%(when)s", day(composition.date)));
}

function fault(field, text) {
  const input = page.querySelector(`#${field}`);
  const group = input.closest(".nhsuk-form-group");
  group.querySelector(".nhsuk-error-message")?.remove();
  group.classList.toggle("nhsuk-form-group--error", Boolean(text));
  input.classList.toggle("nhsuk-input--error", Boolean(text));
  input.setAttribute("aria-describedby", text ? `${field}-hint ${field}-error` : `${field}-hint`);
  if (!text) return;
  const line = element("span", text, "nhsuk-error-message");
  line.id = `${field}-error`;
  input.before(line);
  input.focus();
}

async function submit(payload, form) {
  const { recipient, passcode } = form.elements;
  fault("passcode", passcode.value.trim() ? "" : words.passcode_missing);
  fault("recipient", recipient.value.trim() ? "" : words.recipient_missing);
  if (!recipient.value.trim() || !passcode.value.trim()) return;
  const button = form.querySelector("button");
  button.disabled = true;
  try {
    render(await opened(payload, recipient.value, passcode.value.trim()));
    history.replaceState(null, "", location.pathname); // the key stays in no history of the browser's
    show("record");
  } catch (error) {
    failed(error.response?.status, error.response && (await error.response.json().catch(() => ({}))));
  } finally {
    button.disabled = false;
  }
}

function failed(status, said) {
  if (status === 401 && said.remainingAttempts > 0) {
    fault("passcode", words.passcode_wrong.replace("%(count)s", said.remainingAttempts));
  } else if (status === 401) {
    show("guessed");
  } else if (status === 404) {
    show("ended");
  } else {
    show("later");
  }
}

function begin() {
  for (const each of document.querySelectorAll('a[href^="/language/"]')) each.hash = location.hash;
  const payload = read();
  if (payload === null) return show("none");
  if (payload.exp && payload.exp * 1000 <= Date.now()) return show("ended");
  page.querySelector("[data-label]").textContent = payload.label ?? "";
  const form = page.querySelector("form");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit(payload, form);
  });
  page.querySelector("[data-again]").addEventListener("click", () => show("ask"));
  return show("ask");
}

begin();
window.addEventListener("hashchange", () => location.hash && location.reload());
