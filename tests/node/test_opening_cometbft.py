"""A ledger process whose settings name a CometBFT node: opened, used, and refused with what to do."""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from salus.contracts.genesis import FirstValidator
from salus.engines.base import StartRefused
from salus.engines.cometbft.home import node_id
from salus.engines.cometbft.installing import installed
from salus.ledger.identifiers import OrganisationId, PublicKey
from salus.ledger.verifier.trust import EngineKind
from salus.node import config
from salus.node.config import CometSettings, LedgerSettings, SettingsUnfit, ledger_toml
from salus.node.founding import Founded, Member, found, trust_root
from salus.node.keys import KeysUnfit, read_node_key, write_node_key
from salus.node.opening import open_ledger
from tests.conftest import absent
from tests.engines.cometbft.network import PATIENCE_S, free_ports, wait_until


@pytest.fixture
def founded() -> Iterator[Founded]:
    """A network of one member; its path leaves room for the name of a socket."""
    place = Path(tempfile.mkdtemp(prefix="salus-"))
    member = Member(OrganisationId("RA1"), "hospital", "Royal A", 0)
    yield found(place / "n", [member], chain="opened", time_s=int(time.time()) - 5)
    shutil.rmtree(place)


def settings(founded: Founded, *peers: str) -> LedgerSettings:
    """Its ledger process, with a CometBFT node, as read from the file."""
    folder = founded.folder / "ledger"
    if not (folder / "node.key").exists():
        write_node_key(folder / "node.key")
    plain = config.read_ledger(folder)
    comet = CometSettings(port=free_ports(1)[0], peers=peers, home="c")
    (folder / config.LEDGER_FILE).write_text(ledger_toml(msgspec.structs.replace(plain, cometbft=comet)), "utf-8")
    return config.read_ledger(folder)


def test_several_validators_are_trusted_together_and_for_two_weeks(founded: Founded) -> None:
    [first] = founded.genesis.validators
    second = FirstValidator(OrganisationId("RB2"), PublicKey(bytes(range(32))), 2)
    root = trust_root(msgspec.structs.replace(founded.genesis, validators=(first, second)))
    assert (root.engine, root.trusting_period_s) == (EngineKind.COMETBFT, 14 * 86_400)
    assert [each.organisation for each in root.validators] == ["RA1", "RB2"]
    assert founded.trust_root.engine == EngineKind.EMBEDDED


@pytest.mark.services
@pytest.mark.promise("L2")
def test_a_ledger_on_cometbft_is_opened_by_its_settings(founded: Founded) -> None:
    try:
        installed()
    except StartRefused as error:
        absent(f"CometBFT is not installed (make setup): {error}")
    engine = open_ledger(settings(founded))
    try:
        engine.wait_for(2, timeout_s=PATIENCE_S)
        wait_until(lambda: engine.status().header_age_ms < 5_000, "a fresh header")
        assert (engine.chain, engine.status().engine) == ("opened", "cometbft")
        sealed = engine.signed_header(1)
        assert sealed is not None
        assert sealed.validators[0].public_key == founded.genesis.validators[0].key
        assert sealed.signed.header.version.app == founded.genesis.network.rules_version
    finally:
        engine.close()


PEER = f"{'a1' * 20}@10.0.0.1:26656"


def test_what_is_written_is_read(founded: Founded) -> None:
    read = settings(founded, PEER).cometbft
    assert read is not None
    assert read.home == str((founded.folder / "ledger" / "c").resolve())
    assert read.peers == (PEER,)


@pytest.mark.parametrize("peer", ["10.0.0.1:26656", f"{'a1' * 20}@10.0.0.1", f"{'a1' * 20}@a b:1", PEER.upper()])
def test_a_peer_that_is_none_is_named(founded: Founded, peer: str) -> None:
    with pytest.raises(SettingsUnfit, match="expected id@host:port"):
        open_ledger(settings(founded, peer))


def is_missing(path: Path) -> None:
    path.unlink()


def is_open_to_all(path: Path) -> None:
    path.chmod(0o644)


def is_short(path: Path) -> None:
    path.write_text("00ff", "ascii")


def is_text(path: Path) -> None:
    path.write_text("not a key", "ascii")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (is_missing, "tell the peers a new one"),
        (is_open_to_all, "chmod 600 it"),
        (is_short, "no key of a node"),
        (is_text, "no key of a node"),
    ],
)
def test_a_node_key_that_cannot_be_used_is_named(founded: Founded, spoil: Callable[[Path], None], words: str) -> None:
    read = settings(founded)
    path = founded.folder / "ledger" / "node.key"
    assert len(node_id(read_node_key(path))) == 40
    spoil(path)
    with pytest.raises(KeysUnfit, match=words):
        open_ledger(read)
