// What is in the file of a receipt or a history (docs/spec/proofs.md, Bundles; receipts.md, Opened receipt).

import { HISTORY_PROOF, OUTCOME_PROOF, SIGNED_STATE, STATE_PROOF } from "./claims.js";
import { COMMITTED_FIELDS, OPENED_FIELD } from "./fields.js";
import { need, step } from "./refusal.js";
import { anything, count, digest, inside, kept, list, number, sized, struct, text, upTo, wide } from "./shapes.js";

const AT = step("bundle", 0);
const FILE_BYTES_MAX = 256 * 2 ** 20;
const TRANSACTION_BYTES_MAX = 65_536;
const NUMBER_END = 2 ** 32;
const CHAIN_SIZE_MAX = 50;

function chainName(at, item) {
  const size = [...text(at, item)].length;
  need(at, size >= 1 && size <= CHAIN_SIZE_MAX);
  return item;
}

const STATEMENT = kept(
  struct({ format: wide, chain: chainName, permit: sized(16), part: number(NUMBER_END, 1), root: digest }),
);
const RECEIPT = kept(struct({ statement: STATEMENT, custodian: sized(64), requester: upTo(64) }));
const ANCHOR = struct({ outcome: OUTCOME_PROOF, conclusion: number(5, 1), leaves: list(digest) });
const ENTRY = kept(
  struct({
    record: sized(16),
    version: number(NUMBER_END, 1),
    metadataRoot: digest,
    contentRoot: digest,
    sealedRoot: upTo(32),
    supersedes: upTo(32),
  }),
);
const PLACED_ENTRY = struct({ entry: ENTRY, batchRoot: digest, batchSize: count, index: count, path: list(digest) });
const OPENED_RECORD = struct({ placed: PLACED_ENTRY, metadata: list(OPENED_FIELD) });
export const OPENED_RECEIPT = struct({
  receipt: RECEIPT,
  fields: list(OPENED_FIELD),
  permitted: list(OUTCOME_PROOF, 1),
  transaction: upTo(TRANSACTION_BYTES_MAX),
  request: list(OPENED_FIELD),
  anchors: list(ANCHOR, 2),
  choices: list(OUTCOME_PROOF),
  rules: list(OPENED_FIELD),
  rows: list(STATE_PROOF),
  batches: list(OUTCOME_PROOF),
  records: list(OPENED_RECORD),
});
const KINDS = new Map([
  [4n, struct({ kind: anything, format: number(2, 1), signed: SIGNED_STATE, opened: OPENED_RECEIPT })],
  [
    5n,
    struct({
      kind: anything,
      format: number(2, 1),
      signed: SIGNED_STATE,
      history: HISTORY_PROOF,
      receipts: list(OPENED_RECEIPT),
      matches: list(COMMITTED_FIELDS),
    }),
  ],
]);

/** Read the file of a receipt or a history; other proofs are for `salus verify`. Nothing in it is checked yet. */
export function readBundle(file) {
  need(AT, file.length <= FILE_BYTES_MAX);
  return inside(AT, (at, item) => {
    const shape = Array.isArray(item) && KINDS.get(item[0]);
    need(at, Boolean(shape));
    return shape(at, item);
  }, file);
}
