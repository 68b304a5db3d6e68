// CometBFT's signed header, commit and validator set, and who signed (docs/spec/header.md).

import { ascii, join, same } from "./bytes.js";
import { holdsZip215 } from "./ed25519.js";
import { hash, rootOver } from "./hashing.js";
import { decodeMessage, encodeMessage, varint } from "./protobuf.js";

const COUNT_MAX = 10_000;
const HEADER_BYTES_MAX = 1024;
const POWER_MAX = (2n ** 63n - 1n) / 8n;
const FIRST_SECOND = -62_135_596_800n;
const LAST_SECOND = 253_402_300_799n;
const PRECOMMIT = 2n;
const [ABSENT, FOR_THE_BLOCK, FOR_NONE] = [1n, 2n, 3n];

const TIME = { seconds: [1, "integer"], nanoseconds: [2, "integer"] };
const PARTS = { total: [1, "integer"], hash: [2, "bytes"] };
const BLOCK_ID = { hash: [1, "bytes"], parts: [2, "message", PARTS] };
const VERSION = { block: [1, "integer"], app: [2, "integer"] };
const HEADER = {
  version: [1, "message", VERSION],
  chain: [2, "text"],
  height: [3, "integer"],
  time: [4, "message", TIME],
  lastBlockId: [5, "message", BLOCK_ID],
  lastCommitHash: [6, "bytes"],
  dataHash: [7, "bytes"],
  validatorsHash: [8, "bytes"],
  nextValidatorsHash: [9, "bytes"],
  consensusHash: [10, "bytes"],
  appHash: [11, "bytes"],
  lastResultsHash: [12, "bytes"],
  evidenceHash: [13, "bytes"],
  proposer: [14, "bytes"],
};
const VOTE = { flag: [1, "integer"], address: [2, "bytes"], time: [3, "message", TIME], signature: [4, "bytes"] };
const COMMIT = {
  height: [1, "integer"],
  round: [2, "integer"],
  blockId: [3, "message", BLOCK_ID],
  votes: [4, "messages", VOTE],
};
const SIGNED_HEADER = { header: [1, "message", HEADER], commit: [2, "message", COMMIT] };
const SIGNED_VOTE = {
  type: [1, "integer"],
  height: [2, "fixed"],
  round: [3, "fixed"],
  blockId: [4, "optional", BLOCK_ID],
  time: [5, "message", TIME],
  chain: [6, "text"],
};
const SET_MEMBER = { key: [1, "message", { key: [1, "bytes"] }], power: [2, "integer"] };

/** The signed header that bytes are the one form of; null for all other bytes. */
export function readSignedHeader(data) {
  const signed = decodeMessage(SIGNED_HEADER, data);
  return signed !== null && isHeader(signed.header) && isCommit(signed.commit) ? signed : null;
}

const isHashOrNone = (data) => data.length === 0 || data.length === 32;

const isWithin = (number, least, most) => number >= least && number <= most;

const isTime = ({ seconds, nanoseconds }) =>
  isWithin(seconds, FIRST_SECOND, LAST_SECOND) && isWithin(nanoseconds, 0n, 999_999_999n);

const isBlockId = ({ hash: digest, parts }) =>
  isHashOrNone(digest) && isHashOrNone(parts.hash) && isWithin(parts.total, 0n, 2n ** 32n - 1n);

function isHeader(header) {
  const hashes = Object.entries(header).filter(([name]) => name.endsWith("Hash"));
  return (
    encodeMessage(HEADER, header).length <= HEADER_BYTES_MAX &&
    header.version.block === 11n &&
    isWithin(ascii(header.chain).length, 1, 50) &&
    header.height >= 1n &&
    isTime(header.time) &&
    isBlockId(header.lastBlockId) &&
    hashes.every(([, digest]) => isHashOrNone(digest)) &&
    header.validatorsHash.length === 32 &&
    header.proposer.length === 20
  );
}

