"""Accounts and apps: who may sign in to a node, and which programs may ask for them."""

import io
import json
import re
from pathlib import Path

import pytest
from joserfc.jwk import ECKey, OctKey

from salus.testing.population import SyntheticPerson
from tests.cli.conftest import North, Run, assert_fails, who, write_chart

pytestmark = pytest.mark.services


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("correct horse battery\n"))


@pytest.fixture
def staff(north: North, tmp_path: Path, run: Run) -> Path:
    file = tmp_path / "nurse.staff"
    assert run("staff", "certify", north.hospital, "--name", "N", "--role", "Nurse", "--out", file).status == 0
    return file


@pytest.mark.promise("P4")
def test_a_member_of_staff_gets_an_account_a_name_and_a_provider(
    north: North, staff: Path, run: Run, typed: None
) -> None:
    added = run("account", "add", north.hospital, "--name", "Nurse N", "--staff", staff, "--json").facts
    account = added["account"]
    assert added["kind"] == "clinical"
    entered = run("account", "password", north.hospital, account, "--name", "nurse@north", "--json")
    assert (entered.status, "horse" in entered.out + entered.err) == (0, False)
    linked = run("account", "link", north.hospital, account, "--issuer", "https://id.example", "--subject", "7")
    assert linked.status == 0
    listed = run("account", "list", north.hospital, "--json").facts["accounts"]
    assert [each for each in listed if each["account"] == account] == [
        {
            "account": account,
            "name": "Nurse N",
            "kind": "clinical",
            "signs_in_as": "nurse@north",
            "issuers": ["https://id.example"],
        }
    ]
    assert run("account", "remove", north.hospital, account).status == 0
    again = run("account", "remove", north.hospital, account)
    assert_fails(again, 1, error="expected the id of an account", hint="salus account list shows them")


def test_a_patient_gets_an_account(north: North, everybody: list[SyntheticPerson], tmp_path: Path, run: Run) -> None:
    person = everybody[3]
    assert run("import", north.hospital, write_chart(tmp_path / "chart.ndjson", person)).status == 0
    added = run("account", "add", north.hospital, "--name", "P", *who(person), "--json")
    assert (added.status, added.facts["kind"]) == (0, "patient")
    nobody = run("account", "add", north.hospital, "--name", "P")
    expected = "expected either --staff, or --operator, or which patient is meant"
    assert_fails(nobody, 2, error=expected, hint="salus account add --help")


def test_a_short_password_and_an_id_that_is_none_are_refused(
    north: North, staff: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("short\n"))
    account = run("account", "add", north.hospital, "--name", "N", "--staff", staff, "--json").facts["account"]
    short = run("account", "password", north.hospital, account, "--name", "n")
    assert_fails(short, 1, error="expected a password of at least 12 characters", hint="")
    other = run("account", "remove", north.hospital, "xyz")
    assert_fails(other, 2, error="expected an account's id", hint="salus account list shows them")


def test_apps_of_three_kinds(north: North, staff: Path, tmp_path: Path, run: Run) -> None:
    back = ("--redirect", "https://app.example/back")
    public = run("app", "add", north.hospital, "--name", "Chart", *back, "--json").facts
    confidential = run(
        "app", "add", north.hospital, "--name", "Rounds", "--kind", "confidential", *back, "--json"
    ).facts
    assert (public["secret"], len(confidential["secret"])) == ("", 43)
    assert re.fullmatch("[0-9a-f]{24}", public["app"]), "an id that is typed begins with no hyphen, as options do"
    jwks = tmp_path / "keys.json"
    jwks.write_text(json.dumps({"keys": [ECKey.generate_key("P-384", {"kid": "a"}).as_dict(private=False)]}))
    account = run("account", "add", north.hospital, "--name", "R", "--staff", staff, "--json").facts["account"]
    backend = ("app", "add", north.hospital, "--name", "Registry", "--kind", "backend", "--account", account, "--jwks")
    service = run(*backend, jwks, "--json").facts
    listed = run("app", "list", north.hospital, "--json").facts["apps"]
    kinds = {each["app"]: each["kind"] for each in listed}
    assert kinds[service["app"]] == "backend"
    assert confidential["secret"] not in json.dumps(listed)
    assert run("app", "remove", north.hospital, public["app"]).status == 0
    again = run("app", "remove", north.hospital, public["app"])
    assert_fails(again, 1, error="expected the id of a registered app", hint="salus app list shows them")


@pytest.mark.parametrize(
    "keys",
    [
        [ECKey.generate_key("P-384", {"kid": "a"}).as_dict(private=True)],
        [ECKey.generate_key("P-256", {"kid": "a"}).as_dict(private=False)],
        [ECKey.generate_key("P-384").as_dict(private=False)],
        [OctKey.generate_key(256, {"kid": "a"}).as_dict(private=True)],
        [],
    ],
    ids=["a private key", "a curve that is not taken", "a key without a name", "a shared secret", "no key"],
)
def test_keys_that_no_app_should_show_itself_by(
    north: North, tmp_path: Path, run: Run, keys: list[dict[str, object]]
) -> None:
    jwks = tmp_path / "keys.json"
    jwks.write_text(json.dumps({"keys": keys}))
    added = ("app", "add", north.hospital, "--name", "X", "--kind", "confidential", "--redirect", "https://a.example/")
    assert_fails(run(*added, "--jwks", jwks), 1, error="expected public keys", hint="")
