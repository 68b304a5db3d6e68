// npm @medplum/core: every step by the library's own calls.

import assert from "node:assert/strict";
import { MedplumClient } from "@medplum/core";
import { assertion, base, observation, patient, step, transaction } from "./steps.mjs";

const at = new URL(base);
const tokenUrl = `${at.origin}/oauth/token`;
const client = new MedplumClient({ baseUrl: at.origin, fhirUrlPath: at.pathname, tokenUrl, extendedMode: false });

await step("signs in", async () => client.startJwtAssertionLogin(await assertion(tokenUrl)));
const created = await step("creates", () => client.createResource(observation()));
const { id } = created;
await step("reads", async () => assert.deepEqual(await client.readResource("Observation", id), created));
await step("updates", async () => {
  assert.equal((await client.updateResource({ ...created, status: "amended" })).status, "amended");
  assert.equal((await client.readVersion("Observation", id, created.meta.versionId)).status, "final");
});
await step("patches", async () => {
  const operations = [{ op: "replace", path: "/status", value: "corrected" }];
  assert.equal((await client.patchResource("Observation", id, operations)).status, "corrected");
  assert.equal((await client.readHistory("Observation", id)).entry.length, 3);
});
await step("searches", async () => {
  const found = await client.searchResources("Observation", { patient, status: "corrected" });
  assert.deepEqual(found.map((each) => each.id), [id]);
  assert.equal((await client.searchOne("Patient", `identifier=${patient}`)).id, patient);
});
await step("pages", async () => {
  const seen = new Set();
  for await (const page of client.searchResourcePages("Observation", `patient=${patient}&_count=4`)) {
    page.forEach((each) => seen.add(each.id));
  }
  assert.equal(seen.size, 6);
});
await step("sends a transaction", async () => {
  const done = await client.executeBatch(transaction());
  assert.deepEqual(done.entry.map((each) => each.response.status.slice(0, 3)), ["201", "201"]);
});
await step("deletes", async () => {
  await client.deleteResource("Observation", id);
  const gone = (error) => error.outcome.resourceType === "OperationOutcome";
  await assert.rejects(client.readResource("Observation", id), gone);
});
