"""Disks that are full or slow, and slow applications: a clean stop, nothing torn, and clients that hear *busy*."""

import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from salus.engines.base import Busy
from salus.engines.cometbft.mempool import OURS_MAX
from salus.engines.fsck import fsck
from salus.ledger.outcomes import TransactionResult
from salus.node.opening import founding
from tests.faults.conftest import Evidence
from tests.faults.network import FourValidators, Load, height_of, publish
from tests.faults.validator import PATIENCE_S, Validator

pytestmark = [pytest.mark.services, pytest.mark.long, pytest.mark.promise("L2", "L4")]

DISK_MB = 24
FULL_S = 8.0
FLOOD = 500


@pytest.mark.parametrize("folder", ["store", "node"])
@pytest.mark.fault("disk full (application, node)")
def test_a_full_disk_stops_one_and_nothing_is_torn(four: FourValidators, evidence: Evidence, folder: str) -> None:
    victim = four.all[3]
    with small_disk(victim.place / folder) as disk:
        four.start()
        with Load(four.all) as load:
            time.sleep(1.0)
            ballast = fill(disk)
            stood = height_of(victim)
            time.sleep(FULL_S)
            assert four.resumed(among=four.all[:3]) < 10.0
            behind = four.heights()[0] - height_of(victim)
            ballast.unlink()
            if not victim.is_running:
                victim.start()
            back_s = four.resumed(patience_s=30.0)
        said = "its process ended" if folder == "store" else "its process went on"
        evidence(
            f"{folder}: full at {stood}, {behind} blocks behind ({said}), back {back_s:.1f} s after there was room"
        )
        evidence(four.agree(load))
        assert victim.stop() == 0
        victim.client.close()
        assert fsck(victim.place / "store", founding(four.genesis)) == []


@pytest.mark.parametrize(("fault", "words"), [("slow-disk 1.0", "disk"), ("slow-application 1.0", "application")])
@pytest.mark.fault("slow disk, slow application")
def test_who_is_slow_holds_up_clients_and_forks_nothing(
    four: FourValidators, evidence: Evidence, fault: str, words: str
) -> None:
    for each in four.all[:2]:  # two: without them there are no two thirds, so all wait for them
        each.settings.fault = fault
    four.start()
    with Load(four.all, pause_s=1.0) as load:
        busy, done = flood(four.all[0])
        four.resumed(patience_s=60.0)
    assert busy, "clients hear that there is too much"
    evidence(f"slow {words}: {done} outcomes, {busy} submissions were told: busy; {four.agree(load)}")


def flood(validator: Validator) -> tuple[int, int]:
    """Submit more than one member may have waiting; return how many were told *busy*, and how many got an outcome."""
    batches = [[publish(validator, f"flood-{place}") for place in range(FLOOD)] for _ in range(OURS_MAX // FLOOD + 3)]
    refused: list[str] = []
    done: list[TransactionResult] = []

    def submit(raws: list[bytes]) -> None:
        try:
            done.extend(validator.client.submit_many(raws, timeout_s=PATIENCE_S))
        except Busy as error:
            refused.extend([str(error)] * len(raws))

    threads = [threading.Thread(target=submit, args=(each,)) for each in batches]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return len(refused), len(done)


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of its own at a folder; needs the right to mount one."""
    folder.mkdir(mode=0o700)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m,mode=700", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system needs root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path) -> Path:
    """Take all the room that is left."""
    ballast = disk / "ballast"
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        while file.write(bytes(1 << 12)):
            pass
    return ballast
