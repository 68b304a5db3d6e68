// Starts NHS.UK frontend's components, marks an embedded letter that has the focus: to CSS it never has, and keeps the
// focus where it was on a page that fills in. A page is whole without this.
import { initAll } from "./nhsuk-frontend.js";

const CONTROLS = "a[href], button, input, select, summary, textarea";

initAll();

const letters = document.querySelectorAll(".app-letter__file");
let had = "";

function mark() {
  for (const each of letters) each.classList.toggle("app-letter__file--read", document.activeElement === each);
}

// By what a control is known once another is in its place.
function nameOf(control) {
  const leads = control.getAttribute("href") ?? control.form?.getAttribute("action");
  return [control.tagName, leads, control.name, control.value, control.textContent.trim()].join("\n");
}

function remember() {
  had = nameOf(document.activeElement);
}

function goBack() {
  if (document.activeElement !== document.body) return;
  const same = [...document.querySelectorAll(CONTROLS)].find((each) => nameOf(each) === had);
  same?.focus({ preventScroll: true });
}

// The focus is where it goes only after these events.
for (const moved of ["blur", "focus"]) window.addEventListener(moved, () => setTimeout(mark));
document.addEventListener("htmx:before:swap", remember);
document.addEventListener("htmx:after:swap", goBack);
