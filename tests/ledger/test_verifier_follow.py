"""Following a chain: which headers are asked for, what is trusted then, and what a lying source or witness leads to.

The published bisections (tendermint-rs) are of the format before protobuf: here alone is what that hashed and signed.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest

from salus.ledger.comet import header as header_module
from salus.ledger.comet import light, wire
from salus.ledger.comet.commit import decode_signed_header, encode_signed_header
from salus.ledger.comet.header import encode_block_id, encode_time, root_of
from salus.ledger.comet.types import Commit, Header, Validator
from salus.ledger.proofs import LightBlock, SignedState
from salus.ledger.verifier import (
    Conversation,
    Followed,
    Source,
    TrustStore,
    VerificationFailed,
    Wanted,
    begin,
    follow,
    store,
    verify_state,
)
from salus.ledger.verifier.store import block_hash, decode_trust_file, encode_store
from tests.ledger import comet_cases, skip_cases
from tests.ledger.proof_world import NOW_S, consensus_keys, toy_ledger

pytestmark = pytest.mark.promise("L3", "L5")

T = TypeVar("T")
Blocks = Mapping[int, LightBlock]
replace = msgspec.structs.replace


@dataclass
class Driver:
    """Answers a conversation from two dictionaries, and notes what was asked."""

    primary: Blocks
    witness: Blocks

    def __post_init__(self) -> None:
        self.asked: list[tuple[Source, int]] = []

    def run(self, conversation: Conversation[T]) -> T:
        try:
            wanted = next(conversation)
            while True:
                wanted = conversation.send(self._answer(wanted))
        except StopIteration as ended:
            value: T = ended.value
            return value

    def _answer(self, wanted: Wanted) -> LightBlock:
        self.asked.append((wanted.source, wanted.height))
        return (self.primary if wanted.source is Source.PRIMARY else self.witness)[wanted.height]

    def heights(self, source: Source) -> list[int]:
        return [height for whom, height in self.asked if whom is source]


# A chain of forty heights whose validators change one at a time


@dataclass(frozen=True)
class Chain:
    blocks: Blocks
    first: TrustStore


def chain(changes: Mapping[int, tuple[int, ...]], *, length: int = 40, splits_at: int = 0) -> Chain:
    """A chain whose validators change at heights; it is another from the height on at which it splits, if it does."""
    ledger = toy_ledger(validators=4)
    root = ledger.trust()
    while ledger.meta.height < length:
        if ledger.meta.height + 1 in changes:
            ledger.rotate(*changes[ledger.meta.height + 1])
        else:
            ledger.block(*([b"junk"] if 0 < splits_at <= ledger.meta.height + 1 else []))
    blocks = {height: ledger.light_block(height) for height in range(1, length + 1)}
    first = TrustStore(format=2, root=root, newest=blocks[1], followed_at_s=NOW_S, source="", witness="", conflicts=())
    return Chain(blocks, first)


STILL = chain({})
CHANGES = {5: (0, 1, 2, 4), 12: (0, 1, 4, 5), 20: (0, 4, 5, 6), 30: (4, 5, 6, 7)}
CHANGING, SPLIT, SPLIT_LATE = chain(CHANGES), chain(CHANGES, splits_at=2), chain(CHANGES, splits_at=25)
SUDDEN = chain({17: (4, 5, 6, 7)})


def followed(
    made: Chain, height: int, *, primary: Blocks | None = None, witness: Blocks | None = None, now_s: int = NOW_S
) -> tuple[Followed, Driver]:
    driver = Driver(primary or made.blocks, witness or {})
    conversation = follow(made.first, height=height, has_witness=witness is not None, now_s=now_s)
    return driver.run(conversation), driver


@pytest.mark.parametrize(
    ("made", "height", "heights"),
    [
        (STILL, 1, (1,)),
        (STILL, 2, (1, 2)),
        (STILL, 40, (1, 40)),
        (CHANGING, 12, (1, 12)),
        (CHANGING, 40, (1, 20, 40)),
        (SUDDEN, 17, (1, 17)),
        (SUDDEN, 18, (1, 9, 13, 15, 16, 17, 18)),
        (SUDDEN, 40, (1, 10, 15, 17, 18, 20, 40)),
    ],
    ids=[
        "nothing to do",
        "the next",
        "the same validators all along",
        "half are still there",
        "nobody is still there",
        "the last of the old ones",
        "all at once, the next",
        "all at once, far off",
    ],
)
def test_as_few_headers_as_trust_needs(made: Chain, height: int, heights: tuple[int, ...]) -> None:
    got, driver = followed(made, height)
    assert got.conflict is None
    assert got.store.newest == made.blocks[height]
    assert got.store.signed_header().header.height == height
    assert got.heights == heights
    assert len(driver.asked) <= 12


def test_a_witness_that_agrees_is_asked_once() -> None:
    got, driver = followed(CHANGING, 40, witness=CHANGING.blocks)
    assert got.conflict is None
    assert driver.heights(Source.WITNESS) == [40]


def swapped(blocks: Blocks, changes: Mapping[int, Any]) -> Blocks:
    return {**blocks, **changes}


def unsigned(block: LightBlock) -> LightBlock:
    signed = decode_signed_header(block.header)
    votes = tuple(replace(vote, signature=bytes(64)) for vote in signed.commit.signatures)
    return replace(block, header=encode_signed_header(replace(signed, commit=replace(signed.commit, signatures=votes))))


LYING: dict[str, tuple[int, Callable[[], Blocks]]] = {
    "a header of another height": (8, lambda: swapped(CHANGING.blocks, {40: CHANGING.blocks[39]})),
    "the height half way is another": (8, lambda: swapped(CHANGING.blocks, {20: CHANGING.blocks[19]})),
    "votes that are not signed": (8, lambda: swapped(CHANGING.blocks, {40: unsigned(CHANGING.blocks[40])})),
    "votes half way that are not signed": (8, lambda: swapped(CHANGING.blocks, {20: unsigned(CHANGING.blocks[20])})),
    "no header": (6, lambda: swapped(CHANGING.blocks, {40: LightBlock(b"", ())})),
    "other validators": (
        6,
        lambda: swapped(CHANGING.blocks, {40: replace(CHANGING.blocks[40], validators=CHANGING.blocks[1].validators)}),
    ),
}


@pytest.mark.parametrize("name", LYING)
def test_a_source_that_lies_is_refused(name: str) -> None:
    step, primary = LYING[name]
    with pytest.raises(VerificationFailed) as failed:
        followed(CHANGING, 40, primary=primary())
    assert (failed.value.checklist, failed.value.step) == ("skip", step)


def test_a_trusted_header_that_expired_is_built_on_no_more() -> None:
    period_s = STILL.first.root.trusting_period_s
    with pytest.raises(VerificationFailed) as failed:
        followed(STILL, 40, now_s=NOW_S + period_s)
    assert (failed.value.checklist, failed.value.step) == ("skip", 1)


# Conflicts


def test_two_signed_histories_are_kept_as_evidence() -> None:
    assert block_hash(SPLIT.blocks[40]) != block_hash(CHANGING.blocks[40])
    got, driver = followed(CHANGING, 40, witness=SPLIT.blocks)
    conflict = got.conflict
    assert conflict is not None
    # The first header that they differ in, of those that were verified, follows from the last that both have.
    assert (conflict.height, conflict.refusal) == (20, "")
    assert conflict.followed == CHANGING.blocks[20]
    assert conflict.witnessed == SPLIT.blocks[20]
    assert driver.heights(Source.WITNESS) == [40, 20]
    signed_both = {key.public for key in (consensus_keys(8)[number] for number in (0, 1, 4, 5))}
    assert set(conflict.signed_both()) == signed_both
    # The store stays where it was, and keeps the evidence through its file.
    assert got.store.newest == CHANGING.first.newest
    assert got.store.conflicts == (conflict,)
    assert decode_trust_file(encode_store(got.store)) == got.store


def test_the_witness_is_followed_from_the_last_header_that_both_have() -> None:
    got, driver = followed(CHANGING, 40, witness=SPLIT_LATE.blocks)
    assert got.conflict is not None
    assert (got.conflict.height, got.conflict.refusal) == (40, "")
    assert got.conflict.witnessed == SPLIT_LATE.blocks[40]
    # From block 20 trust is enough for block 40: nothing between them is asked for.
    assert driver.heights(Source.WITNESS) == [40, 20]


def test_evidence_is_kept_once_and_stays_when_source_and_witness_agree_again() -> None:
    first, _ = followed(CHANGING, 40, witness=SPLIT.blocks)
    again = Driver(CHANGING.blocks, SPLIT.blocks).run(follow(first.store, height=40, has_witness=True, now_s=NOW_S))
    assert again.store.conflicts == first.store.conflicts
    agreed = Driver(CHANGING.blocks, CHANGING.blocks).run(follow(again.store, height=40, has_witness=True, now_s=NOW_S))
    assert agreed.conflict is None
    assert agreed.store.newest == CHANGING.blocks[40]
    assert agreed.store.conflicts == first.store.conflicts


def test_a_conflict_at_the_trusted_height_itself() -> None:
    trusted = replace(CHANGING.first, newest=CHANGING.blocks[4])
    got = Driver(CHANGING.blocks, SPLIT.blocks).run(follow(trusted, height=4, has_witness=True, now_s=NOW_S))
    assert got.conflict is not None
    assert (got.conflict.height, got.conflict.refusal) == (4, "")
    assert len(got.conflict.signed_both()) == 4


def test_a_witness_without_signatures_at_the_trusted_height() -> None:
    trusted = replace(CHANGING.first, newest=CHANGING.blocks[4])
    lies = {4: unsigned(SPLIT.blocks[4])}
    got = Driver(CHANGING.blocks, lies).run(follow(trusted, height=4, has_witness=True, now_s=NOW_S))
    assert got.conflict is not None
    assert got.conflict.refusal.startswith("signature: ")


WITNESS_REFUSED: dict[str, tuple[str, Callable[[], Blocks]]] = {
    "votes that are not signed": ("signature: ", lambda: swapped(SPLIT.blocks, {20: unsigned(SPLIT.blocks[20])})),
    "no header": (
        "header-malformed: ",
        lambda: {height: LightBlock(b"", ()) for height in SPLIT.blocks},
    ),
    "a header of another height": ("commit-height: ", lambda: swapped(CHANGING.blocks, {40: CHANGING.blocks[39]})),
}


@pytest.mark.parametrize("name", WITNESS_REFUSED)
def test_a_witness_that_shows_what_does_not_follow_accuses_nobody(name: str) -> None:
    words, witness = WITNESS_REFUSED[name]
    got, _ = followed(CHANGING, 40, witness=witness())
    assert got.conflict is not None
    assert got.conflict.refusal.startswith(words)
    assert got.conflict.signed_both() == ()
    assert got.store.newest == CHANGING.first.newest
    assert decode_trust_file(encode_store(got.store)) == got.store


# Beginning


def test_begins_at_the_newest_header_while_the_validators_are_the_roots() -> None:
    driver = Driver(STILL.blocks, {})
    got = driver.run(begin(STILL.first.root, lowest=1, newest=40, now_s=NOW_S))
    assert got.newest == STILL.blocks[40]
    assert driver.asked == [(Source.PRIMARY, 40)]


def test_begins_when_the_root_was_trusted_where_validators_have_changed() -> None:
    # The root's validators sign up to height 5, and the root is of the moment of height 3.
    at_s = light_time_s(CHANGING.blocks[3])
    root = replace(CHANGING.first.root, trusted_at_s=at_s + 1)
    driver = Driver(CHANGING.blocks, {})
    assert driver.run(begin(root, lowest=1, newest=40, now_s=NOW_S)).newest == CHANGING.blocks[3]
    assert len(driver.asked) <= 8


def test_does_not_begin_where_the_roots_validators_signed_nothing() -> None:
    root = replace(CHANGING.first.root, trusted_at_s=NOW_S - 1)
    with pytest.raises(VerificationFailed) as failed:
        Driver(CHANGING.blocks, {}).run(begin(root, lowest=1, newest=40, now_s=NOW_S))
    assert (failed.value.checklist, failed.value.step) == ("state", 3)


def light_time_s(block: LightBlock) -> int:
    return decode_signed_header(block.header).header.time_ns // 10**9


def test_a_proof_that_skips_too_far_holds_once_the_store_has_followed() -> None:
    of = skip_cases.life()
    blocks = {height: of.ledger.light_block(height) for height in of.ledger.headers}
    height = of.ledger.meta.height
    got = Driver(blocks, {}).run(follow(of.store, height=height, has_witness=False, now_s=NOW_S))
    far: SignedState = of.states["all new"]
    with pytest.raises(VerificationFailed):
        verify_state(of.store, far, now_s=NOW_S)
    assert verify_state(got.store, far, now_s=NOW_S).height == height


# The published bisections


@pytest.fixture
def before_protobuf(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a header was, hashed to and was signed as in 2019; nothing of it is in the product."""
    monkeypatch.setattr(header_module, "check_header", lambda _header: None)
    monkeypatch.setattr(light, "check_header", lambda _header: None)
    monkeypatch.setattr(light, "header_hash", old_header_hash)
    monkeypatch.setattr(store, "header_hash", old_header_hash)
    monkeypatch.setattr(light, "validators_hash", old_validators_hash)
    monkeypatch.setattr(light, "vote_sign_bytes", old_sign_bytes)


