"""SEKMET, a small hospital that tests FHIR servers, as a program of its own beside a served node."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from salus.api.exchange.serve import listen
from tests.api.fhir.served import Backend, Served
from tests.conftest import ROOT, absent

PLACE = ROOT / ".venv-sekmet"
PROGRAM = PLACE / "bin" / "sekmet"
PEER = "salus"
FED = "salus-fed"
"""The same server for a system that feeds the record, as one that sends messages does."""
TIMEOUT_S = 600


@dataclass(frozen=True)
class Sekmet:
    """SEKMET with our server as its peer."""

    folder: Path
    here: Served

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run one of its verbs."""
        settings = str(self.folder / "settings.yaml")
        return subprocess.run(
            [PROGRAM, *command, "-c", settings], cwd=self.folder, capture_output=True, text=True, timeout=TIMEOUT_S
        )

    def scenarios(self, *asked: str, peer: str = PEER) -> list[dict]:
        """Play scenarios, with options after their names; what became of each, with its steps."""
        done = self.run("scenario", "run", *asked, "--peer", peer, "--report-dir", f"played-{peer}")
        reports = sorted((self.folder / f"played-{peer}").glob("*/results.json"))
        assert reports, done.stdout + done.stderr
        found: list[dict] = json.loads(reports[-1].read_text(encoding="utf-8"))
        return found


def library() -> set[str]:
    """The names of the scenarios that SEKMET comes with."""
    return {each.stem for each in PLACE.glob("lib/*/site-packages/sekmet/scenarios/library/*.yaml")}


def sekmet(folder: Path, here: Served) -> Sekmet:
    """Tell SEKMET where the server is; it signs in as a clinical system, or as one that feeds the record."""
    if not PROGRAM.is_file():
        absent("SEKMET is not installed: run `make setup`")
    folder.mkdir()
    with listen("127.0.0.1", 0) as probe:
        port = probe.getsockname()[1]
    peers = {PEER: _peer(folder, here, here.clinical), FED: _peer(folder, here, here.feed)}
    peers[PEER]["roles"] = ["lab-filler"]  # `laboratory` plays it
    settings = {
        "base_url": f"http://127.0.0.1:{port}/fhir",
        "host": "127.0.0.1",
        "port": port,
        "data_dir": str(folder / "data"),
        "own_private_key_path": str(folder / "own.pem"),
        "peers": peers,
    }
    (folder / "settings.yaml").write_text(json.dumps(settings), encoding="utf-8")  # YAML has JSON in it
    return Sekmet(folder, here)


def _peer(folder: Path, here: Served, backend: Backend) -> dict:
    key = folder / f"{backend.app}.pem"
    key.write_bytes(backend.key.as_pem(private=True))
    auth = {"type": "smart", "client_id": backend.app, "private_key_path": str(key), "kid": "k", "alg": "ES384"}
    return {"base_url": here.base, "verify_tls": False, "auth": auth | {"scope": "system/*.cruds"}}
