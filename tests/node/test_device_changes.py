"""What two workers change of one patient's device at the same moment: both of it holds, and no wallet is lost (U3)."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Event

import pytest
from msgspec.structs import replace

from salus.crypto.hashing import sha256
from salus.ledger.identifiers import Pseudonym
from salus.node.errors import Refusal, Refused
from salus.node.sealed_rows import SealedRows
from salus.node.services.accounts import AccountId
from salus.node.services.signer_answers import Answered, NewBlob
from salus.node.services.signer_devices import DEVICES_MAX, Device, DeviceKey, SignerDevices
from salus.node.services.signings import _Asked, _based
from salus.testing.world import CHAIN, HOSPITAL, PRACTICE, world

pytestmark = pytest.mark.promise("U3")
ACCOUNT = AccountId(bytes(16))
PSEUDONYM = Pseudonym(bytes(16))
FIRST, SECOND, THIRD = (bytes([number]) * 99 for number in (1, 2, 3))
HERE, THERE = (DeviceKey(each, sha256(each.encode())[:16], bytes(32)) for each in (HOSPITAL, PRACTICE))
WAIT_S = 0.3


class Kept:
    """A phone, as each of two workers of one node keeps it."""

    def __init__(self, mine: SignerDevices, other: SignerDevices) -> None:
        self.mine, self.other = mine, other
        self.phone = self.begin()
        mine.add(ACCOUNT, PSEUDONYM, NewBlob(self.phone, b"passkey", FIRST), name="My phone", keys=(HERE,))

    def begin(self) -> bytes:
        return self.mine.begin(ACCOUNT, PSEUDONYM).id

    def new(self, blob: bytes, *, base: bytes) -> NewBlob:
        return NewBlob(self.phone, b"passkey", blob, sha256(base))

    @property
    def now(self) -> Device:
        return self.mine.find(ACCOUNT, self.phone)


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    with world(tmp_path, organisations=(HOSPITAL,)) as made:
        mine, other = (SignerDevices(made.hospital, SealedRows(made.hospital.vault, CHAIN)) for _ in range(2))
        yield Kept(mine, other)


def test_what_two_workers_change_at_one_moment_both_holds(kept: Kept) -> None:
    has_read, has_changed = Event(), Event()

    def slowly(now: Device) -> Device:
        has_read.set()
        has_changed.wait(WAIT_S)
        return replace(now, name="Slow")

    def at_once() -> None:
        has_read.wait()
        kept.other.change(ACCOUNT, kept.phone, lambda now: replace(now, is_leaving=True))
        has_changed.set()

    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(kept.mine.change, ACCOUNT, kept.phone, slowly), pool.submit(at_once)]
        for each in asked:
            each.result()
    assert (kept.now.name, kept.now.is_leaving) == ("Slow", True)


def refused(kept: Kept, meanwhile: Callable[[], None]) -> None:
    """Try a wallet to which the ledger says no."""
    with kept.mine.trying(ACCOUNT, kept.new(SECOND, base=FIRST), THERE):
        meanwhile()
        raise Refused(Refusal.LEDGER_REJECTED, "no")


def test_a_wallet_that_is_refused_takes_nothing_else_back(kept: Kept) -> None:
    def leaving() -> None:
        kept.other.change(ACCOUNT, kept.phone, lambda now: replace(now, is_leaving=True))

    with pytest.raises(Refused, match="no"):
        refused(kept, leaving)
    assert (kept.now.blob, kept.now.before, kept.now.keys, kept.now.is_leaving) == (FIRST, b"", (HERE,), True)


def test_a_wallet_that_was_made_from_one_that_is_tried_stays(kept: Kept) -> None:
    """Another window goes on with the new wallet while a custodian takes its time, whatever that says then."""
    with pytest.raises(Refused, match="no"):
        refused(kept, lambda: kept.other.rewrap(ACCOUNT, kept.new(THIRD, base=SECOND), ()))
    assert (kept.now.blob, kept.now.keys) == (THIRD, (HERE, THERE))
    with kept.mine.trying(ACCOUNT, kept.new(FIRST, base=THIRD)):
        kept.other.rewrap(ACCOUNT, kept.new(SECOND, base=FIRST), ())
    assert (kept.now.blob, kept.now.keys) == (SECOND, (HERE, THERE))


def kept_at_once(kept: Kept) -> None:
    kept.mine.rewrap(ACCOUNT, kept.new(THIRD, base=FIRST), (THERE,))


def tried(kept: Kept) -> None:
    with kept.mine.trying(ACCOUNT, kept.new(THIRD, base=FIRST), THERE):
        pytest.fail("it is not to be tried")


@pytest.mark.parametrize("keep", [kept_at_once, tried])
def test_a_wallet_that_was_made_from_an_older_one_takes_no_place(kept: Kept, keep: Callable[[Kept], None]) -> None:
    """Two windows had the same wallet: the second's does not have what the first one's has."""
    kept.mine.rewrap(ACCOUNT, kept.new(SECOND, base=FIRST), ())
    with pytest.raises(Refused, match="in another window") as refused:
        keep(kept)
    assert refused.value.refusal is Refusal.MESSAGE_UNFIT
    assert (kept.now.blob, kept.now.keys) == (SECOND, (HERE,))


def test_an_answer_to_what_a_version_before_gave_out_takes_no_place(kept: Kept) -> None:
    """That did not note from which wallet the page began: the person begins again, and reads so."""
    asked = _Asked("new-key", ACCOUNT, 0, "en", "Ann", (kept.phone,), b"", "", b"")
    answer = _based(Answered(kept.new(SECOND, base=FIRST), ()), asked)
    assert isinstance(answer, Answered)
    assert answer.device is not None
    with pytest.raises(Refused, match="begin again"):
        kept.mine.rewrap(ACCOUNT, answer.device, ())
    assert kept.now.blob == FIRST


def test_a_device_that_is_gone_is_not_changed(kept: Kept) -> None:
    kept.mine.forget(ACCOUNT, kept.phone)
    with pytest.raises(Refused, match="set it up again"):
        kept.mine.change(ACCOUNT, kept.phone, lambda now: now)


def test_two_windows_do_not_make_more_devices_than_a_request_can_have(kept: Kept) -> None:
    begun = [kept.begin() for _ in range(2 * DEVICES_MAX)]
    start = Barrier(len(begun))

    def add(device: bytes) -> bool:
        start.wait()
        try:
            kept.mine.add(ACCOUNT, PSEUDONYM, NewBlob(device, b"passkey", FIRST), name="One more", keys=())
        except Refused as no:
            return no.refusal is not Refusal.TOO_MANY
        return True

    with ThreadPoolExecutor(len(begun)) as pool:
        assert sum(pool.map(add, begun)) == DEVICES_MAX - 1
    assert len(kept.mine.of(ACCOUNT)) == DEVICES_MAX
