// What the clients share: where the server is, who they are and about whom they ask (JSON on standard input), a backend service's signed
// assertion (RFC 7523), and steps, whose names are printed when they are done.

import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { importJWK, SignJWT } from "jose";

export const { base, app, key, patient } = JSON.parse(readFileSync(0, "utf8"));

export async function step(name, work) {
  const value = await work();
  console.log(name);
  return value;
}

export async function assertion(tokenUrl) {
  return new SignJWT({})
    .setProtectedHeader({ alg: "ES384", kid: key.kid, typ: "JWT" })
    .setIssuer(app)
    .setSubject(app)
    .setAudience(String(tokenUrl))
    .setExpirationTime("4m")
    .setJti(randomUUID())
    .sign(await importJWK(key, "ES384"));
}

// A token by SMART backend services, for libraries that leave this to the program.
export async function token(tokenUrl) {
  const answer = await fetch(tokenUrl, {
    method: "POST",
    body: new URLSearchParams({
      grant_type: "client_credentials",
      scope: "system/*.cruds",
      client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
      client_assertion: await assertion(tokenUrl),
    }),
  });
  return (await answer.json()).access_token;
}

export function observation(more = {}) {
  return {
    resourceType: "Observation",
    status: "final",
    code: { coding: [{ system: "http://loinc.org", code: "29463-7" }] },
    subject: { reference: `Patient/${patient}` },
    ...more,
  };
}

// Two resources of which the second points to the first by a name that holds within the transaction only.
export function transaction() {
  const first = `urn:uuid:${randomUUID()}`;
  const request = (method, url) => ({ method, url });
  const condition = { resourceType: "Condition", subject: { reference: `Patient/${patient}` }, code: { text: "Asthma" } };
  return {
    resourceType: "Bundle",
    type: "transaction",
    entry: [
      { fullUrl: first, resource: observation(), request: request("POST", "Observation") },
      {
        resource: { ...condition, evidence: [{ detail: [{ reference: first }] }] },
        request: request("POST", "Condition"),
      },
    ],
  };
}
