// npm fhir-kit-client: every step by the library's own calls.

import assert from "node:assert/strict";
import { Client } from "fhir-kit-client";
import { base, observation, patient, step, token, transaction } from "./steps.mjs";

const client = new Client({ baseUrl: base });
const resourceType = "Observation";

await step("signs in", async () => {
  const { tokenUrl } = await client.smartAuthMetadata();
  client.bearerToken = await token(tokenUrl);
});
const created = await step("creates", () => client.create({ resourceType, body: observation() }));
const { id } = created;
await step("reads", async () => assert.deepEqual(await client.read({ resourceType, id }), created));
await step("updates", async () => {
  const updated = await client.update({ resourceType, id, body: { ...created, status: "amended" } });
  assert.equal(updated.status, "amended");
  const first = await client.vread({ resourceType, id, version: created.meta.versionId });
  assert.equal(first.status, "final");
});
await step("patches", async () => {
  const jsonPatch = [{ op: "replace", path: "/status", value: "corrected" }];
  assert.equal((await client.patch({ resourceType, id, jsonPatch })).status, "corrected");
  assert.equal((await client.history({ resourceType, id })).entry.length, 3);
});
await step("searches", async () => {
  const found = await client.search({ resourceType, searchParams: { patient, status: "corrected" } });
  assert.deepEqual(found.entry.map((each) => each.resource.id), [id]);
  const compartment = { resourceType: "Patient", id: patient };
  assert.equal((await client.search({ resourceType, compartment })).total, 6);
});
await step("pages", async () => {
  const seen = new Set();
  let page = await client.search({ resourceType, searchParams: { patient, _count: 4 } });
  for (; page; page = await client.nextPage({ bundle: page })) {
    page.entry.forEach((each) => seen.add(each.resource.id));
  }
  assert.equal(seen.size, 6);
});
await step("sends a transaction", async () => {
  const done = await client.transaction({ body: transaction() });
  assert.deepEqual(done.entry.map((each) => each.response.status.slice(0, 3)), ["201", "201"]);
  const [first, second] = done.entry.map((each) => each.response.location.split("/_history")[0]);
  const condition = await client.request(second);
  assert.ok(first.endsWith(condition.evidence[0].detail[0].reference));
});
await step("deletes", async () => {
  await client.delete({ resourceType, id });
  await assert.rejects(client.read({ resourceType, id }), (error) => error.response.status === 410);
});
