"""Depositing and reading: what goes in comes out under the roots of the answer, and the same again is the same."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from salus.crypto.commitments import content_root
from salus.crypto.hashing import leaf_hash
from salus.crypto.merkle import ProofInvalid, verify_inclusion
from salus.crypto.sealing import new_key, open_sealed, sealed_root, sealed_size, unwrap
from salus.vault import rows
from salus.vault.database import Database
from salus.vault.deposits import METADATA_SIZE_MAX_BYTES, Streamed
from salus.vault.drivers.folder import INCOMING, Folder
from salus.vault.drivers.s3 import Bucket
from salus.vault.drivers.sql import SMALL_SIZE_MAX_BYTES
from salus.vault.errors import NoSuchRecord, RecordExists, SizeWrong, TooLarge, Unavailable
from salus.vault.fsck import fsck
from tests.vault.conftest import DATABASES
from tests.vault.sample_vault import (
    LARGE,
    MEDIUM,
    SMALL,
    SampleVault,
    content,
    deposit,
    identifier,
    opened,
    outcome,
    streamed,
)
from tests.vault.servers import KEYS, S3Server

MIB = 1 << 20
ROW_MAX = SMALL_SIZE_MAX_BYTES - (sealed_size(1) - 1)
EDGES = {
    "empty": 0,
    "one byte": 1,
    "largest row": ROW_MAX,
    "smallest object": ROW_MAX + 1,
    "largest in one shot": MIB,
    "smallest stream": MIB + 1,
    "several segments": LARGE,
}


def nothing_left(sample: SampleVault) -> bool:
    """No row, no object, no part of one."""
    parts = list((sample.folder / "objects" / INCOMING).iterdir())
    return not parts and not list(sample.objects.names()) and list(fsck(sample.vault)) == []


@pytest.mark.parametrize("url", DATABASES, indirect=True)
@pytest.mark.parametrize("size", EDGES.values(), ids=EDGES)
def test_what_goes_in_comes_out(sample: SampleVault, size: int) -> None:
    made = deposit("r", "record", size)
    answer = sample.vault.deposit(made)
    assert opened(sample.vault, made) == made.content
    segments = list(sample.vault.sealed_segments(*made.key))
    assert sealed_root(segments) == answer.sealed_root
    assert len(segments) == answer.segment_count
    assert sum(map(len, segments)) == sealed_size(size)
    assert content_root(answer.content_salt, content("record", size)) == answer.content_root
    record = sample.vault.record(*made.key)
    assert (record.metadata, record.size_bytes, record.associated) == (made.metadata, size, made.associated)
    assert (record.content_salt, record.relationship) == (answer.content_salt, made.relationship)


@pytest.mark.services
def test_large_objects_may_lie_in_a_bucket(database: Database, tmp_path: Path, s3_server: S3Server) -> None:
    bucket = Bucket.connect(s3_server.new_bucket(), endpoint=s3_server.endpoint, **KEYS)
    sample = SampleVault(database, tmp_path, bucket)
    made = [deposit("r", "large", 20 * MIB), deposit("r", "medium", MEDIUM)]
    sample.vault.deposit_many(made)
    assert [opened(sample.vault, each) == each.content for each in made] == [True, True]
    assert list(fsck(sample.vault)) == []
    sample.vault.erase_relationship(identifier("r"))
    assert list(bucket.names()) == []


@pytest.mark.parametrize("size", [SMALL, MEDIUM, LARGE])
@pytest.mark.parametrize("chunk_size", [7_001, MIB, 10 * MIB])
def test_content_may_come_in_chunks(sample: SampleVault, size: int, chunk_size: int) -> None:
    made = deposit("r", "record", size)
    answer = sample.vault.deposit(streamed(made, chunk_size))
    assert opened(sample.vault, made) == made.content
    again = sample.vault.deposit(made)
    assert again == replace(answer, is_new=False)


@pytest.mark.parametrize("url", DATABASES, indirect=True)
@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_the_same_bytes_again_get_the_same_answer(sample: SampleVault, size: int) -> None:
    made = deposit("r", "record", size)
    first = sample.vault.deposit(made)
    assert first.is_new
    sample.reopen()
    second = sample.vault.deposit(replace(made, metadata=b"salted anew by the sender"))
    assert second == replace(first, is_new=False)
    assert sample.vault.record(*made.key).metadata == made.metadata
    assert len(sample.vault.records(made.relationship)) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"content": b"other bytes"},
        {"content": content("record", SMALL) + b"\0"},
        {"content": content("record", SMALL)[:-1]},
        {"relationship": identifier("somebody else")},
        {"associated": b"another chain"},
    ],
    ids=["other bytes", "longer", "shorter", "other relationship", "other associated data"],
)
def test_other_bytes_for_the_same_version_are_refused(sample: SampleVault, change: dict[str, bytes]) -> None:
    made = deposit("r", "record")
    sample.vault.deposit(made)
    with pytest.raises(RecordExists, match="deposit a new version"):
        sample.vault.deposit(replace(made, **change))  # type: ignore[arg-type]
    assert opened(sample.vault, made) == made.content
    assert sample.vault.relationships() == [made.relationship]


def test_versions_live_side_by_side(sample: SampleVault) -> None:
    first, second = deposit("r", "record"), deposit("r", "record", version=2, seed="changed")
    sample.vault.deposit(first)
    sample.vault.deposit(second)
    assert [opened(sample.vault, each) for each in (first, second)] == [first.content, second.content]
    assert [each.version for each in sample.vault.records(first.relationship)] == [1, 2]


def test_a_batch_is_stored_whole_or_not_at_all(sample: SampleVault) -> None:
    sample.vault.deposit(deposit("r", "taken"))
    batch = [deposit("r2", "small"), deposit("r2", "large", LARGE), deposit("r", "taken", seed="other")]
    with pytest.raises(RecordExists):
        sample.vault.deposit_many(batch)
    assert sample.vault.relationships() == [identifier("r")]
    assert list(sample.objects.names()) == []
    with pytest.raises(RecordExists, match="two deposits of one batch"):
        sample.vault.deposit_many([batch[0], batch[0]])


def test_a_batch_may_mix_old_and_new(sample: SampleVault) -> None:
    batch = [deposit(f"r{i % 3}", f"record {i}", size) for i, size in enumerate([SMALL, LARGE, MEDIUM] * 3)]
    sample.vault.deposit_many(batch[:4])
    answers = sample.vault.deposit_many(batch)
    assert [answer.is_new for answer in answers] == [False] * 4 + [True] * 5
    assert [answer.record_id for answer in answers] == [each.record_id for each in batch]
    assert all(opened(sample.vault, each) == each.content for each in batch)


@pytest.mark.parametrize("size", [SMALL, MEDIUM, LARGE])
@pytest.mark.parametrize("wrong_by", [-1, 1])
def test_content_of_another_size_than_announced_is_refused(sample: SampleVault, size: int, wrong_by: int) -> None:
    made = deposit("r", "record", size)
    with pytest.raises(SizeWrong, match="send the right size"):
        sample.vault.deposit(streamed(made, 100_000, announced=size + wrong_by))
    assert nothing_left(sample)
    assert sample.vault.deposit(made).is_new


def test_a_sender_that_breaks_off_leaves_nothing(sample: SampleVault) -> None:
    class SenderGone(Exception):
        pass

    def chunks() -> Iterator[bytes]:
        yield bytes(2 * MIB)
        raise SenderGone

    with pytest.raises(SenderGone):
        sample.vault.deposit(replace(deposit("r", "record"), content=Streamed(chunks(), 5 * MIB)))
    assert nothing_left(sample)


def test_metadata_above_its_limit_is_refused(sample: SampleVault) -> None:
    made = deposit("r", "record")
    with pytest.raises(TooLarge, match="metadata"):
        sample.vault.deposit(replace(made, metadata=bytes(METADATA_SIZE_MAX_BYTES + 1)))
    sample.vault.deposit(replace(made, metadata=bytes(METADATA_SIZE_MAX_BYTES)))


def test_an_unknown_record_is_refused_at_once(sample: SampleVault) -> None:
    vault, key = sample.vault, (identifier("unknown"), 1)
    for ask in (vault.open, vault.record, vault.sealed_segments):
        with pytest.raises(NoSuchRecord, match=key[0].hex()):
            ask(*key)
    assert vault.records(identifier("nobody")) == []


@pytest.mark.promise("R6")
@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_a_single_segment_comes_with_its_path(sample: SampleVault, size: int) -> None:
    made = deposit("r", "record", size)
    answer = sample.vault.deposit(made)
    whole = list(sample.vault.sealed_segments(*made.key))
    for index in range(answer.segment_count):
        found = sample.vault.sealed_segment(*made.key, index)
        assert found.segment == whole[index]
        claim = {"index": index, "size": found.count, "path": found.path, "root": answer.sealed_root}
        verify_inclusion(leaf_hash=leaf_hash(found.segment), **claim)
        with pytest.raises(ProofInvalid):
            verify_inclusion(leaf_hash=leaf_hash(found.segment + b"\0"), **claim)


@pytest.mark.promise("R6")
@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_a_release_slot_opens_the_sealed_bytes(sample: SampleVault, size: int) -> None:
    made, release_key = deposit("r", "record", size), new_key()
    sample.vault.deposit(made)
    (released,) = sample.vault.release_slots([made.key], release_key=release_key, associated=[b"record, version, root"])
    data_key = unwrap(release_key, released.slot, b"record, version, root")
    sealed = b"".join(sample.vault.sealed_segments(*made.key))
    assert open_sealed(data_key, sealed, made.associated) == made.content


def test_a_deposit_stays_an_orphan_until_it_is_registered(sample: SampleVault) -> None:
    batch = [deposit("r", f"record {i}") for i in range(4)]
    for each in batch:
        sample.vault.deposit(each)
        sample.clock.now_s += 10
    sample.vault.register([batch[0].key, batch[2].key, (identifier("unknown"), 1)])
    waiting = sample.reopen().orphans(sample.clock.now_s)
    assert [(each.record_id, each.version) for each in waiting] == [batch[1].key, batch[3].key]
    assert [each.record_id for each in sample.vault.orphans(waiting[1].staged_at_s)] == [batch[1].record_id]
    assert [sample.vault.record(*each.key).registered for each in batch] == [True, False, True, False]


def test_the_newest_version_of_each_record_is_told(sample: SampleVault) -> None:
    versions = [deposit("r", "two", version=1), deposit("r", "two", version=7), deposit("r", "one")]
    sample.vault.deposit_many(versions)
    asked = [identifier("two"), identifier("one"), identifier("unknown")]
    assert sample.vault.newest_versions(asked) == {identifier("two"): 7, identifier("one"): 1}
    assert sample.vault.newest_versions([]) == {}


def test_what_no_ledger_will_register_is_never_an_orphan(sample: SampleVault) -> None:
    received = replace(deposit("r", "received"), is_registered=True)
    sample.vault.deposit(received)
    assert sample.vault.orphans(sample.clock.now_s + 1) == []
    assert sample.vault.record(*received.key).registered


def test_many_records_come_in_the_order_asked_for(sample: SampleVault) -> None:
    keys = [each.key for each in sample.fill()]
    asked = [keys[5], keys[0], keys[3]]
    assert sample.vault.record_many(asked) == [sample.vault.record(*key) for key in asked]
    with pytest.raises(NoSuchRecord, match=identifier("unknown").hex()):
        sample.vault.record_many([keys[0], (identifier("unknown"), 1)])


@pytest.mark.promise("P3", "P7")
def test_nothing_readable_lies_in_database_objects_or_names(sample: SampleVault) -> None:
    secret = [deposit("r", "Ann Other", LARGE), deposit("r", "NHS 999 000 0018", SMALL), deposit("r", "F32.2", MEDIUM)]
    answers = sample.vault.deposit_many(secret)
    stored = [path for path in sample.folder.rglob("*") if path.is_file()]
    assert len(stored) >= 5
    haystack = b"".join(path.read_bytes() + path.name.encode() for path in stored)
    for made, answer in zip(secret, answers, strict=True):
        assert isinstance(made.content, bytes)
        assert made.metadata not in haystack
        assert answer.content_salt not in haystack
        assert not any(made.content[start : start + 32] in haystack for start in range(0, len(made.content), 50_000))
    # and the search does find what is stored readable
    assert secret[0].associated in haystack


def test_memory_stays_constant_however_large_the_object(sample: SampleVault) -> None:
    size = 256 * MIB
    piece = content("piece", MIB)
    made = replace(deposit("r", "scan"), content=Streamed((piece for _ in range(256)), size))
    tracemalloc.start()
    try:
        sample.vault.deposit(made)
        assert sum(len(piece) for piece in sample.vault.open(*made.key)) == size
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 12 * MIB


@pytest.mark.parametrize("place", ["folder", pytest.param("s3", marks=pytest.mark.services)])
def test_a_deposit_that_was_swept_away_fails_and_can_be_sent_again(
    place: str, database: Database, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    objects = None
    if place == "s3":
        server: S3Server = request.getfixturevalue("s3_server")
        objects = Bucket.connect(server.new_bucket(), endpoint=server.endpoint, **KEYS)
    sample, made = SampleVault(database, tmp_path, objects), deposit("r", "record", LARGE)

    def slow() -> Iterator[bytes]:
        assert isinstance(made.content, bytes)
        yield made.content[:MIB]
        sample.clock.now_s += 3600
        assert sample.vault.sweep(sample.clock.now_s) == 1
        yield made.content[MIB:]

    with pytest.raises(Unavailable, match="again"):
        sample.vault.deposit(replace(made, content=Streamed(slow(), LARGE)))
    assert list(sample.objects.names()) == []
    assert list(fsck(sample.vault)) == []
    assert sample.vault.deposit(made).is_new


def test_a_deposit_whose_object_is_about_to_be_swept_stores_no_record(database: Database, tmp_path: Path) -> None:
    """The sweeper has claimed the name and not yet deleted the object when the writer comes to its end."""

    class Claimed(Folder):
        def put(self, name: str, pieces: Iterable[bytes]) -> None:
            super().put(name, pieces)
            with database.writing() as connection:
                assert rows.claim_pending(connection, 1 << 40) == [name]

    sample = SampleVault(database, tmp_path, Claimed(tmp_path / "objects"))
    made = deposit("r", "record", MEDIUM)
    with pytest.raises(Unavailable, match="swept away"):
        sample.vault.deposit(made)
    with pytest.raises(NoSuchRecord):
        sample.vault.record(*made.key)


@pytest.mark.parametrize("url", DATABASES, indirect=True)
def test_what_came_to_nothing_is_gone_and_the_rest_opens_as_before(sample: SampleVault) -> None:
    nothing = [deposit("r", "nothing"), deposit("r", "nothing, and large", LARGE), deposit("alone", "nothing here")]
    stays = [deposit("r", "stays"), deposit("r", "nothing", version=2)]
    sample.vault.deposit_many([*nothing, *stays])
    sample.vault.discard([*(each.key for each in nothing), (identifier("unknown"), 1)])
    assert [outcome(sample.vault, each) for each in nothing] == ["NoSuchRecord"] * 3
    assert [outcome(sample.vault, each) for each in stays] == ["opens"] * 2
    sample.vault.sweep()
    assert len(list(sample.objects.names())) == 0, "the bytes of the large one are gone as well"
    assert list(fsck(sample.reopen())) == []
    assert [each.is_new for each in sample.vault.deposit_many(nothing)] == [True] * 3, "it may come once more"
