"""No change of one place in the contracts goes unnoticed by their tests (`make long`, within a bound of time)."""

import subprocess
import sys

import pytest

from tools.mutate import ROOT

SECONDS = 1_800
SOURCES = ("membership", "patients", "records.py", "consent.py", "tickets", "access", "genesis.py", "decision.py",
           "__init__.py")  # fmt: skip
TESTS = ("scenarios", "decisions", "outcomes", "spec_pages", "genesis", "payer", "permit_life", "coverage", "sizes",
         "machine")  # fmt: skip


@pytest.mark.long
def test_every_mutant_of_the_contracts_is_killed() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "tools.mutate",
            *(f"src/salus/contracts/{name}" for name in SOURCES),
            "--tests",
            *(f"tests/contracts/test_{name}.py" for name in TESTS),
            "--seconds",
            str(SECONDS),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
