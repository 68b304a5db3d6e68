"""The simulator agrees with the auditor, hears everything that there is to hear, and notices when a rule is broken."""

import os
import random
from collections.abc import Callable
from typing import Any

import pytest

from salus.contracts import CONTRACTS, access, consent, membership, patients, records, tickets
from salus.contracts.access import DenialReason
from salus.ledger.contract import MACHINE_REJECTIONS
from salus.testing.simulator.comparison import Disagreement
from salus.testing.simulator.in_memory import Seen
from tests.progress import Progress
from tests.simulator.seeds import KINDS, Kind, in_memory, in_process, nodes, own_process, run, run_all

RULES = (membership, patients, records, consent, tickets, access)
MESSAGES = {message.__struct_config__.tag for contract in CONTRACTS for message in contract.handlers}
REJECTIONS = {*MACHINE_REJECTIONS, *(int(number) for contract in RULES for number in contract.Rejection)}
LONG_SEEDS = 220
LONG_STEPS = 500
CHUNK = 20


@pytest.mark.promise("L1", "L4")
def test_machine() -> None:
    seen = run_all(range(14), 200, in_memory)
    assert {tag for tag, code, _ in seen if code < 2} >= MESSAGES
    assert len({code for _, code, _ in seen} & REJECTIONS) > 0.75 * len(REJECTIONS)


@pytest.mark.promise("L1", "L2", "L4")
def test_engine_in_this_process() -> None:
    assert sum(run_all(range(3), 200, in_process).values()) > 500


@pytest.mark.services
@pytest.mark.promise("L1", "L2", "L4")
def test_ledger_process() -> None:
    assert sum(run_all(range(1), 200, own_process).values()) > 150


@pytest.mark.services
@pytest.mark.promise("L2", "R1", "R3", "R5")
def test_nodes() -> None:
    seen = run_all(range(2), 200, nodes)
    assert {tag for tag, _, _ in seen} >= {201, 301, 401, 601, 602, 605}


@pytest.fixture(scope="session")
def first_seed() -> int:
    """Where the long runs begin; SALUS_SEED repeats one."""
    return int(os.environ.get("SALUS_SEED") or random.SystemRandom().randrange(10**6) * CHUNK)


@pytest.mark.long
@pytest.mark.services
@pytest.mark.promise("L1", "L2", "L4", "L5")
@pytest.mark.parametrize("chunk", range(LONG_SEEDS // CHUNK))
def test_a_hundred_thousand_steps(chunk: int, first_seed: int) -> None:
    progress = Progress(f"simulator {chunk + 1}/{LONG_SEEDS // CHUNK}, seeds from {first_seed + chunk * CHUNK}")
    for place in range(CHUNK):
        seed = first_seed + chunk * CHUNK + place
        run(seed, LONG_STEPS, KINDS[seed % len(KINDS)])
        progress.tell(f"{(place + 1) * LONG_STEPS} steps", now=place + 1 == CHUNK)


@pytest.mark.long
def test_everything_is_heard() -> None:
    seen = run_all(range(80), LONG_STEPS, in_memory)
    assert REJECTIONS - {code for _, code, _ in seen} == set()
    assert set(DenialReason) - {reason for _, _, reason in seen} == set()


# A rule that is broken on purpose, and how it is broken

FAULTS: dict[str, tuple[Any, str, Callable[..., Any]]] = {
    "a ninth choice is taken": (consent, "CHOICES_MAX", lambda real: real + 1),
    "evidence is not asked for": (consent, "_check_evidence", lambda real: lambda *_, **__: None),
    "a custodian lifts a patient's choice": (consent, "_check_not_of_patient", lambda real: lambda *_: None),
    "an erased relationship takes batches": (records, "_check_not_erased", lambda real: lambda *_: None),
    "a used-up ticket is used": (tickets.handlers, "_check_usable", lambda real: lambda *_: None),
    "own staff needs no direct care": (tickets, "is_direct_care", lambda real: lambda _request: True),
    "standing is not looked at": (access.handlers, "_standing", lambda real: lambda *_: None),
    "policies forbid nothing": (access.handlers, "_forbids", lambda real: lambda *_: None),
    "a member's key enrols a person": (patients.handlers, "_check_unknown", lambda real: lambda *_, **__: None),
    "a permit id from another place": (
        access.handlers,
        "permit_id",
        lambda real: lambda transaction, index: real(transaction, index + 1),
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_broken_rule_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, attribute, broken = FAULTS[name]
    monkeypatch.setattr(module, attribute, broken(getattr(module, attribute)))
    with pytest.raises(Disagreement):
        run_all(range(20), 300, in_memory)


def test_a_lost_row_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("salus.ledger.machine.SWEEP_BASE", 0)
    with pytest.raises(Disagreement):
        run_all(range(20), 300, in_memory)


def test_a_failure_names_its_seed() -> None:
    def failing(_seed: int, _steps: int) -> Seen:
        raise Disagreement("no")

    kind: Kind = failing
    with pytest.raises(Disagreement) as failed:
        run(17, 1, kind)
    assert failed.value.__notes__ == ["SALUS_SEED=17 failing"]
