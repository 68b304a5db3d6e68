"""Published faults of signatures and time, each tried in full and harmless here."""

import secrets

import msgspec
import pytest

from salus.contracts import access, tickets
from salus.contracts.access import PermitDead
from salus.contracts.access import Rejection as AccessRejection
from salus.contracts.consent import WithdrawConsent
from salus.contracts.membership import CertificateKind, Certify, KeyUse
from salus.contracts.membership import Rejection as MembershipRejection
from salus.contracts.patients import AddKey, KeyKind
from salus.contracts.patients import Rejection as PatientRejection
from salus.contracts.provisions import Condition, Purpose, RoleClass
from salus.contracts.tickets import IssueTicket, UseTicket
from salus.contracts.tickets import Rejection as TicketRejection
from salus.crypto.derive import ticket_key
from salus.crypto.signing import SigningKey
from salus.ledger.contract import SIGNATURE_MISSING
from salus.ledger.encoding import encode
from salus.ledger.identifiers import CertificateId, Digest, PublicKey
from salus.ledger.outcomes import DENIED, DONE, NOT_A_TRANSACTION, decode_leaf
from salus.ledger.receipts import sign_as_requester
from salus.ledger.transactions import EXPIRY_AHEAD_S_MAX
from salus.node.answer import answer
from salus.node.errors import Refusal, Refused
from salus.node.exchange import PartAccept, PartOffer, RefusedAnswer, Slots
from salus.node.people import open_session
from salus.node.services.request import Granted, request
from salus.testing.world import HOSPITAL, PRACTICE
from tests.attacks.attackers import (
    CHART,
    OUTSIDER,
    TO_THE_PRACTICE,
    Scene,
    altered,
    asked,
    choice_by,
    choices,
    deliver,
    digest,
    event_count,
    key_of,
    part_ask,
    sign,
    submit,
    tree_root,
)


def issued(on: Scene, bearer: SigningKey, *, ends_at_s: int) -> IssueTicket:
    return IssueTicket(on.pseudonym, PublicKey(bearer.public), Condition(), 1, ends_at_s, digest())


@pytest.mark.promise("R1")
def test_signature_that_covers_only_a_time(on: Scene) -> None:
    """A client signs the present time, and the signature opens everything until it is old.

    Published of a wallet log-in in front of a record server: whoever sees one such signature may send anything with it
    (CWE-345, SWC-122). The attacker has a transaction, a session and a receipt's signature of others, and changes
    everything in them but the time.
    """
    raw = sign(on, [asked(on)], [SigningKey.generate(), key_of(on, PRACTICE)])
    root = tree_root(on)
    message = encode(asked(on, requester=OUTSIDER))
    changed = [
        altered(raw, messages=[msgspec.Raw(message)]),
        altered(raw, nonce=secrets.token_bytes(16)),
        altered(raw, signers=[key_of(on, OUTSIDER).public, key_of(on, PRACTICE).public]),
        altered(raw, chain="another-chain"),
        altered(raw, expires_at_s=on.hospital.clock() + 61),
    ]
    assert [on.world.engine.submit(each).code for each in changed] == [NOT_A_TRANSACTION] * len(changed)
    assert tree_root(on) == root
    session = on.session(PRACTICE)
    moved = msgspec.structs.replace(session.certified.session, custodian=OUTSIDER)
    with pytest.raises(Exception, match="signature"):
        msgspec.structs.replace(session.certified, session=moved).verify(PublicKey(on.people[PRACTICE].key.public))


@pytest.mark.promise("R5")
def test_a_receipt_is_signed_for_one_part_of_one_permit(on: Scene) -> None:
    """The same fault at the release: a signature under one receipt must not pass for another."""
    first, second = on.granted(), on.granted()
    statements = []
    for granted in (first, second):
        offer = answer(on.hospital, PRACTICE, part_ask(granted))
        assert isinstance(offer, PartOffer)
        statements.append(offer.statement)
    own = on.world.keys[PRACTICE].signing(KeyUse.RECEIPT)
    for_first = sign_as_requester(statements[0], own)
    came = answer(on.hospital, PRACTICE, PartAccept(second.permit, 1, for_first))
    assert isinstance(came, RefusedAnswer)
    assert came.refusal is Refusal.RECEIPT_UNFIT
    assert on.hospital.custodian_journal.permit_lines(second.permit)[0].receipt == b""


