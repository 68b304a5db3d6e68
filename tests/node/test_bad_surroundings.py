"""Bad days around a release: the disk, the clock, a certificate, a member, the ledger or a document is gone."""

import dataclasses
import errno
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from salus.clinical.fhir.resources import parse
from salus.contracts import CONTRACTS, consent, membership
from salus.contracts.access import End
from salus.contracts.genesis import genesis_rows
from salus.contracts.membership import CertificateKind, Certify, KeyUse, RevokeCertificate
from salus.contracts.provisions import Purpose, RoleClass
from salus.contracts.residuals import PersonCertificate, commit_certificate
from salus.crypto.hashing import EMPTY_ROOT
from salus.crypto.sealing import new_key
from salus.crypto.signing import SigningKey
from salus.engines.base import Founding
from salus.engines.embedded import EmbeddedEngine
from salus.ledger.identifiers import OrganisationId, Pseudonym, PublicKey
from salus.node import documents
from salus.node.answer import answer
from salus.node.assemble import Node
from salus.node.documents import Kind
from salus.node.errors import NotNow, Refusal, Refused
from salus.node.exchange import (
    NotNowAnswer,
    PartAccept,
    RefusedAnswer,
    Slots,
    StreamAsk,
)
from salus.node.journal import Journal, PartKey, State
from salus.node.keys import generate
from salus.node.line_keys import LineKeys
from salus.node.people import Person, certify_person, open_session
from salus.node.services.anchor import anchor
from salus.node.services.choices import file_by_custodian, withdraw_by_custodian
from salus.node.services.deposit import deposit
from salus.node.services.enrol import enrol
from salus.node.services.match import match
from salus.node.services.request import Denied, Wish, request
from salus.testing.population.numbers import kept_nhs_number
from salus.testing.world import CHAIN, HOSPITAL, PRACTICE, World, make_genesis, unix_now_s, world
from salus.vault.errors import Unavailable as VaultUnavailable
from salus.vault.fsck import fsck
from tests.conftest import absent
from tests.node.one_day import BORN, LARGE, SHARED, SMALL, Day, part_ask, permits

# The disk


@pytest.mark.promise("R5")
def test_a_journal_that_cannot_be_made_durable_lets_no_slot_go(day: Day, monkeypatch: pytest.MonkeyPatch) -> None:
    granted = day.granted()
    offer = day.offer(granted)
    with monkeypatch.context() as patched:
        patched.setattr("salus.node.journal.os.fsync", fails(errno.EIO))
        assert isinstance(day.accept(granted, offer), NotNowAnswer)
    assert isinstance(day.accept(granted, offer), NotNowAnswer), "what the disk has, nobody knows until a new start"
    day.restart(HOSPITAL)
    assert isinstance(day.accept(granted, offer), Slots)


