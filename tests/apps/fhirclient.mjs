// npm fhirclient, as a program without a browser uses it; smart_app is what a browser does with it.

import assert from "node:assert/strict";
import smart from "fhirclient";
import { base, observation, patient, step, token, transaction } from "./steps.mjs";

let client;

await step("signs in", async () => {
  const known = await (await fetch(`${base}/.well-known/smart-configuration`)).json();
  const tokenResponse = { access_token: await token(known.token_endpoint), token_type: "Bearer" };
  client = smart({}, {}, {}).client({ serverUrl: base, tokenResponse });
  assert.equal(await client.getFhirRelease(), 4);
});
const created = await step("creates", () => client.create(observation()));
const address = `Observation/${created.id}`;
await step("reads", async () => assert.deepEqual(await client.request(address), created));
await step("updates", async () => {
  assert.equal((await client.update({ ...created, status: "amended" })).status, "amended");
});
await step("patches", async () => {
  const patched = await client.patch(address, [{ op: "replace", path: "/status", value: "corrected" }]);
  assert.equal(patched.status, "corrected");
});
await step("searches", async () => {
  const found = await client.request(`Observation?patient=${patient}&status=corrected&_include=Observation:subject`, {
    flat: true,
  });
  assert.deepEqual(found.map((each) => each.id).sort(), [patient, created.id].sort());
  const resolved = await client.request(address, { resolveReferences: "subject", graph: true });
  assert.equal(resolved.subject.birthDate, "1980-02-29");
});
await step("pages", async () => {
  const every = await client.request(`Observation?patient=${patient}&_count=4`, { pageLimit: 0, flat: true });
  assert.equal(new Set(every.map((each) => each.id)).size, 6);
});
await step("sends a transaction", async () => {
  const headers = { "content-type": "application/fhir+json" };
  const sent = { url: base, method: "POST", body: JSON.stringify(transaction()), headers };
  const done = await client.request(sent);
  assert.deepEqual(done.entry.map((each) => each.response.status.slice(0, 3)), ["201", "201"]);
});
await step("deletes", async () => {
  await client.delete(address);
  await assert.rejects(client.request(address), (error) => error.status === 410);
});
