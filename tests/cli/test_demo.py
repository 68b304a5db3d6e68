"""salus demo: over real processes, to the end, and nothing is left behind."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from salus.engines.base import StartRefused
from salus.engines.cometbft.installing import installed
from tests.conftest import absent

VERIFIED_WITHIN_S = 90
"""Issue 3: from the demo's own start to the verified receipt."""


@pytest.mark.services
@pytest.mark.promise("R1", "R2", "R3", "R5", "R6", "L5")
def test_the_demo_ends_well(tmp_path: Path) -> None:
    facts = demo(tmp_path, "--people", "8")
    assert len(facts["steps"]) == 15
    assert facts["verified_after_s"] < VERIFIED_WITHIN_S
    assert facts["charts"] == {"RZ1": facts["charts"]["RZ1"], "Z99001": 8}
    (transit,) = [each["caught"] for each in facts["steps"] if each["title"] == "One byte flipped in transit"]
    assert set(transit) == {"on the way there", "on the way back", "by the custodian"}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.services
@pytest.mark.promise("L1", "L2", "R1", "R2", "R3", "R5", "R6", "L5")
def test_the_demo_ends_well_on_four_validators_of_which_one_is_killed() -> None:
    try:
        installed()
    except StartRefused as error:
        absent(f"CometBFT is not installed (make setup): {error}")
    place = Path(tempfile.mkdtemp(prefix="salus-"))  # its path leaves room for the names of sockets
    facts = demo(place, "--people", "4", "--network", "4")
    titles = [each["title"] for each in facts["steps"]]
    assert len(titles) == 17
    killed, back = titles.index("One of the four validators is killed"), titles.index("The validator comes back")
    assert killed < titles.index("She checks the receipt, with the network off") < back
    assert facts["steps"][back]["missed"] > 2
    assert facts["verified_after_s"] < VERIFIED_WITHIN_S
    place.rmdir()


def demo(folder: Path, *options: str) -> dict[str, Any]:
    """Run the demo with its files in a folder; return its facts."""
    command = [sys.executable, "-m", "salus.cli", "demo", "--exit", *options, "--json"]
    environment = {"PATH": "/usr/bin:/bin", "TMPDIR": str(folder), "LANG": "C.UTF-8", "HOME": str(Path.home())}
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=180, env=environment)
    assert result.returncode == 0, result.stderr
    facts: dict[str, Any] = json.loads(result.stdout)
    return facts