def fails(number: int) -> Callable[..., None]:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MB."""
    place = tmp_path / "small"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        absent("a small file system needs root and mount")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.services
@pytest.mark.promise("R5")
def test_the_journals_disk_is_full(day: Day, small_disk: Path) -> None:
    """No slot without its line, and no half line in the way of the next."""
    journal = Journal(
        small_disk / "released", LineKeys(day.hospital.vault, CHAIN), unfinished=State.POSSIBLY_RELEASED, now_s=0
    )
    full = dataclasses.replace(day.hospital, custodian_journal=journal)
    day.world.nodes[HOSPITAL] = full
    granted = day.granted()
    offer = day.offer(granted)
    ballast = small_disk / "ballast"
    fill(ballast)
    with pytest.raises(NotNow, match="journal"):
        use_up(journal)
    came = day.accept(granted, offer)
    assert isinstance(came, NotNowAnswer)
    ballast.unlink()
    assert isinstance(day.accept(granted, offer), Slots)
    journal.close()
    again = Journal(
        small_disk / "released", LineKeys(day.hospital.vault, CHAIN), unfinished=State.POSSIBLY_RELEASED, now_s=0
    )
    assert again.line(PartKey(granted.permit, 1)).state is State.SENT  # type: ignore[union-attr]
    again.close()


def use_up(journal: Journal) -> None:
    """Write what there is room for in the last page of a journal."""
    for number in range(1000):
        journal.intent(PartKey(b"another", number), pseudonym=b"another", at_s=0)


def fill(ballast: Path) -> None:
    """Fill a disk to the last byte."""
    with ballast.open("wb", buffering=0) as file:
        for size_bytes in (1 << 16, 1 << 12, 1):
            while True:
                try:
                    if file.write(bytes(size_bytes)) < size_bytes:
                        break
                except OSError:
                    break


@pytest.mark.services
@pytest.mark.promise("L2")
def test_the_vaults_disk_is_full_during_a_deposit(tmp_path: Path, small_disk: Path) -> None:
    """Nothing half stored, a clear word, and the same deposit goes through when there is room."""
    with world(tmp_path, organisations=(HOSPITAL,)) as made:
        ordinary = made.folder
        made.folder = small_disk
        node = made.open_node(HOSPITAL)
        made.folder = ordinary
        ann = enrol(node, kept_nhs_number(0), BORN)
        deposit(node, ann, [parse(SMALL)])
        with pytest.raises(VaultUnavailable, match=r"disk|full|space"):
            deposit(node, ann, [parse(LARGE)])
        assert len(node.vault.records(ann)) == 1 + documents_of(node, ann)
        node.vault.sweep(unix_now_s() + 1)
        assert list(fsck(node.vault)) == []
        middling = json.dumps({"resourceType": "Binary", "id": "b-2", "contentType": "x", "data": "A" * 200_000})
        assert [each.is_new for each in deposit(node, ann, [parse(middling.encode())])] == [True]


def documents_of(node: Node, pseudonym: Pseudonym) -> int:
    return sum(documents.kind_of(record) is not Kind.RECORD for record in node.vault.records(pseudonym))


# The clock


@pytest.mark.promise("R3")
@pytest.mark.parametrize("off_s", [600, -600])
def test_a_custodians_clock_is_ten_minutes_off(day: Day, off_s: int) -> None:
    """The later of its clock and block time counts: a fast clock ends a permit early, a slow one prolongs none."""
    granted = day.granted()
    day.restart(HOSPITAL, clock=lambda: unix_now_s() + off_s)
    assert day.receive(granted) == [SMALL]
    for after_s in (900, 1200):
        day.restart(HOSPITAL, clock=lambda: granted.terms.from_s + after_s)  # noqa: B023
        with pytest.raises(Refused) as refused:
            day.receive(granted)
        assert refused.value.refusal is Refusal.PERMIT_DEAD


@pytest.mark.promise("R5")
@pytest.mark.parametrize("off_s", [600, -600])
def test_what_a_wrong_clock_keeps_from_the_ledger_is_anchored_when_it_is_right(day: Day, off_s: int) -> None:
    """Its transactions are refused as expired or too far ahead. That must not count as *nothing left to anchor*."""
    granted = day.granted()
    day.receive(granted)
    wrong = day.restart(HOSPITAL, clock=lambda: unix_now_s() + off_s)
    with pytest.raises(Refused, match="expir"):
        anchor(wrong)
    right = day.restart(HOSPITAL)
    assert anchor(right) == 1
    assert [(each.end, each.root != EMPTY_ROOT) for each in day.trail(granted.permit)] == [(End.CUSTODIAN, True)]


@pytest.mark.promise("R3")
@pytest.mark.parametrize("off_s", [600, -600])
def test_a_requesters_clock_is_ten_minutes_off(day: Day, off_s: int) -> None:
    """It is told so by the ledger, with both times, and nothing is committed."""
    day.restart(PRACTICE, clock=lambda: unix_now_s() + off_s)
    with pytest.raises(Refused, match=r"expir.* \d{10}") as refused:
        day.granted()
    assert refused.value.refusal is Refusal.LEDGER_REJECTED
    assert permits(day) == []


# Certificates and members


@pytest.mark.promise("R3")
def test_a_certificate_that_is_revoked_between_permit_and_release(day: Day) -> None:
    granted = day.granted()
    day.practice.submit(RevokeCertificate(organisation=PRACTICE, certificate=day.doctor.certificate_id))
    with pytest.raises(Refused) as refused:
        day.receive(granted)
    assert refused.value.refusal is Refusal.PERSON_UNFIT


@pytest.mark.promise("R3")
def test_a_certificate_that_is_revoked_between_offer_and_slot(day: Day) -> None:
    """The sealed bytes are over there; the key to them is another release, and is refused."""
    granted = day.granted()
    offer = day.offer(granted)
    day.practice.submit(RevokeCertificate(organisation=PRACTICE, certificate=day.doctor.certificate_id))
    came = day.accept(granted, offer)
    assert isinstance(came, RefusedAnswer)
    assert came.refusal is Refusal.PERSON_UNFIT
    assert day.hospital.custodian_journal.permit_lines(granted.permit)[0].receipt == b""


@pytest.mark.promise("R3")
def test_a_withdrawal_between_offer_and_slot(day: Day) -> None:
    granted = day.granted()
    offer = day.offer(granted)
    withdraw_by_custodian(day.hospital, day.ann, day.choice)
    came = day.accept(granted, offer)
    assert isinstance(came, RefusedAnswer)
    assert came.refusal is Refusal.PERMIT_DEAD


@pytest.mark.promise("R3")
def test_a_certificate_that_has_expired(day: Day) -> None:
    """It was in force when the ledger permitted, and is not any more when the records would go."""
    locum = short_lived(day.practice, expires_in_s=120)
    granted = day.granted(locum)
    assert day.receive(granted) == [SMALL]
    day.restart(HOSPITAL, clock=lambda: unix_now_s() + 121)
    with pytest.raises(Refused) as refused:
        day.receive(granted)
    assert refused.value.refusal is Refusal.PERSON_UNFIT


def short_lived(node: Node, *, expires_in_s: int) -> Person:
    key = SigningKey.generate()
    certificate = PersonCertificate(
        organisation=node.organisation,
        name="Dr Brief",
        role="Locum",
        registration="GMC 2",
        role_classes=(RoleClass.CLINICAL,),
        key=PublicKey(key.public),
    )
    person = Person(key, commit_certificate(certificate, secret=new_key()))
    expires_at_s = unix_now_s() + expires_in_s
    kind = CertificateKind.PERSON
    node.submit(Certify(node.organisation, person.certificate_id, kind, (RoleClass.CLINICAL,), expires_at_s))
    return person


@pytest.mark.promise("R3")
def test_a_suspended_member_neither_asks_nor_gets(tmp_path: Path) -> None:
    with suspended_world(tmp_path, PRACTICE) as made:
        ann = enrol(made.hospital, kept_nhs_number(0), BORN)
        deposit(made.hospital, ann, [parse(SMALL)])
        file_by_custodian(made.hospital, ann, SHARED)
        doctor = certify_person(
            made.practice, name="Dr Jones", role="GP", registration="GMC 1", role_class=RoleClass.CLINICAL
        )
        session = open_session(doctor.key, doctor.certificate, custodian=HOSPITAL, from_s=unix_now_s())
        came = request(made.practice, session, Wish(ann, HOSPITAL, RoleClass.CLINICAL, Purpose.TREAT))
        assert isinstance(came, Denied)
        assert came.reason.name == "REQUESTER_SUSPENDED"
        with pytest.raises(Refused) as refused:
            match(made.practice, made.peers(PRACTICE), HOSPITAL, session, kept_nhs_number(0), date_of_birth=BORN)
        assert refused.value.refusal is Refusal.SENDER_UNKNOWN


@contextmanager
def suspended_world(folder: Path, suspended: OrganisationId) -> Iterator[World]:
    """A world in which one member is suspended: the vote that does it comes with a later issue."""
    keys = {HOSPITAL: generate(), PRACTICE: generate()}
    genesis = make_genesis(keys)
    rows = []
    for contract, table, key, value in genesis_rows(genesis):
        if table is membership.ORGANISATIONS and key == suspended:
            value = msgspec.structs.replace(value, suspended_until_s=unix_now_s() + 86_400)
        rows.append((contract, table, key, value))
    founding = Founding(chain=genesis.chain, contracts=CONTRACTS, time_s=genesis.time_s, rows=tuple(rows))
    engine = EmbeddedEngine(folder / "ledger", founding, keys[HOSPITAL].signing(KeyUse.CONSENSUS))
    try:
        made = World(folder, genesis, engine, keys)
        for organisation in keys:
            made.open_node(organisation)
        yield made
    finally:
        engine.close()


@pytest.mark.promise("R1")
def test_an_unknown_member_gets_nothing(day: Day) -> None:
    granted = day.granted()
    for ask in (part_ask(granted), PartAccept(granted.permit, 1, bytes(64))):
        came = answer(day.hospital, OrganisationId("ZZ9"), ask)
        assert isinstance(came, RefusedAnswer)
        assert came.refusal in (Refusal.NOT_THE_REQUESTER, Refusal.SENDER_UNKNOWN)


# The ledger, and what the custodian has lost


class OldHeaders:
    """The same engine, as it looks to a node that hears nothing new."""

    def __init__(self, engine: object) -> None:
        self._engine = engine

    def __getattr__(self, name: str) -> object:
        return getattr(self._engine, name)

    def status(self) -> object:
        return msgspec.structs.replace(self._engine.status(), header_age_ms=10_001)  # type: ignore[attr-defined]


@pytest.mark.promise("R3")
def test_a_node_that_hears_nothing_new_releases_nothing_to_others(long_day: Day) -> None:
    granted = long_day.granted()
    offer = long_day.offer(granted)
    long_day.world.nodes[HOSPITAL] = dataclasses.replace(long_day.hospital, engine=OldHeaders(long_day.hospital.engine))
    assert isinstance(answer(long_day.hospital, PRACTICE, part_ask(granted)), NotNowAnswer)
    assert isinstance(long_day.accept(granted, offer), NotNowAnswer)
    with pytest.raises(NotNow):
        next(long_day.world.peers(PRACTICE).stream(HOSPITAL, StreamAsk(granted.permit, 1, 1)))


@pytest.mark.promise("R1")
def test_a_custodian_that_has_lost_the_rules_releases_nothing(day: Day) -> None:
    with day.world.engine.snapshot() as reader:
        (choice,) = consent.choices(reader, day.ann).choices
    granted = day.granted()
    day.hospital.vault.erase_record(documents.document_id(Kind.CHOICE, choice.commitment))
    with pytest.raises(Refused) as refused:
        day.receive(granted)
    assert refused.value.refusal is Refusal.RULES_MISSING


@pytest.mark.promise("R5")
def test_a_release_is_anchored_by_one_message_of_each_end(day: Day) -> None:
    granted = day.granted()
    day.receive(granted)
    for node in (day.hospital, day.practice):
        anchor(node)
        assert anchor(node) == 0
    assert [(each.end, each.is_closed) for each in day.trail(granted.permit)] == [
        (End.CUSTODIAN, False),
        (End.REQUESTER, False),
    ]
