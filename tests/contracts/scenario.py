"""Scenario tables: plain text in tests/contracts/tables, printed into docs/spec, run on any ledger.

    ## what the table is about
    words for people
    given the network policy no-insurers
    hospital enrols ann                                    -> done
    ann files c1 as practice                               -> done
    okafor uses the ticket t1 of ann
    okafor of practice asks for ann: clinical TREAT read, ticket t1, as p1   -> permitted: Ticket
    later +15m
    is p1 alive                                            -> no: permit runs

A step without an arrow is in one transaction with the next. `as p1` names the permit that the step gets.
"""

import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path

import msgspec

from salus.contracts import CONTRACTS, access, consent, membership, patients, records, tickets
from salus.contracts.access import AccessDenied, AccessPermitted, PermitDead
from salus.contracts.membership import Accused, Proposed, VoteCast
from salus.ledger.contract import MACHINE_REJECTIONS, Contract
from salus.ledger.machine import HISTORY, FirstRow, outcome_decoder
from salus.ledger.outcomes import DENIED, NOT_A_TRANSACTION, Leaf, TransactionResult, decode_leaf
from salus.ledger.transactions import Message, sign
from tests.contracts.network import CHAIN, MEMBERS, Given, Ledger, digest, first_rows, key, organisation, pseudonym
from tests.contracts.sentences import Places, Sentence, Step, span_s
from tests.contracts.steps import read_step
from tests.contracts.trees import TREES

TABLES = Path(__file__).resolve().parent / "tables"
ARROW = re.compile(r"\s+->\s+")
OUTCOMES = outcome_decoder(CONTRACTS)
REJECTIONS: dict[str, type[IntEnum]] = {
    module.CONTRACT.name: module.Rejection for module in (membership, patients, records, consent, tickets, access)
}


@dataclass(frozen=True)
class Row:
    """One line of a table: a step or a question with what is expected, or a step that shares a transaction."""

    line: int
    text: str
    expected: str | None


@dataclass
class Scenario:
    """One table."""

    title: str
    file: str
    rows: list[Row] = field(default_factory=list)


@dataclass(frozen=True)
class Event:
    """What happened to a message: for the count of what the tables cover."""

    scenario: str
    message: type[Message]
    leaf: Leaf


@dataclass
class Run:
    """A table while it runs."""

    ledger: Ledger
    places: Places
    events: list[Event] = field(default_factory=list)
    nonces: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    sent: list[bytes] = field(default_factory=list)


class Unexpected(AssertionError):
    """A row that went otherwise than the table says."""


Found = Callable[[list[FirstRow]], Ledger]


def read_tables(folder: Path = TABLES) -> list[Scenario]:
    """Read all tables, in the order of the files' names."""
    return [scenario for path in sorted(folder.glob("*.txt")) for scenario in read_table(path)]


def read_table(path: Path) -> Iterator[Scenario]:
    """Read the tables of one file."""
    scenario: Scenario | None = None
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if line.startswith("## "):
            if scenario is not None:
                yield scenario
            scenario = Scenario(line.removeprefix("## "), path.stem)
        elif line.strip():
            assert scenario is not None, f"{path}:{number}: a row before the first title"
            text, *expected = ARROW.split(line.strip())
            scenario.rows.append(Row(number, text, expected[0] if expected else None))
    assert scenario is not None, f"{path} has no table"
    yield scenario


def run(scenario: Scenario, found: Found) -> Run:
    """Run a table on a ledger of its own. Raises Unexpected with the line that went otherwise."""
    given = Given()
    rows = [row for row in scenario.rows if not row.text.startswith("> ")]
    while rows and rows[0].text.startswith("given "):
        _read_given(rows.pop(0).text.removeprefix("given "), given)
    state = Run(found(first_rows(given)), Places(time_s=0, permits={}, custodians={}))
    waiting: list[Row] = []
    for row in rows:
        state.places.time_s = state.ledger.time_s
        if row.text.startswith("later "):
            state.ledger.later(span_s(row.text.removeprefix("later ")))
        elif row.expected is None:
            waiting.append(row)
        else:
            got = _answer(scenario, state, [*waiting, row])
            waiting = []
            if got != row.expected:
                raise Unexpected(f"{scenario.file}:{row.line}: {row.text}\n  expected {row.expected}\n  came     {got}")
    assert not waiting, f"{scenario.file}: {scenario.title}: steps without an arrow at the end"
    return state


def _read_given(text: str, given: Given) -> None:
    if match := re.fullmatch(r"the network policy ([\w-]+)", text):
        given.policies[""] = TREES[match[1]]
    elif match := re.fullmatch(r"the policy of ([\w-]+) ([\w-]+)", text):
        given.policies[match[1]] = TREES[match[2]]
    elif match := re.fullmatch(r"([\w-]+) suspended until (\S+)", text):
        given.suspended_until_s[match[1]] = span_s(match[2])
    elif match := re.fullmatch(r"([a-z_]+) (\d+)", text):
        given.network = msgspec.structs.replace(given.network, **{match[1]: int(match[2])})
    else:
        raise ValueError(f"nothing to be given: {text!r}")


