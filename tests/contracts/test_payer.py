"""Whose quota a transaction uses: a member that signs it, else who enrolled the patient; no key pays for itself."""

import pytest

from salus.contracts import CONTRACTS, payer
from salus.ledger.machine import message_decoder
from salus.ledger.transactions import decode
from tests.contracts.network import CHAIN, MemoryLedger, organisation
from tests.contracts.scenario import Row, Run, Scenario, run
from tests.contracts.scenario import transaction as signed
from tests.contracts.steps import read_step

GIVEN = [
    "hospital enrols ann -> done",
    "hospital enrols dora -> done",
    "dora changes recovery to dora-recovery, second dora-second, by dora -> done",
    "dora changes recovery to dora-recovery-2, second dora-second -> done",
    "practice enrols bob, recovery bob-recovery -> done",
    "ann adds the device ann-phone -> done",
    "ann issues the ticket t1 of ann as any-treatment, uses 9 -> done",
    "okafor of practice asks for ann: clinical BTG read, as p1 -> permitted: Emergency",
]
PAYS = {
    "an organisation for itself": ("hospital publishes a as b", "hospital"),
    "a proposer, also where the new member's key signs": ("hospital proposes to admit dentist as clinical", "hospital"),
    "who votes": ("practice votes for v1", "practice"),
    "who accuses": ("practice accuses hospital", "practice"),
    "not who is admitted": ("hospital proposes to admit dentist as clinical, signed by dentist", None),
    "who enrols": ("practice enrols carl", "practice"),
    "the custodian for its patient": ("ann files c1 as practice", "hospital"),
    "the custodian for a device": ("ann files c1 as practice, by ann-phone", "hospital"),
    "each custodian for its own": ("bob files c1 as practice", "practice"),
    "the requester": ("okafor of practice asks for ann: clinical TREAT read", "practice"),
    "the custodian's end": ("hospital anchors p1 of ann as custodian", "hospital"),
    "the requester's end": ("practice anchors p1 of ann as requester", "practice"),
    "a match": ("hospital anchors a-match of ann as custodian", "hospital"),
    "the custodian that reviews": ("grey of hospital finds p1 of ann justified", "hospital"),
    "the custodian for a ticket alone": ("okafor uses the ticket t1 of ann", "hospital"),
    "the custodian for a ticket that is narrowed": ("the ticket t1 of ann is narrowed to t2 as everything", "hospital"),
    "the custodian that issues": ("hospital issues the ticket t2 of ann as practice", "hospital"),
    "the requester with a ticket": (
        "okafor uses the ticket t1 of ann + okafor of practice asks for ann: clinical TREAT read, ticket t1",
        "practice",
    ),
    "a member that signs a later message": ("ann files c1 as practice + hospital publishes a as b", "hospital"),
    "the custodian for a recovery key": ("bob starts recovery with bob-2", "practice"),
    "the custodian for a second recovery key": ("dora undoes the change of recovery, by dora-second", "hospital"),
    "the custodian for a recovery key that waits": ("dora finishes recovery, by dora-recovery-2", "hospital"),
    "the custodian for what finishes a recovery": ("dora finishes recovery", "hospital"),
    "nobody for another patient's recovery key": ("dora finishes recovery, by bob-recovery", None),
    "nobody without the member's signature": ("hospital publishes a as b, signed by practice", None),
    "nobody whose requester did not sign": (
        "okafor of practice asks for ann: clinical TREAT read, signed by okafor",
        None,
    ),
    "not the member that is named and did not sign": (
        "okafor of practice asks for ann: clinical TREAT read, signed by okafor and insurer",
        None,
    ),
    "nobody for a stranger to the patient": ("ann files c1 as practice, by mallory", None),
    "nobody for another patient's key": ("ann files c1 as practice, by bob", None),
    "nobody for an unknown pseudonym": ("zoe files c1 as practice", None),
    "nobody for an unknown ticket": ("okafor uses the ticket t9 of ann", None),
    "nobody for the ticket of another patient": ("okafor uses the ticket t1 of dora", None),
    "nobody for an unknown permit's requester": ("practice anchors p9 of ann as requester", None),
    "nobody for an unknown pseudonym's custodian": ("hospital anchors p9 of zoe as custodian", None),
    "nobody who is no member": ("stranger publishes a as b, signed by okafor", None),
}


@pytest.fixture(scope="module")
def state() -> Run:
    rows = [Row(0, *text.split(" -> ")) for text in GIVEN]
    return run(Scenario("payer", "payer", rows), MemoryLedger)


@pytest.mark.parametrize(("text", "want"), PAYS.values(), ids=PAYS)
def test_payer(state: Run, text: str, want: str | None) -> None:
    state.places.time_s = state.ledger.time_s
    raw, _ = signed(state, [read_step(part, state.places) for part in text.split(" + ")])
    read = decode(raw, chain=CHAIN, messages=message_decoder(CONTRACTS))
    assert payer(state.ledger.reader(), read) == (None if want is None else organisation(want))
