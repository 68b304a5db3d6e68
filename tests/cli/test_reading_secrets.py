"""A reading secret at the terminal: two members keep it with guardians, and it comes back with a finished recovery."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from salus.api.exchange.serve import listen
from salus.contracts.patients import TIME_LOCK_S
from salus.crypto.hpke import HpkeKey, open_with, seal_to
from salus.node.assemble import Node
from salus.node.exchange import MatchAnswer
from salus.node.http_peers import HttpPeers
from salus.sdk.wallet import reading_key, relationship
from salus.sdk.wallet_files import WalletSecret, read_wallet
from salus.testing.clock import ForwardClock
from salus.testing.population import SyntheticPerson
from salus.testing.world import CHAIN, HOSPITAL, PRACTICE, World, world
from tests.cli.conftest import North, Result, Run, assert_fails, who
from tests.portal.second_custodian import Manner, Practice, practice_on

pytestmark = [pytest.mark.services, pytest.mark.promise("U3")]
INFO, SECRET = b"for this test", b"sealed to the lost device"
CIRCLES = ("--needed", 2, "--of", 3, "--second-needed", 3, "--second-of", 3)


def shared(files: list[str], option: str = "--share") -> list[object]:
    return [word for each in files for word in (option, each)]


def key_of(wallet: Path) -> tuple[object, ...]:
    return ("--key-file", wallet.with_suffix(".key"))


def says_no(result: Result, words: str) -> bool:
    """A failure with these words; the practice in this process logs on standard output."""
    return result.status == 1 and words in result.err


@contextmanager
def says_nothing(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The other member answers, and with something else than what it was asked for."""
    with monkeypatch.context() as patch:
        patch.setattr(HttpPeers, "ask", lambda *_: MatchAnswer(b""))
        yield


def chosen(run: Run, wallet: Path, node: Path, person: SyntheticPerson, words: Path) -> list[str]:
    """Enrol with a wallet of one's own, and choose guardians; return the files of their words."""
    by = (wallet, node, *key_of(wallet))
    assert run("patient", "new", wallet, *key_of(wallet)).status == 0
    assert run("patient", "enrol", *by, *who(person)).status == 0
    files: list[str] = run("recovery", "guardians", *by, *CIRCLES, "--into", words, "--json").facts["files"]
    return files


def test_two_running_members_keep_it_and_give_nothing_before_a_recovery(
    north: North, everybody: list[SyntheticPerson], tmp_path: Path, run: Run
) -> None:
    wallet = tmp_path / "old.wallet"
    files = chosen(run, wallet, north.hospital, everybody[5], tmp_path / "words")
    by = (wallet, north.hospital, *key_of(wallet), *shared(files[:2]))
    one, other = (each.name.upper() for each in (north.hospital, north.practice))
    both = ("--member", one, "--member", other.lower())
    done = run("recovery", "protect", *by, *shared(files[3:], "--second-share"), *both, "--json")
    assert (done.status, done.facts["members"]) == (0, [one, other])
    assert_fails(run("recovery", "protect", *by, "--member", one, "--member", one), 1, error="two members", hint="")
    alone = run("recovery", "protect", *by, "--member", one)
    assert_fails(alone, 2, error="expected --member twice", hint="")
    into = tmp_path / "reading"
    early = run("recovery", "reopen", *by, *both, "--into", into)
    assert_fails(early, 1, error="expected the key that a finished recovery of this relationship put", hint="")
    assert not into.exists()


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[World, ForwardClock, Practice]]:
    """Hospital and practice on a clock that goes forward, the practice over HTTP; commands open the hospital."""
    clock = ForwardClock()
    with listen("127.0.0.1", 0) as listener:
        endpoints = {PRACTICE: f"http://127.0.0.1:{listener.getsockname()[1]}"}
        with world(tmp_path, organisations=(HOSPITAL, PRACTICE), endpoints=endpoints, clock=clock) as made:
            for each in (HOSPITAL, PRACTICE):
                made.open_node(each, clock=clock.now_s)

            @contextmanager
            def opened(_: Path) -> Iterator[Node]:
                yield made.hospital

            monkeypatch.setattr("salus.node.opening.open_node", opened)
            with practice_on(listener, made) as practice:
                yield made, clock, practice


def test_it_comes_back_to_the_wallet_that_was_recovered_and_to_no_other(
    at: tuple[World, ForwardClock, Practice],
    everybody: list[SyntheticPerson],
    tmp_path: Path,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, clock, practice = at
    old, new, person, into = tmp_path / "old.wallet", tmp_path / "new.wallet", everybody[6], tmp_path / "reading"
    files = chosen(run, old, tmp_path, person, tmp_path / "words")
    both = ("--member", HOSPITAL, "--member", PRACTICE)
    of_old, of_new = ((each, tmp_path, *key_of(each), *shared(files[:2])) for each in (old, new))
    assert run("recovery", "protect", *of_old, *both).status == 0
    with practice.being(Manner.IS_DOWN):
        assert run("recovery", "protect", *of_old, *both).status != 0
    with says_nothing(monkeypatch):
        came = run("recovery", "protect", *of_old, *both)
        assert (came.status != 0, "does not say that it keeps its share" in came.err) == (True, True)
    clock.advance(2)
    assert run("recovery", "protect", *of_old, *both).status == 0  # anew
    lost = read_wallet(old, WalletSecret.key_file(old.with_suffix(".key")))
    mine = relationship(lost, chain=CHAIN, custodian=HOSPITAL)
    sealed = seal_to(reading_key(lost, mine).public, SECRET, info=INFO)

    assert run("patient", "new", new, *key_of(new)).status == 0
    assert run("recovery", "start", *of_new, *who(person)).status == 0
    assert run("recovery", "reopen", *of_new, *both, "--into", into).status == 1
    clock.advance(TIME_LOCK_S + 2)
    assert run("recovery", "finish", *of_new).status == 0
    assert says_no(run("recovery", "reopen", *of_old, *both, "--into", into), "finished recovery")
    wrong = (new, tmp_path, *key_of(new), *shared(files[3:]))  # of the second circle, which was not protected
    assert says_no(run("recovery", "reopen", *wrong, *both, "--into", into), "do not belong together")
    with says_nothing(monkeypatch):
        came = run("recovery", "reopen", *of_new, *both, "--into", into)
        assert (came.status != 0, "something else than its share" in came.err) == (True, True)
    assert not into.exists()
    assert run("recovery", "reopen", *of_new, *both, "--into", into).status == 0
    assert into.stat().st_mode & 0o777 == 0o600
    assert open_with(HpkeKey.from_private(into.read_bytes()), sealed, info=INFO) == SECRET