def _answer(scenario: Scenario, state: Run, rows: list[Row]) -> str:
    for pattern, question in QUESTIONS:
        match = re.fullmatch(pattern, rows[-1].text)
        if match:
            assert len(rows) == 1, "a question stands alone"
            return question(state, *match.groups())
    if rows[-1].text == "the same bytes again":
        return _described(scenario, state, state.ledger.submit([state.sent[-1]])[0], [])
    read = [read_step(row.text, state.places) for row in rows]
    raw, messages = transaction(state, read)
    state.sent.append(raw)
    result = state.ledger.submit([raw])[0]
    for (_, sentence), leaf in zip(read, result.leaves, strict=False):
        decoded = decode_leaf(leaf)
        if sentence.option("as"):
            state.places.permits[sentence.option("as")] = access.permit_id(decoded.transaction, decoded.index)
            proposal = membership.proposal_id(decoded.transaction, decoded.index)
            state.places.proposals[sentence.option("as")] = proposal
    return _described(scenario, state, result, messages)


def transaction(state: Run, read: list[tuple[Step, Sentence]]) -> tuple[bytes, list[Message]]:
    """Sign the transaction of some sentences; return its bytes and its messages."""
    last = read[-1][1]
    by_rule = list(dict.fromkeys(name for step, _ in read for name in step.signers))
    signers = last.option("signed by").split(" and ") if last.option("signed by") else by_rule
    messages = [step.message(signers) for step, _ in read]
    nonce = last.option("nonce")
    raw = sign(
        messages,
        chain=CHAIN,
        keys=[key(name) for name in signers],
        expires_at_s=state.ledger.time_s + span_s(last.option("expires", "+60s")),
        nonce=digest(nonce)[:16] if nonce else next(state.nonces).to_bytes(16, "big"),
    )
    return raw, messages


def _described(scenario: Scenario, state: Run, result: TransactionResult, messages: list[Message]) -> str:
    """Say in a table's words what became of a transaction."""
    if result.code == NOT_A_TRANSACTION:
        return "not a transaction"
    leaves = [decode_leaf(leaf) for leaf in result.leaves]
    for leaf in leaves:
        if messages:
            state.events.append(Event(scenario.title, type(messages[leaf.index]), leaf))
    last = leaves[-1]
    if last.code > DENIED:
        return f"rejected: {rejection_name(last.code)} {last.code}"
    outcome = OUTCOMES.decode(last.data)
    if isinstance(outcome, AccessPermitted):
        return f"permitted: {camel(outcome.basis)}"
    if isinstance(outcome, AccessDenied):
        return f"denied: {camel(outcome.reason)}"
    if isinstance(outcome, Proposed | VoteCast):
        return "carried" if outcome.is_carried else "waits"
    if isinstance(outcome, Accused):
        return "suspended" if outcome.suspended_until_s else "accused"
    return "done"


def rejection_names(contract: Contract) -> type[IntEnum]:
    """The rejections that a contract declares."""
    return REJECTIONS[contract.name]


def rejection_name(code: int) -> str:
    """The name of a rejection's number."""
    if code in MACHINE_REJECTIONS:
        return MACHINE_REJECTIONS[code]
    (contract,) = (contract for contract in CONTRACTS if contract.number == code // 100)
    return camel(rejection_names(contract)(code))


def camel(member: IntEnum) -> str:
    """`OWN_STAFF` as `OwnStaff`."""
    return "".join(word.capitalize() for word in member.name.split("_"))


# Questions


def _is_alive(state: Run, label: str) -> str:
    try:
        access.require_live(state.ledger.reader(), state.places.permits[label], time_s=state.ledger.time_s)
    except PermitDead as dead:
        return f"no: {str(dead).split(':')[0]}"
    return "yes"


def _history(state: Run, patient: str) -> str:
    history = HISTORY.get(state.ledger.reader(), pseudonym(patient))
    return f"{history.count if history else 0} events"


def _batch(state: Run, name: str, patient: str) -> str:
    row = records.batch(state.ledger.reader(), pseudonym(patient), digest(name))
    return "unknown" if row is None else f"size {row.size}, leaf {row.leaf}"


def _unreviewed(state: Run, name: str) -> str:
    who = organisation(name) if name in MEMBERS else key(name).public
    return str(access.unreviewed(state.ledger.reader(), who))


def _is_suspended(state: Run, name: str) -> str:
    row = membership.member(state.ledger.reader(), organisation(name))
    if row is None:
        return "no member"
    return "yes" if membership.is_suspended(row, time_s=state.ledger.time_s) else "no"


def _ledger_access(state: Run, name: str) -> str:
    row = membership.member(state.ledger.reader(), organisation(name))
    seat = membership.VALIDATORS.get(state.ledger.reader(), organisation(name))
    held = "no member" if row is None else row.access.name.lower().replace("_", " ")
    return held if seat is None else f"{held}, power {seat.power}"


def _policy(state: Run, name: str) -> str:
    whose = membership.NETWORK_POLICY if name == "the-network" else organisation(name)
    return f"version {membership.policy(state.ledger.reader(), whose).version}"


def _rules(state: Run, height: str) -> str:
    return str(membership.rules_version(state.ledger.reader(), height=int(height)))


QUESTIONS: list[tuple[str, Callable[..., str]]] = [
    (r"is ([\w-]+) suspended", _is_suspended),
    (r"the access of ([\w-]+)", _ledger_access),
    (r"the policy of ([\w-]+)", _policy),
    (r"the rules at height (\d+)", _rules),
    (r"is ([\w-]+) alive", _is_alive),
    (r"the history of ([\w-]+)", _history),
    (r"the batch ([\w-]+) of ([\w-]+)", _batch),
    (r"emergencies of ([\w-]+) without review", _unreviewed),
]
