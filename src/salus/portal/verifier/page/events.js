// The events of a history, one sentence each.

const CUSTODIAN_END = 1;

/** A sentence for each event, with its time; in the order of the history. */
export function explainEvents(words, { events }, nameOf) {
  return events.map((event) => `${words.date(event.leaf.timeS)}: ${sentence(words, event, nameOf)}`);
}

function sentence({ say, date }, event, nameOf) {
  const { about, relationshipCustodian } = event;
  const spokenOf = about === null ? say("event.unknown") : say("event.number", { number: about.index + 1 });
  const spoken = (kind, number) => (number === undefined ? "" : say(`${kind}.${number}`));
  const values = {
    custodian: nameOf(event.custodian ?? relationshipCustodian),
    requester: nameOf(event.requester),
    role: spoken("role", event.roleClass),
    verb: spoken("verb", event.verb),
    purpose: spoken("purpose", event.purpose),
    reason: spoken("reason", event.reason),
    verdict: spoken("verdict", event.verdict),
    actor: spoken("actor", event.actor ?? event.issuer),
    uses: event.usesMax ?? event.usesLeft,
    event: spokenOf,
    ready: event.readyAtS === undefined ? "" : date(event.readyAtS),
  };
  if (event.name === "RecoveryStarted" && event.isSecond) return say("event.secondRecovery", values);
  if (event.name !== "ReleasesCommitted") return say(`event.${event.name}`, values);
  const [key, organisation] = anchorSentence(event);
  return say(key, { ...values, organisation: organisation === null ? say("theOther") : nameOf(organisation) });
}

/** Which words say what an anchor is, and whose it is: of a release, a question for records, an officer's look. */
function anchorSentence({ permit, askedBy, about, end, isEmpty, relationshipCustodian }) {
  if (permit.length === 0) {
    if (askedBy === "") return ["event.noted", relationshipCustodian];
    return [askedBy === relationshipCustodian ? "event.officer" : "event.matched", askedBy];
  }
  const organisation = end === CUSTODIAN_END ? (about?.custodian ?? relationshipCustodian) : (about?.requester ?? null);
  return [isEmpty ? "event.nothingReleased" : "event.ReleasesCommitted", organisation];
}
