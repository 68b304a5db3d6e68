"""Every outcome that a patient's history can have is read by the page, and has a sentence in both languages (U2)."""

import msgspec
import pytest

from salus.contracts import CONTRACTS
from salus.ledger.encoding import encode
from salus.ledger.outcomes import PatientOutcome
from tests.contracts.outcome_cases import CASES
from tests.portal.verifier.asking import ask


def whole(outcome: PatientOutcome) -> PatientOutcome:
    """The outcome of a case, which has a name where its scenario puts the id of a permit."""
    if isinstance(getattr(outcome, "permit", b""), str):
        return msgspec.structs.replace(outcome, permit=bytes(16))
    return outcome


OUTCOMES = [whole(each.outcome) for each in CASES.values() if isinstance(each.outcome, PatientOutcome)]


@pytest.mark.promise("U1", "U2")
@pytest.mark.services
def test_every_outcome_of_the_contracts_has_a_sentence() -> None:
    reported = {each for contract in CONTRACTS for several in contract.outcomes.values() for each in several}
    known = {each for each in reported if issubclass(each, PatientOutcome)}
    assert {type(each) for each in OUTCOMES} == known
    for outcome, answer in zip(OUTCOMES, ask([{"outcome": encode(each).hex()} for each in OUTCOMES]), strict=True):
        name, english, welsh = answer.split(" | ")
        assert name == type(outcome).__name__
        for sentence in (english, welsh):
            assert sentence.endswith("."), answer
            assert "undefined" not in answer