@pytest.mark.promise("R3", "L6")
def test_future_time_stamps_accepted(on: Scene) -> None:
    """The caller's clock decides: a time stamp from next year makes a signature, a session or a right last that long.

    Published of servers that only check that a time stamp is not too old (CWE-367 in spirit). Every time that a caller
    can name is sent far ahead, and the next one after what is allowed.
    """
    now_s = on.hospital.clock()
    for ahead_s in (EXPIRY_AHEAD_S_MAX + 120, 86_400, 365 * 86_400):
        raw = sign(on, [WithdrawConsent(on.pseudonym, on.choice, digest(), 0)], [on.key], expires_in_s=ahead_s)
        assert on.world.engine.submit(raw).code == NOT_A_TRANSACTION
    doctor = on.people[PRACTICE]
    late = open_session(doctor.key, doctor.certificate, custodian=HOSPITAL, from_s=now_s + 600)
    granted = request(on.practice, late, on.wish())
    assert isinstance(granted, Granted)
    with pytest.raises(Refused) as refused:
        on.opened(granted)
    assert refused.value.refusal is Refusal.SESSION_UNFIT
    root, too_late_s = tree_root(on), now_s + 401 * 86_400
    secret = ticket_key(secrets.token_bytes(32))
    rejected = [
        (
            Certify(PRACTICE, CertificateId(digest()), CertificateKind.PERSON, (RoleClass.CLINICAL,), too_late_s),
            [key_of(on, PRACTICE)],
            MembershipRejection.EXPIRY_UNFIT,
        ),
        (
            issued(on, secret, ends_at_s=too_late_s),
            [on.key, secret],
            TicketRejection.EXPIRY_UNFIT,
        ),
        (
            asked(on, duration_s=901),
            [SigningKey.generate(), key_of(on, PRACTICE)],
            AccessRejection.DURATION_UNFIT,
        ),
    ]
    assert [submit(on, [message], keys).code for message, keys, _ in rejected] == [code for *_, code in rejected]
    assert tree_root(on) == root


@pytest.mark.promise("L4")
def test_replay_within_the_deadline(on: Scene) -> None:
    """A signed message is good until its deadline, as often as anybody sends it.

    SWC-121, CWE-294. The attacker keeps a choice that it saw, and sends it again, to ledger and node, after it was
    withdrawn. It gets the stored answer of then, and changes nothing.
    """
    raw, residual = choice_by(on, on.key, TO_THE_PRACTICE)
    deliver(on, raw, residual)
    chosen = choices(on).choices[-1].choice
    assert submit(on, [WithdrawConsent(on.pseudonym, chosen, digest(), 0)], [on.key]).code == DONE
    before, root, events = choices(on), tree_root(on), event_count(on)
    again = on.world.engine.submit(raw)
    assert again.code == DONE, "the stored outcome, of then"
    deliver(on, raw, residual)
    assert (choices(on), tree_root(on), event_count(on)) == (before, root, events)


@pytest.mark.promise("R5")
def test_replay_of_an_acceptance_releases_nothing_new(on: Scene) -> None:
    """The same at the release: the receipt's signature again brings the same slots under the same key, once logged."""
    granted = on.granted()
    offer = answer(on.hospital, PRACTICE, part_ask(granted))
    assert isinstance(offer, PartOffer)
    accept = PartAccept(granted.permit, 1, sign_as_requester(offer.statement, on.practice.signing(KeyUse.RECEIPT)))
    first, again = answer(on.hospital, PRACTICE, accept), answer(on.hospital, PRACTICE, accept)
    assert isinstance(first, Slots)
    assert isinstance(again, Slots)
    assert len(on.hospital.custodian_journal.permit_lines(granted.permit)) == 1
    assert isinstance(answer(on.hospital, OUTSIDER, accept), RefusedAnswer)


