"""docs/smart.md: its commands run as they stand, and its tables are what the program does."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from joserfc.jwk import ECKey

from salus.api.smart.browsers import BROWSER_S
from salus.api.smart.client_authentication import ALGORITHMS, ASSERTION_S_MAX
from salus.api.smart.desk import LAUNCH_S
from salus.api.smart.signing_keys import ID_TOKEN_S
from salus.node.config import NODE_FILE, NodeSettings, node_toml, read_node
from salus.node.services.accounts import TRIES_FROM_MAX, TRIES_MAX, TRIES_S
from salus.node.services.apps import AppKind
from salus.node.services.grants import ACCESS_S, CODE_S, OFFLINE_S, ONLINE_S
from salus.testing.population import SyntheticPerson
from tests.cli.conftest import North, Run, write_chart
from tools.source_tree import ROOT

PAGE = (ROOT / "docs/smart.md").read_text(encoding="utf-8")


def rows(heading: str) -> dict[str, str]:
    """The first two columns of the table under a line that begins with this."""
    table = PAGE.split(f"| {heading} |", 1)[1].split("\n\n", 1)[0]
    return {cells[1].strip(): cells[2].strip() for line in table.splitlines()[2:] if len(cells := line.split("|")) > 2}


def test_lifetimes() -> None:
    assert rows("what") == {
        "code": f"{CODE_S} s",
        "access token": f"{ACCESS_S} s",
        "ID token": f"{ID_TOKEN_S} s",
        "launch": f"{LAUNCH_S} s",
        "browser": f"{BROWSER_S} s",
        "grant with `online_access`, or with neither": f"{ONLINE_S} s",
        "grant with `offline_access`": f"{OFFLINE_S} s",
    }


def test_kinds_algorithms_and_limits() -> None:
    assert set(rows("kind")) == {f"`{kind.name.lower()}`" for kind in AppKind}
    assert all(each in PAGE for each in set(ALGORITHMS) - {"Ed25519"})
    assert (ASSERTION_S_MAX, TRIES_MAX, TRIES_FROM_MAX, TRIES_S) == (300, 10, 200, 900)


def test_the_settings_of_providers_are_read(tmp_path: Path) -> None:
    (block,) = re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    own = NodeSettings("RA1", "genesis", "keys", "ledger", "socket", ("a", "b"))
    (tmp_path / NODE_FILE).write_text(f"{node_toml(own)}\n{block}", encoding="utf-8")
    fhir = read_node(tmp_path).fhir
    assert fhir is not None
    cis2, nhs = fhir.providers
    assert (cis2.secret, nhs.key) == (str(tmp_path / "cis2.secret"), str(tmp_path / "nhs-login.pem"))
    assert (cis2.key, nhs.levels) == ("", ("P9",))


@pytest.mark.services
def test_the_commands_run_as_they_stand(
    north: North, everybody: list[SyntheticPerson], tmp_path: Path, run: Run
) -> None:
    person = everybody[4]
    assert run("import", north.hospital, write_chart(tmp_path / "chart.ndjson", person)).status == 0
    keys = {"keys": [ECKey.generate_key("P-384", {"kid": "a"}).as_dict(private=False)]}
    (tmp_path / "registry.jwks").write_text(json.dumps(keys))
    script = "set -euo pipefail\n" + "\n".join(re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))
    known = {"node": str(north.hospital), "number": person.nhs_number.digits, "born": person.birth_date}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env={**os.environ, **known, "PATH": path},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Growth chart" in done.stdout
    assert "Eleanor Moss" in done.stdout
    assert json.loads((tmp_path / "rounds.json").read_text())["secret"]
