"""The scenario tables leave nothing out: each message, outcome, rejection, number and transition has a row.

They are counted from the declarations, and the pages' steps are held against what really happened.
"""

from collections.abc import Sequence
from enum import IntEnum
from functools import cache

import msgspec
import pytest

from salus.contracts import CONTRACTS
from salus.contracts.access import AccessDenied, AccessPermitted, Basis, DenialReason
from salus.ledger.contract import MACHINE_REJECTIONS, STEPS_EXHAUSTED
from salus.ledger.encoding import decoder
from salus.ledger.machine import message_tag
from salus.ledger.outcomes import DENIED, TransactionResult, decode_leaf
from salus.ledger.state import STATE
from salus.ledger.transactions import Message
from tests.contracts.network import MemoryLedger
from tests.contracts.rules import MESSAGES, checks
from tests.contracts.scenario import OUTCOMES, Event, camel, read_tables, rejection_name, rejection_names, run
from tests.contracts.transitions import LISTED, listed, state_of

TABLES = {table.name: table for contract in CONTRACTS for table in contract.tables.values()}
TAGS = {message_tag(message): message for message in MESSAGES.values()}
REQUEST = decoder(AccessPermitted | AccessDenied)


class WatchedLedger(MemoryLedger):
    """A ledger in memory that notes which rows pass from which state to which."""

    moves: set[str]

    def submit(self, raws: Sequence[bytes]) -> tuple[TransactionResult, ...]:
        """Execute one block; note the transitions of a transaction with one message."""
        before = dict(self.store.rows[STATE])
        results = super().submit(raws)
        leaves = [decode_leaf(leaf) for result in results for leaf in result.leaves]
        if len(leaves) == 1 and leaves[0].code <= DENIED and leaves[0].time_s == self.time_s:
            outcome = OUTCOMES.decode(leaves[0].data)
            tag = 601 if isinstance(outcome, AccessDenied) else message_tag(type(outcome))
            WatchedLedger.moves |= self._moves(before, TAGS[tag])
        return results

    def _moves(self, before: dict[bytes, bytes], message: type[Message]) -> set[str]:
        after = self.store.rows[STATE]
        found = set()
        for place in {place for place in before.keys() | after.keys() if before.get(place) != after.get(place)}:
            name = place.split(b"\x00")[0].decode()
            if name in TABLES and not self._is_swept(name, before.get(place), after.get(place)):
                states = [state_of(name, self._value(name, rows.get(place))) for rows in (before, after)]
                found.add(f"{name}: {states[0]} -> {states[1]}: {message.__name__}")
        return found

    def _is_swept(self, name: str, before: bytes | None, after: bytes | None) -> bool:
        ends = TABLES[name].expires_at_s
        return (
            after is None and before is not None and ends is not None and ends(self._value(name, before)) <= self.time_s
        )

    @staticmethod
    def _value(name: str, row: bytes | None) -> object:
        return None if row is None else TABLES[name].decode(row)


@cache
def events() -> tuple[Event, ...]:
    """What happened in all tables."""
    WatchedLedger.moves = set()
    return tuple(event for scenario in read_tables() for event in run(scenario, WatchedLedger).events)


def rejected(message: type[Message]) -> list[str]:
    return [
        rejection_name(event.leaf.code) for event in events() if event.message is message and event.leaf.code > DENIED
    ]


def outcomes(kind: type) -> list[msgspec.Struct]:
    found = [OUTCOMES.decode(event.leaf.data) for event in events() if event.leaf.code <= DENIED]
    return [outcome for outcome in found if type(outcome) is kind]


@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES)
def test_every_outcome_of_a_message_has_a_row(message: type[Message]) -> None:
    (contract,) = (contract for contract in CONTRACTS if message in contract.handlers)
    assert [kind.__name__ for kind in contract.outcomes[message] if not outcomes(kind)] == []


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.name)
def test_every_rejection_has_a_row(contract: object) -> None:
    seen = {event.leaf.code for event in events()}
    assert [camel(each) for each in rejection_names(contract) if each not in seen] == []


def test_every_rejection_of_the_machine_has_a_row() -> None:
    seen = {event.leaf.code for event in events()}
    assert MACHINE_REJECTIONS.keys() - seen == {STEPS_EXHAUSTED}, "which test_machine.py has"


def test_rejections_are_numbered_by_contract() -> None:
    for contract in CONTRACTS:
        numbers = [each.value for each in rejection_names(contract)]
        assert numbers == list(range(contract.number * 100 + 1, contract.number * 100 + 1 + len(numbers)))


@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES)
def test_the_page_names_exactly_the_rejections_that_happen(message: type[Message]) -> None:
    assert sorted(set(rejected(message)) - {"SignerUnused"}) == sorted(set(checks(message)))


@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES)
def test_a_table_walks_down_the_steps_of_a_message(message: type[Message]) -> None:
    title = f"{message.__name__}: each check in turn"
    walked = [event for event in events() if event.scenario == title and event.message is message]
    names = [rejection_name(event.leaf.code) for event in walked if event.leaf.code > DENIED]
    assert without_repeats(names) == without_repeats(checks(message))
    assert walked[-1].leaf.code <= DENIED, "in the end everything is right"


def without_repeats(names: list[str]) -> list[str]:
    """The names without those that stand right after themselves."""
    return [name for place, name in enumerate(names) if place == 0 or names[place - 1] != name]


@pytest.mark.parametrize(
    ("numbers", "kind", "field"), [(Basis, AccessPermitted, "basis"), (DenialReason, AccessDenied, "reason")]
)
def test_every_answer_to_a_request_has_a_row(numbers: type[IntEnum], kind: type, field: str) -> None:
    seen = {getattr(outcome, field) for outcome in outcomes(kind)}
    assert [each.name for each in numbers if each not in seen] == []


def test_the_tables_show_every_transition_that_is_listed_and_no_other() -> None:
    events()
    assert sorted(WatchedLedger.moves - listed()) == []
    assert sorted(listed() - WatchedLedger.moves) == []


def test_transitions_are_of_declared_tables_and_messages() -> None:
    for line in LISTED.strip().splitlines():
        table, _, messages = line.split(": ")
        assert table in TABLES
        assert set(messages.split(", ")) <= MESSAGES.keys()
