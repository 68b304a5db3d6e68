"""salus network init, found, join, start: what they print, and how they say no, before any ledger runs."""

import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from salus.contracts.membership import KeyUse
from salus.engines.unix_sockets import PATH_SIZE_BYTES_MAX
from salus.ledger.identifiers import Digest
from salus.node.network.folder import open_folder
from salus.node.network.invitation import FORMAT, Invitation, invite
from tests.cli.conftest import Result, Run, assert_fails

Init = Callable[..., Result]


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder whose path leaves room for the names of sockets."""
    with tempfile.TemporaryDirectory(prefix="salus-") as folder:
        yield Path(folder)


@pytest.fixture
def init(run: Run, place: Path) -> Init:
    """Makes an organisation's folder."""

    def make(code: str, *more: str, chain: str = "north", kind: str = "hospital") -> Result:
        who = ("--chain", chain, "--organisation", code, "--kind", kind, "--name", f"Trust {code}")
        return run("network", "init", place / code.lower(), *who, "--host", "127.0.0.1", *more)

    return make


@pytest.fixture
def founders(init: Init, place: Path) -> list[Path]:
    """Member files of two founders."""
    for code in ("RZ1", "RZ2"):
        assert init(code).status == 0
    return [place / code.lower() / "members" / f"{code}.member" for code in ("RZ1", "RZ2")]


def test_two_founders_read_the_same_fingerprint(run: Run, place: Path, founders: list[Path]) -> None:
    first = run("network", "found", place / "rz1", *founders, "--json")
    second = run("network", "found", place / "rz2", *reversed(founders), "--json")
    assert first.facts["fingerprint"] == second.facts["fingerprint"]
    assert (first.facts["validators"], first.facts["chain"]) == (["RZ1", "RZ2"], "north")
    own = [json.loads(path.read_bytes()) for path in founders]
    assert [each["organisation"] for each in first.facts["members"]] == [each["organisation"] for each in own]
    assert "with 2 validators the ledger stops when one of them is down" in first.err


def test_what_init_prints_is_what_found_compares(init: Init, run: Run, place: Path) -> None:
    made = init("RZ1", "--json").facts
    founded = run("network", "found", place / "rz1", made["member_file"], "--json").facts
    assert founded["members"] == [{"organisation": "RZ1", "fingerprint": made["fingerprint"]}]


def test_a_folder_is_made_once(init: Init) -> None:
    assert init("RZ1").status == 0
    assert_fails(init("RZ1"), 2, error="has files in it", hint="name another")


def test_a_path_too_long_for_a_socket(run: Run, place: Path) -> None:
    folder = place / ("x" * PATH_SIZE_BYTES_MAX)
    who = ("--chain", "north", "--organisation", "RZ1", "--kind", "hospital", "--name", "A", "--host", "127.0.0.1")
    assert_fails(run("network", "init", folder, *who), 2, error="too long", hint="name a shorter folder")
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("wrong", [("RZ 1", {}), ("R", {}), ("RZ1", {"chain": "North"}), ("RZ1", {"chain": "a" * 51})])
def test_a_name_that_is_none_leaves_nothing(init: Init, place: Path, wrong: tuple[str, dict[str, str]]) -> None:
    code, more = wrong
    assert_fails(init(code, **more), 2, error="expected a member file", hint="")
    assert list(place.iterdir()) == []


def test_who_is_not_among_the_founders(run: Run, place: Path, founders: list[Path]) -> None:
    assert_fails(
        run("network", "found", place / "rz1", founders[1]), 2, error="expected RZ1.member", hint="name it too"
    )


def test_nobody_starts_without_genesis(run: Run, place: Path, founders: list[Path]) -> None:
    for verb in ("start", "status", "leave"):
        said = run("network", verb, place / "rz1")
        assert_fails(said, 2, error="belongs to no network yet", hint="salus network found")


def test_a_ledger_that_never_ran_has_no_status(run: Run, place: Path, founders: list[Path]) -> None:
    assert run("network", "found", place / "rz1", *founders).status == 0
    assert_fails(run("network", "status", place / "rz1"), 3, error="expected a ledger in", hint="start the ledger")


