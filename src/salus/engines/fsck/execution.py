"""Every block, executed again from genesis in a fresh machine over a temporary store."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from salus.engines.base import Founding, Snapshot, StartRefused
from salus.engines.clock import SECOND_NS
from salus.engines.fsck.findings import Finding, compare
from salus.engines.headers import decode_body_row, decode_header_row, read_evidence
from salus.engines.sealing import restore
from salus.engines.store import BLOCKS, HEADERS, LmdbStore, height_key
from salus.ledger.machine import Machine, Meta
from salus.ledger.state import META, SPACES

Progress = Callable[[int, int], None]
"""Called with (height, last height)."""


def check_execution(snapshot: Snapshot, founding: Founding, meta: Meta, progress: Progress | None) -> Iterator[Finding]:
    """Yield where execution gives other hashes or rows than are stored; nothing when bodies were pruned."""
    if not executed_from(snapshot, founding):
        return  # the roots above are what is left to check
    with tempfile.TemporaryDirectory(prefix="salus-fsck-") as folder:
        copy = LmdbStore(Path(folder), durable=False)
        try:
            yield from _execute_all(snapshot, founding, meta, copy, progress)
        finally:
            copy.close()


def executed_from(snapshot: Snapshot, founding: Founding) -> str:
    """Return with which state the execution begins; empty when it cannot: bodies are gone, or were never here."""
    first = next((key for key, _ in snapshot.items(HEADERS)), height_key(founding.first_height))
    if first != height_key(founding.first_height):
        return ""
    if founding.adopted is None:
        return "genesis"
    return f"the ledger sealed at height {founding.adopted.height}" if founding.adopted.sealed is not None else ""


def _execute_all(
    snapshot: Snapshot, founding: Founding, meta: Meta, copy: LmdbStore, progress: Progress | None
) -> Iterator[Finding]:
    try:
        machine = _begun(founding, copy)
    except StartRefused as error:
        yield Finding(META, b"", str(error))
        return
    for key, row in snapshot.items(HEADERS):
        header = decode_header_row(row).signed.header
        assert machine.meta is not None
        if header.app_hash != machine.meta.app_hash:
            yield Finding(HEADERS, key, "the blocks, executed again, give another app hash than this header has")
            return
        time_s = header.time_ns // SECOND_NS
        body = snapshot.get(BLOCKS, key)
        raws = () if body is None else decode_body_row(body)
        admitted = [machine.admit_verified(raw, time_s=time_s) for raw in raws]
        executed = machine.execute(
            height=header.height,
            time_s=time_s,
            block_transactions=admitted,
            evidence=read_evidence(snapshot, header.height),
        )
        copy.write(executed.changes)
        if progress is not None:
            progress(header.height, meta.height)
    if machine.meta is not None and machine.meta.height < meta.height:
        return  # the newest blocks' headers are not here yet, and with them the times
    for space in SPACES:
        yield from compare(space, copy.items(space), snapshot.items(space))


def _begun(founding: Founding, copy: LmdbStore) -> Machine:
    """Return a machine in the state before the first block. Raises StartRefused: the sealed file is another one."""
    if founding.adopted is not None:
        restore(copy, founding)
        return founding.machine(copy)
    machine = founding.machine(copy)
    copy.write(machine.genesis(time_s=founding.time_s, rows=founding.rows).changes)
    return machine
