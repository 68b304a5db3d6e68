"""schemathesis, which nobody here wrote, against the OpenAPI documents of both APIs, on a started server.

No five-hundreds; of each answer the status, the media type and the schema are those of the document: so every "no" of
the FHIR server is an OperationOutcome with coded details, every one of the native API a number and words.
"""

import datetime
import json
import os
import platform
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from salus.api.smart.app import Smart
from salus.api.smart.settings import SmartSettings
from salus.node.services import grants
from salus.node.services.apps import AppKind, NewApp
from salus.node.services.grants import Wanted, challenge_of
from tests.api.smart.smart_world import BACK, VERIFIER
from tests.conftest import absent
from tests.sdk.client.client_world import Integrator, integrator

PROGRAM = Path(sys.prefix) / "schemathesis/bin/st"
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
EXAMPLES = {"native": 10, "fhir": 5}
"""Of each operation, beside what covers its parameters one by one: a minute's worth in all on a machine that does
nothing else; on one that does, it ends after `SHORT_S`.
"""
SHORT_SEED = int(os.environ.get("SALUS_FUZZ_SEED", "20261128"))
"""The same every time: a change is judged by what it changes; new seeds are for the hour."""
SHORT_S = {"native": 20, "fhir": 40}
LONG_S = {"native": 600, "fhir": 3000}
TOKEN_S = 4 * 3600
KINDS = ["Patient", "Observation", "Condition", "Group", "Bundle", "Binary", "Organization", "Nothing"]
NAMES = ["ann", "o0", "o1", "nobody"]
DOCUMENTS = {"native": "/api/openapi.json", "fhir": "/api/fhir/openapi.json"}


@dataclass
class Target:
    """A started server, and a token for each of its documents."""

    here: Integrator
    tokens: dict[str, str]

    def document(self, which: str, folder: Path) -> Path:
        """The server's own document, with names of what there is, so that more than "not found" is tried."""
        root = self.here.here.base.removesuffix("/FHIR/R4")
        with urllib.request.urlopen(root + DOCUMENTS[which], context=self.here.here.trust) as answer:
            said = json.load(answer)
        for path, operations in said["paths"].items():
            for operation in operations.values():
                _name_what_there_is(operation, said)
                if path == "/$import":  # no tool sends NDJSON by itself
                    operation.pop("requestBody", None)
        file = folder / f"{which}.json"
        file.write_text(json.dumps(said))
        return file

    def url(self, which: str) -> str:
        base = self.here.here.base
        return base if which == "fhir" else base.removesuffix("/FHIR/R4")


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    if not PROGRAM.exists():
        absent("schemathesis is not installed (make setup)")
    with pytest.MonkeyPatch.context() as patched, integrator(tmp_path_factory.mktemp("fuzzed")) as here:
        patched.setattr(grants, "ACCESS_S", TOKEN_S)
        patched.setattr(grants, "SESSION_LEFT_S_MIN", 60)
        yield Target(here, {"fhir": here.here.token(here.here.clinical), "native": _token(here)})


def _token(here: Integrator) -> str:
    """A token of a patient's with all scopes of the native API."""
    node = here.here.node
    smart = Smart(node, SmartSettings(here.here.base), lambda _pseudonym: "ann")
    (account,) = (each.id for each in smart.accounts.all() if each.account.pseudonym)
    app = smart.apps.add(NewApp(AppKind.PUBLIC, "Fuzz", [BACK])).app
    scopes = ("salus/history", "salus/tickets", "salus/ledger")
    wanted = Wanted(app, account, scopes, here.ann.pseudonym, BACK, challenge_of(VERIFIER), "")
    token = smart.grants.redeem(app, smart.grants.begin(wanted), redirect_uri=BACK, verifier=VERIFIER).access
    smart.close()
    return token


def _name_what_there_is(operation: dict[str, Any], said: dict[str, Any]) -> None:
    for parameter in operation["parameters"]:
        if parameter["name"] in ("kind", "within"):
            parameter["schema"] = {"enum": KINDS}
        if parameter["name"] == "id":
            parameter["schema"] = {"enum": NAMES}
        if parameter["name"] == "height":
            parameter["schema"] = {"enum": ["0", "1", "99999"]}
    said["components"]["schemas"].setdefault("Resource", {})["examples"] = [
        {"resourceType": "Patient", "id": "ann"},
        {"resourceType": "Observation", "status": "final", "code": {"text": "x"}},
        {"resourceType": "Bundle", "type": "transaction", "entry": []},
        {"resourceType": "Parameters", "parameter": []},
    ]


@dataclass
class Outcome:
    """What a run came to."""

    status: int
    text: str
    seed: int

    @property
    def cases(self) -> str:
        found = re.search(r"(\d+) generated, .*", self.text)
        return found[0] if found else "0 cases"


def run(target: Target, which: str, folder: Path, *bounds: str, seed: int) -> Outcome:
    print(f"schemathesis, {which}: seed {seed}")
    command = [
        *(str(PROGRAM), "run", str(target.document(which, folder)), "--url", target.url(which)),
        *("--tls-verify", str(target.here.here.certificate), "-H", f"Authorization: Bearer {target.tokens[which]}"),
        *("--checks", CHECKS, "--phases", "coverage,fuzzing", "--seed", str(seed), *bounds),
        *("--no-color", "--no-shrink", "--continue-on-failure", "--request-timeout", "30", "--warnings", "off"),
    ]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=7200, check=False)
    return Outcome(done.returncode, done.stdout + done.stderr, seed)


@pytest.mark.services
@pytest.mark.promise("P4")
@pytest.mark.parametrize("which", DOCUMENTS)
def test_whatever_comes_is_answered_as_the_document_says(target: Target, tmp_path: Path, which: str) -> None:
    bounds = ("--max-examples", str(EXAMPLES[which]), "--max-time", str(SHORT_S[which]))
    came = run(target, which, tmp_path, *bounds, seed=SHORT_SEED)
    assert came.status == 0, came.text
    assert int(came.cases.split()[0]) > 0, came.text


@pytest.mark.long
@pytest.mark.services
def test_an_hour_of_it(target: Target, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    seed = int.from_bytes(os.urandom(4), "big")
    came = {which: run(target, which, tmp_path, "--max-time", str(LONG_S[which]), seed=seed) for which in DOCUMENTS}
    page = request.config.getoption("--openapi-page")
    if page:
        Path(page).write_text(_page(came), encoding="utf-8")
    assert [which for which, each in came.items() if each.status] == [], "\n".join(each.text for each in came.values())


def _page(came: dict[str, Outcome]) -> str:
    rows = [
        f"| {which} | {LONG_S[which]} s | {each.seed} | {each.cases} | {'yes' if each.status == 0 else '**no**'} |"
        for which, each in came.items()
    ]
    said = [
        f"# schemathesis, {datetime.datetime.now(datetime.UTC):%d %B %Y}",
        "",
        f"Against both OpenAPI documents of a started server; {platform.machine()}, {os.cpu_count()} processors.",
        "Held: no answer of 500 or above, and each of a status, a media type and a schema that its document has.",
        "",
        "| document | for | seed | cases | held |",
        "|---|---|---|---|---|",
        *rows,
        "",
    ]
    failed = [f"## {which}\n\n```\n{each.text}\n```\n" for which, each in came.items() if each.status]
    return "\n".join(said + failed)
