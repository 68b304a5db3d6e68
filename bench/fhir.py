"""A node's FHIR server against HAPI, request by request, both on PostgreSQL 15 on this machine (DESIGN §9)."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from bench.fhir_servers import HAPI, Server, build_hapi, hapi, ours
from bench.measure import Line
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
BUNDLES = Path(__file__).resolve().parents[2] / "shared" / "data" / "fhir" / "synthea-r4"
LEFT_OUT = "(score)"
"""A bundle with this code is not UCUM: HAPI's validator and ours refuse it, so it is left out on all sides."""
Figures = dict[tuple[str, int], dict[str, float]]


def run() -> list[Line]:
    """Ours, HAPI without validation, and HAPI with it, one after the other on one cluster."""
    build_hapi()
    with postgres() as cluster, tempfile.TemporaryDirectory() as folder:
        bundles = _bundles(Path(folder) / "bundles")
        mine, mine_mb = _measured("Salus", ours(cluster, workers=WORKERS), bundles)
        plain, plain_mb = _measured("HAPI", hapi(cluster, validates=False), bundles)
        validating, _ = _measured("HAPI, validating", hapi(cluster, validates=True), bundles)
    lines = [line for clients in (8, 1) for line in _lines(mine, plain, validating, clients)]
    held = mine_mb <= plain_mb / 2
    return [*lines, Line("memory after all this", "half of HAPI's", f"{mine_mb:.0f} MB of {plain_mb:.0f} MB", held)]


def _lines(mine: Figures, plain: Figures, validating: Figures, clients: int) -> Iterator[Line]:
    for operation, (words, goal) in OPERATIONS.items():
        key = operation, clients
        if not all(key in each for each in (mine, plain, validating)):
            continue
        rates = [_rate(each[key]) for each in (mine, plain, validating)]
        factor = rates[0] / rates[1]
        beside = f"validating: {rates[0] / rates[2]:.2f} × {rates[2]:.0f}/s"
        raw: dict[str, object] = {"salus": mine[key], "hapi": plain[key], "hapi_validating": validating[key]}
        yield Line(
            f"{words}, {clients} client{'s' * (clients > 1)}",
            f"≥ {goal} × HAPI",
            f"{rates[0]:.0f}/s = {factor:.2f} × {rates[1]:.0f}/s ({beside})",
            factor >= goal,
            raw,
        )


def _rate(figures: dict[str, float]) -> float:
    return figures.get("resources_per_s") or figures["requests_per_s"]


def _measured(label: str, server: AbstractContextManager[Server], bundles: Path) -> tuple[Figures, float]:
    """Run the load script, operation by operation, since a token of ours lives for minutes only."""
    only = os.environ.get("FHIR_ONLY", ",".join(OPERATIONS)).split(",")
    figures: Figures = {}
    with server as running:
        for operation in only:
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
