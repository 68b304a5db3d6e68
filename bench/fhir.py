"""A node's FHIR server against HAPI, request by request, both on PostgreSQL 15 on this machine (DESIGN §9)."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from bench.fhir_servers import HAPI, Server, build_hapi, hapi, ours
from bench.measure import Line
from bench.plots import Group, bars
from bench.postgres import postgres

WORKERS = 2
WARM_UP_S, DURATION_S = int(os.environ.get("FHIR_WARM_UP_S", "10")), int(os.environ.get("FHIR_DURATION_S", "12"))
OPERATIONS = {
    "create-patient": ("create Patient", 3.0),
    "create-observation": ("create Observation", 3.0),
    "read-patient": ("read Patient", 1.2),
    "read-observation": ("read Observation", 1.2),
    "search-observation": ("Observations of a patient (30)", 4.0),
    "everything": ("Patient/$everything (31)", 5.0),
    "transaction": ("Synthea bundles, resources", 4.0),
}
SEARCHES = ("search-observation", "everything")
SERIES = {"salus": "Salus", "hapi": "HAPI", "hapi_validating": "HAPI, validating"}
BUNDLES = Path(__file__).resolve().parents[2] / "shared" / "data" / "fhir" / "synthea-r4"
LEFT_OUT = "(score)"
"""A bundle with this code is not UCUM: HAPI's validator refuses it, so it is left out on all sides."""
Figures = dict[tuple[str, int], dict[str, float]]


def run() -> list[Line]:
    """Ours, HAPI without validation, with it, and with its search cache, one after the other on one cluster."""
    build_hapi()
    with postgres() as cluster, tempfile.TemporaryDirectory() as folder:
        bundles = _bundles(Path(folder) / "bundles")
        wanted = os.environ.get("FHIR_ONLY", ",".join(OPERATIONS)).split(",")
        mine, mine_mb = _measured("Salus", ours(cluster, workers=WORKERS), wanted, bundles)
        plain, plain_mb = _measured("HAPI", hapi(cluster, validates=False), wanted, bundles)
        validating, _ = _measured("HAPI, validating", hapi(cluster, validates=True), wanted, bundles)
        searches = [each for each in wanted if each in SEARCHES]
        caching, _ = _measured("HAPI, caching", hapi(cluster, validates=False, caches=True), searches, bundles)
    lines = [
        _line((operation, clients), mine, plain, validating, caching)
        for clients in (8, 1)
        for operation in OPERATIONS
        if all((operation, clients) in each for each in (mine, plain, validating))
    ]
    held = mine_mb <= plain_mb / 2
    return [*lines, Line("memory after all this", "half of HAPI's", f"{mine_mb:.0f} MB of {plain_mb:.0f} MB", held)]


def chart(lines: Sequence[Line]) -> str:
    """Return the rates as bars; the dashes are the goals."""
    groups = [
        Group(
            line.what,
            tuple(_rate(line.raw[name]) for name in SERIES),  # type: ignore[arg-type]
            tuple(f"{_rate(line.raw[name]):,.0f}/s" for name in SERIES),  # type: ignore[arg-type]
            goal=_rate(line.raw["hapi"]) * float(line.raw["goal"]),  # type: ignore[arg-type]
        )
        for line in lines
        if "hapi" in line.raw
    ]
    return bars("FHIR server on PostgreSQL 15, per second", tuple(SERIES.values()), groups)


def _line(key: tuple[str, int], mine: Figures, plain: Figures, validating: Figures, caching: Figures) -> Line:
    operation, clients = key
    words, goal = OPERATIONS[operation]
    own, other, strict = (_rate(each[key]) for each in (mine, plain, validating))
    beside = f"validating: {own / strict:.2f} × {strict:.0f}/s"
    if key in caching:
        beside += f"; answering from its cache: {own / _rate(caching[key]):.2f} × {_rate(caching[key]):.0f}/s"
    raw: dict[str, object] = {"salus": mine[key], "hapi": plain[key], "hapi_validating": validating[key], "goal": goal}
    return Line(
        f"{words}, {clients} client{'s' * (clients > 1)}",
        f"≥ {goal} × HAPI",
        f"{own:.0f}/s = {own / other:.2f} × {other:.0f}/s ({beside})",
        own >= goal * other,
        raw | ({"hapi_caching": caching[key]} if key in caching else {}),
    )


def _rate(figures: dict[str, float]) -> float:
    return figures.get("resources_per_s") or figures["requests_per_s"]


def _measured(
    label: str, server: AbstractContextManager[Server], wanted: Sequence[str], bundles: Path
) -> tuple[Figures, float]:
    """Run the load script, operation by operation, since a token of ours lives for minutes only."""
    figures: Figures = {}
    with server as running:
        for operation in wanted:
            print(f"{label}: {operation}", file=sys.stderr, flush=True)
            for each in _loaded(running, operation, bundles):
                figures[operation, int(each["clients"])] = each
                print("  ", each, file=sys.stderr, flush=True)
        return figures, running.memory_mb()


def _loaded(server: Server, operation: str, bundles: Path) -> list[dict[str, float]]:
    with tempfile.NamedTemporaryFile() as out:
        command = [sys.executable, str(HAPI / "load" / "load"), server.base, "--only", operation, "--out", out.name]
        command += ["--warm-up", str(WARM_UP_S), "--duration", str(DURATION_S), "--bundles", str(bundles)]
        done = subprocess.run(command, env=os.environ | {"LOAD_TOKEN": server.token()}, stdout=subprocess.DEVNULL)
        if done.returncode:
            print("some answers were not 2xx", file=sys.stderr)
        found: list[dict[str, float]] = json.loads(Path(out.name).read_text() or '{"figures": []}')["figures"]
    return found


def _bundles(folder: Path) -> Path:
    folder.mkdir()
    for path in sorted(BUNDLES.glob("*.json")):
        if LEFT_OUT not in path.read_text():
            (folder / path.name).symlink_to(path)
    return folder
