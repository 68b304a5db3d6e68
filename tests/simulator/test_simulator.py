"""The simulator agrees with the auditor, hears everything that there is to hear, and notices when a rule is broken."""

import os
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from salus.contracts import CONTRACTS, access, consent, membership, patients, records, tickets
from salus.contracts.access import DenialReason
from salus.ledger import machine
from salus.ledger.contract import MACHINE_REJECTIONS
from salus.testing.simulator.comparison import Disagreement
from salus.testing.simulator.in_memory import Seen, simulate
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
@pytest.mark.promise("L6", "R2")
def test_everything_is_heard() -> None:
    seen = run_all(range(60), LONG_STEPS, in_memory)
    for favourites in ((105, 106), (107, 108), (204,), (202, 204, 205), (401, 402), (501, 504), (503, 504), (601, 603)):
        for seed in range(6):
            seen += simulate(seed, LONG_STEPS, favourites=favourites)
    assert REJECTIONS - {code for _, code, _ in seen} == set()
    assert set(DenialReason) - {reason for _, _, reason in seen} == set()


@dataclass(frozen=True)
class Fault:
    """A rule that is broken on purpose: what is put in whose place, and which messages meet it."""

    module: Any
    name: str
    broken: Callable[[Any], Any]
    favourites: tuple[int, ...]


def nothing(_real: object) -> Callable[..., None]:
    """A check that checks nothing."""
    return lambda *_, **__: None


FAULTS = {
    "a ninth choice is taken": Fault(consent, "CHOICES_MAX", lambda real: real + 1, (401,)),
    "evidence is not asked for": Fault(consent, "_check_evidence", nothing, (401, 402)),
    "a custodian lifts a patient's choice": Fault(consent, "_check_not_of_patient", nothing, (202, 401, 402)),
    "an erased relationship takes batches": Fault(records, "_check_not_erased", nothing, (301, 305)),
    "a used-up ticket is used": Fault(tickets.handlers, "_check_usable", nothing, (501, 503)),
    "own staff needs no direct care": Fault(tickets, "is_direct_care", lambda _real: lambda _request: True, (601,)),
    "standing is not looked at": Fault(access.order, "_standing", nothing, (601,)),
    "policies forbid nothing": Fault(access.order, "_forbids", nothing, (601,)),
    "a member's key enrols a person": Fault(patients.handlers, "check_unknown", nothing, (201, 204)),
    "recovery does not wait": Fault(patients.recovery, "TIME_LOCK_S", lambda _real: 0, (207, 209)),
    "a spent key recovers": Fault(patients.recovery, "_check_first", nothing, (207, 211)),
    "the custodian checks nobody": Fault(
        patients.recovery, "_keys", lambda _real: lambda relationship, _: (relationship.recovery_key,), (207, 209)
    ),
    "half of the members carry a proposal": Fault(
        membership.actions, "is_super_majority", lambda _real: lambda count, *, of: 2 * count > of, (105, 106)
    ),
    "more than a third of the power moves": Fault(membership.actions, "check_seat", nothing, (105, 108)),
    "a removed member keeps its keys": Fault(membership.actions, "_remove", nothing, (105, 106)),
    "two accusers are enough": Fault(
        membership.handlers, "can_suspend", lambda _real: lambda accusers, *, of: 2 * accusers >= of - 2, (107,)
    ),
    "evidence opens no case": Fault(membership.blocks, "_open_case", nothing, (108,)),
    "the sweep is shorter": Fault(machine, "SWEEP_BASE", lambda _real: 0, (601, 501)),
    "a permit has another's id": Fault(
        access.handlers, "permit_id", lambda real: lambda transaction, index: real(transaction, index + 1), (601,)
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_broken_rule_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fault = FAULTS[name]
    monkeypatch.setattr(fault.module, fault.name, fault.broken(getattr(fault.module, fault.name)))
    with pytest.raises(Disagreement):
        simulate_some(fault.favourites)


def simulate_some(favourites: tuple[int, ...]) -> None:
    for seed in range(40):
        simulate(seed, 300, favourites=favourites)


def test_a_failure_names_its_seed() -> None:
    def failing(_seed: int, _steps: int) -> Seen:
        raise Disagreement("no")

    kind: Kind = failing
    with pytest.raises(Disagreement) as failed:
        run(17, 1, kind)
    assert failed.value.__notes__ == ["SALUS_SEED=17 failing"]
