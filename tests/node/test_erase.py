"""After an erasure nothing opens: not here, not from backups, not at those who received a copy; others stay (P5)."""

import dataclasses
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import select

from salus.clinical.fhir.resources import parse
from salus.contracts import CONTRACTS, records
from salus.contracts.access import End, ReleasesCommitted
from salus.contracts.provisions import Provision, ProvisionType, Purpose, RoleClass
from salus.crypto.hashing import EMPTY_ROOT
from salus.engines.base import Unavailable
from salus.ledger.identifiers import OrganisationId, Pseudonym
from salus.ledger.machine import history_positions, outcome_decoder, read_leaf
from salus.ledger.outcomes import decode_leaf
from salus.node import documents, schema
from salus.node.assemble import Node
from salus.node.documents import Kind
from salus.node.errors import NotNow, Refusal, Refused
from salus.node.fsck import check_node, erased_line_count
from salus.node.journal import State
from salus.node.people import OpenSession, Person, certify_person, open_session
from salus.node.services import enrol as enrolment
from salus.node.services.anchor import anchor, anchored
from salus.node.services.choices import file_by_custodian
from salus.node.services.deposit import deposit
from salus.node.services.enrol import enrol, rebuild_identities
from salus.node.services.erase import destroy, erase, follow_tombstones
from salus.node.services.match import match
from salus.node.services.receive import keep_copy, receive
from salus.node.services.request import Denied, Granted, Wish, request
from salus.testing.population.numbers import kept_nhs_number
from salus.testing.world import HOSPITAL, PRACTICE, World, world
from salus.vault import schema as vault_schema
from salus.vault.backups import export_data, restore
from salus.vault.database import Database
from salus.vault.drivers.folder import Folder
from salus.vault.errors import RootGone
from salus.vault.key_backups import export_keys
from salus.vault.vault import Vault

pytestmark = pytest.mark.promise("P5")

ANN, BOB = kept_nhs_number(0), kept_nhs_number(1)
BORN = "1980-02-29"
SHARED = Provision(type=ProvisionType.PERMIT, organisations=(PRACTICE,))
OUTCOMES = outcome_decoder(CONTRACTS)


def chart(name: str) -> list[bytes]:
    """A small record and one that is an object of its own."""
    small = {"resourceType": "Observation", "id": f"{name}-1", "status": "final", "note": name}
    large = {"resourceType": "Binary", "id": f"{name}-2", "contentType": "x", "data": "A" * 90_000}
    return [json.dumps(each).encode() for each in (small, large)]


@dataclass
class Two:
    """Ann and Bob at the hospital, both shared with the practice; `granted` is the permit of the last release."""

    world: World
    doctor: Person
    ann: Pseudonym
    bob: Pseudonym
    granted: Granted | None = None

    @property
    def hospital(self) -> Node:
        return self.world.nodes[HOSPITAL]

    @property
    def practice(self) -> Node:
        return self.world.nodes[PRACTICE]

    def ask(self, pseudonym: Pseudonym) -> Granted | Denied:
        return request(self.practice, self.session(), Wish(pseudonym, HOSPITAL, RoleClass.CLINICAL, Purpose.TREAT))

    def session(self) -> OpenSession:
        from_s = self.practice.clock()
        return open_session(self.doctor.key, self.doctor.certificate, custodian=HOSPITAL, from_s=from_s)

    def released(self, pseudonym: Pseudonym) -> list[bytes]:
        granted = self.ask(pseudonym)
        assert isinstance(granted, Granted)
        came = list(receive(self.practice, self.world.peers(PRACTICE), granted))
        self.granted = granted
        return sorted(each.content for each in came)


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Two]:
    with world(tmp_path) as made:
        pseudonyms = {}
        for name, number in (("ann", ANN), ("bob", BOB)):
            pseudonyms[name] = enrol(made.hospital, number, BORN)
            deposit(made.hospital, pseudonyms[name], [parse(body) for body in chart(name)])
            file_by_custodian(made.hospital, pseudonyms[name], SHARED)
        doctor = certify_person(
            made.practice, name="Dr Jones", role="GP", registration="GMC 1", role_class=RoleClass.CLINICAL
        )
        yield Two(made, doctor, pseudonyms["ann"], pseudonyms["bob"])


