"""salus network members, propose, vote: two members agree, and neither can alone (L7)."""

import pytest

from salus.testing.population import HOSPITAL, PRACTICE
from tests.cli.conftest import North, Run, assert_fails


@pytest.mark.services
@pytest.mark.promise("L7")
def test_two_members_carry_a_suspension_and_lift_it(north: North, run: Run) -> None:
    for change, suspended in (("suspend", True), ("lift", False)):
        proposed = run("network", "propose", north.hospital, change, PRACTICE.ods.lower(), "--json")
        assert (proposed.status, proposed.facts["carried"]) == (0, False)
        proposal = proposed.facts["proposal"]
        waiting = run("network", "members", north.practice, "--json").facts["proposals"]
        assert [(each["proposal"], each["in_favour"]) for each in waiting] == [(proposal, [HOSPITAL.ods])]
        assert proposal in run("network", "members", north.practice).out
        assert run("network", "vote", north.hospital, proposal, "--against", "--json").facts["carried"] is False
        assert run("network", "vote", north.practice, proposal, "--json").facts["carried"] is False
        assert run("network", "vote", north.hospital, proposal, "--json").facts["carried"] is True
        seen = run("network", "members", north.practice, "--json").facts
        assert seen["proposals"] == []
        assert {each["organisation"]: each["suspended"] for each in seen["members"]} == {
            HOSPITAL.ods: False,
            PRACTICE.ods: suspended,
        }


@pytest.mark.services
def test_what_cannot_be_proposed_or_voted_for(north: North, run: Run) -> None:
    removal = run("network", "propose", north.practice, "remove", HOSPITAL.ods)
    assert removal.status != 0
    assert "number 116" in removal.err, "the last validator stays"
    unknown = run("network", "vote", north.practice, "00" * 16)
    assert unknown.status != 0
    assert "number 110" in unknown.err
    assert_fails(
        run("network", "vote", north.practice, "no-id"), 2, error="32 hexadecimal digits", hint="salus network members"
    )
