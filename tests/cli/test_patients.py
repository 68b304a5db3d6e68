"""Wallet, enrolment, choices: what a patient does, at a custodian's desk or with the key that the custodian holds."""

import json
from pathlib import Path

import pytest

from salus.sdk.choice_files import read_choice
from salus.testing.population import PRACTICE, SyntheticPerson
from tests.cli.conftest import North, Run, assert_fails, who, write_chart

pytestmark = pytest.mark.services


@pytest.fixture
def keyed(tmp_path: Path, run: Run) -> tuple[object, ...]:
    """A new wallet under a key file, as arguments of the patient verbs."""
    wallet, key = tmp_path / "own.wallet", tmp_path / "own.key"
    assert run("patient", "new", wallet, "--key-file", key).status == 0
    return wallet, key


def test_a_patient_enrols_with_an_own_key(
    north: North, keyed: tuple[Path, Path], everybody: list[SyntheticPerson], run: Run
) -> None:
    wallet, key = keyed
    person = everybody[0]
    enrolled = run("patient", "enrol", wallet, north.hospital, *who(person), "--key-file", key, "--json")
    assert enrolled.status == 0
    assert enrolled.facts["holder"] == "patient"
    listed = run("patient", "list", wallet, "--key-file", key, "--json")
    (only,) = listed.facts["relationships"]
    assert only["pseudonym"] == enrolled.facts["pseudonym"]
    again = run("patient", "enrol", wallet, north.hospital, *who(person), "--key-file", key)
    assert_fails(again, 1, error="this person has a relationship here", hint="use it")


def test_a_patient_takes_over_with_the_choices_in_force(
    north: North, keyed: tuple[Path, Path], everybody: list[SyntheticPerson], tmp_path: Path, run: Run
) -> None:
    wallet, key = keyed
    person = everybody[1]
    assert run("import", north.hospital, write_chart(tmp_path / "chart.ndjson", person)).status == 0
    share = ("--share-with", PRACTICE.ods)
    assert run("consent", "file", north.hospital, *who(person), *share).status == 0
    taken = run("patient", "takeover", wallet, north.hospital, *who(person), "--key-file", key, "--json")
    assert (taken.status, taken.facts["choices"]) == (0, 1)
    own = ("--wallet", wallet, "--key-file", key)
    by_custodian = run("consent", "withdraw", north.hospital, *who(person))
    assert_fails(by_custodian, 1, error="the patient holds this key", hint="let the patient's device sign")
    assert run("consent", "withdraw", north.hospital, *own).status == 0
    assert run("consent", "list", north.hospital, *own, "--json").facts["choices"] == []


@pytest.mark.promise("U3")
def test_a_desk_makes_a_code_once_it_was_checked_who_asks(
    north: North, keyed: tuple[Path, Path], everybody: list[SyntheticPerson], tmp_path: Path, run: Run
) -> None:
    wallet, key = keyed
    person, checked = everybody[22], ("--checked", "passport seen")
    assert run("import", north.hospital, write_chart(tmp_path / "chart.ndjson", person)).status == 0
    assert run("patient", "code", north.hospital, *who(person)).status == 2
    unsaid = run("patient", "code", north.hospital, *who(person), "--checked", " ")
    assert_fails(unsaid, 2, error="expected --checked to say how it was checked who asks", hint="passport seen")
    made = run("patient", "code", north.hospital, *who(person), *checked, "--json")
    assert (made.status, made.facts["days"], len(made.facts["code"])) == (0, 7, 16)
    said = run("patient", "code", north.hospital, *who(person), *checked)
    assert said.status == 0
    assert [len(each) for each in said.out.splitlines()[0].split()] == [4, 4, 4, 4]
    assert run("patient", "takeover", wallet, north.hospital, *who(person), "--key-file", key).status == 0
    late = run("patient", "code", north.hospital, *who(person), *checked)
    assert_fails(late, 1, error="expected a key that is held here", hint="the patient's own device has it")


@pytest.mark.promise("U4")
def test_a_desk_lets_a_parent_act_once_papers_were_seen(
    north: North, everybody: list[SyntheticPerson], tmp_path: Path, run: Run
) -> None:
    child, grown_up = everybody[8], next(each for each in everybody[23:] if each.birth_date < "2000")
    assert child.birth_date > "2016"
    for each in (child, grown_up):
        assert run("import", north.hospital, write_chart(tmp_path / "chart.ndjson", each)).status == 0
    names = ("--name", "Ben Moss", "--child", "Ann Moss", "--until-age", "13")
    checked = ("--checked", "birth certificate seen")
    assert run("patient", "parent", north.hospital, *who(child), *names).status == 2
    unsaid = run("patient", "parent", north.hospital, *who(child), *names, "--checked", " ")
    assert_fails(unsaid, 2, error="expected --checked to say what was seen", hint="birth certificate seen")
    made = run("patient", "parent", north.hospital, *who(child), *names, *checked, "--json")
    assert (made.status, made.facts["until_age"], len(made.facts["code"])) == (0, 13, 16)
    said = run("patient", "parent", north.hospital, *who(child), *names, *checked, "--may-share")
    assert [len(each) for each in said.out.splitlines()[0].split()] == [4, 4, 4, 4]
    old = run("patient", "parent", north.hospital, *who(grown_up), *names, *checked)
    assert (old.status, "an age that the child has not reached (none)" in old.err) == (1, True)


