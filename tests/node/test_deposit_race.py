"""Two workers deposit the next version of one record at the same moment: both are kept, as two versions."""

from pathlib import Path

import pytest

from salus.clinical.fhir.resources import parse
from salus.clinical.nhs_number import NhsNumber
from salus.node.errors import NotNow
from salus.node.services.deposit import STAGINGS_MAX, deposit
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
