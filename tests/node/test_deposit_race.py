"""Two workers deposit versions of one record at the same moment: both are kept, the later supersedes the earlier."""

import dataclasses
from pathlib import Path

import pytest

from salus.clinical.fhir.resources import parse
from salus.clinical.nhs_number import NhsNumber
from salus.engines.base import Unavailable
from salus.ledger.entries import entry_hash
from salus.ledger.identifiers import Pseudonym
from salus.node.assemble import Node
from salus.node.errors import NotNow
from salus.node.services import deposit as deposits
from salus.node.services.deposit import STAGINGS_MAX, deposit, placed_entries, redrive
from salus.node.services.enrol import enrol
from salus.testing.world import HOSPITAL, world
from salus.vault.errors import RecordExists
from salus.vault.vault import Vault

FIRST, OTHER, MINE = (b'{"resourceType":"Observation","id":"o","status":"%s"}' % word for word in (b"a", b"b", b"c"))


def test_the_version_that_somebody_else_took_is_not_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with world(tmp_path, organisations=(HOSPITAL,)) as made:
        node = made.hospital
        pseudonym = enrol(node, NhsNumber("9990000018"), "1980-02-29")
        deposit(node, pseudonym, [parse(FIRST)])
        newest, is_overtaken = Vault.newest_versions, [True]

        def overtaken(self: Vault, records: list[bytes]) -> dict[bytes, int]:
            found = newest(self, records)
            if is_overtaken.pop() if is_overtaken else False:
                deposit(node, pseudonym, [parse(OTHER)])
            return found

        monkeypatch.setattr(Vault, "newest_versions", overtaken)
        (filed,) = deposit(node, pseudonym, [parse(MINE)])
        assert (filed.version, filed.is_new) == (3, True)
        assert b"".join(node.vault.open(filed.record, 2)) == OTHER


def test_a_deposit_that_is_overtaken_for_ever_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with world(tmp_path, organisations=(HOSPITAL,)) as made:
        pseudonym = enrol(made.hospital, NhsNumber("9990000018"), "1980-02-29")
        tried: list[int] = []

        def taken(self: Vault, deposits: list[object]) -> list[object]:
            tried.append(len(deposits))
            raise RecordExists("taken")

        monkeypatch.setattr(Vault, "deposit_many", taken)
        with pytest.raises(NotNow):
            deposit(made.hospital, pseudonym, [parse(FIRST)])
        assert tried == [1] * STAGINGS_MAX


def supersession(node: Node, pseudonym: Pseudonym) -> list[tuple[int, bool]]:
    """Each version, and whether it says that it supersedes the one before it."""
    entries = [each.entry for each in placed_entries(node, pseudonym)]
    before = [b"", *(bytes(entry_hash(each)) for each in entries)]
    return [(each.version, each.supersedes == earlier) for each, earlier in zip(entries, before, strict=False)]


class Killed(BaseException):
    """The worker is gone."""


def killed(*_: object, **__: object) -> None:
    raise Killed


def test_a_version_supersedes_one_that_is_staged_still(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker of two versions died when the vault had them; the third brings both along."""
    with world(tmp_path, organisations=(HOSPITAL,)) as made:
        node = made.hospital
        pseudonym = enrol(node, NhsNumber("9990000018"), "1980-02-29")
        with monkeypatch.context() as patched:
            patched.setattr(deposits, "register", killed)
            for body in (FIRST, OTHER):
                with pytest.raises(Killed):
                    deposit(node, pseudonym, [parse(body)])
        assert supersession(node, pseudonym) == []
        deposit(node, pseudonym, [parse(MINE)])
        assert supersession(node, pseudonym) == [(1, True), (2, True), (3, True)]
        assert redrive(node) == 0
        assert all(each.registered for each in node.vault.records(pseudonym) if each.version > 1)


def test_a_version_supersedes_one_that_another_worker_places_at_this_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world(tmp_path, organisations=(HOSPITAL,)) as made:
        node = made.hospital
        pseudonym = enrol(node, NhsNumber("9990000018"), "1980-02-29")
        with monkeypatch.context() as patched:
            patched.setattr(deposits, "register", killed)
            with pytest.raises(Killed):
                deposit(node, pseudonym, [parse(FIRST)])
        keep, is_overtaken = deposits._keep_placed, [True]

        def overtaken(node: Node, placed: object, fresh: object) -> bool:
            if is_overtaken.pop() if is_overtaken else False:
                (orphan,) = [
                    each for each in node.vault.records(pseudonym) if not each.registered and each.version == 1
                ]
                deposits.register(node, {pseudonym: [(orphan, deposits.METADATA.decode(orphan.metadata))]})
            return keep(node, placed, fresh)  # type: ignore[arg-type]

        monkeypatch.setattr(deposits, "_keep_placed", overtaken)
        deposit(node, pseudonym, [parse(OTHER)])
        assert supersession(node, pseudonym) == [(1, True), (2, True)]


def test_versions_whose_ledger_is_away_supersede_each_other_when_it_is_back(tmp_path: Path) -> None:
    with world(tmp_path, organisations=(HOSPITAL,)) as made:
        node = made.hospital
        pseudonym = enrol(node, NhsNumber("9990000018"), "1980-02-29")
        cut_off = dataclasses.replace(node, engine=Away(node.engine))
        for body in (FIRST, OTHER):
            with pytest.raises(NotNow):
                deposit(cut_off, pseudonym, [parse(body)])
        redrive(node)
        assert supersession(node, pseudonym) == [(1, True), (2, True)]


class Away:
    """An engine that takes nothing."""

    def __init__(self, engine: object) -> None:
        self._engine = engine

    def __getattr__(self, name: str) -> object:
        return getattr(self._engine, name)

    def submit(self, _raw: bytes) -> None:
        raise Unavailable("no ledger")
