"""Large charts: records in streams of their own, releases in parts, the same part again, and what an end may not do."""

import json
from collections.abc import Iterator

import pytest

from salus.clinical.fhir.resources import parse
from salus.clinical.nhs_number import NhsNumber
from salus.contracts.access import End
from salus.contracts.provisions import Provision, ProvisionType, Purpose, RoleClass
from salus.contracts.residuals import Scope
from salus.ledger.receipts import ReleasedField, RequestField, decode_field
from salus.node.errors import Refusal, Refused
from salus.node.exchange import PartAccept, PartAsk, PartOffer, Slots, StreamAsk
from salus.node.people import OpenSession, certify_person, open_session
from salus.node.services import release
from salus.node.services.anchor import anchored
from salus.node.services.choices import file_by_custodian
from salus.node.services.deposit import deposit
from salus.node.services.enrol import enrol
from salus.node.services.receive import receive
from salus.node.services.request import Granted, Wish, request
from salus.testing.world import HOSPITAL, PRACTICE, World, world

SMALL = [
    json.dumps({"resourceType": "Observation", "id": f"o{n}", "status": "final", "note": "x" * 1000}).encode()
    for n in range(7)
]
LARGE = json.dumps({"resourceType": "Binary", "id": "scan", "contentType": "x", "data": "A" * 3_500_000}).encode()
ANYTHING = Provision(type=ProvisionType.PERMIT, organisations=(PRACTICE,))


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("world")) as made:
        yield made


@pytest.fixture(scope="module")
def ask(two: World) -> tuple[OpenSession, Wish]:
    pseudonym = enrol(two.hospital, NhsNumber("9990000018"), "1980-02-29")
    deposit(two.hospital, pseudonym, [parse(body) for body in [*SMALL, LARGE]])
    file_by_custodian(two.hospital, pseudonym, ANYTHING)
    gp = certify_person(two.practice, name="G", role="GP", registration="GMC 1", role_class=RoleClass.CLINICAL)
    session = open_session(gp.key, gp.certificate, custodian=HOSPITAL, from_s=two.practice.clock())
    return session, Wish(pseudonym, HOSPITAL, RoleClass.CLINICAL, Purpose.TREAT)


def granted_to(two: World, ask: tuple[OpenSession, Wish]) -> Granted:
    granted = request(two.practice, *ask)
    assert isinstance(granted, Granted)
    return granted


def part_ask(granted: Granted, part: int) -> PartAsk:
    return PartAsk(granted.permit, granted.height, part, granted.residual, granted.reader_key.public)


@pytest.mark.promise("R6")
def test_a_large_record_comes_in_its_own_stream(two: World, ask: tuple[OpenSession, Wish]) -> None:
    granted = granted_to(two, ask)
    offer = two.peers(PRACTICE).ask(HOSPITAL, part_ask(granted, 1))
    assert isinstance(offer, PartOffer)
    (place,) = [place for place, each in enumerate(offer.records) if not each.inline]
    segments = list(two.peers(PRACTICE).stream(HOSPITAL, StreamAsk(granted.permit, 1, place)))
    assert len(segments) == 4
    assert sorted(each.content for each in receive(two.practice, two.peers(PRACTICE), granted)) == sorted(
        [*SMALL, LARGE]
    )


@pytest.mark.promise("R5")
def test_a_release_in_parts_has_a_receipt_for_each(
    two: World, ask: tuple[OpenSession, Wish], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(release, "PART_BYTES_MAX", 2500)
    granted = granted_to(two, ask)
    contents = [each.content for each in receive(two.practice, two.peers(PRACTICE), granted)]
    assert sorted(contents) == sorted([*SMALL, LARGE])
    leaves = anchored(two.hospital, granted.permit, End.CUSTODIAN)
    assert [leaf.receipt.statement.part for leaf in leaves] == list(range(1, len(leaves) + 1))
    assert len(leaves) >= 4
    names, counts = [], set()
    for part in range(1, len(leaves) + 1):
        document = release.part_document(two.hospital, granted.permit, part)
        assert document is not None
        fields = [decode_field(value) for value in document.fields.values]
        names += [each.entry for each in fields if isinstance(each, ReleasedField)]
        counts |= {each.part_count for each in fields if isinstance(each, RequestField)}
    assert len(names) == len(set(names)) == len(SMALL) + 1
    assert counts == {len(leaves)}


@pytest.mark.promise("R5")
def test_the_same_part_again_is_the_same_receipt_and_the_same_key(two: World, ask: tuple[OpenSession, Wish]) -> None:
    granted, peers = granted_to(two, ask), two.peers(PRACTICE)
    first = list(receive(two.practice, peers, granted))
    again = list(receive(two.practice, peers, granted))
    assert [each.content for each in again] == [each.content for each in first]
    assert len(anchored(two.hospital, granted.permit, End.CUSTODIAN)) == 1
    assert len(anchored(two.practice, granted.permit, End.REQUESTER)) == 1


@pytest.mark.parametrize("part", [2, 99])
def test_a_part_that_the_release_does_not_have(two: World, ask: tuple[OpenSession, Wish], part: int) -> None:
    granted = granted_to(two, ask)
    with pytest.raises(Refused) as refused:
        two.peers(PRACTICE).ask(HOSPITAL, part_ask(granted, part))
    assert refused.value.refusal is Refusal.PART_UNKNOWN


@pytest.mark.promise("R5")
def test_no_slot_without_the_requesters_signature(two: World, ask: tuple[OpenSession, Wish]) -> None:
    granted, peers = granted_to(two, ask), two.peers(PRACTICE)
    peers.ask(HOSPITAL, part_ask(granted, 1))
    with pytest.raises(Refused) as refused:
        peers.ask(HOSPITAL, PartAccept(granted.permit, 1, bytes(64)))
    assert refused.value.refusal is Refusal.RECEIPT_UNFIT
    assert anchored(two.hospital, granted.permit, End.CUSTODIAN) == []


@pytest.mark.promise("R1")
def test_another_member_cannot_use_the_permit(two: World, ask: tuple[OpenSession, Wish]) -> None:
    granted = granted_to(two, ask)
    with pytest.raises(Refused) as refused:
        two.peers(HOSPITAL).ask(HOSPITAL, part_ask(granted, 1))
    assert refused.value.refusal is Refusal.NOT_THE_REQUESTER


@pytest.mark.promise("R1")
def test_only_what_was_asked_for_comes(two: World, ask: tuple[OpenSession, Wish]) -> None:
    session, wish = ask
    narrow = Wish(wish.pseudonym, HOSPITAL, wish.role_class, wish.purpose, scope=Scope(classes=("Binary",)))
    granted = request(two.practice, session, narrow)
    assert isinstance(granted, Granted)
    assert [each.content for each in receive(two.practice, two.peers(PRACTICE), granted)] == [LARGE]


@pytest.mark.promise("R6")
def test_a_key_for_another_reader_does_not_come(two: World, ask: tuple[OpenSession, Wish]) -> None:
    granted, other = granted_to(two, ask), granted_to(two, ask)
    stolen = PartAsk(granted.permit, granted.height, 1, granted.residual, other.reader_key.public)
    with pytest.raises(Refused) as refused:
        two.peers(PRACTICE).ask(HOSPITAL, stolen)
    assert refused.value.refusal is Refusal.READER_KEY_UNFIT


def test_slots_are_not_what_a_part_ask_gets(two: World, ask: tuple[OpenSession, Wish]) -> None:
    granted = granted_to(two, ask)
    assert not isinstance(two.peers(PRACTICE).ask(HOSPITAL, part_ask(granted, 1)), Slots)