def test_a_request_comes_of_an_invitation(init: Init, run: Run, place: Path, founders: list[Path]) -> None:
    for code in ("rz1", "rz2"):
        run("network", "found", place / code, *founders)
    invitation = place / "north.invitation"
    invitation.write_bytes(invitation_of(place / "rz1"))
    assert init("RY5").status == 0
    joined = run("network", "join", place / "ry5", invitation, "--json").facts
    again = run("network", "join", place / "ry5", invitation, "--json").facts
    assert joined == again
    assert (joined["chain"], joined["invited_by"]) == ("north", "RZ1")
    assert Path(joined["request"]).name == "RY5.request"
    assert open_folder(place / "ry5").comet().sync is not None

    request = ("--request", joined["request"])
    for words in (("admit", "RY5"), ("suspend", "RY5", *request), ("admit", "RY6", *request)):
        assert run("network", "propose", place / "rz1", *words).status == 2
    assert init("RS1", chain="south").status == 0
    assert_fails(
        run("network", "join", place / "rs1", invitation), 2, error="expected an invitation to south", hint="folder"
    )
    assert_fails(run("network", "join", place / "ry5", founders[0]), 2, error="expected an invitation", hint="again")


def invitation_of(folder: Path) -> bytes:
    """An invitation by a member whose ledger does not run."""
    member = open_folder(folder)
    content = Invitation(
        format=FORMAT,
        organisation=member.organisation,
        genesis=(folder / "genesis").read_bytes(),
        members=tuple(member.members()),
        height=7,
        header=Digest(bytes(range(32))),
        snapshot_blocks=10,
    )
    return invite(content, member.keys().signing(KeyUse.TRANSACTION))


def test_a_peer_that_is_not_there(run: Run, place: Path, founders: list[Path]) -> None:
    run("network", "found", place / "rz1", *founders)
    shown = run("network", "peers", place / "rz1", "--json").facts
    assert [each["organisation"] for each in shown["peers"]] == ["RZ2"]
    dropped = run("network", "peers", place / "rz1", "--drop", "rz2", "--json").facts
    assert (dropped["peers"], dropped["dropped"]) == ([], ["RZ2"])
    assert_fails(run("network", "peers", place / "rz1", "--drop", "RZ2"), 2, error="came RZ2", hint="network peers")


def test_founders_agree_on_policies_with_the_genesis(run: Run, place: Path, founders: list[Path]) -> None:
    rule, own = place / "rule.json", place / "own.json"
    rule.write_text('{"type": "deny", "purposes": ["hpaymt"]}', encoding="utf-8")
    own.write_text('{"type": "deny", "purposes": ["hresch"]}', encoding="utf-8")
    policies = ("--policy", f"rz2={own}", "--policy", rule)
    made = [run("network", "found", place / folder, *founders, *policies) for folder in ("rz1", "rz2")]
    assert [each.status for each in made] == [0, 0]
    assert len({each.out.splitlines()[-2] for each in made}) == 1
    rule = "  1     Anybody may not see your records, for"
    assert (
        f"policy of everybody, version 1\n{rule} payment.\npolicy of RZ2, version 1\n{rule} research.\n" in made[0].out
    )
    genesis = open_folder(place / "rz1").genesis()
    assert [(each.organisation, len(each.provisions)) for each in genesis.policies] == [("", 1), ("RZ2", 1)]


def test_a_founder_that_names_other_policies_has_another_genesis(run: Run, place: Path, founders: list[Path]) -> None:
    rule = place / "rule.json"
    rule.write_text('{"type": "deny", "purposes": ["hpaymt"]}', encoding="utf-8")
    stranger = run("network", "found", place / "rz1", *founders, "--policy", f"ZZ9={rule}")
    assert_fails(stranger, 2, error="expected a policy of a founder, came one of ZZ9", hint="salus")
    with_rule = run("network", "found", place / "rz1", *founders, "--policy", rule, "--json")
    without = run("network", "found", place / "rz2", *founders, "--json")
    assert with_rule.facts["genesis"] != without.facts["genesis"]
    assert [each["organisation"] for each in with_rule.facts["policies"]] == ["network"]
    assert without.facts["policies"] == []
