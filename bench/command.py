"""How long the command takes to say what it can do (DESIGN §9)."""

import subprocess
import sys
from pathlib import Path

from bench.measure import Line, latencies


def run() -> list[Line]:
    """Start it several times, as a person would."""
    salus = str(Path(sys.executable).with_name("salus"))
    took = latencies(lambda: subprocess.run([salus, "--help"], capture_output=True, check=True), count=15)
    return [
        Line("`salus --help`", "≤ 150 ms", f"{took.median:.0f} ms", took.median <= 150, {"ms": took.raw()}),
    ]
