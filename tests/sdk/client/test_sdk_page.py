"""docs/sdk.md: its examples run as they stand, one after the other, in one program."""

import re
from typing import Any

import pytest

from salus.node.services.anchor import anchor
from salus.sdk.client import Client, fhir, native
from tests.sdk.client.client_world import Integrator
from tools.source_tree import ROOT

BLOCKS = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs/sdk.md").read_text(encoding="utf-8"), re.M | re.S)


@pytest.mark.services
def test_the_examples_run_as_they_stand(here: Integrator, capsys: pytest.CaptureFixture[str]) -> None:
    with Client(here.here.base, here.clinical, tls=here.here.trust) as before:
        before.run(fhir.read("Observation", "o0"))
    anchor(here.here.node)
    known: dict[str, Any] = {
        "base": here.here.base,
        "service_id": here.clinical.client_id,
        "service_key": here.clinical.key,
        "tls": here.here.trust,
        "token": here.token,
        "trust": here.trust,
    }
    for number, block in enumerate(BLOCKS, start=1):
        exec(compile(block, f"docs/sdk.md, example {number}", "exec"), known)
    known["north"].close()
    assert len(known["exported"]) >= 6
    said = capsys.readouterr().out
    assert "EHR system" in said
    assert "400 invalid_grant expected a ticket" in said
    assert 'W/"' in said


def test_every_function_of_the_page_is_one_of_the_clients() -> None:
    named = set(re.findall(r"\b(fhir|native)\.(\w+)", "\n".join(BLOCKS)))
    assert named
    assert [each for each in named if not hasattr({"fhir": fhir, "native": native}[each[0]], each[1])] == []
