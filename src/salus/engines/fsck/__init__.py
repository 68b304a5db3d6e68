"""What a store says of itself, checked against everything that it must follow from (the oracle of the kill tests).

1. Headers: each kept one is well formed, signed by its validators, and follows the one before; bodies fit them.
2. Log: the leaves are there without a gap; roots and subtree rows follow from them.
3. Tree: bucket rows and root follow from the rows of the proved tables.
4. Indexes follow from the leaves, expiry entries from the rows.
5. Blocks, executed again from genesis in a fresh machine, give every header's app hash and every row; as long as all
   bodies are kept. A network that goes on with another ledger begins with that one's sealed file instead.

Reads one snapshot of another process's ledger, running or not; writes only to a temporary folder.
"""

from collections.abc import Iterator
from pathlib import Path

import lmdb

from salus.engines.base import Adopted, Founding, Snapshot, StartRefused
from salus.engines.fsck.execution import Progress, check_execution, executed_from
from salus.engines.fsck.findings import Finding
from salus.engines.fsck.folds import check_expiry, check_indexes, check_log, check_tree
from salus.engines.fsck.headers import check_headers
from salus.engines.headers import COMETBFT, EMBEDDED, HEADERS_BEHIND_MAX, About, read_about
from salus.engines.store import BLOCKS, ENGINE, HEADERS, LmdbReader
from salus.ledger.machine import ChainMismatch, Meta, app_hash, read_meta
from salus.ledger.state import META


def fsck(folder: Path, founding: Founding, *, progress: Progress | None = None) -> list[Finding]:
    """Check a ledger's folder; return what is wrong, nothing when all is well.

    Raises:
        Unavailable: there is no ledger in the folder.
    """
    reader = LmdbReader(folder)
    try:
        with reader.snapshot() as snapshot:
            return check(snapshot, founding, progress=progress)
    except lmdb.Error as error:
        return [Finding("data.mdb", b"", f"LMDB cannot read its own pages: restore a backup. {error}")]
    finally:
        reader.close()


def beginning(folder: Path, founding: Founding) -> str:
    """Return with which state the blocks are executed again; empty when they are not. Raises Unavailable."""
    reader = LmdbReader(folder)
    try:
        with reader.snapshot() as snapshot:
            return executed_from(snapshot, founding)
    finally:
        reader.close()


def check_adopted(folder: Path, adopted: Adopted) -> list[Finding]:
    """Compare a sealed ledger with what the founders of a network that goes on with it signed for. Raises Unavailable.

    Args:
        folder: of the sealed ledger.
    """
    reader = LmdbReader(folder)
    try:
        with reader.snapshot() as snapshot:
            meta = read_meta(snapshot)
    finally:
        reader.close()
    stands = meta and (meta.height, meta.tree_root, meta.log_size, meta.log_root)
    if stands != (adopted.height, adopted.tree_root, adopted.log_size, adopted.log_root):
        return [Finding(META, b"", "it does not stand where the founders of the network that goes on with it signed")]
    return []


def check(snapshot: Snapshot, founding: Founding, *, progress: Progress | None = None) -> list[Finding]:
    """Check one snapshot; return what is wrong.

    The snapshot stays open all the time, so it must not be one of the writing process: growing the map waits for it.
    """
    try:
        about, meta = read_about(snapshot), read_meta(snapshot)
    except StartRefused as error:
        return [Finding(ENGINE, b"", str(error))]
    except ChainMismatch as error:
        return [Finding(META, b"", str(error))]
    if about is None or about.engine not in (EMBEDDED, COMETBFT):
        return [Finding(ENGINE, b"", "expected the row that says which engine wrote the store")]
    if meta is None or meta.chain != founding.chain:
        return [Finding(META, b"", f"expected a ledger of {founding.chain}, came {meta.chain if meta else 'none'}")]
    findings = [
        *_check_meta(meta),
        *check_headers(snapshot, meta, first=founding.first_height, behind_max=_behind_max(about)),  # 1
        *check_log(snapshot, meta),  # 2
        *check_tree(snapshot, meta),  # 3
        *check_indexes(snapshot, founding),  # 4
        *check_expiry(snapshot, founding),
    ]
    if not any(finding.space in (BLOCKS, HEADERS) for finding in findings):
        findings += check_execution(snapshot, founding, meta, progress)  # 5
    return findings


def _behind_max(about: About) -> int:
    return HEADERS_BEHIND_MAX if about.engine == COMETBFT else 0


def _check_meta(meta: Meta) -> Iterator[Finding]:
    if meta.app_hash != app_hash(tree_root=meta.tree_root, log_size=meta.log_size, log_root=meta.log_root):
        yield Finding(META, b"", "the app hash does not follow from the two roots")
