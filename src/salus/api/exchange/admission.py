"""Admission: which requests were seen before, and who has asked too often; one small file for all workers of a node.

Promises: a request is admitted once, whichever worker it reaches, also after a worker was killed and started again;
what is kept is bounded by the rates themselves; when the file is full or broken, nobody is admitted. The file is not
synced: it is worth nothing after the machine has started anew, and a new one is begun then.
"""

import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

import lmdb

from salus.node.errors import NotNow, Refusal, Refused

WINDOW_S: Final = 30
"""How far a request's time may be from the present, either way."""
KEPT_S: Final = 5 * WINDOW_S
"""How long a nonce is kept after its request's time: longer than it can be used, should the clock be set back."""
MINUTE_US: Final = 60_000_000
SLOT_BYTES: Final = 2
MAP_SIZE_BYTES: Final = 1 << 28

_SEEN: Final = b"n"
_RATE: Final = b"r"
_SECRET: Final = b"secret"
_COUNT: Final = b"c"
_FORGOTTEN_AT_ONCE: Final = 4
_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")


class Admission:
    """What the workers of one node have seen. Open it after a fork; every method may be called from any thread."""

    def __init__(self, folder: Path) -> None:
        self._file = lmdb.open(
            str(_current(folder)), map_size=MAP_SIZE_BYTES, sync=False, metasync=False, max_readers=256, mode=0o600
        )
        with self._file.begin(write=True) as rows:
            rows.put(_SECRET, os.urandom(32), overwrite=False)
            self._secret = bytes(rows.get(_SECRET, b""))

    def require_new(self, who: str, nonce: bytes, *, created_s: int, now_s: int) -> None:
        """Note a request's nonce.

        Args:
            who: the sender, or the key of a device.
            created_s: the request's time, known to be near the present, `now_s`; Unix seconds.

        Raises:
            Refused: REPLAYED.
            NotNow: nothing can be noted.
        """
        mark = hashlib.blake2b(nonce + who.encode(), key=self._secret, digest_size=16).digest()
        try:
            with self._file.begin(write=True) as rows:
                is_new = rows.put(_SEEN + created_s.to_bytes(8, "big") + mark, b"", overwrite=False)
                _forget(rows, before_s=now_s - KEPT_S)
        except lmdb.Error as error:
            raise NotNow("this node cannot note what it has seen: try later") from error
        if not is_new:
            raise Refused(Refusal.REPLAYED, "expected a request that was not sent before: sign and seal a new one")

    def require_room(self, kind: str, who: str, *, per_minute: int, now_us: int) -> None:
        """Count a request against a rate; up to a minute's worth may come at once.

        Args:
            kind: which rate.
            who: whose; those few who fall into the same of its 65,536 slots share it.
            now_us: Unix microseconds.

        Raises:
            Refused: TOO_MANY.
            NotNow: nothing can be counted.
        """
        # A secret decides the slot: nobody can choose an address or a key that shares another's.
        slot = hashlib.blake2b(who.encode(), key=self._secret, digest_size=SLOT_BYTES).digest()
        key = _RATE + kind.encode() + b"/" + slot
        try:
            with self._file.begin(write=True) as rows:
                is_free = _count(rows, key, step_us=MINUTE_US // per_minute, now_us=now_us)
        except lmdb.Error as error:
            raise NotNow("this node cannot count requests: try later") from error
        if not is_free:
            raise Refused(Refusal.TOO_MANY, f"expected at most {per_minute} requests of this kind in a minute: wait")

    def count(self, name: str) -> None:
        """Count something for operators; what cannot be counted is not.

        Args:
            name: of ours, never from a request.
        """
        key = _COUNT + name.encode()
        with suppress(lmdb.Error), self._file.begin(write=True) as rows:
            rows.put(key, (int.from_bytes(rows.get(key, b""), "big") + 1).to_bytes(8, "big"))

    def counts(self) -> dict[str, int]:
        """Return what was counted by all workers since the machine started, by name."""
        counted: dict[str, int] = {}
        with self._file.begin() as rows, rows.cursor() as cursor:
            for key, value in cursor if cursor.set_range(_COUNT) else ():
                if not bytes(key).startswith(_COUNT):
                    break
                counted[bytes(key)[len(_COUNT) :].decode()] = int.from_bytes(value, "big")
        return counted

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


def _count(rows: lmdb.Transaction, key: bytes, *, step_us: int, now_us: int) -> bool:
    # Generic cell rate algorithm (ITU-T I.371): the row is when the bucket will be empty again.
    empty_at_us = int.from_bytes(rows.get(key, b""), "big")
    if not now_us <= empty_at_us <= now_us + 2 * MINUTE_US:  # empty, or the clock was set back
        empty_at_us = now_us
    empty_at_us += step_us
    if empty_at_us > now_us + MINUTE_US:
        return False
    rows.put(key, empty_at_us.to_bytes(8, "big"))
    return True


def _forget(rows: lmdb.Transaction, *, before_s: int) -> None:
    """Drop a few of the oldest nonces: more than come in, so that those in time are all that is left."""
    end = _SEEN + max(before_s, 0).to_bytes(8, "big")
    with rows.cursor() as cursor:
        for _ in range(_FORGOTTEN_AT_ONCE):
            if not cursor.set_range(_SEEN) or bytes(cursor.key()) >= end:
                return
            cursor.delete()


def _current(folder: Path) -> Path:
    """Return this boot's folder; those of earlier boots go, since an unsynced file may be torn."""
    boot = _BOOT.read_text().strip() if _BOOT.exists() else "boot"
    current = folder / f"admission-{boot}"
    current.mkdir(parents=True, exist_ok=True, mode=0o700)
    for old in folder.glob("admission-*"):
        if old != current:
            with suppress(OSError):  # another worker is at it as well
                for file in old.iterdir():
                    file.unlink()
                old.rmdir()
    return current
