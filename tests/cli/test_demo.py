"""salus demo: over real processes, to the end, and nothing is left behind."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

VERIFIED_WITHIN_S = 90
"""Issue 3: from the demo's own start to the verified receipt."""


@pytest.mark.services
@pytest.mark.promise("R1", "R2", "R3", "R5", "R6", "L5")
def test_the_demo_ends_well(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "salus.cli", "demo", "--exit", "--people", "8", "--json"]
    environment = {"PATH": "/usr/bin:/bin", "TMPDIR": str(tmp_path), "LANG": "C.UTF-8"}
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=180, env=environment)
    assert result.returncode == 0, result.stderr
    facts = json.loads(result.stdout)
    assert len(facts["steps"]) == 15
    assert facts["verified_after_s"] < VERIFIED_WITHIN_S
    assert facts["charts"] == {"RZ1": facts["charts"]["RZ1"], "Z99001": 8}
    (transit,) = [each["caught"] for each in facts["steps"] if each["title"] == "One byte flipped in transit"]
    assert set(transit) == {"on the way there", "on the way back", "by the custodian"}
    assert list(tmp_path.iterdir()) == []
