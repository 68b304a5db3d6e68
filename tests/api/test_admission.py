"""Admission: once each, at bounded rates, for all workers together."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import lmdb
import pytest

from salus.api.exchange import admission
from salus.api.exchange.admission import KEPT_S, MINUTE_US, Admission
from salus.node.errors import NotNow, Refusal, Refused

NOW_S = 1_800_000_000
NOW_US = NOW_S * 1_000_000
NONCE = bytes(range(16))

IN_ANOTHER_WORKER = """
import sys
from pathlib import Path
from salus.api.exchange.admission import Admission
from salus.node.errors import Refused
opened = Admission(Path(sys.argv[1]))
try:
    opened.require_new("A81001", bytes.fromhex(sys.argv[2]), created_s=int(sys.argv[3]), now_s=int(sys.argv[3]))
except Refused as refused:
    print(refused.refusal.name)
else:
    print("admitted")
"""


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Admission]:
    with closing(Admission(tmp_path)) as made:
        yield made


def come(to: Admission, nonce: bytes = NONCE, who: str = "A81001", *, created_s: int = NOW_S, now_s: int = NOW_S):
    to.require_new(who, nonce, created_s=created_s, now_s=now_s)


def test_a_nonce_is_admitted_once(opened: Admission) -> None:
    come(opened)
    with pytest.raises(Refused) as refused:
        come(opened)
    assert refused.value.refusal is Refusal.REPLAYED


def test_the_same_nonce_of_another_sender_or_time_is_another(opened: Admission) -> None:
    come(opened)
    come(opened, who="RVJ")
    come(opened, created_s=NOW_S + 1)
    come(opened, nonce=NONCE[::-1])


def test_a_restart_forgets_nothing(tmp_path: Path) -> None:
    with closing(Admission(tmp_path)) as first:
        come(first)
    with closing(Admission(tmp_path)) as second, pytest.raises(Refused):
        come(second)


@pytest.mark.services
def test_another_worker_knows_it_too(opened: Admission, tmp_path: Path) -> None:
    come(opened)
    said = [
        subprocess.run(
            [sys.executable, "-c", IN_ANOTHER_WORKER, str(tmp_path), nonce.hex(), str(NOW_S)],
            capture_output=True, text=True, check=True,
        ).stdout.strip()
        for nonce in (NONCE, NONCE[::-1])
    ]  # fmt: skip
    assert said == ["REPLAYED", "admitted"]


def test_what_can_no_longer_be_used_is_forgotten_and_nothing_else(opened: Admission) -> None:
    for number in range(50):
        come(opened, nonce=number.to_bytes(16, "big"))
    later_s = NOW_S + KEPT_S
    come(opened, nonce=NONCE, created_s=later_s, now_s=later_s)
    assert kept(opened) == 51
    for number in range(20):
        come(opened, nonce=number.to_bytes(16, "big"), created_s=later_s + 1, now_s=later_s + 1)
    assert kept(opened) == 21


def kept(opened: Admission) -> int:
    with opened._file.begin() as rows, rows.cursor() as cursor:
        return sum(key.startswith(b"n") for key in cursor.iternext(values=False))


def ask(to: Admission, *, who: str = "A81001", kind: str = "asks", at_us: int = NOW_US, per_minute: int = 60) -> bool:
    try:
        to.require_room(kind, who, per_minute=per_minute, now_us=at_us)
    except Refused as refused:
        return refused.refusal is not Refusal.TOO_MANY
    return True


def test_a_minutes_worth_may_come_at_once_and_then_one_by_one(opened: Admission) -> None:
    assert [ask(opened) for _ in range(61)] == [True] * 60 + [False]
    assert not ask(opened, at_us=NOW_US + 999_999)
    assert ask(opened, at_us=NOW_US + 1_000_000)
    assert not ask(opened, at_us=NOW_US + 1_000_000)
    assert [ask(opened, at_us=NOW_US + 2 * MINUTE_US) for _ in range(61)] == [True] * 60 + [False]


def test_rates_are_of_one_sender_and_one_kind(opened: Admission) -> None:
    assert [ask(opened, per_minute=1) for _ in range(2)] == [True, False]
    assert ask(opened, per_minute=1, who="RVJ")
    assert ask(opened, per_minute=1, kind="matches")


def test_a_clock_set_back_locks_nobody_out(opened: Admission) -> None:
    assert ask(opened, per_minute=1)
    assert ask(opened, per_minute=1, at_us=NOW_US - 3600 * 1_000_000)


def test_rows_of_rates_are_bounded_however_many_ask(opened: Admission, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "SLOT_BYTES", 1)
    for number in range(2000):
        ask(opened, who=f"2001:db8::{number:x}", per_minute=100_000)
    with opened._file.begin() as rows, rows.cursor() as cursor:
        assert sum(key.startswith(b"r") for key in cursor.iternext(values=False)) <= 256


def test_nobody_is_admitted_when_nothing_can_be_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "MAP_SIZE_BYTES", 1 << 16)
    with closing(Admission(tmp_path)) as opened, pytest.raises(NotNow) as caught:
        fill(opened)
    assert isinstance(caught.value.__cause__, lmdb.MapFullError)


def fill(opened: Admission) -> None:
    for number in range(10_000):
        come(opened, nonce=number.to_bytes(16, "big"))


def test_the_file_is_its_owners_and_those_of_earlier_boots_go(tmp_path: Path) -> None:
    old = tmp_path / "admission-earlier"
    old.mkdir()
    (old / "data.mdb").write_bytes(b"torn")
    with closing(Admission(tmp_path)):
        [current] = tmp_path.glob("admission-*")
        assert current != old
        assert [file.stat().st_mode & 0o077 for file in current.iterdir()] == [0, 0]