def opens(vault: Vault, relationship: bytes) -> int:
    """How many sealed objects of a relationship open in a vault, beside the key of its journal lines."""
    opened = 0
    for record in vault.records(relationship):
        if documents.kind_of(record) is Kind.LINE_KEY:
            continue
        assert b"".join(vault.open(record.record_id, record.version))
        opened += 1
    return opened


def files_with(folder: Path, *needles: bytes) -> list[str]:
    return [
        path.name
        for path in folder.rglob("*")
        if path.is_file() and any(needle in path.read_bytes() for needle in needles)
    ]


def anchors(two: Two, pseudonym: Pseudonym) -> list[ReleasesCommitted]:
    with two.world.engine.snapshot() as reader:
        leaves = [read_leaf(reader, at) or b"" for at in history_positions(reader, pseudonym)]
    outcomes = [OUTCOMES.decode(decode_leaf(leaf).data) for leaf in leaves]
    return [each for each in outcomes if isinstance(each, ReleasesCommitted)]


def test_nothing_opens_here_and_nobody_is_found(two: Two) -> None:
    assert two.released(two.ann) == sorted(chart("ann"))
    objects = set((two.world.folder / "rvj" / "objects").rglob("*"))
    assert erase(two.hospital, two.ann) > 2
    assert two.hospital.vault.records(two.ann) == []
    assert two.hospital.vault.relationships() == [two.bob]
    assert enrolment.find(two.hospital, ANN) is None
    practice, peers = two.world.practice, two.world.peers(PRACTICE)
    assert match(practice, peers, HOSPITAL, two.session(), ANN, date_of_birth=BORN) is None
    assert len(set((two.world.folder / "rvj" / "objects").rglob("*"))) < len(objects)
    denied = two.ask(two.ann)
    assert isinstance(denied, Denied)
    assert denied.reason.name == "RELATIONSHIP_ERASED"
    with pytest.raises(Refused) as refused:
        list(receive(two.practice, two.world.peers(PRACTICE), two.granted))
    assert refused.value.refusal is Refusal.PERMIT_DEAD


def test_others_are_untouched(two: Two) -> None:
    before = two.released(two.bob)
    erase(two.hospital, two.ann)
    assert two.released(two.bob) == before == sorted(chart("bob"))
    assert enrolment.find(two.hospital, BOB) == two.bob
    assert rebuild_identities(two.hospital) == 1


def test_erasing_again_changes_nothing(two: Two) -> None:
    erase(two.hospital, two.ann)
    with two.world.engine.snapshot() as reader:
        assert records.is_erased(reader, two.ann)
    assert erase(two.hospital, two.ann) == 0
    assert follow_tombstones(two.hospital) <= 1
    assert opens(two.hospital.vault, two.bob) > 2


def test_an_erased_person_comes_back_as_somebody_new(two: Two) -> None:
    erase(two.hospital, two.ann)
    again = enrol(two.hospital, ANN, BORN)
    assert again != two.ann
    assert enrolment.find(two.hospital, ANN) == again


class Away:
    """An engine that takes no submissions."""

    def __init__(self, engine: object) -> None:
        self._engine = engine

    def __getattr__(self, name: str) -> object:
        return getattr(self._engine, name)

    def submit(self, _raw: bytes) -> None:
        raise Unavailable("no ledger")


def test_without_the_ledger_nothing_is_erased_and_nothing_lost(two: Two) -> None:
    cut_off = dataclasses.replace(two.hospital, engine=Away(two.hospital.engine))
    with pytest.raises(NotNow):
        erase(cut_off, two.ann)
    assert two.released(two.ann) == sorted(chart("ann"))
    assert erase(two.hospital, two.ann) > 2


@pytest.mark.promise("R5")
def test_what_was_released_just_before_is_anchored_and_closed(two: Two) -> None:
    """The receipts go with the key: an erasure must not be a way to leave a release without its anchor."""
    two.released(two.ann)
    erase(two.hospital, two.ann)
    (own,) = [each for each in anchors(two, two.ann) if each.permit == two.granted.permit]
    assert own.end is End.CUSTODIAN
    assert own.is_closed
    assert own.root != EMPTY_ROOT
    anchor(two.practice, close=frozenset([two.granted.permit]))
    ends = {each.end: each.root for each in anchors(two, two.ann) if each.permit == two.granted.permit}
    assert ends[End.REQUESTER] != EMPTY_ROOT
    assert follow_tombstones(two.practice) == 1
    assert follow_tombstones(two.practice) == 0


