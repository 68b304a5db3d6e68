"""What members exchange before they run one ledger: the same files give the same genesis, altered ones nothing."""

import itertools
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from salus.contracts.genesis import GenesisInvalid
from salus.contracts.membership import KeyUse, LedgerAccess, Propose
from salus.engines.cometbft.home import parse_peer
from salus.ledger import transactions
from salus.ledger.encoding import encode
from salus.ledger.identifiers import Digest, OrganisationId
from salus.node import config
from salus.node.assemble import MESSAGES
from salus.node.config import SettingsUnfit
from salus.node.network import files
from salus.node.network.admission import (
    GOOD_FOR_S,
    PROPOSAL_S,
    decode_request,
    proposal_of,
    request_admission,
)
from salus.node.network.folder import (
    MemberFolder,
    Place,
    add_members,
    drop_member,
    found,
    join,
    make_folder,
    member_in,
    open_folder,
)
from salus.node.network.invitation import FORMAT, Invitation, decode_invitation, invite
from salus.node.network.member_file import MemberFile, check, genesis_of

NOW_S = 1_800_000_000
CHAIN = "north"
CODES = ("RZ1", "RZ2", "RZ3", "RZ4")
NONCE = bytes(range(16))


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., MemberFolder]:
    """Makes the folder of an organisation."""

    def make_one(code: str, *, chain: str = CHAIN, now_s: int = NOW_S, **more: object) -> MemberFolder:
        place = {"kind": "hospital", "host": "10.0.0.1", "bind": "0.0.0.0", "port": 26_656, "node_port": 8301, **more}
        make_folder(
            tmp_path / f"{chain}-{code}",
            Place(organisation=OrganisationId(code), name=f"Trust {code}", **place),  # type: ignore[arg-type]
            chain=chain,
            now_s=now_s,
        )
        return open_folder(tmp_path / f"{chain}-{code}")

    return make_one


@pytest.fixture
def four(make: Callable[..., MemberFolder]) -> list[MemberFolder]:
    """Founders; each began a second after the one before."""
    return [make(code, now_s=NOW_S + number) for number, code in enumerate(CODES)]


def test_the_same_files_in_any_order_give_the_same_bytes(four: list[MemberFolder]) -> None:
    given = [each.member() for each in four]
    made = {encode(genesis_of(order)) for order in itertools.permutations(given)}
    assert len(made) == 1
    genesis = genesis_of(given)
    assert (genesis.time_s, genesis.chain) == (NOW_S + 3, CHAIN)
    assert [(each.organisation, each.power) for each in genesis.validators] == [(code, 10) for code in CODES]
    assert genesis.founders[0].keys == four[0].keys().registered()


def test_who_follows_has_no_seat(make: Callable[..., MemberFolder]) -> None:
    given = [
        make("RZ1").member(),
        make("RZ2", is_validator=False).member(),
        make("RZ3", kind="insurer").member(),
    ]
    genesis = genesis_of(given)
    assert [each.organisation for each in genesis.validators] == ["RZ1"]
    access = [LedgerAccess.VALIDATOR, LedgerAccess.OBSERVER, LedgerAccess.OWN_PROOFS]
    assert [each.access for each in genesis.founders] == access


def test_each_founder_makes_its_own_folder_ready(four: list[MemberFolder]) -> None:
    given = [each.member() for each in four]
    for each in four:
        assert not each.has_genesis
        found(each, [*reversed(given)])
    assert len({(each.path / "genesis").read_bytes() for each in four}) == 1
    assert len({(each.path / "trust.json").read_bytes() for each in four}) == 1
    comet = four[0].comet()
    assert [parse_peer(each).node for each in comet.peers] == [each.node for each in given[1:]]
    assert (comet.host, comet.port, comet.headers_port) == ("0.0.0.0", 26_656, 26_657)
    assert config.read_node(four[0].node).listen.port == 8301
    with pytest.raises(SettingsUnfit, match="belongs to north already"):
        found(four[0], given)


def test_no_secret_leaves_a_folder(four: list[MemberFolder]) -> None:
    keys = four[0].keys()
    seeds = [getattr(keys, name) for name in keys.__struct_fields__ if name != "format"]
    sent = files.to_bytes(four[0].member()) + request_of(four[1], four[0])
    for seed in seeds:
        assert seed not in sent
        assert msgspec.json.encode(seed)[1:-3] not in sent
    assert all(path.stat().st_mode & 0o077 == 0 for path in four[0].path.rglob("*.key*") if path.is_file())


def of_another_chain(given: list[MemberFile], make: Callable[..., MemberFolder]) -> list[MemberFile]:
    return [*given, make("RZ9", chain="south").member()]


def twice(given: list[MemberFile], _make: Callable[..., MemberFolder]) -> list[MemberFile]:
    return [*given, given[0]]


def nobody_signs(_given: list[MemberFile], make: Callable[..., MemberFolder]) -> list[MemberFile]:
    return [make("RZ9", is_validator=False).member()]


@pytest.mark.parametrize(
    ("alter", "words"),
    [(of_another_chain, "one chain"), (twice, "once each organisation"), (nobody_signs, "correct them")],
)
def test_files_that_do_not_fit_together(
    four: list[MemberFolder], make: Callable[..., MemberFolder], alter: Callable[..., list[MemberFile]], words: str
) -> None:
    with pytest.raises(GenesisInvalid, match=words):
        genesis_of(alter([each.member() for each in four], make))


def test_a_founder_is_among_the_founders(four: list[MemberFolder]) -> None:
    with pytest.raises(SettingsUnfit, match=r"expected RZ1\.member"):
        found(four[0], [each.member() for each in four[1:]])
    assert not four[0].has_genesis


