// Forms that a passkey fills in: what is to be signed is asked for, and the answer goes with the form (WebAuthn 5.1).
// Without a browser that can do this the forms stay hidden, and there is another way on the page.

const can = window.PublicKeyCredential?.parseRequestOptionsFromJSON !== undefined;

async function asked(form) {
  const body = new URLSearchParams({ form: form.elements.form.value });
  const response = await fetch(form.dataset.ask, { method: "POST", body });
  if (!response.ok) throw new Error(`expected what to sign, came ${response.status}`);
  return (await response.json()).publicKey;
}

async function fill(form) {
  const options = await asked(form);
  const credential =
    form.dataset.passkey === "create"
      ? await navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options) })
      : await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options) });
  form.elements.answer.value = JSON.stringify(credential.toJSON());
}

for (const form of can ? document.querySelectorAll("form[data-passkey]") : []) {
  form.hidden = false;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const failed = form.querySelector("[role=alert]");
    failed.hidden = true;
    fill(form).then(
      () => form.submit(),
      () => {
        failed.textContent = form.dataset.failed;
        failed.hidden = false;
      },
    );
  });
}