def test_copies_at_the_other_node_follow_the_tombstone(two: Two) -> None:
    assert two.released(two.ann)
    for pseudonym in (two.ann, two.bob):
        two.released(pseudonym)
        for received in receive(two.practice, two.world.peers(PRACTICE), two.granted):
            keep_copy(two.practice, two.granted, received)
    assert opens(two.practice.vault, two.ann) == opens(two.practice.vault, two.bob) == 2
    backup = two.world.folder / "practice.keys"
    export_keys(two.practice.vault.database, backup)
    erase(two.hospital, two.ann)
    assert opens(two.practice.vault, two.ann) == 2, "until it follows, within the epoch"
    assert follow_tombstones(two.practice) == 1
    assert two.practice.vault.records(two.ann) == []
    assert opens(two.practice.vault, two.bob) == 2
    with pytest.raises(RootGone):
        restored(two, PRACTICE, data=exported(two, PRACTICE, "late"), keys=backup)


def exported(two: Two, organisation: OrganisationId, name: str) -> Path:
    folder = two.world.folder / f"{organisation}-{name}.data"
    export_data(two.world.nodes[organisation].vault, folder)
    return folder


def exported_keys(two: Two, organisation: OrganisationId, name: str) -> Path:
    file = two.world.folder / f"{organisation}-{name}.keys"
    export_keys(two.world.nodes[organisation].vault.database, file)
    return file


def restored(two: Two, organisation: OrganisationId, *, data: Path, keys: Path) -> Node:
    """A node on an empty database, filled from backups, with the key files of now."""
    node = two.world.nodes[organisation]
    place = two.world.folder / f"restored-{len(list(two.world.folder.iterdir()))}"
    place.mkdir()
    database, objects, roots = Database(f"sqlite:///{place}/node.db"), Folder(place / "objects"), node.vault.keys.roots
    restore(data=data, keys=keys, database=database, objects=objects, roots=roots)
    return dataclasses.replace(node, vault=Vault(database, objects, roots, clock=node.clock))


def test_yesterdays_backup_with_todays_keys_has_nothing_of_what_was_erased(two: Two) -> None:
    yesterday = exported(two, HOSPITAL, "yesterday")
    erase(two.hospital, two.ann)
    node = restored(two, HOSPITAL, data=yesterday, keys=exported_keys(two, HOSPITAL, "today"))
    assert node.vault.relationships() == [two.bob]
    assert node.vault.records(two.ann) == []
    assert opens(node.vault, two.bob) == opens(two.hospital.vault, two.bob)
    assert rebuild_identities(node) == 1


def test_yesterdays_backup_with_yesterdays_keys_does_not_open(two: Two) -> None:
    yesterday, keys = exported(two, HOSPITAL, "yesterday"), exported_keys(two, HOSPITAL, "yesterday")
    erase(two.hospital, two.ann)
    with pytest.raises(RootGone):
        restored(two, HOSPITAL, data=yesterday, keys=keys)


def test_a_restore_within_the_epoch_replays_the_tombstones_before_it_serves(two: Two) -> None:
    """The root was not renewed yet, so yesterday's keys still open: the ledger knows what must go."""
    yesterday, keys = exported(two, HOSPITAL, "yesterday"), exported_keys(two, HOSPITAL, "yesterday")
    erase(two.hospital, two.ann, within_s=3600)
    node = restored(two, HOSPITAL, data=yesterday, keys=keys)
    assert opens(node.vault, two.ann) > 2, "this is why tombstones are replayed"
    assert follow_tombstones(node) == 1
    assert rebuild_identities(node) == 1
    assert node.vault.records(two.ann) == []
    assert enrolment.find(node, ANN) is None
    assert enrolment.find(node, BOB) == two.bob
    with pytest.raises(RootGone):
        restored(two, HOSPITAL, data=yesterday, keys=keys)


def released_under(two: Two) -> tuple[list[bytes], list[bytes]]:
    """The permit of the last release, and the root and signatures of each of its receipts."""
    permit = two.granted.permit
    leaves = anchored(two.hospital, permit, End.CUSTODIAN) + anchored(two.practice, permit, End.REQUESTER)
    assert [leaf.receipt.statement.permit for leaf in leaves] == [permit, permit]
    return [permit], [
        each
        for leaf in leaves
        for each in (leaf.receipt.statement.root, leaf.receipt.custodian, leaf.receipt.requester)
    ]


