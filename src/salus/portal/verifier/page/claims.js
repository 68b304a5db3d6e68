// A signed state, and what is claimed under it: outcomes, rows, a whole history (docs/spec/proofs.md).

import { ascii, bigEndian, join, same, ZEROS } from "./bytes.js";
import {
  fits, headerHash, isCommitted, nanosecondsOf, powerOf, readSignedHeader, SECOND_NS, votersOf,
} from "./header.js";
import { hash, leafHash, nodeHash, rootByPath, tagged } from "./hashing.js";
import { encode } from "./msgpack.js";
import { need, step } from "./refusal.js";
import { bytes, count, digest, inside, list, number, seconds, sized, struct, upTo, wide } from "./shapes.js";

const PATH_MAX = 53;
const CLOCK_DRIFT_S = 10n;

const VALIDATOR = struct({ key: bytes, power: wide });
export const SIGNED_STATE = struct({
  state: struct({ treeRoot: digest, logSize: count, logRoot: digest }),
  header: bytes,
  validators: list(VALIDATOR),
});
export const OUTCOME_PROOF = struct({ leaf: bytes, index: count, path: list(digest, PATH_MAX) });
const TREE_PROOF = struct({ bitmap: upTo(32), siblings: upTo(8192), other: upTo(64) });
const ROW_PROOF = struct({ key: bytes, row: bytes, proof: TREE_PROOF });
const LEAF = struct({
  height: count,
  timeS: seconds,
  transaction: digest,
  index: number(256),
  code: number(2 ** 16),
  data: bytes,
});
const HISTORY_ROW = struct({ count, head: digest });

export function STATE_PROOF(at, item) {
  const proof = ROW_PROOF(at, item);
  need(at, proof.key.length > 0);
  return proof;
}

export const HISTORY_PROOF = struct({ pseudonym: sized(16), row: STATE_PROOF, leaves: list(bytes) });

/** The checklist `state`; `skip` under a trust store. */
export async function checkState(trust, { state, header: data, validators }, nowS) {
  if (trust.newest === null) need(step("state", 1), nowS < trust.trustedAtS + trust.periodS);
  const signed = readSignedHeader(data);
  need(step("state", 2), signed !== null);
  if (trust.newest === null) await checkUnderRoot(trust, signed, validators, nowS);
  else await checkUnderStore(trust, signed, validators, nowS);
  const appHash = await tagged("salus/app-hash/1", state.treeRoot, bigEndian(state.logSize, 8), state.logRoot);
  need(step("state", 6), same(signed.header.appHash, appHash));
  const voters = votersOf(signed.commit, validators);
  return {
    ...state,
    chain: trust.chain,
    engine: trust.engine,
    height: Number(signed.header.height),
    timeS: Number(signed.header.time.seconds),
    headerHash: await headerHash(signed.header),
    appHash,
    signers: voters.map(({ key }) => trust.names.get(key.join()) ?? ""),
    validatorCount: validators.length,
    powerSigned: powerOf(voters),
    powerTotal: powerOf(validators),
  };
}

async function checkUnderRoot(trust, signed, validators, nowS) {
  const areTrusted =
    validators.length === trust.set.length &&
    validators.every(({ key, power }, place) => same(key, trust.set[place].key) && power === trust.set[place].power);
  need(step("state", 3), areTrusted);
  const { chain, set } = trust;
  need(step("state", 4), (await fits(signed, chain, set)) && (await isCommitted(signed, chain, set)));
  need(step("state", 5), nanosecondsOf(signed.header.time) < (BigInt(nowS) + CLOCK_DRIFT_S) * SECOND_NS);
}

