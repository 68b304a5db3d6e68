"""salus init: a network's folder, whole, with secrets that are their owner's alone."""

import stat
from pathlib import Path

import pytest

from salus.contracts.membership import LedgerAccess
from salus.contracts.provisions import ProvisionType
from salus.node import config
from salus.node.founding import trust_root
from salus.sdk.trust_file import read_trust
from salus.testing.population import HOSPITAL, PRACTICE
from tests.cli.conftest import Run, assert_fails

MEMBERS = """
chain = "salus-west"
policy = ["network.json"]
[[member]]
organisation = "RA1"
kind = "hospital"
name = "West Hospital"
port = 9001
[[member]]
organisation = "IN01"
kind = "insurer"
name = "West Insurance"
endpoint = "https://insurance.example/salus"
"""


def test_init_founds_the_hospital_and_the_practice_of_the_population(tmp_path: Path, run: Run) -> None:
    result = run("init", tmp_path / "net", "--json")
    assert result.status == 0
    assert result.facts["chain"] == "salus-local"
    assert [each["organisation"] for each in result.facts["members"]] == [HOSPITAL.ods, PRACTICE.ods]
    genesis = config.read_genesis(tmp_path / "net" / "genesis")
    assert [founder.name for founder in genesis.founders] == [HOSPITAL.name, PRACTICE.name]
    assert read_trust(tmp_path / "net" / "trust.json") == trust_root(genesis)


def test_secrets_are_their_owners_alone(tmp_path: Path, run: Run) -> None:
    run("init", tmp_path / "net")
    keys = sorted((tmp_path / "net").glob("*/organisation.keys"))
    assert len(keys) == 2
    assert keys[0].read_bytes() != keys[1].read_bytes()
    for path in keys:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_members_as_options(tmp_path: Path, run: Run) -> None:
    members = ("--hospital", "ra1=West Hospital", "--pharmacy", "FA001=West Pharmacy")
    result = run("init", tmp_path / "net", "--port", 9100, *members)
    assert result.status == 0
    assert "RA1  West Hospital  http://127.0.0.1:9100" in result.out
    assert "FA001  West Pharmacy  http://127.0.0.1:9101" in result.out
    assert "trust of this ledger: one key, that of RA1" in result.out
    assert config.read_node(tmp_path / "net" / "fa001").listen.port == 9101


def test_members_and_policy_from_a_file(tmp_path: Path, run: Run) -> None:
    (tmp_path / "members.toml").write_text(MEMBERS, encoding="utf-8")
    (tmp_path / "network.json").write_text('{"type": "deny", "purposes": ["hresch"]}', encoding="utf-8")
    result = run("init", tmp_path / "net", "--members", tmp_path / "members.toml", "--json")
    assert result.status == 0
    genesis = config.read_genesis(tmp_path / "net" / "genesis")
    assert genesis.chain == "salus-west"
    assert [(each.organisation, each.access) for each in genesis.founders] == [
        ("RA1", LedgerAccess.VALIDATOR),
        ("IN01", LedgerAccess.OWN_PROOFS),
    ]
    assert genesis.founders[1].endpoint == "https://insurance.example/salus"
    (policy,) = genesis.policies
    assert (policy.organisation, policy.provisions[0].type) == ("", ProvisionType.DENY)


@pytest.mark.parametrize(
    ("arguments", "error", "hint"),
    [
        (("--hospital", "RA1"), "expected --hospital CODE=NAME", "write --practice"),
        (("--hospital", "RA1=A", "--hospital", "RA1=B"), "organisation among the founders", ""),
        (("--chain", "Capital"), "chain id of lower case", "correct"),
        (("--hospital", "../R=A"), "codes of capitals and digits", "correct"),
    ],
)
def test_what_no_network_can_be_founded_with(
    arguments: tuple[str, ...], error: str, hint: str, tmp_path: Path, run: Run
) -> None:
    result = run("init", tmp_path / "net", *arguments)
    assert result.status == 2
    assert error.lower() in result.err.lower()
    assert hint in result.err
    assert not (tmp_path / "net").exists()


def test_a_network_is_never_founded_over_another(tmp_path: Path, run: Run) -> None:
    run("init", tmp_path / "net")
    before = (tmp_path / "net" / "genesis").read_bytes()
    result = run("init", tmp_path / "net")
    assert_fails(result, 2, error="has files in it", hint="name another")
    assert (tmp_path / "net" / "genesis").read_bytes() == before


def test_a_socket_path_that_the_system_cannot_have(tmp_path: Path, run: Run) -> None:
    deep = tmp_path / ("x" * 60) / ("y" * 60)
    assert_fails(run("init", deep), 2, error="too long for this system", hint="--socket")
    assert run("init", deep, "--socket", "/tmp/short.sock").status == 0
