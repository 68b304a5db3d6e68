// Asks the browser to be told when something has changed (Push API); what it answers goes with the form.
// Where the browser cannot, the form stays hidden, and there is e-mail.

const form = document.querySelector("form[data-push]");
const can = form !== null && "serviceWorker" in navigator && "PushManager" in window && "Notification" in window;

async function fill() {
  if ((await Notification.requestPermission()) !== "granted") throw new Error("expected to be allowed");
  await navigator.serviceWorker.register("/push.js");
  const worker = await navigator.serviceWorker.ready;
  const subscription = await worker.pushManager.subscribe({
    userVisibleOnly: true,
    applicationServerKey: form.dataset.push,
  });
  form.elements.answer.value = JSON.stringify(subscription);
}

if (can) {
  form.hidden = false;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const failed = form.querySelector("[role=alert]");
    failed.hidden = true;
    fill().then(
      () => form.submit(),
      () => {
        failed.textContent = form.dataset.failed;
        failed.hidden = false;
      },
    );
  });
}