async function checkUnderStore(trust, signed, validators, nowS) {
  const [known, shown] = [trust.newest.header, signed.header];
  const [knownNs, shownNs, nowNs] = [nanosecondsOf(known.time), nanosecondsOf(shown.time), BigInt(nowS) * SECOND_NS];
  const ahead = shown.height - known.height;
  need(step("skip", 1), knownNs + BigInt(trust.periodS) * SECOND_NS > nowNs);
  need(step("skip", 2), ahead !== 0n || same(await headerHash(shown), await headerHash(known)));
  need(step("skip", 3), ahead === 0n || (ahead > 0n ? shownNs > knownNs : shownNs < knownNs));
  need(step("skip", 4), shownNs < nowNs + CLOCK_DRIFT_S * SECOND_NS);
  const announced = ahead === 1n ? known.nextValidatorsHash : known.validatorsHash;
  need(step("skip", 5), ahead > 1n || same(shown.validatorsHash, announced));
  need(step("skip", 6), await fits(signed, trust.chain, validators));
  if (ahead > 1n) {
    const voters = new Set(votersOf(signed.commit, validators).map(({ key }) => key.join()));
    const trusted = powerOf(trust.set.filter(({ key }) => voters.has(key.join())));
    need(step("skip", 7), 3n * trusted > powerOf(trust.set));
  }
  need(step("skip", 8), await isCommitted(signed, trust.chain, validators));
}

/** The checklist `outcome`: the leaf that the log has at this index. */
export async function checkOutcome(state, proof) {
  need(step("outcome", 1), proof.index < state.logSize);
  const root = await rootByPath(await leafHash(proof.leaf), proof.index, state.logSize, proof.path);
  need(step("outcome", 2), root !== null && same(root, state.logRoot));
  return inside(step("outcome", 3), LEAF, proof.leaf);
}

/** The checklist `row`: the row that stands under a key, empty when there is none. */
export async function checkRow(state, proof) {
  need(step("row", proof.row.length > 0 ? 1 : 2), await leadsToTree(proof, state.treeRoot));
  return proof.row;
}

const bitOf = (data, place) => (data[place >> 3] >> (7 - (place & 7))) & 1;

/** Docs/spec/tree.md, Checking. */
async function leadsToTree({ key, row, proof: { bitmap, siblings, other } }, root) {
  if (bitmap.at(-1) === 0) return false; // 1
  const depths = Array.from({ length: 8 * bitmap.length }, (_, place) => place).filter((place) => bitOf(bitmap, place));
  const hashes = new Map(depths.map((place, order) => [place, siblings.subarray(32 * order, 32 * order + 32)]));
  const areWhole = siblings.length === 32 * depths.length && [...hashes.values()].every((each) => !same(each, ZEROS));
  if (!areWhole) return false; // 2
  const depth = depths.length > 0 ? depths.at(-1) + 1 : 0;
  const path = await hash(key);
  if (row.length > 0 ? other.length > 0 : other.length > 0 && !isNeighbour(other, path, depth)) return false; // 3, 4
  let node = ZEROS;
  if (row.length > 0) node = await leafHash(join(path, await hash(row)));
  else if (other.length > 0) node = await leafHash(other);
  for (let place = depth - 1; place >= 0; place--) { // 5
    const sibling = hashes.get(place) ?? ZEROS;
    node = await (bitOf(path, place) ? nodeHash(sibling, node) : nodeHash(node, sibling));
  }
  return same(node, root); // 6
}

function isNeighbour(other, path, depth) {
  if (other.length !== 64 || same(other.subarray(0, 32), path)) return false;
  for (let place = 0; place < depth; place++) if (bitOf(path, place) !== bitOf(other, place)) return false;
  return true;
}

/** The checklist `history`: all events of a pseudonym, oldest first. */
export async function checkHistory(state, proof) {
  const key = join(ascii("machine.history"), Uint8Array.of(0), encode(proof.pseudonym));
  need(step("history", 1), same(proof.row.key, key));
  const row = await checkRow(state, proof.row);
  const stated = row.length > 0 ? inside(step("history", 2), HISTORY_ROW, row) : { count: 0, head: ZEROS };
  need(step("history", 3), proof.leaves.length === stated.count);
  let head = ZEROS;
  for (const leaf of proof.leaves) head = await tagged("salus/history/1", head, await leafHash(leaf));
  need(step("history", 4), same(head, stated.head));
  return proof.leaves.map((leaf) => inside(step("history", 5), LEAF, leaf));
}
