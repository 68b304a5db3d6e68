// The two calls to the portal (docs/spec/signer.md, "The exchange"): without cookies, within bounds, nowhere else.

import { base64url } from "./bytes.js";

const REQUEST_BYTES_MAX = 262_144;

// The portal has no such request, or cannot be reached, or answers with something else.
export class PortalAway extends Error {}

export function takeId() {
  const id = location.hash.slice(1);
  history.replaceState(null, "", location.pathname);
  return /^[A-Za-z0-9_-]{22}$/.test(id) ? id : null;
}

export async function fetchRequest(portal, id) {
  const answer = await call(`${portal}/signing/${id}`, { method: "GET" });
  if (answer.status !== 200) throw new PortalAway(`status ${answer.status}`);
  return new TextDecoder("utf-8", { fatal: true }).decode(await bounded(answer));
}

export async function sendAnswer(portal, id, answer) {
  const body = JSON.stringify({ format: 1, ...answer }, inBase64);
  const headers = { "Content-Type": "application/json" };
  const { status } = await call(`${portal}/signing/${id}`, { method: "POST", headers, body });
  if (status !== 204) throw new PortalAway(`status ${status}`);
}

export function leave(portal, id) {
  location.replace(`${portal}/signing/${id}/done`);
}

async function call(address, options) {
  const kept = { mode: "cors", credentials: "omit", referrerPolicy: "no-referrer", cache: "no-store", redirect: "error" };
  try {
    return await fetch(address, { ...options, ...kept });
  } catch (error) {
    if (error instanceof TypeError) throw new PortalAway("no answer");
    throw error;
  }
}

async function bounded(answer) {
  const chunks = [];
  let size = 0;
  for (const reader = answer.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) break;
    size += value.length;
    if (size > REQUEST_BYTES_MAX) {
      await reader.cancel();
      throw new PortalAway("more bytes than a request has");
    }
    chunks.push(value);
  }
  return new Uint8Array(await new Blob(chunks).arrayBuffer());
}

function inBase64(_, value) {
  return value instanceof Uint8Array ? base64url(value) : value;
}
