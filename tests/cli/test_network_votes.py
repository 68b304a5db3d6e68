"""salus network members, propose, vote: two members agree, and neither can alone (L7)."""

from pathlib import Path

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


@pytest.fixture
def rules(tmp_path: Path) -> tuple[Path, Path]:
    """Two rules as files: nothing is for payment, and researchers may not see files."""
    payment, research = tmp_path / "payment.json", tmp_path / "research.json"
    payment.write_text('{"type": "deny", "purposes": ["hpaymt"]}', encoding="utf-8")
    research.write_text('{"type": "deny", "role_classes": ["research"], "classes": ["Binary"]}', encoding="utf-8")
    return payment, research


@pytest.mark.services
@pytest.mark.promise("L7")
@pytest.mark.parametrize("whose", ["network", PRACTICE.ods.lower()])
def test_a_policy_is_proposed_shown_and_voted_for(north: North, rules: tuple[Path, Path], run: Run, whose: str) -> None:
    payment, research = rules
    shown = whose if whose == "network" else whose.upper()
    files = ("--rule", payment, "--rule", research)
    proposal = run("network", "propose", north.hospital, "policy", whose, *files, "--json").facts["proposal"]
    [waiting] = run("network", "members", north.practice, "--json").facts["proposals"]
    assert (waiting["action"], waiting["organisation"]) == ("SetPolicy", shown)
    said = [[each["words"] for each in rule] for rule in waiting["rules"]]
    assert said == [["Anybody may not see your records, for payment."], ["Researchers may not see files."]]
    assert "  1     Researchers may not see files." in run("network", "members", north.practice).out.splitlines()
    assert shown not in in_force(north, run)
    assert run("network", "vote", north.practice, proposal, "--json").facts["carried"] is True
    assert in_force(north, run)[shown] == (1, said)
    told = run("network", "policies", north.practice, "--tree", whose).out
    assert len(told.splitlines()) > 2
    assert told.replace(" ", "").count('"type":"deny"') == 2
    # What replaces it replaces it whole.
    proposal = run("network", "propose", north.hospital, "policy", whose, "--no-rules", "--json").facts["proposal"]
    assert run("network", "vote", north.practice, proposal).status == 0
    assert in_force(north, run)[shown] == (2, [])
    everybody = "everybody" if whose == "network" else shown
    assert f"policy of {everybody}, version 2" in run("network", "policies", north.hospital).out


def in_force(north: North, run: Run) -> dict[str, tuple[int, list[list[str]]]]:
    """The policies: version and sentences of each."""
    found = run("network", "policies", north.hospital, "--json").facts["policies"]
    return {
        each["organisation"]: (each["version"], [[one["words"] for one in rule] for rule in each["rules"]])
        for each in found
    }


@pytest.mark.services
def test_a_policy_that_cannot_be_proposed(north: North, rules: tuple[Path, Path], tmp_path: Path, run: Run) -> None:
    rule = ("--rule", rules[0])
    for wrong in ((), (*rule, "--no-rules")):
        assert_fails(
            run("network", "propose", north.hospital, "policy", "network", *wrong), 2, error="--rule", hint="--no-rules"
        )
    assert_fails(run("network", "propose", north.hospital, "lift", "RA1", *rule), 2, error="--rule", hint="--no-rules")
    unknown = run("network", "propose", north.hospital, "policy", "ZZ9", *rule)
    assert unknown.status == 1
    assert "number 101" in unknown.err, "no member"
    (tmp_path / "bad.json").write_text('{"type": "deny", "purposes": ["spite"]}', encoding="utf-8")
    bad = run("network", "propose", north.hospital, "policy", "network", "--rule", tmp_path / "bad.json")
    assert bad.status == 2