def old_header_hash(header: Header) -> bytes:
    def plain(value: bytes) -> bytes:
        return wire.varint(len(value)) + value if value else b""

    last = header.last_block_id
    return root_of(
        (
            b"",
            plain(header.chain_id.encode()),
            wire.varint(header.height),
            encode_time(header.time_ns),
            encode_block_id(last) if last.hash else b"",
            *(plain(each) for each in (header.last_commit_hash, header.data_hash, header.validators_hash)),
            *(plain(each) for each in (header.next_validators_hash, header.consensus_hash, header.app_hash)),
            *(plain(each) for each in (header.last_results_hash, header.evidence_hash, header.proposer_address)),
        )
    )


def old_validators_hash(validators: tuple[Validator, ...]) -> bytes:
    prefix = bytes.fromhex("1624de6420")
    return root_of(wire.blob(1, prefix + each.public_key) + wire.integer(2, each.power) for each in validators)


def old_sign_bytes(chain_id: str, commit: Commit, index: int) -> bytes:
    parts = wire.blob(1, commit.block_id.parts.hash) + wire.integer(2, commit.block_id.parts.total)
    return wire.delimited(
        wire.integer(1, 2)
        + wire.sfixed64(2, commit.height)
        + wire.sfixed64(3, commit.round)
        + wire.message(4, wire.blob(1, commit.block_id.hash) + wire.message(2, parts))
        + wire.message(5, encode_time(commit.signatures[index].time_ns))
        + wire.text(6, chain_id)
    )


