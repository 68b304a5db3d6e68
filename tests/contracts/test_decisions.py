"""Every row of docs/spec/decisions.md: the ledger's answer to a request, then the custodian's to one record."""

from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from salus.contracts import access, consent, membership
from salus.contracts.access import AccessPermitted, Permit, PermitDead
from salus.contracts.decision import ChoiceRules, RecordDecision, Rules, Source, decide
from salus.contracts.membership import certificate_in_force
from salus.ledger.state import Reader
from tests.contracts.network import BEGIN_S, MEMBERS, MemoryLedger, digest, organisation
from tests.contracts.scenario import OUTCOMES, Row, Run, Scenario, camel, run
from tests.contracts.test_provisions_decisions import person, record
from tests.contracts.trees import TREES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "spec" / "decisions.md"
HEADER = "| case | rules | who asks | record | ledger | record goes |"
ROWS_MIN = 80
NAME_OF = {code: name for name, (code, _) in MEMBERS.items()}
SOURCES = {Source.NETWORK_POLICY: "network", Source.CUSTODIAN_POLICY: "custodian", Source.CHOICE: "choice"}


class Decision(NamedTuple):
    case: str
    rules: str
    asks: str
    record: str
    ledger: str
    goes: str


def decisions() -> list[Decision]:
    table = PAGE.read_text(encoding="utf-8").split(HEADER)[1].strip().splitlines()[1:]
    return [Decision(*(cell.strip() for cell in line.strip("|").split("|"))) for line in table]


ROWS = decisions()


def moment_s(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def scenario_of(row: Decision) -> Scenario:
    """The row as a scenario table: what is given, what the patient did, the request."""
    words = row.asks.split()
    code, role, purpose, verb = words[:4]
    said = dict(zip(words[4::2], words[5::2], strict=True))
    rules = [rule.partition(" ")[::2] for rule in row.rules.split(", ") if rule]
    rows = [Row(0, GIVEN[kind].format(name=name), None) for kind, name in rules if kind in GIVEN]
    rows.append(Row(0, "hospital enrols ann", "done"))
    rows += [done for place, (kind, name) in enumerate(rules) for done in steps_of(kind, name, place)]
    rows += [Row(0, ENDS[kind], "done") for kind, _ in rules if kind in ENDS]
    if "on" in said:
        rows.append(Row(0, f"later +{moment_s(said['on']) - BEGIN_S}s", None))
    ticket = ", ticket t1" if "ticket " in row.rules else ""
    if ticket:
        rows.append(Row(0, "session uses the ticket t1 of ann", None))
    asked = f"session of {NAME_OF[code]} asks for ann: {role} {purpose} {verb}{ticket}, as p1"
    return Scenario(row.case, "decisions", [*rows, Row(0, asked, row.ledger)])


GIVEN = {
    "network": "given the network policy {name}",
    "custodian": "given the policy of hospital {name}",
    "suspended": "given {name} suspended until +1d",
}
ENDS = {"closed": "ann closes the relationship", "erased": "hospital erases ann"}
"""What comes last: a relationship that is closed takes no choice."""


def steps_of(kind: str, name: str, place: int) -> list[Row]:
    """What a rule of the row does before the request."""
    if kind == "choice":
        return [Row(0, f"ann files c{place} as {name}", "done")]
    if kind in ("ticket", "custodian-ticket"):
        who = "ann" if kind == "ticket" else "hospital"
        return [Row(0, f"{who} issues the ticket t1 of ann as {name}, until +300d", "done")]
    if kind == "reviews":
        return [Row(0, "session of practice asks for ann: clinical BTG read", "permitted: Emergency")] * int(name)
    assert kind in GIVEN or kind in ENDS, f"no rule of the table: {kind}"
    return []


@pytest.mark.promise("R1", "R2")
@pytest.mark.parametrize("row", ROWS, ids=[row.case for row in ROWS])
def test_decision(row: Decision) -> None:
    state = run(scenario_of(row), MemoryLedger)
    if row.ledger.startswith("denied"):
        assert (row.record, row.goes) == ("", "")
        return
    text, _, then = row.record.partition(" then ")
    now_s = moment_s(then) if then else state.ledger.time_s
    assert judged(row, state, text, now_s) == row.goes


def judged(row: Decision, state: Run, text: str, now_s: int) -> str:
    """What the custodian does with a record, in the table's words."""
    reader = state.ledger.reader()
    try:
        terms = access.require_live(reader, access.permit_id(*place_of(state)), time_s=now_s)
    except PermitDead:
        return "dead"
    request = access.open_request(terms, time_s=now_s)
    if " by " in row.asks:
        request = msgspec.structs.replace(request, person=person(row.asks.rpartition(" by ")[2]))
    return shown(decide(terms, rules_of(row, reader, terms), request, record(text)))


def place_of(state: Run) -> tuple[bytes, int]:
    leaf = state.events[-1].leaf
    assert isinstance(OUTCOMES.decode(leaf.data), AccessPermitted)
    return leaf.transaction, leaf.index


def rules_of(row: Decision, reader: Reader, terms: Permit) -> Rules:
    held = {digest(f"rules {name}"): tree for name, tree in TREES.items()}
    named = [rule.partition(" ")[2] for rule in row.rules.split(", ") if "ticket" in rule]
    return Rules(
        network=membership.policy(reader).provisions,
        custodian=membership.policy(reader, terms.custodian).provisions,
        choices=tuple(
            ChoiceRules(choice.commitment, held[choice.commitment])
            for choice in consent.choices(reader, terms.pseudonym).choices
        ),
        ticket=tuple(TREES[name] for name in named) if terms.ticket else (),
    )


def shown(decision: RecordDecision) -> str:
    source = SOURCES.get(decision.source, "")
    by = f"{source} {decision.path}" if source else decision.source.name.lower()
    return f"{'goes' if decision.may_go else 'stays'}: {by}"


def test_the_table_is_as_long_as_promised_and_each_case_is_one() -> None:
    assert len(ROWS) >= ROWS_MIN
    assert len({row.case for row in ROWS}) == len(ROWS)


def test_the_table_shows_every_basis_reason_and_source() -> None:
    answers = {row.ledger.partition(": ")[2] for row in ROWS}
    assert {camel(each) for each in [*access.Basis, *access.DenialReason]} == answers
    assert {row.goes.partition(" ")[2].partition(" ")[0] for row in ROWS if ":" in row.goes} == {
        "choice", "network", "custodian", "default", "ticket",
    }  # fmt: skip


@pytest.mark.promise("R3")
@pytest.mark.parametrize(("seconds", "want"), [(0, True), (3599, True), (3600, False), (3601, False)])
def test_the_clock_edge_of_a_certificate(seconds: int, want: bool) -> None:
    rows = [Row(0, "hospital certifies okafor as clinical, until +1h", "done")]
    reader = run(Scenario("edge", "decisions", rows), MemoryLedger).ledger.reader()
    found = certificate_in_force(
        reader, organisation("hospital"), digest("certificate of okafor"), time_s=BEGIN_S + seconds
    )
    assert (found is not None) is want


def test_a_ticket_whose_rules_are_not_held_opens_nothing() -> None:
    row = next(row for row in ROWS if row.case == "a ticket permits")
    state = run(scenario_of(row), MemoryLedger)
    terms = access.require_live(state.ledger.reader(), access.permit_id(*place_of(state)), time_s=BEGIN_S)
    request = access.open_request(terms, time_s=BEGIN_S)
    decision = decide(terms, Rules((), (), (), ()), request, record("Observation"))
    assert decision == RecordDecision(may_go=False, source=Source.DEFAULT, rule=b"", path="")