@pytest.mark.promise("L3")
def test_an_altered_member_file_is_refused(four: list[MemberFolder]) -> None:
    first, second = four[0].member(), four[1].member()
    others = {name: getattr(second, name) for name in first.__struct_fields__}
    others |= {"format": 2, "kind": "record-company", "is_validator": False, "host": "10.0.0.2", "port": 1}
    others |= {"headers_port": 1, "chain": "south", "endpoint": "http://elsewhere"}
    for name, other in others.items():
        assert other != getattr(first, name)
        with pytest.raises(SettingsUnfit):
            check(msgspec.structs.replace(first, **{name: other}))
        assert msgspec.structs.replace(first, **{name: other}).fingerprint() != first.fingerprint()
    data = files.to_bytes(first)
    with pytest.raises(SettingsUnfit, match="each field once"):
        member_in(data.replace(b'"kind"', b'"name": "Other",\n"kind"'))
    assert member_in(data) == first


# Joining


def request_of(candidate: MemberFolder, sponsor: MemberFolder) -> bytes:
    return request_admission(candidate.member(), candidate.keys(), sponsor.member(), now_s=NOW_S, nonce=NONCE)


def invitation_of(members: list[MemberFolder], *, snapshot_blocks: int = 10) -> bytes:
    given = [each.member() for each in members]
    content = Invitation(
        format=FORMAT,
        organisation=given[0].organisation,
        genesis=encode(genesis_of(given)),
        members=tuple(given),
        height=20,
        header=Digest(bytes(range(32))),
        snapshot_blocks=snapshot_blocks,
    )
    return invite(content, members[0].keys().signing(KeyUse.TRANSACTION))


@pytest.mark.parametrize("passed_s", [0, 1, 59, 299, 300, 601, GOOD_FOR_S - 600])
def test_a_request_can_be_proposed_on_any_of_three_days(four: list[MemberFolder], passed_s: int) -> None:
    sponsor, candidate = four[0], four[3]
    request = decode_request(request_of(candidate, sponsor))
    key = sponsor.keys().signing(KeyUse.TRANSACTION)
    raw = proposal_of(request, key, now_s=NOW_S + passed_s)
    transaction = transactions.decode(raw, chain=CHAIN, messages=MESSAGES)
    transactions.verify(transaction)
    for block_s in (NOW_S + passed_s - 30, NOW_S + passed_s, NOW_S + passed_s + 120):
        transactions.check_expiry(transaction, time_s=block_s)
    [message] = transaction.messages
    assert isinstance(message, Propose)
    assert message.expires_at_s == transaction.body.expires_at_s + PROPOSAL_S
    assert message.action.keys == candidate.keys().registered()  # type: ignore[union-attr]
    assert message.action.access is LedgerAccess.OBSERVER  # type: ignore[union-attr]
    assert transaction.body.signers[0] == key.public


@pytest.mark.parametrize("passed_s", [-600, GOOD_FOR_S + 600])
def test_a_request_is_good_for_three_days(four: list[MemberFolder], passed_s: int) -> None:
    request = decode_request(request_of(four[3], four[0]))
    with pytest.raises(SettingsUnfit, match="good for 3 days"):
        proposal_of(request, four[0].keys().signing(KeyUse.TRANSACTION), now_s=NOW_S + passed_s)


def test_a_request_is_for_one_member(four: list[MemberFolder]) -> None:
    request = decode_request(request_of(four[3], four[0]))
    with pytest.raises(SettingsUnfit, match="came one for RZ1"):
        proposal_of(request, four[1].keys().signing(KeyUse.TRANSACTION), now_s=NOW_S)


def test_an_invitation_makes_a_folder_ready(four: list[MemberFolder], make: Callable[..., MemberFolder]) -> None:
    joins = make("RY5")
    invitation = decode_invitation(invitation_of(four))
    for _ in range(2):  # once more, for a new request
        join(joins, invitation)
    assert joins.genesis() == invitation.document()
    comet = joins.comet()
    assert len(comet.peers) == 4
    assert comet.sync is not None
    assert (comet.sync.height, comet.sync.hash) == (20, bytes(range(32)).hex())
    assert comet.sync.servers == ("http://10.0.0.1:26657",) * 4
    assert add_members(four[0], [member_in(request_of(joins, four[0]))]) == ["RY5"]
    assert [parse_peer(each).node for each in four[0].comet().peers] == [joins.member().node]
    drop_member(four[0], "RY5")
    assert four[0].comet().peers == ()
    for code in ("RY5", "RZ1"):
        with pytest.raises(SettingsUnfit, match="expected another member"):
            drop_member(four[0], code)


def test_without_a_snapshot_one_begins_with_the_first_block(
    four: list[MemberFolder], make: Callable[..., MemberFolder]
) -> None:
    joins = make("RY5")
    join(joins, decode_invitation(invitation_of(four, snapshot_blocks=0)))
    assert joins.comet().sync is None


@pytest.mark.promise("L3")
def test_an_invitation_that_is_not_what_the_member_signed(
    four: list[MemberFolder], make: Callable[..., MemberFolder]
) -> None:
    good = decode_invitation(invitation_of(four))
    changes = {
        "format": 2,
        "organisation": "RZ2",
        "genesis": b"\x90",
        "members": good.members[1:],
        "height": 21,
        "header": bytes(32),
        "snapshot_blocks": 0,
    }
    for name, other in changes.items():
        with pytest.raises(SettingsUnfit):
            decode_invitation(files.to_bytes(msgspec.structs.replace(good, **{name: other})))
    with pytest.raises(SettingsUnfit, match="expected an invitation to south"):
        join(make("RY5", chain="south"), good)
    with pytest.raises(SettingsUnfit, match="expected 2 members"):
        join(make("RY6"), decode_invitation(invitation_of(four[:1])))
