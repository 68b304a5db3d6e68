"""Keys of journal lines: one for a relationship at a node, whoever makes it; changed and erased are told apart."""

import zlib
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import msgspec
import pytest
from sqlalchemy import update

from salus.clinical.fhir.resources import parse
from salus.node import documents
from salus.node.documents import Kind
from salus.node.fsck import check_node
from salus.node.journal import Journal, JournalDamaged, SealedLine, State
from salus.node.line_keys import LineKey, LineKeys
from salus.node.services.choices import file_by_custodian
from salus.node.services.deposit import deposit
from salus.node.services.enrol import enrol
from salus.testing.population.numbers import kept_nhs_number
from salus.testing.world import CHAIN, HOSPITAL
from salus.vault import schema
from tests.node.one_day import BORN, SHARED, SMALL, Day

pytestmark = pytest.mark.promise("P5", "R5")


def test_two_workers_make_one_key(day: Day) -> None:
    first, second = LineKeys(day.hospital.vault, CHAIN), LineKeys(day.hospital.vault, CHAIN)
    made = first.make(day.ann)
    assert second.make(day.ann) == made
    assert second.of([day.ann]) == {day.ann: made}
    assert second.named([made.name, bytes(16)]) == {made.name: made}


def test_workers_that_make_it_at_the_same_moment_get_one_key(day: Day) -> None:
    """As with the first two releases of a new patient; most of them find the other's half made without a pause."""
    workers = 4
    with ThreadPoolExecutor(workers) as pool:
        for number in range(8):
            begin, pseudonym = Barrier(workers), bytes([number]) * 16

            def make(begin: Barrier = begin, pseudonym: bytes = pseudonym) -> LineKey:
                begin.wait()
                return LineKeys(day.hospital.vault, CHAIN).make(pseudonym)

            assert len({each.result() for each in [pool.submit(make) for _ in range(workers)]}) == 1


def test_erasing_one_record_costs_no_line(day: Day) -> None:
    """The relationship gets a new key then; the line key is wrapped again under it."""
    granted = day.granted()
    assert day.receive(granted) == [SMALL]
    record = next(each for each in day.hospital.vault.records(day.ann) if documents.kind_of(each) is Kind.RECORD)
    day.hospital.vault.erase_record(record.record_id)
    again = day.restart(HOSPITAL)
    assert [line.state for line in again.custodian_journal.permit_lines(granted.permit)] == [State.SENT]


def test_a_damaged_key_costs_no_other_relationship_its_lines(day: Day) -> None:
    of_ann = day.granted()
    day.receive(of_ann)
    ann, day.ann = day.ann, enrol(day.hospital, kept_nhs_number(1), BORN)
    deposit(day.hospital, day.ann, [parse(SMALL)])
    file_by_custodian(day.hospital, day.ann, SHARED)
    of_bob = day.granted()
    day.receive(of_bob)
    damaged = documents.document_id(Kind.LINE_KEY, LineKeys(day.hospital.vault, CHAIN).of([ann])[ann].name)
    with day.hospital.vault.database.writing() as connection:
        connection.execute(update(schema.slots).where(schema.slots.c.record_id == damaged).values(slot=bytes(60)))
    again = day.restart(HOSPITAL)
    assert again.custodian_journal.permit_lines(of_ann.permit) == []
    assert [line.state for line in again.custodian_journal.permit_lines(of_bob.permit)] == [State.SENT]
    found = list(check_node(again, day.world.folder / "rvj"))
    assert damaged in {each.record_id for each in found}, "said of the vault"
    assert "journal" not in {each.part for each in found}


@pytest.mark.parametrize("place", [0, 12, -1], ids=["nonce", "ciphertext", "tag"])
def test_a_sealed_line_that_was_changed_is_refused_by_name(day: Day, place: int) -> None:
    """Also with a right checksum, and also the last line of the file: it is no torn one."""
    day.receive(day.granted())
    day.hospital.custodian_journal.close()
    (path,) = (day.world.folder / "rvj" / "released").glob("*.journal")
    whole = path.read_bytes()
    start = last_line(whole)
    stored = msgspec.msgpack.decode(whole[start + 8 :], type=SealedLine)
    sealed = bytearray(stored.sealed)
    sealed[place] ^= 1
    body = msgspec.msgpack.encode(SealedLine(stored.key_name, bytes(sealed)))
    path.write_bytes(whole[:start] + len(body).to_bytes(4, "big") + zlib.crc32(body).to_bytes(4, "big") + body)
    with pytest.raises(JournalDamaged, match="was changed: restore the journal"):
        Journal(path.parent, LineKeys(day.hospital.vault, CHAIN), unfinished=State.POSSIBLY_RELEASED, now_s=0)


def last_line(whole: bytes) -> int:
    start = 0
    while (end := start + 8 + int.from_bytes(whole[start : start + 4], "big")) < len(whole):
        start = end
    return start
