"""The page applies rules as the decision tables of docs/spec have it, row by row (R1, R2)."""

from typing import Any

import msgspec
import pytest

from salus.contracts import access
from salus.contracts.access import Permit, PermitDead
from salus.contracts.decision import Rules
from salus.contracts.provisions import Provision, ProvisionType, Record, Request
from salus.contracts.provisions.tree import DEPTH_MAX
from salus.ledger.encoding import encode
from salus.sdk.receipt_rules import record_words
from tests.contracts import test_decisions as decisions
from tests.contracts import test_provisions_decisions as provisions
from tests.contracts.network import MemoryLedger
from tests.contracts.scenario import run
from tests.portal.verifier.asking import Question, ask, disagreements

pytestmark = [pytest.mark.promise("R1", "R2"), pytest.mark.services]


def asked(request: Request) -> dict[str, Any]:
    return {
        "organisation": request.organisation,
        "roleClass": request.role_class,
        "purpose": request.purpose,
        "verb": request.verb,
        "day": request.day,
        "person": request.person.hex(),
    }


def known(record: Record) -> dict[str, Any]:
    return {
        "ids": [each.hex() for each in record.ids],
        "classes": record.classes,
        "labels": record.labels,
        "codes": record.codes,
        "period": {"fromS": record.period_from_s, "toS": record.period_to_s},
    }


def hexed(tree: Provision) -> str:
    return encode(tree).hex()


def test_every_provision_of_the_table() -> None:
    rows = [row for row in provisions.ROWS if row.choice not in provisions.NOT_YET]
    questions = [
        {
            "tree": hexed(provisions.CHOICES[row.choice]),
            "request": asked(provisions.request(row.asks)),
            "record": known(provisions.record(row.record)),
        }
        for row in rows
    ]
    want = [f"{row.outcome} {row.by}".strip() for row in rows]
    assert disagreements([row.case for row in rows], ask(questions), want) == []
    assert len(rows) >= provisions.ROWS_MIN


def test_trees_that_name_records_in_ways_not_accepted_are_refused() -> None:
    questions = [
        {"tree": hexed(provisions.CHOICES[name]), "request": {"person": ""}, "record": {"ids": []}}
        for name in provisions.NOT_YET
    ]
    assert ask(questions) == ["refuse bundle 0"] * len(questions)


def test_a_tree_is_at_most_as_deep_as_trees_may_be() -> None:
    def deep(levels: int) -> Provision:
        return Provision(ProvisionType.PERMIT, provisions=(deep(levels - 1),) if levels > 1 else ())

    row = {"request": asked(provisions.request("RX1 clinical TREAT read")), "record": known(Record((), ()))}
    got = ask([{"tree": hexed(deep(levels)), **row} for levels in (DEPTH_MAX, DEPTH_MAX + 1)])
    assert got == [f"permit {'.'.join('1' * DEPTH_MAX)}", "refuse bundle 0"]


def test_every_decision_of_the_table() -> None:
    made = {row.case: judged for row in decisions.ROWS if (judged := question(row)) is not None}
    want = [row.goes for row in decisions.ROWS if row.case in made]
    assert disagreements(list(made), ask(list(made.values())), want) == []
    assert len(made) > decisions.ROWS_MIN // 2


def question(row: decisions.Decision) -> Question | None:
    """The permit, the rules, the request and the record of a row; None where there is no live permit."""
    if row.ledger.startswith("denied"):
        return None
    state = run(decisions.scenario_of(row), MemoryLedger)
    text, _, then = row.record.partition(" then ")
    now_s = decisions.moment_s(then) if then else state.ledger.time_s
    try:
        terms = access.require_live(state.ledger.reader(), access.permit_id(*decisions.place_of(state)), time_s=now_s)
    except PermitDead:
        return None
    request = access.open_request(terms, time_s=now_s)
    if " by " in row.asks:
        request = msgspec.structs.replace(request, person=provisions.person(row.asks.rpartition(" by ")[2]))
    rules = decisions.rules_of(row, state.ledger.reader(), terms)
    return {**permitted(terms, rules), "request": asked(request), "record": known(provisions.record(text))}


def permitted(terms: Permit, rules: Rules) -> Question:
    event = {
        "basis": terms.basis,
        "ticket": terms.ticket.hex(),
        "custodian": terms.custodian,
        "requester": terms.requester,
        "purpose": terms.purpose,
        "roleClass": terms.role_class,
    }
    return {
        "permit": event,
        "network": [hexed(each) for each in rules.network],
        "custodian": [hexed(each) for each in rules.custodian],
        "choices": [[each.commitment.hex(), hexed(each.tree)] for each in rules.choices],
        "ticket": [hexed(each) for each in rules.ticket],
    }


def test_a_file_is_called_a_file_whatever_letter_it_belongs_to() -> None:
    """The first class is its type; the others are there for rules. `salus verify` says the same."""
    classes = ["Binary", "DiagnosticReport", "DocumentReference"]
    titles = ["", "Letter from the clinic"]
    said = ask([{"called": {"title": each, "classes": classes}} for each in titles])
    assert said == ["files | ffeiliau", "“Letter from the clinic” (files) | “Letter from the clinic” (ffeiliau)"]
    assert [record_words(each, classes) for each in titles] == [each.partition(" | ")[0] for each in said]
