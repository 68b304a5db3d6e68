// Who is trusted: a trust root, or a trust store that grew from one (docs/spec/proofs.md).

import { fromBase64, same } from "./bytes.js";
import { inOrder, isSet, readSignedHeader, setHash } from "./header.js";
import { readJson } from "./json.js";
import { need, step } from "./refusal.js";

const AT = step("trust", 0);
const ROOT_BYTES_MAX = 2 ** 20;
const STORE_BYTES_MAX = 2 ** 24;
const SECONDS_END = 2n ** 40n;
const CONFLICTS_MAX = 16;
const SOURCE_SIZE_MAX = 1000;
const ROOT_NAMES = ["format", "chain", "genesis_hash", "engine", "validators", "trusted_at_s", "trusting_period_s"];
const STORE_NAMES = ["format", "root", "newest", "followed_at_s", "source", "witness", "conflicts"];

/**
 * Read a trust file.
 *
 * Returns chain, engine, names (the key's bytes joined → organisation), set (in the order of a set), trustedAtS,
 * periodS; `newest` is the trusted signed header of a store, null for a root.
 */
export async function readTrust(file) {
  need(AT, file.length <= STORE_BYTES_MAX);
  const content = readJson(file);
  need(AT, content instanceof Map);
  if (content.get("format") !== 2n) {
    need(AT, file.length <= ROOT_BYTES_MAX);
    return readRoot(content);
  }
  return readStore(content);
}

async function readRoot(content) {
  const [format, chain, genesisHash, engine, validators, trustedAtS, periodS] = members(content, ROOT_NAMES);
  need(AT, format === 1n && isText(chain, 1, 50) && base64(genesisHash).length === 32);
  need(AT, Array.isArray(validators) && (engine === "cometbft" || (engine === "embedded" && validators.length === 1)));
  need(AT, isNumber(trustedAtS, 0n) && isNumber(periodS, 1n));
  const named = validators.map(readValidator);
  need(AT, isSet(named));
  return {
    chain,
    genesisHash: base64(genesisHash),
    engine,
    names: new Map(named.map(({ key, organisation }) => [key.join(), organisation])),
    set: await inOrder(named),
    trustedAtS: Number(trustedAtS),
    periodS: Number(periodS),
    newest: null,
  };
}

function readValidator(content) {
  const [organisation, key, power] = members(content, ["organisation", "public_key", "power"]);
  need(AT, typeof organisation === "string" && /^[A-Z0-9]{2,12}$/.test(organisation) && typeof power === "bigint");
  return { organisation, key: base64(key), power };
}

async function readStore(content) {
  const [, rootContent, newest, followedAtS, source, witness, conflicts] = members(content, STORE_NAMES);
  const root = await readRoot(rootContent);
  const { signed, set } = readLightBlock(newest);
  need(AT, signed !== null && isSet(set) && signed.header.chain === root.chain);
  need(AT, same(signed.header.validatorsHash, await setHash(set)));
  need(AT, isNumber(followedAtS, 0n) && isText(source, 0, SOURCE_SIZE_MAX) && isText(witness, 0, SOURCE_SIZE_MAX));
  need(AT, Array.isArray(conflicts) && conflicts.length <= CONFLICTS_MAX);
  conflicts.forEach(checkConflict);
  return { ...root, set, newest: signed };
}

function checkConflict(content) {
  const [height, followed, witnessed, refusal] = members(content, ["height", "followed", "witnessed", "refusal"]);
  need(AT, typeof height === "bigint" && height >= 1n && typeof refusal === "string");
  need(AT, readLightBlock(followed).signed !== null);
  need(AT, readLightBlock(witnessed).signed !== null || refusal !== "");
}

function readLightBlock(content) {
  need(AT, Array.isArray(content) && content.length === 2 && Array.isArray(content[1]));
  const set = content[1].map((pair) => {
    need(AT, Array.isArray(pair) && pair.length === 2 && typeof pair[1] === "bigint");
    return { key: base64(pair[0]), power: pair[1] };
  });
  return { signed: readSignedHeader(base64(content[0])), set };
}

/** The values of an object that has each of these names once, in this order, and no other. */
function members(content, names) {
  need(AT, content instanceof Map && [...content.keys()].join() === names.join());
  return [...content.values()];
}

function base64(content) {
  const data = typeof content === "string" ? fromBase64(content) : null;
  need(AT, data !== null);
  return data;
}

const isNumber = (content, least) => typeof content === "bigint" && content >= least && content < SECONDS_END;

const isText = (content, least, most) =>
  typeof content === "string" && [...content].length >= least && [...content].length <= most;
