// Leaves at once: the page is emptied, the browser signed out, and the place in its history given to another page.
// Without this the form does it, and nothing is said of Shift.

const TIMES = 3;
const WITHIN_MS = 5000;
const form = document.querySelector("form[data-leave]");
let pressed = [];
for (const each of document.querySelectorAll("[data-shift]")) each.hidden = false;

function leave() {
  navigator.sendBeacon(form.action, new URLSearchParams(new FormData(form)));
  document.title = "";
  document.body.replaceChildren();
  location.replace(form.dataset.leave);
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  leave();
});

addEventListener("keyup", (event) => {
  pressed = event.key === "Shift" ? [...pressed.filter((at) => event.timeStamp - at < WITHIN_MS), event.timeStamp] : [];
  if (pressed.length >= TIMES) leave();
});
