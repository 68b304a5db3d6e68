"""Where an execution may take place: interpreters, hash seeds, locales, time zones; each in a process of its own."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import msgspec

from salus.testing.simulator.recording import Roots

ROOT = Path(__file__).resolve().parents[2]
HASH_SEEDS = (0, 1, 2, 3, 42, 1_000, 65_537, 1 << 20, 1 << 31, (1 << 32) - 1)
ZONES = ("UTC", "Asia/Kathmandu", "America/St_Johns")
"""The last two are not whole hours off, and one of them changes its clocks."""


@dataclass(frozen=True)
class Place:
    """A locale and a time zone.

    Args:
        definition: of the locale's source and its character set; empty for one that every machine has.
    """

    locale: str
    zone: str
    definition: tuple[str, str] = ("", "")


PLACES = (
    Place("C", ZONES[0]),
    Place("tr_TR.UTF-8", ZONES[1], ("tr_TR", "UTF-8")),  # i and I are not each other's upper and lower case
    Place("de_DE.ISO-8859-1", ZONES[2], ("de_DE", "ISO-8859-1")),  # a comma in numbers, and no UTF-8
)


def has_locale(place: Place, folder: Path) -> bool:
    """Compile a place's locale into a folder, if this machine has its source; the others are always there."""
    source, charset = place.definition
    if not source:
        return True
    command = ["localedef", "-i", source, "-f", charset, str(folder / place.locale)]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def environment(place: Place, hash_seed: int, locales: Path) -> dict[str, str]:
    """The environment of a process at a place; it takes the locale as it is, and falls back to no other."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "PYTHON"))},
        "LC_ALL": place.locale,
        "LOCPATH": str(locales),
        "TZ": place.zone,
        "PYTHONHASHSEED": str(hash_seed),
        "PYTHONCOERCECLOCALE": "0",
        "PYTHONUTF8": "0",
    }


def execute_at(python: Path, kind: str, recording: Path, surroundings: dict[str, str]) -> Roots:
    """Execute a recording in another process."""
    command = [str(python), "-m", "salus.testing.simulator.recording", kind, str(recording)]
    done = subprocess.run(command, cwd=ROOT, env=surroundings, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return msgspec.json.decode(done.stdout, type=Roots)
