"""Run the benches that are named, or all: `python -m bench [name …] [--write]`."""

import importlib
import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from bench.measure import Line

ROOT = Path(__file__).resolve().parent.parent
BENCHES = (
    "ledger",
    "release",
    "deposit",
    "sealing",
    "proofs",
    "sizes",
    "command",
    "portal",
    "portal_pages",
    "fhir_validation",
)
NETWORK = ("network", "state_sync")
FHIR = ("fhir",)
APART = {NETWORK: "-network", FHIR: "-fhir"}
"""Measured by themselves, since they need the whole machine: four validators, or another server and PostgreSQL 15."""


def machine() -> dict[str, str]:
    """Return what this machine is, and how busy it was."""
    names = [line.split(":", 1)[1].strip() for line in _read("/proc/cpuinfo").splitlines() if "model name" in line]
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit.stdout.strip(),
        "processor": f"{os.cpu_count()} × {names[0] if names else platform.processor()}",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load before": " ".join(f"{load:.2f}" for load in os.getloadavg()),
    }


def table(lines: list[Line], described: dict[str, str]) -> str:
    """Return the budget table as a page."""
    held = {True: "yes", False: "**no**", None: "-"}
    rows = [f"| {line.what} | {line.budget} | {line.measured} | {held[line.held]} |" for line in lines]
    about = [f"- {name}: {value}" for name, value in described.items()]
    return "\n".join(
        [
            "# Budgets",
            "",
            "Written by `make bench`, `make bench-network` or `make bench-fhir`; raw numbers: `docs/results/`.",
            "Where the time goes: of [a release and a deposit](results/2026-11-28-where-the-time-goes.md),",
            "of [four validators](results/2026-11-28-network-where-the-time-goes.md).",
            "",
            *about,
            "",
            "| what | budget | measured | held |",
            "|---|---|---|---|",
            *rows,
            "",
        ]
    )


def main(arguments: list[str]) -> int:
    """Run, print, and with --write keep the result."""
    names = [name for name in arguments if not name.startswith("-")] or list(BENCHES)
    described = machine()
    lines: list[Line] = []
    for name in names:
        print(f"bench {name} …", file=sys.stderr, flush=True)
        lines += importlib.import_module(f"bench.{name}").run()
    page = table(lines, described)
    print(page)
    if "--write" in arguments:
        _keep(page, lines, described, suffix=APART.get(tuple(names), ""))
    return 0


def _keep(page: str, lines: list[Line], described: dict[str, str], *, suffix: str) -> None:
    (ROOT / "docs" / "results").mkdir(parents=True, exist_ok=True)
    (ROOT / "docs" / f"budgets{suffix}.md").write_text(page)
    raw = {"machine": described, "lines": [line.__dict__ for line in lines]}
    place = ROOT / "docs" / "results" / f"{described['when'][:10]}-bench{suffix}.json"
    place.write_text(json.dumps(raw, indent=1, ensure_ascii=False) + "\n")
    if suffix == APART[FHIR]:
        place.with_suffix(".svg").write_text(importlib.import_module("bench.fhir").chart(lines))


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
