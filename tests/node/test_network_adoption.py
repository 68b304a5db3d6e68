"""What founders exchange to go on with a sealed ledger: one genesis, signed by each, and nothing starts without."""

import shutil
import tempfile
from base64 import b64decode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from salus.contracts.genesis import AdoptingGenesis, GenesisInvalid, genesis_hash
from salus.contracts.membership import KeyUse
from salus.crypto.signing import verify_tagged
from salus.engines.base import StartRefused
from salus.engines.embedded import EmbeddedEngine
from salus.engines.sealing import seal, sealed_at, write_sealed
from salus.ledger.encoding import encode
from salus.ledger.identifiers import OrganisationId
from salus.node import config
from salus.node.config import Bucket, SettingsUnfit
from salus.node.founding import Founded, Member, found
from salus.node.keys import read_keys
from salus.node.network.adoption import adopt, agreement_path, take_agreements
from salus.node.network.agreement import agree, check_agreed
from salus.node.network.folder import MemberFolder, Place, make_folder, open_folder
from salus.node.network.member_file import MemberFile
from salus.node.opening import founding, open_ledger, open_node
from salus.testing.clock import FakeClock

NOW_S = 1_800_000_000
CHAIN = "north"
OLD = ("RZ1", "RZ2", "RZ3")
CODES = (*OLD, "RZ4")


@dataclass(frozen=True)
class Begun:
    """What the founders have: the old ledger, its sealed file, and a folder each."""

    old: Founded
    sealed: Path
    folders: list[MemberFolder]

    def members(self) -> list[MemberFile]:
        return [each.member() for each in self.folders]

    def adopt(self, number: int, sealed: Path | None = None) -> AdoptingGenesis:
        """Have one founder make the genesis."""
        return adopt(self.folders[number], sealed or self.sealed, self.members(), now_s=NOW_S + 60)


def old_ledger(place: Path, clock: FakeClock) -> tuple[Founded, Path]:
    """Found a ledger of three members, let it make a block, and seal it."""
    members = [Member(OrganisationId(code), "hospital", f"Trust {code}", 0) for code in OLD]
    old = found(place / "old", members, chain=CHAIN, time_s=NOW_S)
    settings = config.read_ledger(old.folder / "ledger")
    store, key = Path(settings.folder), read_keys(Path(settings.keys)).signing(KeyUse.CONSENSUS)
    store.mkdir()
    EmbeddedEngine(store, founding(old.genesis), key, clock).close()
    seal(store, founding(old.genesis), key, clock)
    write_sealed(store, encode(old.genesis), place / "sealed")
    return old, place / "sealed"


