// Says early that scripts run, so that components show what needs them (NHS.UK frontend's own marks).
document.documentElement.classList.add("js-enabled", "nhsuk-frontend-supported");
document.addEventListener("DOMContentLoaded", () => {
  document.body.classList.add("js-enabled", "nhsuk-frontend-supported");
});
