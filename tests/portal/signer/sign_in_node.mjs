// Signs requests as the page does once the passkey has opened the wallet: in Node, for the portal's side to be tried.
// Standard input: {chain, now_s, seed, recovery, relationships, requests}; the folder of the page is the argument.

import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const load = (name) => import(`${pathToFileURL(process.argv[2])}/${name}.js`);
const [{ base64url, fromBase64url }, { readRequest }, kinds, { wrap }] = await Promise.all(
  ["bytes", "requests", "kinds", "wallet"].map(load),
);
const { chain, now_s: nowS, seed, recovery, relationships, requests } = JSON.parse(readFileSync(0, "utf8"));
const wallet = {
  seed: fromBase64url(seed),
  relationships: relationships.map(([custodian, pseudonym]) => {
    return { chain, custodian, pseudonym: fromBase64url(pseudonym), keyNumber: 0 };
  }),
};

const [given, first, second] = recovery.map((each) => fromBase64url(each));
const seeds = { given, first, second };
const answers = [];
for (const json of requests) {
  const request = readRequest(json, { chain, nowS });
  for (const item of request.items) kinds.checkItem(request, item);
  const signed = await kinds.signAll(wallet, request, seeds);
  const [{ id, share, credential }] = request.devices;
  const terms = { place: { account: request.account, device: id, share }, prf: new Uint8Array(32), salt: new Uint8Array(32) };
  const blob = kinds.CHANGES_WALLET.includes(request.kind) ? await wrap(signed.wallet, terms) : null;
  const device = blob && { id, credential: credential ?? new Uint8Array(16), blob };
  const answer = { format: 1, device, items: signed.items };
  answers.push(JSON.stringify(answer, (_, value) => (value instanceof Uint8Array ? base64url(value) : value)));
}
console.log(JSON.stringify(answers));
