"""Types and profiles are compiled once, and no thread sees one that is half made."""

import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from salus.clinical.fhir.definitions import r4
from salus.clinical.fhir.validation import Validator
from salus.clinical.fhir.validation.compiled import Compiled

THREADS = 8
CLAIM = {
    "resourceType": "Claim",
    "status": "active",
    "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/claim-type", "code": "institutional"}]},
    "use": "claim",
    "patient": {"reference": "Patient/p"},
    "created": "2024-01-01",
    "provider": {"reference": "Organization/o"},
    "priority": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/processpriority", "code": "normal"}]},
    "insurance": [{"sequence": 1, "focal": True, "coverage": {"display": "c"}}],
}


@pytest.fixture
def hasty() -> Iterator[None]:
    """Let threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_the_first_resources_of_a_type_may_come_together(hasty: None) -> None:
    """Found by a load of bundles: a Claim was refused for properties that its type had not been given yet."""
    for _ in range(4):
        validator, gate = Validator(r4()), threading.Barrier(THREADS)

        def check(validator: Validator = validator, gate: threading.Barrier = gate) -> list[str]:
            gate.wait()
            return [each.message for each in validator.validate(CLAIM) if each.severity == "error"]

        with ThreadPoolExecutor(THREADS) as pool:
            found = [each.result() for each in [pool.submit(check) for _ in range(THREADS)]]
        assert found == [[]] * THREADS


def test_what_holds_itself_is_made_once() -> None:
    things: Compiled[list[object]] = Compiled()

    def make() -> list[object]:
        mine: list[object] = []
        things.begin("a", mine)
        mine.append(things.of("b", lambda: [things.of("a", list)]))
        return mine

    found = things.of("a", make)
    assert found[0] == [found]
    assert things.of("a", list) is found


def test_what_fails_is_tried_again() -> None:
    things: Compiled[int] = Compiled()

    def fail() -> int:
        things.begin("a", 0)
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        things.of("a", fail)
    assert things.of("a", lambda: 7) == 7