def test_no_file_of_either_end_has_a_permit_a_root_or_a_signature_of_what_was_erased(two: Two) -> None:
    """What a journal kept in clear would join the tombstone to dates and to the other organisation."""
    ends = [two.world.folder / "rvj", two.world.folder / "a81001"]
    two.released(two.ann)
    for node in (two.hospital, two.practice):
        anchor(node)
    permits, receipts = released_under(two)
    assert [files_with(end, *permits) != [] for end in ends] == [True, True], "the permit is open: it is noted"
    assert [files_with(end, *receipts) for end in ends] == [[], []], "lines are sealed from the first"
    erase(two.hospital, two.ann)
    assert follow_tombstones(two.practice) == 1
    anchors_of_both = anchor_roots(two, permits[0])
    assert [files_with(end, *permits, *receipts, *anchors_of_both) for end in ends] == [[], []]
    assert [files_with(end, two.ann) for end in ends] == [["node.db"], ["node.db"]]
    assert [tables_with(node, two.ann) for node in (two.hospital, two.practice)] == [["node_erasures"]] * 2


def tables_with(node: Node, pseudonym: Pseudonym) -> list[str]:
    """The node's and the vault's tables with a row under a pseudonym."""
    tables = [*schema.metadata.sorted_tables, *vault_schema.metadata.sorted_tables]
    columns = [each.c[name] for each in tables for name in ("pseudonym", "relationship") if name in each.c]
    with node.vault.database.reading() as connection:
        return [
            str(column.table.name)
            for column in columns
            if connection.scalars(select(column).where(column == pseudonym)).first() is not None
        ]


def anchor_roots(two: Two, permit: bytes) -> list[bytes]:
    roots = [each.root for each in anchors(two, two.ann) if each.permit == permit and each.is_closed]
    assert len(set(roots) - {EMPTY_ROOT}) == 2
    return roots


def test_lines_of_an_erased_relationship_are_passed_over_by_the_next_worker(two: Two) -> None:
    """Not torn, not damaged, and not taken for a release that may have happened; others' lines are as they were."""
    two.released(two.bob)
    of_bob = two.granted.permit
    two.released(two.ann)
    erase(two.hospital, two.ann)
    two.hospital.custodian_journal.close()
    again = two.world.open_node(HOSPITAL)
    assert again.custodian_journal.permit_lines(two.granted.permit) == []
    assert [line.state for line in again.custodian_journal.permit_lines(of_bob)] == [State.SENT]
    assert list(check_node(again, two.world.folder / "rvj")) == []
    assert erased_line_count(again, two.world.folder / "rvj") == 3


@pytest.mark.promise("R5")
def test_an_erasure_that_cannot_anchor_leaves_what_was_anchored(two: Two) -> None:
    """The ledger takes no anchor of this end now; the key goes all the same, and the root that was anchored stays."""
    two.released(two.ann)
    anchor(two.hospital)
    before = [each.root for each in anchors(two, two.ann) if each.permit == two.granted.permit]
    destroy(two.hospital, two.ann)
    two.hospital.custodian_journal.close()
    again = two.world.open_node(HOSPITAL)
    anchor(again, close=frozenset([two.granted.permit]))
    after = [each for each in anchors(two, two.ann) if each.permit == two.granted.permit]
    assert [(each.root, each.is_closed) for each in after] == [(before[0], False), (before[0], True)]


def test_lines_that_were_written_in_plain_are_read(two: Two) -> None:
    """As versions before lines were sealed wrote them: the array of six, without a key."""
    two.released(two.bob)
    journal, folder = two.hospital.custodian_journal, two.world.folder / "rvj" / "released"
    lines = journal.permit_lines(two.granted.permit)
    journal.close()
    (path,) = folder.glob("*.journal")
    bodies = [msgspec.msgpack.encode(line) for line in lines]
    path.write_bytes(b"".join(len(each).to_bytes(4) + zlib.crc32(each).to_bytes(4) + each for each in bodies))
    again = two.world.open_node(HOSPITAL)
    assert again.custodian_journal.permit_lines(two.granted.permit) == lines
    assert list(check_node(again, two.world.folder / "rvj")) == []


def test_no_file_of_the_node_has_the_plaintext_before_or_after(two: Two) -> None:
    needles = [b'"note": "ann"', ANN.digits.encode(), BORN.encode(), b"A" * 64]
    assert files_with(two.world.folder, *needles) == []
    erase(two.hospital, two.ann)
    assert files_with(two.world.folder, *needles) == []