def test_a_choice_in_sentences_and_as_a_tree(
    north: North, everybody: list[SyntheticPerson], tmp_path: Path, run: Run
) -> None:
    person = everybody[2]
    run("import", north.hospital, write_chart(tmp_path / "chart.ndjson", person))
    terms = ("--share-with", PRACTICE.ods, "--except-label", "PSY", "--except-class", "Binary", "--until", "2027-03-31")
    filed = run("consent", "file", north.hospital, *who(person), *terms)
    assert filed.status == 0
    said = [line.split(maxsplit=1) for line in filed.out.splitlines() if line.startswith("  ")]
    whom = f"Clinicians and pharmacists at {PRACTICE.name}"
    assert said == [
        ["1", f"{whom} may see your records, for your care or emergency care, until 31 March 2027."],
        ["1.1", "But not: records about mental health."],
        ["1.2", "But not: files."],
    ]
    tree = tmp_path / "choice.json"
    tree.write_text(run("consent", "show", north.hospital, *who(person), "--tree").out, encoding="utf-8")
    assert json.loads(tree.read_text(encoding="utf-8"))["valid_to"] == "2027-03-31"
    assert run("consent", "withdraw", north.hospital, *who(person)).status == 0
    again = run("consent", "file", north.hospital, *who(person), "--tree", tree, "--json")
    assert again.status == 0
    (choice,) = again.facts["choices"]
    assert choice["made_by"] == "custodian"
    assert [each["path"] for each in choice["sentences"]] == ["1", "1.1", "1.2"]
    assert len(read_choice(tree.read_bytes()).provisions) == 2


def test_no_choice_is_said_in_words(north: North, everybody: list[SyntheticPerson], tmp_path: Path, run: Run) -> None:
    person = everybody[3]
    run("import", north.hospital, write_chart(tmp_path / "chart.ndjson", person))
    result = run("consent", "list", north.hospital, *who(person))
    assert result.out.startswith("no choice in force")
    withdrawal = run("consent", "withdraw", north.hospital, *who(person))
    assert_fails(withdrawal, 2, error="expected one choice in force, 0 fit", hint="salus consent list")


@pytest.mark.parametrize(
    ("arguments", "error", "hint"),
    [
        ((), "expected one way to say the choice, came 0", "--share-with"),
        (("--share-with", "A81001", "--refuse", "A81001"), "came 2", "--share-with"),
        (("--share-with", "A81001", "--until", "soon"), "expected --until YYYY-MM-DD", "--until 2027-03-31"),
        (("--share-with", "A81001", "--except-label", "XYZ"), "expected a label such as", "name one of them"),
        (("--refuse", "not a code"), "expected organisation codes", "correct it"),
    ],
)
def test_a_choice_that_cannot_be_filed(
    arguments: tuple[str, ...], error: str, hint: str, north: North, everybody: list[SyntheticPerson], run: Run
) -> None:
    result = run("consent", "file", north.hospital, *who(everybody[4]), *arguments)
    assert_fails(result, 2, error=error, hint=hint)


def test_somebody_who_is_not_known_here(north: North, eleanor: SyntheticPerson, run: Run) -> None:
    result = run("consent", "list", north.practice, "--nhs-number", eleanor.nhs_number.digits, "--born", "1900-01-01")
    assert_fails(result, 1, error="nobody here has this number and date of birth", hint="check both")
    assert eleanor.nhs_number.digits not in result.err


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((), "expected which patient is meant"),
        (("--nhs-number", "9990000018"), "expected --born YYYY-MM-DD"),
        (("--nhs-number", "9990000019", "--born", "1968-03-14"), "modulus 11"),
        (("--pseudonym", "abc"), "expected a pseudonym of 32 hexadecimal digits"),
    ],
)
def test_who_is_meant_must_be_said(arguments: tuple[str, ...], error: str, north: North, run: Run) -> None:
    result = run("consent", "list", north.hospital, *arguments)
    assert result.status == 2
    assert error in result.err
    assert "hint: " in result.err


def test_a_wallet_that_is_there_is_not_replaced(tmp_path: Path, run: Run) -> None:
    wallet, key = tmp_path / "w", tmp_path / "k"
    run("patient", "new", wallet, "--key-file", key)
    before = wallet.read_bytes()
    assert_fails(run("patient", "new", wallet, "--key-file", key), 2, error="File exists", hint="name a new file")
    assert wallet.read_bytes() == before


def test_another_key_opens_nothing(tmp_path: Path, run: Run) -> None:
    run("patient", "new", tmp_path / "w", "--key-file", tmp_path / "k")
    run("patient", "new", tmp_path / "w2", "--key-file", tmp_path / "k2")
    result = run("patient", "list", tmp_path / "w", "--key-file", tmp_path / "k2")
    assert_fails(result, 2, error="does not open", hint="check the passphrase or the key file")
