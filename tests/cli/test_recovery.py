"""Guardians at the terminal: chosen once, they begin to replace a lost key; whoever has the key cancels that once."""

from pathlib import Path

import pytest

from salus.testing.population import SyntheticPerson
from tests.cli.conftest import North, Run, assert_fails, who

pytestmark = [pytest.mark.services, pytest.mark.promise("U3")]


def test_guardians_are_chosen_begin_and_are_cancelled(
    north: North, everybody: list[SyntheticPerson], tmp_path: Path, run: Run
) -> None:
    old, new = tmp_path / "old.wallet", tmp_path / "new.wallet"
    by = {each: (each, north.hospital, "--key-file", each.with_suffix(".key")) for each in (old, new)}
    for each in (old, new):
        assert run("patient", "new", each, "--key-file", each.with_suffix(".key")).status == 0
    person = everybody[4]
    assert run("patient", "enrol", *by[old], *who(person)).status == 0
    circles = ("--needed", 2, "--of", 3, "--second-needed", 3, "--second-of", 4)
    chosen = run("recovery", "guardians", *by[old], *circles, "--into", tmp_path / "words", "--json")
    assert (chosen.status, len(chosen.facts["files"])) == (0, 7)
    again = run("recovery", "guardians", *by[old], *circles, "--into", tmp_path / "more")
    assert_fails(again, 1, error="the ledger says no, number 11", hint="")
    files = chosen.facts["files"]
    few = run("recovery", "start", *by[new], *who(person), "--share", files[0])
    assert_fails(few, 1, error="these shares do not go together", hint="")
    begun = run("recovery", "start", *by[new], *who(person), "--share", files[0], "--share", files[2], "--json")
    assert (begun.status, begun.facts["hours"]) == (0, 72)
    early = run("recovery", "finish", *by[new], "--share", files[1], "--share", files[2])
    assert_fails(early, 1, error="number 216", hint="wait")
    assert run("recovery", "cancel", *by[old]).status == 0
    spent = run("recovery", "start", *by[new], *who(person), "--share", files[0], "--share", files[1])
    assert_fails(spent, 1, error="number 215", hint="second key")
    second = [word for each in files[3:6] for word in ("--share", each)]
    begun = run("recovery", "start", *by[new], *who(person), *second, "--checked", "passport seen")
    assert begun.status == 0
    assert_fails(run("recovery", "cancel", *by[old]), 1, error="number 217", hint="")