function isCommit(commit) {
  if (encodeMessage(COMMIT, commit).length === 4) return true; // that below the first block: all fields empty
  return (
    commit.height >= 1n &&
    isWithin(commit.round, 0n, 2n ** 31n - 1n) &&
    isBlockId(commit.blockId) &&
    commit.blockId.hash.length === 32 &&
    isWithin(commit.votes.length, 1, COUNT_MAX) &&
    commit.votes.every(isVote)
  );
}

function isVote({ flag, address, time, signature }) {
  if (flag === ABSENT) {
    return address.length === 0 && signature.length === 0 && time.seconds === FIRST_SECOND && time.nanoseconds === 0n;
  }
  const isCast = flag === FOR_THE_BLOCK || flag === FOR_NONE;
  return isCast && address.length === 20 && signature.length === 64 && isTime(time);
}

/** The hash of a header: a root over its fields, each by itself. */
export function headerHash(header) {
  const alone = Object.entries(HEADER).map(([name, [, kind, inner]]) => {
    if (kind === "message") return encodeMessage(inner, header[name]);
    return encodeMessage({ value: [1, kind] }, { value: header[name] });
  });
  return rootOver(alone);
}

const addressOf = async (key) => (await hash(key)).slice(0, 20);

export const setHash = (set) =>
  rootOver(set.map(({ key, power }) => encodeMessage(SET_MEMBER, { key: { key }, power })));

/** Tell whether validators keep the rules of a set. */
export function isSet(set) {
  const keys = new Set(set.map(({ key }) => key.join()));
  const areValid = set.every(({ key, power }) => key.length === 32 && power >= 1n);
  return isWithin(set.length, 1, COUNT_MAX) && keys.size === set.length && areValid && powerOf(set) <= POWER_MAX;
}

/** Validators in the order of a set: the most power first, then by address. */
export async function inOrder(validators) {
  const placed = await Promise.all(validators.map(async (each) => ({ each, address: await addressOf(each.key) })));
  const byAddress = (one, other) => {
    const place = one.findIndex((byte, at) => byte !== other[at]);
    return place < 0 ? 0 : one[place] - other[place];
  };
  placed.sort((one, other) => Number(other.each.power - one.each.power) || byAddress(one.address, other.address));
  return placed.map(({ each }) => each);
}

export const powerOf = (set) => set.reduce((total, { power }) => total + power, 0n);

/** Steps 1 to 4 of *a signed header*; that it keeps its rules was seen when it was read. */
export async function fits({ header, commit }, chain, set) {
  if (header.chain !== chain || !same(header.validatorsHash, await setHash(set))) return false;
  return same(commit.blockId.hash, await headerHash(header));
}

/** The checklist *a commit*, for the header's own height and block id. */
export async function isCommitted({ header, commit }, chain, set) {
  if (!isSet(set) || commit.votes.length !== set.length || commit.height !== header.height) return false;
  for (const [place, vote] of commit.votes.entries()) {
    if (vote.flag === ABSENT) continue;
    const { key } = set[place];
    if (!same(vote.address, await addressOf(key))) return false;
    if (!(await holdsZip215(key, signedBytes(chain, commit, vote), vote.signature))) return false;
  }
  return 3n * powerOf(votersOf(commit, set)) > 2n * powerOf(set);
}

/** Those of a set whose place in the commit has a vote for the block. */
export const votersOf = (commit, set) => set.filter((_, place) => commit.votes[place]?.flag === FOR_THE_BLOCK);

function signedBytes(chain, { height, round, blockId }, vote) {
  const stated = { type: PRECOMMIT, height, round, time: vote.time, chain };
  const message = encodeMessage(SIGNED_VOTE, { ...stated, blockId: vote.flag === FOR_THE_BLOCK ? blockId : null });
  return join(varint(BigInt(message.length)), message);
}

export const SECOND_NS = 1_000_000_000n;

export const nanosecondsOf = ({ seconds, nanoseconds }) => seconds * SECOND_NS + nanoseconds;

