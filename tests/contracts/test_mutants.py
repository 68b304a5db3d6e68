"""No change of one place in the rules goes unnoticed by their tests (`make long`: a few of each file)."""

import subprocess
import sys
from collections import Counter

import pytest

from tools.mutate import ROOT, files_of, mutants_of
from tools.mutation import CHUNKS

RULES = ("src/salus/ledger", "src/salus/contracts")


def test_every_file_of_the_rules_is_in_one_chunk() -> None:
    chosen = Counter(file for chunk in CHUNKS.values() for each in chunk.sources for file in files_of(ROOT / each))
    rules = {file for folder in RULES for file in files_of(ROOT / folder) if next(mutants_of(file), None)}
    assert rules <= set(chosen)
    assert max(chosen.values()) == 1


def test_every_test_of_a_chunk_exists() -> None:
    tests = [ROOT / each for chunk in CHUNKS.values() for each in (*chunk.tests, *chunk.then)]
    assert [test for test in tests if not test.is_file()] == []


@pytest.mark.long
@pytest.mark.parametrize("chunk", CHUNKS)
def test_every_mutant_is_killed_or_explained(chunk: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tools.mutation", chunk], cwd=ROOT, capture_output=True, text=True, check=False
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
