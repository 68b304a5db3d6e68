// Verify a file: it, a trust file and the present time are all that is needed. No node, no server, no network.

import { checkState } from "./claims.js";
import { checkHistoryBundle } from "./history.js";
import { readBundle } from "./opened.js";
import { checkReceipt } from "./receipt.js";

/**
 * Check a receipt or a history; throws Refusal with the step that does not hold.
 *
 * `trust` is what readTrust returned, `nowS` this machine's clock in seconds since 1970.
 */
export async function verify(file, trust, nowS) {
  const bundle = readBundle(file);
  const state = await checkState(trust, bundle.signed, nowS);
  if ("opened" in bundle) return { state, receipt: await checkReceipt(state, bundle.opened), history: null };
  return { state, receipt: null, history: await checkHistoryBundle(state, bundle) };
}