def place_of(code: str, *, of: Path | None = None, **more: object) -> Place:
    where = {"kind": "hospital", "host": "10.0.0.1", "bind": "0.0.0.0", "port": 26_656, "node_port": 8301, **more}
    return Place(organisation=OrganisationId(code), name=f"Trust {code}", of=of, **where)  # type: ignore[arg-type]


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder whose path leaves room for the names of sockets."""
    folder = Path(tempfile.mkdtemp(prefix="salus-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def begun(short: Path) -> Begun:
    clock = FakeClock(NOW_S)
    clock.advance(10)
    old, sealed = old_ledger(short, clock)
    for code in CODES:
        node = old.nodes.get(OrganisationId(code))
        make_folder(short / code, place_of(code, of=node), chain=CHAIN, now_s=NOW_S + 20)
    return Begun(old, sealed, [open_folder(short / code) for code in CODES])


def test_the_same_files_give_the_same_genesis_and_each_signs_it(begun: Begun) -> None:
    made = [begun.adopt(number) for number in range(len(CODES))]
    assert len({genesis_hash(each) for each in made}) == 1
    genesis = made[0]
    assert (genesis.format, genesis.chain, genesis.time_s) == (2, CHAIN, NOW_S + 20)
    assert genesis.adopted.genesis_hash == genesis_hash(begun.old.genesis)
    assert genesis.adopted.height == sealed_at(begun.old.folder / "ledger" / "store")
    assert genesis.network == begun.old.genesis.network
    assert [each.organisation for each in genesis.validators] == list(CODES)
    own = agreement_path(begun.folders[0])
    with pytest.raises(SettingsUnfit, match="RZ2, RZ3, RZ4 is missing"):
        check_agreed(genesis, [own])
    check_agreed(genesis, [agreement_path(each) for each in begun.folders])


@pytest.mark.promise("L1", "L7")
def test_a_genesis_that_one_founder_did_not_sign_starts_nothing(begun: Begun) -> None:
    for number in range(len(CODES)):
        begun.adopt(number)
    first = begun.folders[0]
    assert take_agreements(first, [agreement_path(each) for each in begun.folders[:3]]) == ["RZ4"]
    with pytest.raises(SettingsUnfit, match="agreement of every founder, RZ4 is missing"):
        open_ledger(config.read_ledger(first.ledger))
    assert take_agreements(first, [agreement_path(begun.folders[3])]) == []


def altered(begun: Begun) -> bytes:
    found = msgspec.json.decode(agreement_path(begun.folders[1]).read_bytes())
    return msgspec.json.format(msgspec.json.encode(found | {"organisation": "RZ3"}), indent=2) + b"\n"


def of_a_stranger(begun: Begun) -> bytes:
    key = begun.folders[1].keys().signing(KeyUse.TRANSACTION)
    return agree(begun.folders[0].genesis(), OrganisationId("ZZ9"), key)


def of_another_genesis(begun: Begun) -> bytes:
    key = begun.folders[1].keys().signing(KeyUse.TRANSACTION)
    return agree(begun.old.genesis, OrganisationId("RZ2"), key)


def of_another_key(begun: Begun) -> bytes:
    key = begun.folders[1].keys().signing(KeyUse.HTTP)
    return agree(begun.folders[0].genesis(), OrganisationId("RZ2"), key)


def test_what_is_signed(begun: Begun) -> None:
    """The array of the fields in their order, as every file that members exchange (docs/spec/network-files.md)."""
    genesis, key = begun.adopt(0), begun.folders[0].keys().signing(KeyUse.TRANSACTION)
    written = msgspec.json.decode(agreement_path(begun.folders[0]).read_bytes())
    assert list(written) == ["signature", "format", "organisation", "genesis"]
    content = encode((b"", 1, "RZ1", genesis_hash(genesis)))
    verify_tagged(key.public, "salus/agreement/1", content, b64decode(written["signature"]))
    assert b64decode(written["genesis"]) == genesis_hash(genesis)


AGREEMENTS: dict[str, tuple[Callable[[Begun], bytes], str]] = {
    "altered": (altered, "signed by RZ3, it was altered"),
    "of a stranger": (of_a_stranger, "the agreement of a founder"),
    "to another genesis": (of_another_genesis, "RZ2 agreed to another genesis"),
    "with another key": (of_another_key, "signed by RZ2, it was altered"),
}


@pytest.mark.parametrize(("made", "words"), AGREEMENTS.values(), ids=AGREEMENTS)
def test_an_agreement_that_is_none(begun: Begun, made: Callable[[Begun], bytes], words: str) -> None:
    begun.adopt(0)
    begun.adopt(1)
    path = begun.sealed.with_name("an.agreement")
    path.write_bytes(made(begun))
    with pytest.raises(SettingsUnfit, match=words):
        take_agreements(begun.folders[0], [path])


@pytest.mark.promise("L1", "L5")
def test_a_founder_with_another_sealed_ledger_agrees_to_another_genesis(begun: Begun) -> None:
    genesis = begun.adopt(0)
    clock = FakeClock(NOW_S)
    clock.advance(30)
    settings = config.read_ledger(begun.old.folder / "ledger")
    key = begun.folders[0].keys().signing(KeyUse.CONSENSUS)
    store = begun.sealed.with_name("another")
    for _ in range(2):  # the holder of the key made other blocks, and sealed them as well
        EmbeddedEngine(store, founding(begun.old.genesis), key, clock).close()
        clock.advance(4)
    assert Path(settings.folder) != store
    seal(store, founding(begun.old.genesis), key, clock)
    other = begun.sealed.with_name("another-sealed")
    write_sealed(store, encode(begun.old.genesis), other)
    if sealed_at(store) == genesis.adopted.height:
        assert begun.adopt(1, other).adopted.time_s != genesis.adopted.time_s
    else:
        assert begun.adopt(1, other).adopted.height != genesis.adopted.height
    with pytest.raises(SettingsUnfit, match="RZ2 agreed to another genesis"):
        take_agreements(begun.folders[0], [agreement_path(begun.folders[1])])


@pytest.mark.promise("L1", "L5")
def test_a_sealed_file_altered_by_one_byte_anywhere(begun: Begun) -> None:
    """It is refused; or it was in the old genesis document, and then the founder's own genesis is another."""
    honest = genesis_hash(begun.adopt(1))
    data, other, refused = begun.sealed.read_bytes(), begun.sealed.with_name("altered"), 0
    places = range(0, len(data), 97)
    for place in places:
        other.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        try:
            made = begun.adopt(0, other)
        except (SettingsUnfit, GenesisInvalid):
            refused += 1
            assert not begun.folders[0].has_genesis
        else:
            assert genesis_hash(made) != honest
            assert data.index(encode(begun.old.genesis)) < place
            (begun.folders[0].path / "genesis").unlink()
    assert 2 * len(places) > 2 * refused > len(places)
    begun.adopt(0)
    assert (begun.folders[0].path / "adopted" / "sealed").read_bytes() == data


