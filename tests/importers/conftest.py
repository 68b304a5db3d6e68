"""One world for all importers: a hospital whose patients each test invents for itself."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from salus.clinical import nhs_number
from salus.testing.world import World, world

NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A hospital and a practice on one ledger."""
    with world(tmp_path_factory.mktemp("importers")) as started:
        yield started


@pytest.fixture
def number() -> str:
    """An NHS number of the test range that no other test has."""
    while True:
        first_nine = f"999{next(NUMBERS):06}"
        digit = nhs_number.check_digit(first_nine)
        if digit is not None:
            return f"{first_nine}{digit}"


def patient(own_id: str, number: str = "", *, born: str = "1980-02-29", **more: object) -> dict[str, object]:
    """A Patient; without a number when it is empty."""
    content: dict[str, object] = {"resourceType": "Patient", "id": own_id, "birthDate": born, **more}
    if number:
        content["identifier"] = [{"system": nhs_number.SYSTEM, "value": number}]
    return content


def about(kind: str, own_id: str, of: str, **more: object) -> dict[str, object]:
    """A resource about a patient."""
    return {"resourceType": kind, "id": own_id, "subject": {"reference": f"Patient/{of}"}, **more}


def write_lines(path: Path, *resources: dict[str, object] | str) -> Path:
    """Write NDJSON; a text is written as it is."""
    lines = [each if isinstance(each, str) else json.dumps(each) for each in resources]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def write_bundle(path: Path, *resources: dict[str, object]) -> Path:
    """Write a collection."""
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": each} for each in resources]}
    path.write_text(json.dumps(bundle), encoding="utf-8")
    return path