BISECTIONS = {
    "single_peer/_happy_path.json": "",
    "single_peer/header_out_of_trusting_period.json": "skip 1",
    "multi_peer/conflicting_headers.json": "conflict",
    "multi_peer/conflicting_valid_commits_from_the_only_witness.json": "conflict",
}


@pytest.mark.parametrize("name", BISECTIONS)
@pytest.mark.usefixtures("before_protobuf")
def test_published_bisections_have_their_exact_verdicts(shared_data: Path, name: str) -> None:
    trace = json.loads((shared_data / "ledger" / "light-client" / "bisection" / name).read_bytes())
    primary = rpc_blocks(trace["primary"])
    witness = rpc_blocks(trace["witnesses"][0]["value"])
    options = trace["trust_options"]
    assert options["trust_level"] == {"numerator": "1", "denominator": "3"}
    trusted = primary[int(options["height"])]
    assert block_hash(trusted).hex().upper() == options["hash"]
    root = replace(
        STILL.first.root, chain=trace["primary"]["chain_id"], trusting_period_s=int(options["period"]) // 10**9
    )
    begun = replace(STILL.first, root=root, newest=trusted)
    height, now_s = int(trace["height_to_verify"]), comet_cases.rpc_time_ns(trace["now"]) // 10**9
    driver = Driver(primary, witness)
    got = ""
    try:
        result = driver.run(follow(begun, height=height, has_witness=True, now_s=now_s))
    except VerificationFailed as error:
        got = f"{error.checklist} {error.step}"
    else:
        got = "conflict" if result.conflict else ""
    assert got == BISECTIONS[name]
    assert ("error" if got else "no error") == trace["expected_output"]
    print(name, got, driver.asked)


def test_every_published_bisection_has_a_row(shared_data: Path) -> None:
    folder = shared_data / "ledger" / "light-client" / "bisection"
    assert {str(path.relative_to(folder)) for path in folder.glob("**/*.json")} == set(BISECTIONS)


def rpc_blocks(provider: Any) -> Blocks:
    blocks = {}
    for given in provider["lite_blocks"]:
        signed = comet_cases.rpc_signed_header(given["signed_header"])
        validators = comet_cases.rpc_validators(given["validator_set"])
        blocks[signed.header.height] = LightBlock(encode_signed_header(signed), validators)
    return blocks
