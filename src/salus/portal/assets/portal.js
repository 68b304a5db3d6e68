// Starts NHS.UK frontend's components, and marks an embedded letter that has the focus: to CSS it never has.
// A page is whole without this.
import { initAll } from "./nhsuk-frontend.js";

initAll();

const letters = document.querySelectorAll(".app-letter__file");

function mark() {
  for (const each of letters) each.classList.toggle("app-letter__file--read", document.activeElement === each);
}

// The focus is where it goes only after these events.
for (const moved of ["blur", "focus"]) window.addEventListener(moved, () => setTimeout(mark));
