"""What a ledger did with a block, beside what the auditor says of the same block."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from salus.ledger.outcomes import NOT_A_TRANSACTION, TransactionResult, decode_leaf
from salus.ledger.state import EXPIRY, INDEXES, LEAVES, STATE, Changes, Store
from salus.testing.auditor import Audited, Auditor, Verdict
from salus.testing.auditor.view import STEPS_EXHAUSTED

COMPARED = (STATE, INDEXES, EXPIRY, LEAVES)


class Disagreement(AssertionError):
    """Ledger and auditor differ; the message says in what."""


def compare_results(audited: Audited, results: Sequence[TransactionResult]) -> None:
    """Compare the answers to a block's byte strings. Raises Disagreement."""
    expect_same("number of results", len(results), len(audited.verdicts))
    for place, (result, verdict) in enumerate(zip(results, audited.verdicts, strict=True)):
        compare_result(f"result {place}", result, verdict)


def compare_result(what: str, result: TransactionResult, verdict: Verdict) -> None:
    """Compare one answer. Raises Disagreement."""
    expect_same(f"{what}: code", result.code, verdict.code)
    expect_same(f"{what}: leaves", [leaf.hex() for leaf in result.leaves], [leaf.hex() for leaf in verdict.leaves])
    if result.code != NOT_A_TRANSACTION:
        expect_same(f"{what}: first leaf", result.first_leaf, verdict.first)


def compare_changes(auditor: Auditor, audited: Audited, changes: Changes, store: Store) -> None:
    """Compare every row that either touched. Raises Disagreement.

    Args:
        store: with the changes in it.
    """
    for space in COMPARED:
        for key in sorted(audited.touched[space] | changes.get(space, {}).keys()):
            expect_same(f"{space} {key!r}", _hex(store.get(space, key)), _hex(auditor.spaces[space].get(key)))


def compare_all(auditor: Auditor, rows: Mapping[str, Iterator[tuple[bytes, bytes]]], app_hash: bytes) -> None:
    """Compare every row that there is, and the app hash. Raises Disagreement."""
    for space in COMPARED:
        has, wants = dict(rows[space]), auditor.spaces[space]
        for key in sorted(has.keys() | wants.keys()):
            expect_same(f"{space} {key!r}", _hex(has.get(key)), _hex(wants.get(key)))
    expect_same("app hash", app_hash.hex(), auditor.app_hash().hex())


def exhausted(results: Iterable[TransactionResult]) -> dict[bytes, int]:
    """Return the transactions whose steps a ledger says were exhausted, and at which message (L6)."""
    leaves = [decode_leaf(result.leaves[0]) for result in results if result.code == STEPS_EXHAUSTED]
    return {leaf.transaction: leaf.index for leaf in leaves}


def expect_same(what: str, ledger: object, auditor: object) -> None:
    """Raise Disagreement unless both say the same."""
    if ledger != auditor:
        raise Disagreement(f"{what}\n  ledger  {ledger}\n  auditor {auditor}")


def _hex(row: bytes | None) -> str:
    return "absent" if row is None else row.hex()
