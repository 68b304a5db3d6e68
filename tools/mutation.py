"""The mutation run over the rules: which files, which tests judge them, how many mutants of each file.

Run: `make mutation`, or one chunk: `python -m tools.mutation tree`. `EACH=all` tries every mutant (hours); otherwise so
many of each file, drawn by a fixed seed. Every Python file of `ledger` and `contracts` is in one chunk, and a test
compares. `tools/mutation_survivors.txt` explains the survivors that no test can kill.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from tools.mutate import main as mutate

EACH = "5"
SEED = "1"
SURVIVORS = "tools/mutation_survivors.txt"
LEDGER, CONTRACTS = "src/salus/ledger/", "src/salus/contracts/"


@dataclass(frozen=True)
class Chunk:
    """Files that the same tests judge.

    Args:
        sources: files and folders.
        tests: what kills most of their mutants, and is quick.
        then: what the survivors of these meet.
    """

    sources: tuple[str, ...]
    tests: tuple[str, ...]
    then: tuple[str, ...] = ()


def under(folder: str, names: str) -> tuple[str, ...]:
    """Paths of some files and folders of one folder."""
    return tuple(folder + name for name in names.split())


def tests_of(folder: str, names: str) -> tuple[str, ...]:
    """Paths of some test files of one folder."""
    return tuple(f"tests/{folder}/test_{name}.py" for name in names.split())


CHUNKS = {
    "tree": Chunk(
        under(LEDGER, "tree.py tree_proof.py ics23.py"),
        tests_of("ledger", "tree_vectors tree"),
        tests_of("ledger", "tree_ics23 proofs"),
    ),
    "log": Chunk(
        under(LEDGER, "log.py"), tests_of("ledger", "log"), tests_of("ledger", "proofs verifier second_verifier")
    ),
    "encoding": Chunk(
        under(LEDGER, "encoding.py identifiers.py outcomes.py transactions.py entries.py fields.py receipts.py "
              "erasure_statements.py recovery_shares.py"),
        (*tests_of("ledger", "encoding_self_test encoding_text"), *tests_of("contracts", "transactions")),
        (*tests_of("ledger", "receipt_views identifiers erasure_statements proofs bundles"),
         *tests_of("contracts", "scenarios machine"),
         *tests_of("sdk", "receipt_check receipt_false receipt_kinds"), *tests_of("attacks", "recovery_shares"),
         "tests/crypto/test_merkle.py"),
    ),
    "machine": Chunk(
        under(LEDGER, "machine.py contract.py state.py readers.py"),
        (*tests_of("ledger", "block_end"), *tests_of("contracts", "transactions scenarios")),
        (*tests_of("contracts", "machine outcomes"), *tests_of("ledger", "proofs")),
    ),
    "comet": Chunk(
        under(LEDGER, "comet"),
        tests_of("ledger", "comet_refused comet_vectors comet_refusals"),
        tests_of("ledger", "comet_light verifier"),
    ),
    "verifier": Chunk(
        under(LEDGER, "verifier proofs.py bundles.py"),
        tests_of("ledger", "verifier_trust bundles verifier_skipping verifier_follow verifier proofs"),
        (*tests_of("ledger", "second_verifier"), *tests_of("sdk", "history_check verify")),
    ),
    "rules": Chunk(
        under(CONTRACTS, "patients records.py consent.py tickets ticket_bearers.py access __init__.py membership"),
        tests_of("contracts", "scenarios outcomes"),
        tests_of("contracts", "governance decisions coverage sizes permit_life payer machine genesis")
        + tests_of("contracts", "spec_pages ticket_bearers"),
    ),
    "decision": Chunk(
        under(CONTRACTS, "decision.py gathering.py evidence.py residuals.py record_metadata.py genesis.py adoption.py"),
        tests_of("contracts", "genesis adoption decisions scenarios"),
        (*tests_of("contracts", "residuals lacking_rules payer permit_life provisions_meet_records machine"),
         *tests_of("sdk", "evidence receipt_check receipt_kinds receipt_false"), *tests_of("node", "tickets")),
    ),
    "provisions": Chunk(
        under(CONTRACTS, "provisions"),
        tests_of("contracts", "provisions_tree provisions_gates provisions_decisions"),
        tests_of("contracts", "provisions_meet_records scenarios provisions_laws"),
    ),
}  # fmt: skip


def main(names: Sequence[str]) -> int:
    """Run some chunks, or all; the exit status is that of the worst."""
    each = os.environ.get("EACH", EACH)
    draw = [] if each == "all" else ["--each", each]
    worst = 0
    for name in names or CHUNKS:
        chunk = CHUNKS[name]
        print(f"chunk {name}", flush=True)
        then = ["--then", *chunk.then] if chunk.then else []
        options = ["--workers", "1", "--seconds", "36000", "--seed", SEED, "--explained", SURVIVORS]
        worst = max(worst, mutate([*chunk.sources, "--tests", *chunk.tests, *then, *draw, *options]))
    return worst


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