@pytest.mark.promise("R1", "P7")
def test_a_seen_bearer_ticket_used_by_somebody_else(on: Scene) -> None:
    """A token that is a secret string on a public ledger: whoever reads it there can use it, even first.

    Published of share links and one-time codes that are sent to a contract in clear, and known as front running
    (SWC-114). Every member sees every use. The attacker sees one before it is in a block and tries to be first, with
    its own session, with other signers, with another message, with a request without a use.
    """
    bearer = ticket_key(secrets.token_bytes(32))
    ends_at_s = on.hospital.clock() + 3600
    assert submit(on, [issued(on, bearer, ends_at_s=ends_at_s)], [on.key, bearer]).code == DONE
    holder, thief = SigningKey.generate(), SigningKey.generate()
    use = UseTicket(on.pseudonym, PublicKey(bearer.public), 1)
    research = {"purpose": Purpose.HRESCH, "ticket": Digest(bearer.public), "session": 1}
    seen = sign(on, [use, asked(on, **research)], [bearer, holder, key_of(on, PRACTICE)])
    theft = asked(on, requester=OUTSIDER, **research)
    stolen = [
        sign(on, [use, theft], [thief, thief, key_of(on, OUTSIDER)]),
        sign(on, [use, theft], [thief, key_of(on, OUTSIDER)]),
        sign(on, [asked(on, requester=OUTSIDER, **(research | {"session": 0}))], [thief, key_of(on, OUTSIDER)]),
        altered(seen, signers=[bearer.public, thief.public, key_of(on, OUTSIDER).public]),
        altered(seen, messages=[msgspec.Raw(encode(use)), msgspec.Raw(encode(theft))]),
    ]
    for raw in stolen:
        assert on.world.engine.submit(raw).code > DENIED
    used = on.world.engine.submit(seen)
    assert used.code == DONE
    permits = {access.permit_id(decode_leaf(leaf).transaction, 1) for leaf in used.leaves}
    with on.world.engine.snapshot() as reader:
        assert {access.permit(reader, each).requester for each in permits} == {PRACTICE}  # type: ignore[union-attr]
        assert tickets.is_in_force(reader, PublicKey(bearer.public), time_s=on.hospital.clock())
    assert on.world.engine.submit(seen) == used
    spent = sign(on, [use, asked(on, **research)], [bearer, holder, key_of(on, PRACTICE)])
    assert on.world.engine.submit(spent).code == TicketRejection.TICKET_USED_UP


@pytest.mark.promise("R3")
def test_dead_man_timer_in_wrong_units(on: Scene) -> None:
    """Seconds on one side, milliseconds on the other: the switch that should end a right never does, or at once.

    Published of an inheritance contract for health records. A permit ends at its second and not a second later, and a
    client that counts in milliseconds is refused everywhere instead of getting a thousand times as long.
    """
    granted = on.granted()
    terms = granted.terms
    assert terms.until_s - terms.from_s == 900
    assert abs(terms.from_s - on.hospital.clock()) < 60
    with on.world.engine.snapshot() as reader:
        access.require_live(reader, granted.permit, time_s=terms.until_s - 1)
        for time_s in (terms.until_s, terms.until_s + 1, terms.from_s - 1, terms.from_s * 1000):
            with pytest.raises(PermitDead):
                access.require_live(reader, granted.permit, time_s=time_s)
    now_ms = on.hospital.clock() * 1000
    device, bearer = SigningKey.generate(), SigningKey.generate()
    in_milliseconds = [
        sign(on, [asked(on, duration_s=900_000)], [device, key_of(on, PRACTICE)]),
        sign(on, [asked(on)], [device, key_of(on, PRACTICE)], expires_in_s=now_ms),
        sign(on, [AddKey(on.pseudonym, PublicKey(device.public), KeyKind.DEVICE, now_ms, digest())], [on.key, device]),
        sign(on, [issued(on, bearer, ends_at_s=now_ms)], [on.key, bearer]),
    ]
    root = tree_root(on)
    refused = [on.world.engine.submit(raw).code for raw in in_milliseconds]
    assert refused == [AccessRejection.DURATION_UNFIT, NOT_A_TRANSACTION, NOT_A_TRANSACTION, NOT_A_TRANSACTION]
    assert tree_root(on) == root
    past = AddKey(on.pseudonym, PublicKey(device.public), KeyKind.DEVICE, on.hospital.clock() // 1000, digest())
    assert submit(on, [past], [on.key, device]).code == PatientRejection.EXPIRY_UNFIT


def test_the_scene_is_whole_after_all_that(on: Scene) -> None:
    assert sorted(on.opened(on.granted())) == sorted(CHART)
    assert submit(on, [asked(on)], [SigningKey.generate()]).code == SIGNATURE_MISSING
