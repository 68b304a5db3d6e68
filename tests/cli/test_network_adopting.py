"""salus network seal, init --node, adopt, agree: what each prints, and what it refuses, before anything runs."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from salus.cli.network.running import _Watch
from salus.engines.cometbft.chain import CometChain, DecidedBlock
from salus.node import config
from salus.node.network.folder import open_folder
from salus.node.opening import founding, ledger_client, sealed_file
from tests.cli.conftest import Result, Run, assert_fails

OLD = ("RZ1", "RZ2", "RZ3")
CODES = (*OLD, "RZ4")
Init = Callable[..., Result]


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder whose path leaves room for the names of sockets."""
    folder = Path(tempfile.mkdtemp(prefix="salus-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def sealed(run: Run, place: Path) -> Result:
    """Seal a ledger of three members, which is at `place` / north, to `place` / sealed."""
    members = [word for code in OLD for word in ("--hospital", f"{code}=Trust {code}")]
    assert run("init", place / "north", "--chain", "north", *members).status == 0
    return run("network", "seal", place / "north", "--output", place / "sealed", "--json")


@pytest.fixture
def init(run: Run, place: Path) -> Init:
    """Makes an organisation's folder."""

    def make(code: str, *more: object) -> Result:
        who = ("--chain", "north", "--organisation", code, "--kind", "hospital", "--name", f"Trust {code}")
        return run("network", "init", place / code.lower(), *who, "--host", "127.0.0.1", *more)

    return make


@pytest.fixture
def founders(sealed: Result, init: Init, place: Path) -> list[Path]:
    """Member files of four founders, three of them with the nodes that they had."""
    assert sealed.status == 0
    for code in CODES:
        node = ("--node", place / "north" / code.lower()) if code in OLD else ()
        assert init(code, *node).status == 0
    return [place / code.lower() / "members" / f"{code}.member" for code in CODES]


def test_a_ledger_is_sealed_once_and_its_file_written_again(sealed: Result, run: Run, place: Path) -> None:
    assert (sealed.facts["chain"], sealed.facts["height"], sealed.facts["log_size"]) == ("north", 1, 0)
    again = run("network", "seal", place / "north", "--output", place / "again", "--json")
    assert again.facts | {"sealed": ""} == sealed.facts | {"sealed": ""}
    assert (place / "again").read_bytes() == (place / "sealed").read_bytes()
    assert run("network", "seal", place / "north", "--output", place / "sealed").status == 2
    served = run("serve", place / "north" / "ledger")
    assert_fails(served, 3, error="sealed at height 1", hint="the network that adopts it")


def test_founders_make_one_genesis_and_agree(founders: list[Path], run: Run, place: Path) -> None:
    made = [run("network", "adopt", place / code.lower(), place / "sealed", *founders, "--json") for code in CODES]
    assert [each.status for each in made] == [0] * 4
    assert len({each.facts["fingerprint"] for each in made}) == 1
    assert (made[0].facts["height"], made[0].facts["validators"]) == (1, list(CODES))
    agreements = [each.facts["agreement"] for each in made]
    some = run("network", "agree", place / "rz1", *agreements[:2], "--json")
    assert (some.status, some.facts) == (0, {"agreed": False, "missing": ["RZ3", "RZ4"]})
    assert_fails(run("network", "start", place / "rz1"), 2, error="RZ3, RZ4 is missing", hint="salus network agree")
    rest = run("network", "agree", place / "rz1", *agreements[2:])
    assert (rest.status, rest.out) == (0, f"all founders agreed: salus network start {place / 'rz1'}\n")
    assert_fails(
        run("network", "adopt", place / "rz1", place / "sealed", *founders), 2, error="belongs to north", hint="another"
    )


def test_a_ledger_that_waits_for_its_first_block_is_not_ready(founders: list[Path], run: Run, place: Path) -> None:
    """CometBFT has the state made before any other founder is there; the node begins with the first block."""
    assert run("network", "adopt", place / "rz1", place / "sealed", *founders).status == 0
    member = open_folder(place / "rz1")
    genesis = member.genesis()
    begins = founding(genesis, sealed_file(config.read_ledger(member.ledger)))

    def after(step: Callable[[CometChain], object]) -> bool:
        chain = CometChain(member.ledger / "store", begins)
        step(chain)
        chain.close()
        with ledger_client(config.read_node(member.node), genesis.chain) as client:
            assert client.status().height in (0, 1, 2)
            return _Watch(member, client).has_begun()

    def first_block(chain: CometChain) -> None:
        chain.finalize(DecidedBlock(2, genesis.time_s * 10**9, (), ()))
        chain.commit()

    assert [after(step) for step in (CometChain.load, CometChain.begin, first_block)] == [False, False, True]


def test_what_cannot_be_adopted(founders: list[Path], run: Run, place: Path) -> None:
    (place / "cut").write_bytes((place / "sealed").read_bytes()[:-1])
    for wrong in (place / "cut", founders[0]):
        refused = run("network", "adopt", place / "rz1", wrong, *founders)
        assert_fails(refused, 2, error="no sealed ledger that can be adopted", hint="ask for the sealed file again")
    few = run("network", "adopt", place / "rz1", place / "sealed", founders[0], founders[1], founders[3])
    assert_fails(few, 2, error="more than two thirds of the 3 members", hint="name others too")
    assert not (place / "rz1" / "genesis").exists()


def test_the_old_key_and_one_other_are_too_few(init: Init, run: Run, place: Path) -> None:
    assert run("init", place / "north", "--chain", "north", "--hospital", "RZ1=Trust RZ1").status == 0
    assert run("network", "seal", place / "north", "--output", place / "sealed").status == 0
    files = []
    for code, node in (("RZ1", ("--node", place / "north" / "rz1")), ("RZ2", ())):
        files.append(init(code, *node, "--json").facts["member_file"])
    refused = run("network", "adopt", place / "rz1", place / "sealed", *files)
    assert_fails(refused, 2, error="at most a third of the power with the old ledger's key", hint="name more founders")


def test_a_node_that_is_another_organisations(sealed: Result, init: Init, place: Path) -> None:
    assert sealed.status == 0
    refused = init("RZ2", "--node", place / "north" / "rz1")
    assert_fails(refused, 2, error="expected the node of RZ2", hint="name its")
    assert config.is_node(place / "north" / "rz1")
    assert not (place / "rz2").exists()


def test_a_ledger_that_adopts_nothing(run: Run, init: Init, place: Path) -> None:
    file = init("RZ1", "--json").facts["member_file"]
    assert run("network", "found", place / "rz1", file).status == 0
    assert_fails(run("network", "agree", place / "rz1", file), 2, error="adopts no ledger", hint="nobody has to agree")
    assert_fails(
        run("fsck", place / "rz1", "--before", place / "rz1"), 2, error="goes on with no other", hint="leave --before"
    )
    assert_fails(
        run("network", "seal", place / "rz1", "--output", place / "x"), 2, error="ledger of several", hint="not sealed"
    )
