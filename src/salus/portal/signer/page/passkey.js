// The passkey: made and used on this origin alone, with user verification, for nothing but the secret that its PRF yields.

import { base64url, random } from "./bytes.js";

const ALGORITHMS = [-8, -7, -257]; // EdDSA, ES256, RS256: its signatures are never looked at
const TIMEOUT_MS = 300_000;
const USER_VERIFIED = 0x04; // WebAuthn 6.1, flags

// The browser or the passkey has no PRF, or does not verify who uses it.
export class PasskeyUnable extends Error {}

// The person closed the dialog, or it waited too long.
export class PasskeyClosed extends Error {}

export function hasPasskeys() {
  return Boolean(globalThis.PublicKeyCredential && navigator.credentials);
}

// Returns {credential: its id, prf}. `device` is the id under which the authenticator keeps it.
export async function makePasskey({ device, person, salt }) {
  const publicKey = {
    rp: { id: location.hostname, name: "Salus" },
    user: { id: device, name: person, displayName: person },
    challenge: random(32),
    pubKeyCredParams: ALGORITHMS.map((alg) => ({ type: "public-key", alg })),
    authenticatorSelection: { residentKey: "required", requireResidentKey: true, userVerification: "required" },
    timeout: TIMEOUT_MS,
    extensions: { prf: { eval: { first: salt } } },
  };
  const made = await asked(() => navigator.credentials.create({ publicKey }));
  const credential = new Uint8Array(made.rawId);
  const { prf } = made.getClientExtensionResults();
  if (!prf?.enabled || !isVerified(made.response.getAuthenticatorData())) {
    await forget(credential);
    throw new PasskeyUnable("expected a passkey with PRF and user verification");
  }
  if (prf.results?.first) return { credential, prf: new Uint8Array(prf.results.first) };
  const used = await usePasskey([{ credential, salt }]); // some tell only afterwards
  return { credential, prf: used.prf };
}

// Returns {credential, prf} of the one of these that the person used; `passkeys` are {credential, salt}.
export async function usePasskey(passkeys) {
  const byCredential = passkeys.map(({ credential, salt }) => [base64url(credential), { first: salt }]);
  const publicKey = {
    rpId: location.hostname,
    challenge: random(32),
    allowCredentials: passkeys.map(({ credential }) => ({ type: "public-key", id: credential })),
    userVerification: "required",
    timeout: TIMEOUT_MS,
    extensions: { prf: { evalByCredential: Object.fromEntries(byCredential) } },
  };
  const used = await asked(() => navigator.credentials.get({ publicKey }));
  const first = used.getClientExtensionResults().prf?.results?.first;
  if (!first || !isVerified(used.response.authenticatorData)) {
    throw new PasskeyUnable("expected a passkey with PRF and user verification");
  }
  return { credential: new Uint8Array(used.rawId), prf: new Uint8Array(first) };
}


async function asked(dialog) {
  try {
    return await dialog();
  } catch (error) {
    if (!(error instanceof DOMException)) throw error;
    if (error.name === "NotAllowedError" || error.name === "AbortError") throw new PasskeyClosed(error.name);
    throw new PasskeyUnable(error.name);
  }
}

function isVerified(authenticatorData) {
  return Boolean(new Uint8Array(authenticatorData)[32] & USER_VERIFIED);
}

// A passkey that cannot be used here need not stay in the person's list, where the browser knows how to take it out.
async function forget(credential) {
  const { signalUnknownCredential } = PublicKeyCredential;
  if (!signalUnknownCredential) return;
  await PublicKeyCredential.signalUnknownCredential({ rpId: location.hostname, credentialId: base64url(credential) });
}
