// Says early that scripts run, so that components show what needs them (NHS.UK frontend's own marks).
document.body.classList.add("js-enabled", "nhsuk-frontend-supported");