def test_who_comes_without_the_keys_of_the_old_ledger(begun: Begun, short: Path) -> None:
    make_folder(short / "fresh", place_of("RZ2"), chain=CHAIN, now_s=NOW_S + 20)
    fresh = open_folder(short / "fresh")
    members = [begun.folders[0].member(), fresh.member(), *(each.member() for each in begun.folders[2:])]
    with pytest.raises(GenesisInvalid, match="the TRANSACTION key that RZ2 has"):
        adopt(begun.folders[0], begun.sealed, members, now_s=NOW_S + 60)


def test_two_thirds_of_the_old_members_are_not_enough(begun: Begun) -> None:
    members = [begun.folders[number].member() for number in (0, 1, 3)]
    with pytest.raises(GenesisInvalid, match="more than two thirds of the 3 members"):
        adopt(begun.folders[0], begun.sealed, members, now_s=NOW_S + 60)


# A node that moves


def test_a_node_moves_whole_and_opens_on_the_new_ledger(begun: Begun) -> None:
    folder = begun.folders[1]
    assert not (begun.old.folder / "rz2").exists()
    settings = config.read_node(folder.node)
    assert (settings.listen.host, settings.listen.port) == ("0.0.0.0", 8301)
    assert settings.ledger_folder == str((folder.ledger / "store").resolve())
    begun.adopt(1)
    # Whatever is bound to the chain id is as before.
    assert config.read_genesis(Path(settings.genesis)).chain == begun.old.genesis.chain
    with open_node(folder.node) as node:
        assert (node.chain, node.organisation) == (CHAIN, "RZ2")


def test_settings_of_a_node_that_moves_are_kept(short: Path) -> None:
    old = found(short / "old", [Member(OrganisationId("RZ1"), "hospital", "Trust", 0)], chain=CHAIN, time_s=NOW_S)
    node = old.nodes[OrganisationId("RZ1")]
    bucket = Bucket("records", "https://objects.example", "bucket.toml")
    limits = msgspec.structs.replace(config.read_node(node).limits, threads=3)
    config.change_node(node, bucket=bucket, limits=limits)
    make_folder(short / "RZ1", place_of("RZ1", of=node), chain=CHAIN, now_s=NOW_S)
    moved = config.read_node(short / "RZ1" / "rz1")
    assert moved.bucket == msgspec.structs.replace(bucket, credentials=str(short / "RZ1" / "rz1" / "bucket.toml"))
    assert moved.limits.threads == 3


def test_a_node_that_does_not_move(begun: Begun, short: Path) -> None:
    other = begun.folders[0].node
    with pytest.raises(SettingsUnfit, match="the node of RZ2 in"):
        make_folder(short / "n", place_of("RZ2", of=other), chain=CHAIN, now_s=NOW_S)
    config.change_node(other, keys="../elsewhere.keys")
    with pytest.raises(SettingsUnfit, match=r"node\.toml names others"):
        make_folder(short / "n", place_of("RZ1", of=other), chain=CHAIN, now_s=NOW_S)
    assert other.exists()
    assert not (short / "n").exists()


def test_the_old_ledger_says_that_it_was_sealed_though_its_keys_have_moved(begun: Begun) -> None:
    with pytest.raises(StartRefused, match="sealed at height"):
        open_ledger(config.read_ledger(begun.old.folder / "ledger"))
