"""Tickets between two real nodes: what a holder gets, and every way in which there is nothing to get (R1, R3)."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

from salus.contracts import tickets
from salus.contracts.access import Basis
from salus.contracts.decision import RecordDecision, Source
from salus.contracts.patients import Holder, RotatePseudonymKey
from salus.contracts.provisions import Provision, ProvisionType, Purpose, RoleClass, gate
from salus.contracts.residuals import commit_choice, reason
from salus.contracts.tickets import AttenuateTicket, IssueTicket, RevokeTicket
from salus.crypto.sealing import new_key
from salus.crypto.signing import SigningKey
from salus.ledger.bundles import OpenedReceipt
from salus.ledger.fields import CommittedFields
from salus.ledger.identifiers import Digest, OrganisationId, PermitId, PublicKey
from salus.ledger.outcomes import DONE
from salus.ledger.receipts import RulesField, decode_field
from salus.ledger.verifier import VerificationFailed, VerifiedState
from salus.ledger.verifier.state import verify_state
from salus.node import documents
from salus.node.answer import answer
from salus.node.documents import Kind
from salus.node.errors import Refusal, Refused
from salus.node.exchange import Answer, Delivery, Done, RefusedAnswer
from salus.node.founding import trust_root
from salus.node.people import OpenSession, Person, certify_person, open_session
from salus.node.services import audit, choices, judge
from salus.node.services.anchor import anchor
from salus.node.services.own_care import open_for_own_staff
from salus.node.services.receive import receive
from salus.node.services.release import part_document
from salus.node.services.request import Denied, Granted, request
from salus.node.services.tickets import issue_by_custodian, revoke_by_custodian
from salus.sdk.receipt_check import check_opened
from salus.sdk.verified import Rerun, VerifiedReceipt
from salus.testing.clock import ForwardClock
from salus.testing.world import HOSPITAL, PRACTICE, unix_now_s
from tests.attacks.attackers import CHART, OUTSIDER, Scene, scene, sign

NOBODY = OrganisationId("")
OBSERVATION, ALLERGY, CONDITION = CHART
TO_THE_OUTSIDER = Provision(
    ProvisionType.PERMIT, organisations=(OUTSIDER,), role_classes=(RoleClass.CLINICAL,), purposes=(Purpose.TREAT,)
)


def without(*classes: str, tree: Provision = TO_THE_OUTSIDER) -> Provision:
    return msgspec.structs.replace(tree, provisions=(Provision(ProvisionType.DENY, classes=classes),))


NO_DIAGNOSES, NO_ALLERGIES = without("Condition"), without("AllergyIntolerance")


@pytest.fixture
def on(tmp_path: Path) -> Iterator[Scene]:
    with scene(tmp_path) as made:
        yield made


def ticket_by(
    on: Scene, ticket: SigningKey, tree: Provision, *, uses_max: int = 5, lasts_s: int = 600, secret: bytes = b""
) -> tuple[bytes, CommittedFields]:
    """A ticket that Ann signed, and its rules."""
    residual = commit_choice(tree, secret=secret or new_key())
    message = IssueTicket(
        pseudonym=on.pseudonym,
        ticket=PublicKey(ticket.public),
        condition=gate(tree).may_permit[0],
        uses_max=uses_max,
        expires_at_s=unix_now_s() + lasts_s,
        commitment=residual.root(),
    )
    return sign(on, [message], [on.key, ticket]), residual


def narrowed(on: Scene, ticket: SigningKey, narrower: SigningKey, tree: Provision) -> tuple[bytes, CommittedFields]:
    """A ticket that its holder made from another, and its own rules."""
    residual = commit_choice(tree, secret=new_key())
    message = AttenuateTicket(
        pseudonym=on.pseudonym,
        ticket=PublicKey(ticket.public),
        narrower=PublicKey(narrower.public),
        condition=gate(tree).may_permit[0],
        uses_max=1,
        expires_at_s=unix_now_s() + 300,
        commitment=residual.root(),
    )
    return sign(on, [message], [ticket, narrower]), residual


def deliver(on: Scene, raw: bytes, residual: CommittedFields) -> Answer:
    return answer(on.hospital, NOBODY, Delivery(raw, residual))


def issued(on: Scene, tree: Provision = TO_THE_OUTSIDER, *, uses_max: int = 5, lasts_s: int = 600) -> SigningKey:
    """A ticket in force, whose rules the hospital holds."""
    ticket = SigningKey.generate()
    assert deliver(on, *ticket_by(on, ticket, tree, uses_max=uses_max, lasts_s=lasts_s)) == Done(DONE)
    return ticket


def asked(
    on: Scene, ticket: SigningKey, *, session: OpenSession | None = None, at: OrganisationId = OUTSIDER
) -> Granted:
    came = request(on.world.nodes[at], session or on.session(at), on.wish(ticket=ticket))
    assert isinstance(came, Granted), came
    return came


def received(on: Scene, granted: Granted) -> list[bytes]:
    return [each.content for each in receive(on.outsider, on.world.peers(OUTSIDER), granted)]


def refused(on: Scene, ticket: SigningKey) -> tuple[Refusal, int]:
    """How the ledger refuses a request with a ticket."""
    with pytest.raises(Refused) as error:
        request(on.outsider, on.session(OUTSIDER), on.wish(ticket=ticket))
    return error.value.refusal, error.value.number


def checked(on: Scene) -> list[VerifiedReceipt]:
    """Every receipt, as Ann checks it offline."""
    state, opened = history_of(on)
    return [check_opened(state, each) for each in opened]


def history_of(on: Scene) -> tuple[VerifiedState, Sequence[OpenedReceipt]]:
    for node in on.world.nodes.values():
        anchor(node)
    bundle = audit.history(on.hospital, on.pseudonym)
    return verify_state(trust_root(on.world.genesis), bundle.signed, now_s=int(time.time())), bundle.receipts


def rules_fields(on: Scene) -> list[RulesField]:
    permits = map(PermitId, on.hospital.custodian_journal.permits_of(on.pseudonym))
    kept = [part_document(on.hospital, permit, 1) for permit in permits]
    values = [value for each in kept if each is not None for value in each.fields.values]
    return [field for field in map(decode_field, values) if isinstance(field, RulesField)]


@pytest.mark.promise("R1", "R2")
def test_a_ticket_lets_its_holder_see_what_its_rules_permit(on: Scene) -> None:
    assert isinstance(request(on.outsider, on.session(OUTSIDER), on.wish()), Denied)
    granted = asked(on, issued(on, NO_DIAGNOSES))
    assert granted.terms.basis is Basis.TICKET
    assert sorted(received(on, granted)) == sorted([OBSERVATION, ALLERGY])
    (receipt,) = checked(on)
    assert (receipt.rerun, receipt.faults, len(receipt.withheld)) == (Rerun.SAME, (), 1)


@pytest.mark.promise("R1", "R2")
def test_a_ticket_made_from_another_only_narrows_it(on: Scene) -> None:
    wider, narrower = issued(on, NO_DIAGNOSES), SigningKey.generate()
    raw, residual = narrowed(on, wider, narrower, NO_ALLERGIES)
    assert deliver(on, raw, residual) == Done(DONE)
    assert received(on, asked(on, narrower)) == [OBSERVATION]
    (receipt,) = checked(on)
    assert (receipt.rerun, receipt.faults, len(receipt.withheld)) == (Rerun.SAME, (), 2)
    (field,) = rules_fields(on)
    assert field.ticket[0] == residual.root()
    assert len(field.ticket) == 2


@pytest.mark.promise("R1")
def test_a_ticket_for_one_person_opens_nothing_for_another(on: Scene) -> None:
    doctor = on.people[OUTSIDER]
    ticket = issued(on, msgspec.structs.replace(TO_THE_OUTSIDER, persons=(doctor.certificate.root(),)))
    other = certify_person(on.outsider, name="Dr No", role="GP", registration="2", role_class=RoleClass.CLINICAL)
    assert received(on, asked(on, ticket, session=session_of(on, other))) == []
    assert sorted(received(on, asked(on, ticket))) == sorted(CHART)
    assert [(each.rerun, each.faults) for each in checked(on)] == [(Rerun.SAME, ())] * 2


def session_of(on: Scene, person: Person) -> OpenSession:
    return open_session(person.key, person.certificate, custodian=HOSPITAL, from_s=on.outsider.clock())


@pytest.mark.promise("R1")
def test_who_does_not_hold_the_ticket_cannot_use_it(on: Scene) -> None:
    ticket = issued(on)
    assert refused(on, SigningKey.generate()) == (Refusal.LEDGER_REJECTED, tickets.Rejection.TICKET_UNKNOWN)
    elsewhere = request(on.practice, on.session(PRACTICE), on.wish(ticket=ticket, purpose=Purpose.HPAYMT))
    assert isinstance(elsewhere, Denied)


@pytest.mark.promise("R3")
def test_a_ticket_that_is_used_up(on: Scene) -> None:
    ticket = issued(on, uses_max=1)
    granted = asked(on, ticket)
    assert refused(on, ticket) == (Refusal.LEDGER_REJECTED, tickets.Rejection.TICKET_USED_UP)
    assert sorted(received(on, granted)) == sorted(CHART)


@pytest.mark.promise("R3")
def test_a_ticket_that_ended_takes_its_permits_with_it(tmp_path: Path) -> None:
    clock = ForwardClock()
    with scene(tmp_path, clock=clock) as on:
        ticket = issued(on, lasts_s=6)
        granted = asked(on, ticket)
        clock.advance(7)
        assert refused(on, ticket) == (Refusal.LEDGER_REJECTED, tickets.Rejection.TICKET_EXPIRED)
        with pytest.raises(Refused) as error:
            received(on, granted)
        assert error.value.refusal is Refusal.PERMIT_DEAD
        assert granted.terms.until_s > on.hospital.clock() + 7, "the permit's own time is not over"


@pytest.mark.promise("R3")
@pytest.mark.parametrize("by", ["Ann", "the custodian"])
def test_a_ticket_that_was_revoked_takes_its_permits_and_descendants_with_it(on: Scene, by: str) -> None:
    wider, narrower = issued(on), SigningKey.generate()
    assert deliver(on, *narrowed(on, wider, narrower, NO_ALLERGIES)) == Done(DONE)
    granted = asked(on, narrower)
    if by == "Ann":
        message = RevokeTicket(pseudonym=on.pseudonym, ticket=PublicKey(wider.public), commitment=Digest(bytes(32)))
        assert on.world.engine.submit(sign(on, [message], [on.key])).code == DONE
    else:
        revoke_by_custodian(on.hospital, on.pseudonym, PublicKey(wider.public))
    with pytest.raises(Refused) as error:
        received(on, granted)
    assert error.value.refusal is Refusal.PERMIT_DEAD
    for ticket in (wider, narrower):
        assert refused(on, ticket) == (Refusal.LEDGER_REJECTED, tickets.Rejection.TICKET_REVOKED)


def revocation(on: Scene, ticket: SigningKey, key: SigningKey, why: str = "changed my mind") -> Answer:
    """What a device delivers to end a ticket, signed by a key."""
    words = reason(why, new_key())
    message = RevokeTicket(pseudonym=on.pseudonym, ticket=PublicKey(ticket.public), commitment=words.root())
    return deliver(on, sign(on, [message], [key]), words)


@pytest.mark.promise("R3")
def test_a_device_delivers_the_end_of_a_ticket_and_a_stranger_does_not(on: Scene) -> None:
    ticket = issued(on)
    granted = asked(on, ticket)
    for stranger in (SigningKey.generate(), ticket):
        came = revocation(on, ticket, stranger)
        assert isinstance(came, RefusedAnswer)
        assert came.refusal is Refusal.CHOICE_UNFIT
    assert revocation(on, ticket, on.key) == Done(DONE)
    with pytest.raises(Refused) as error:
        received(on, granted)
    assert error.value.refusal is Refusal.PERMIT_DEAD


def test_an_end_whose_reason_opens_nothing_is_not_taken(on: Scene) -> None:
    ticket = issued(on)
    message = RevokeTicket(pseudonym=on.pseudonym, ticket=PublicKey(ticket.public), commitment=Digest(bytes(32)))
    came = deliver(on, sign(on, [message], [on.key]), reason("other", new_key()))
    assert isinstance(came, RefusedAnswer)
    assert is_good(on, ticket)


def is_good(on: Scene, ticket: SigningKey) -> bool:
    """Whether a ticket still gets a permit."""
    return isinstance(request(on.outsider, on.session(OUTSIDER), on.wish(ticket=ticket)), Granted)


@pytest.mark.promise("R1")
def test_a_ticket_whose_rules_the_custodian_does_not_hold(on: Scene) -> None:
    """The ledger permits on the condition; nothing leaves until the rules come, and then what they permit."""
    ticket = SigningKey.generate()
    raw, residual = ticket_by(on, ticket, NO_DIAGNOSES)
    assert on.world.engine.submit(raw).code == DONE
    granted = asked(on, ticket)
    with pytest.raises(Refused) as error:
        received(on, granted)
    assert error.value.refusal is Refusal.RULES_MISSING
    assert deliver(on, raw, residual) == Done(DONE)
    assert sorted(received(on, granted)) == sorted([OBSERVATION, ALLERGY])


@pytest.mark.promise("R1", "R2")
def test_rules_that_were_lost_are_delivered_again(on: Scene) -> None:
    ticket = SigningKey.generate()
    raw, residual = ticket_by(on, ticket, NO_DIAGNOSES)
    assert deliver(on, raw, residual) == Done(DONE)
    on.hospital.vault.erase_record(documents.document_id(Kind.TICKET, residual.root()))
    granted = asked(on, ticket)
    with pytest.raises(Refused):
        received(on, granted)
    assert deliver(on, raw, residual) == Done(DONE)
    assert len(received(on, granted)) == 2
    assert [(each.rerun, each.faults) for each in checked(on)] == [(Rerun.SAME, ())]


@pytest.mark.promise("R3")
def test_rules_are_taken_again_after_the_key_that_signed_was_replaced(on: Scene) -> None:
    ticket, new = SigningKey.generate(), SigningKey.generate()
    raw, residual = ticket_by(on, ticket, NO_DIAGNOSES)
    assert on.world.engine.submit(raw).code == DONE
    rotated = RotatePseudonymKey(
        pseudonym=on.pseudonym, key=PublicKey(new.public), holder=Holder.PATIENT, commitment=Digest(bytes(32))
    )
    assert on.world.engine.submit(sign(on, [rotated], [on.key, new])).code == DONE
    assert deliver(on, raw, residual) == Done(DONE)
    assert sorted(received(on, asked(on, ticket))) == sorted([OBSERVATION, ALLERGY])


@pytest.mark.promise("R2")
def test_own_care_goes_on_without_the_rules_of_a_ticket_and_is_marked(on: Scene) -> None:
    own = msgspec.structs.replace(TO_THE_OUTSIDER, organisations=(HOSPITAL,))
    ticket = SigningKey.generate()
    raw, residual = ticket_by(on, ticket, own)
    assert on.world.engine.submit(raw).code == DONE
    came = open_for_own_staff(on.hospital, on.session(HOSPITAL), on.wish(ticket=ticket))
    assert not isinstance(came, Denied)
    assert len(list(came)) == len(CHART)
    root = bytes(residual.root())
    assert rules_fields(on) == [RulesField((root,), (root,))]
    assert [(each.rerun, each.faults) for each in checked(on)] == [(Rerun.SAME, ())]


@pytest.mark.promise("R1")
def test_a_custodian_issues_tickets_for_care_alone(on: Scene) -> None:
    care, claims = SigningKey.generate(), SigningKey.generate()
    for key, purpose in ((care, Purpose.TREAT), (claims, Purpose.HPAYMT)):
        tree = msgspec.structs.replace(TO_THE_OUTSIDER, purposes=(purpose,))
        issue_by_custodian(on.hospital, on.pseudonym, tree, key=key, uses_max=1, expires_at_s=on.hospital.clock() + 600)
    assert sorted(received(on, asked(on, care))) == sorted(CHART)
    paid = request(on.outsider, on.session(OUTSIDER), on.wish(ticket=claims, purpose=Purpose.HPAYMT))
    assert isinstance(paid, Denied)


def bad_deliveries(on: Scene) -> Sequence[tuple[str, bytes, CommittedFields]]:
    ticket = SigningKey.generate()
    raw, residual = ticket_by(on, ticket, NO_DIAGNOSES)
    message = on.hospital.decode(raw).messages[0]
    two = Provision(ProvisionType.DENY, provisions=(TO_THE_OUTSIDER, msgspec.structs.replace(
        TO_THE_OUTSIDER, organisations=(PRACTICE,), purposes=(Purpose.ETREAT,))))  # fmt: skip
    of_two = commit_choice(two, secret=new_key())
    lying = msgspec.structs.replace(message, commitment=of_two.root())
    stranger = SigningKey.generate()
    return [
        ("opens the commitment", raw, commit_choice(NO_ALLERGIES, secret=new_key())),
        ("the one condition of these rules", sign(on, [lying], [on.key, ticket]), of_two),
        ("a key that may give this ticket", sign(on, [message], [stranger, ticket]), residual),
        ("a key that may give this ticket", *narrowed(on, SigningKey.generate(), stranger, NO_ALLERGIES)),
    ]


@pytest.mark.promise("R1")
def test_a_ticket_that_does_not_fit_is_not_taken(on: Scene) -> None:
    for words, raw, residual in bad_deliveries(on):
        came = deliver(on, raw, residual)
        assert isinstance(came, RefusedAnswer)
        assert came.refusal is Refusal.CHOICE_UNFIT
        assert words in came.words
        message = on.hospital.decode(raw).messages[0]
        assert isinstance(message, IssueTicket | AttenuateTicket)
        assert documents.find(on.hospital.vault, Kind.TICKET, message.commitment) is None
    elsewhere = answer(on.practice, NOBODY, Delivery(*ticket_by(on, SigningKey.generate(), NO_DIAGNOSES)))
    assert isinstance(elsewhere, RefusedAnswer)
    assert "records that are kept here" in elsewhere.words


# What the patient's check finds


@pytest.mark.promise("R1", "R2")
def test_a_custodian_that_leaves_the_rules_of_a_ticket_aside_is_found_out(
    on: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    anything = RecordDecision(may_go=True, source=Source.DEFAULT, rule=b"", path="")
    monkeypatch.setattr(judge.decision, "decide", lambda *_: anything)
    assert len(received(on, asked(on, issued(on, NO_DIAGNOSES)))) == len(CHART)
    monkeypatch.undo()
    (receipt,) = checked(on)
    assert receipt.rerun is Rerun.OTHER
    (fault,) = receipt.faults
    assert fault.startswith("health problems was released, although a rule keeps it")


@pytest.mark.promise("R1", "R2")
def test_a_custodian_that_applies_another_ticket_is_found_out(on: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    wide = SigningKey.generate()
    raw, residual = ticket_by(on, wide, TO_THE_OUTSIDER)
    assert deliver(on, raw, residual) == Done(DONE)
    monkeypatch.setattr(choices.tickets, "commitments", lambda *_: (residual.root(),))
    assert len(received(on, asked(on, issued(on, NO_DIAGNOSES)))) == len(CHART)
    monkeypatch.undo()
    with pytest.raises(VerificationFailed, match="the rules of another ticket than the permit's"):
        checked(on)


def shortened(opened: OpenedReceipt) -> OpenedReceipt:
    return msgspec.structs.replace(opened, choices=opened.choices[:-1])


def turned(opened: OpenedReceipt) -> OpenedReceipt:
    return msgspec.structs.replace(opened, choices=(opened.choices[0], *opened.choices[:0:-1]))


def with_one_more(opened: OpenedReceipt) -> OpenedReceipt:
    return msgspec.structs.replace(opened, choices=(*opened.choices, opened.choices[0]))


def without_rules(opened: OpenedReceipt) -> OpenedReceipt:
    return msgspec.structs.replace(opened, rules=opened.rules[:-1])


def with_rules_exchanged(opened: OpenedReceipt) -> OpenedReceipt:
    return msgspec.structs.replace(opened, rules=(opened.rules[0], *opened.rules[:0:-1]))


CHANGES = {
    "how the first ticket came about left out": (shortened, "expected how the permit's ticket came about"),
    "an event too many": (with_one_more, "expected how the permit's ticket came about"),
    "the tickets in another order": (turned, "expected how the permit's ticket came about"),
    "the rules of the first ticket left out": (without_rules, "expected the rules of 3 choices and tickets"),
    "the rules of two tickets exchanged": (with_rules_exchanged, "field 0 of a choice is not what was committed"),
}


@pytest.mark.promise("R2", "L5")
def test_a_receipt_by_ticket_after_a_change(on: Scene) -> None:
    wider, narrower = issued(on, NO_DIAGNOSES), SigningKey.generate()
    assert deliver(on, *narrowed(on, wider, narrower, NO_ALLERGIES)) == Done(DONE)
    received(on, asked(on, narrower))
    state, (opened,) = history_of(on)
    assert check_opened(state, opened).rerun is Rerun.SAME
    for name, (change, words) in CHANGES.items():
        with pytest.raises(VerificationFailed, match=words) as failed:
            check_opened(state, change(opened))
        assert failed.value.step == 10, name
