"""The ABCI server over a real socket, driven by a node without consensus: crashes, refusals, broken frames."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from salus.crypto.signing import SigningKey
from salus.engines.cometbft.mempool import FORGED_MAX, NOBODYS_MAX, Waiting
from salus.engines.cometbft.messages import REQUEST_BYTES_MAX
from salus.engines.cometbft.proposals import CALM_TURNS, MEMBER_TRANSACTIONS_MAX
from salus.engines.cometbft.server import Frames
from salus.engines.wire import FrameInvalid
from salus.ledger.comet import wire
from salus.ledger.comet.types import Validator
from salus.ledger.contract import RulesNewer
from salus.ledger.outcomes import NOT_A_TRANSACTION
from salus.ledger.state import Reader
from salus.ledger.transactions import Transaction
from salus.testing.abci_application import AbciApplication
from salus.testing.abci_node import COMMIT, FINALIZE, FLUSH, INIT_CHAIN, AbciConnection, AbciNode, Block, Refused
from salus.testing.clock import FakeClock
from tests.engines import toy
from tests.engines.cometbft import network

NOW_S = 1_800_000_000
NOW_NS = NOW_S * 10**9
VALIDATORS = (Validator(toy.CONSENSUS_KEY.public, 10),)
KEYS = [network.members_on([0] * 3)[place].p2p for place in range(3)]


def payer(_reader: Reader, transaction: Transaction) -> str:
    """The signer pays."""
    return transaction.body.signers[0].hex()


class Place:
    """An application and its node; either can be lost and started again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._socket = folder / "abci.sock"
        self.clock = FakeClock(NOW_S)
        self.node = AbciNode(self._socket, toy.CHAIN, VALIDATORS)
        self.start_application()
        self.node.start()

    def start_application(self) -> None:
        founding = toy.founding(validators=VALIDATORS)
        self.application = AbciApplication(self._folder / "ledger", self._socket, founding, self.clock, payer)

    def lose_application(self) -> int:
        """Everything that was not committed is gone; return the height after a new start's handshake began."""
        self.node.stop()
        self.application.close()
        self.start_application()
        return self.node.start()

    def lose_node(self) -> int:
        self.node.stop()
        return self.node.start()

    def close(self) -> None:
        self.node.stop()
        self.application.close()


@pytest.fixture
def place(short_path: Path) -> Iterator[Place]:
    made = Place(short_path)
    yield made
    made.close()


def block(*raws: bytes, after_s: int = 0) -> Block:
    return Block(NOW_NS + after_s * 10**9, raws)


Crash = Callable[[Place], int]
CRASHES = [
    pytest.param(Place.lose_application, id="application"),
    pytest.param(Place.lose_node, id="node"),
]


@pytest.mark.promise("L2")
@pytest.mark.parametrize("crash", CRASHES)
@pytest.mark.parametrize("step", ["before", "executed", "committed"])
def test_a_crash_between_two_steps_loses_nothing_and_does_nothing_twice(place: Place, crash: Crash, step: str) -> None:
    first = place.node.decide(block(toy.notes(1, time_s=NOW_S)))
    place.node.blocks.append(block(toy.notes(2, time_s=NOW_S), after_s=1))
    if step != "before":
        executed = place.node.finalize(2)
    if step == "committed":
        place.node.commit()
    height = crash(place)
    assert height == (2 if step == "committed" else 1)
    assert place.application.chain.meta.height == 2
    assert place.application.chain.meta.app_hash == place.node.app_hash
    assert place.node.app_hash != first.app_hash
    if step != "before":
        assert place.node.app_hash == executed.app_hash
    assert place.node.decide(block(after_s=2)).app_hash == place.node.app_hash
    assert place.application.failures == []


@pytest.mark.promise("L4")
def test_an_empty_block_leaves_the_app_hash(place: Place) -> None:
    before = place.node.app_hash
    assert place.node.decide(block()).app_hash == before


def test_another_chain_is_refused(place: Place) -> None:
    place.node.stop()
    node = AbciNode(place.node.socket_path, "another", VALIDATORS)
    with pytest.raises(Refused):
        node.start()
    node.stop()
    assert "expected the chain toy-1, CometBFT has another" in place.application.failures[0]
    place.node.start()


def test_a_commit_of_nothing_is_refused(place: Place) -> None:
    with pytest.raises(Refused):
        place.node.commit()
    assert "expected FinalizeBlock before Commit" in place.application.failures[0]


def test_newer_rules_stop_the_ledger_and_nothing_is_stored(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def check(_reader: Reader, height: int) -> None:
        if height > 1:
            raise RulesNewer("expected rules 1, voted were 2: run a newer release")

    monkeypatch.setattr(toy.CONTRACT, "block_check", check)
    place.node.decide(block())
    place.node.blocks.append(block(toy.notes(1, time_s=NOW_S), after_s=1))
    with pytest.raises(Refused):
        place.node.finalize(2)
    assert place.application.failures == ["expected rules 1, voted were 2: run a newer release"]
    assert place.application.chain.meta.height == 1


def test_a_height_out_of_order_is_refused(place: Place) -> None:
    place.node.blocks += [block(), block(), block()]
    with pytest.raises(Refused):
        place.node.finalize(3)
    assert "expected height 1, came 3" in place.application.failures[0]


def wrongly_signed() -> bytes:
    """A transaction whose signature does not verify."""
    return forged(toy.notes(1, time_s=NOW_S))


MEMPOOL = [
    pytest.param(lambda: toy.notes(1, time_s=NOW_S), 0, id="a transaction"),
    pytest.param(lambda: b"garbage", NOT_A_TRANSACTION, id="garbage"),
    pytest.param(lambda: toy.notes(1, time_s=NOW_S - 301), NOT_A_TRANSACTION, id="expired by the local clock"),
    pytest.param(wrongly_signed, NOT_A_TRANSACTION, id="a wrong signature"),
]


@pytest.mark.parametrize(("raw", "code"), MEMPOOL)
def test_what_may_wait(place: Place, raw: Callable[[], bytes], code: int) -> None:
    assert place.node.check([raw()]) == [code]


def test_what_was_executed_may_not_wait_again(place: Place) -> None:
    raw = toy.notes(1, time_s=NOW_S)
    assert place.node.check([raw]) == [0]
    place.node.decide(block(raw))
    assert place.node.check([raw]) == [NOT_A_TRANSACTION]


def test_what_expires_while_it_waits_is_found_by_the_recheck(place: Place) -> None:
    raw = toy.notes(1, time_s=NOW_S)
    assert place.node.check([raw], recheck=True) == [0]
    place.node.decide(block(after_s=300))
    assert place.node.check([raw], recheck=True) == [NOT_A_TRANSACTION]


BAD_BLOCKS = [
    pytest.param(lambda: [b"garbage"], id="junk"),
    pytest.param(lambda: [toy.notes(1, time_s=NOW_S - 301)], id="expired"),
    pytest.param(lambda: [toy.notes(1, time_s=NOW_S, nonce=bytes(16))] * 2, id="twice"),
    pytest.param(lambda: [*a_few(), *a_few()[::-1]][3:], id="reordered"),
    pytest.param(lambda: [toy.notes(*range(100, 356), time_s=NOW_S) for _ in range(17)], id="too many messages"),
    pytest.param(lambda: a_flood(MEMBER_TRANSACTIONS_MAX + 1), id="too much of one member"),
    pytest.param(lambda: [wrongly_signed()], id="a wrong signature"),
]


def a_few() -> list[bytes]:
    """One transaction of each of three members, in turns."""
    keys = sorted(KEYS, key=lambda each: each.public.hex())
    return [toy.notes(9, time_s=NOW_S, key=each, nonce=bytes(16)) for each in keys]


def a_flood(count: int, *, key: SigningKey = KEYS[0]) -> list[bytes]:
    """So many transactions of one member, of which the tests know no other."""
    return [toy.notes(1, time_s=NOW_S, key=key) for _ in range(count)]


def forged(raw: bytes) -> bytes:
    """The last byte, of the last signature, is another."""
    return raw[:-1] + bytes([raw[-1] ^ 1])


@pytest.mark.promise("L3")
@pytest.mark.parametrize("raws", BAD_BLOCKS)
def test_a_bad_proposal_is_refused(place: Place, raws: Callable[[], list[bytes]]) -> None:
    assert not place.node.process(raws(), time_ns=NOW_NS)
    assert place.node.process(a_few(), time_ns=NOW_NS)


@pytest.mark.promise("L3")
def test_a_replayed_proposal_is_refused(place: Place) -> None:
    place.node.decide(block(*a_few()))
    assert not place.node.process(a_few(), time_ns=NOW_NS)


@pytest.mark.promise("L6")
def test_a_member_that_floods_delays_nobody(place: Place) -> None:
    flood = [toy.notes(number, time_s=NOW_S, key=KEYS[0]) for number in range(20, 120)]
    late = toy.notes(1, time_s=NOW_S, key=KEYS[1])
    prepared = place.node.prepare([*flood, late], time_ns=NOW_NS, size_bytes_max=5 * len(flood[0]))
    assert late in prepared[:2]
    assert [each for each in prepared if each != late] == flood[: len(prepared) - 1]


@pytest.mark.promise("L6")
def test_a_block_holds_no_more_of_one_member_than_its_share(place: Place) -> None:
    flood = a_flood(MEMBER_TRANSACTIONS_MAX + 5)
    prepared = place.node.prepare(flood, time_ns=NOW_NS)
    assert prepared == flood[:MEMBER_TRANSACTIONS_MAX]
    assert place.node.process(prepared, time_ns=NOW_NS)


SHARES = [
    pytest.param(2, CALM_TURNS, id="others have little: a few turns"),
    pytest.param(50, 100, id="another has much: twice as many"),
    pytest.param(MEMBER_TRANSACTIONS_MAX, MEMBER_TRANSACTIONS_MAX, id="another has as much: all turns"),
]


@pytest.mark.promise("L6")
@pytest.mark.parametrize(("others", "turns"), SHARES)
def test_a_proposer_takes_little_more_of_one_member_than_of_others(place: Place, others: int, turns: int) -> None:
    flood, late = a_flood(MEMBER_TRANSACTIONS_MAX + 5), a_flood(others, key=KEYS[1])
    prepared = place.node.prepare([*flood, *late], time_ns=NOW_NS)
    assert [each for each in prepared if each not in late] == flood[:turns]
    assert set(late) <= set(prepared)
    assert place.node.process(prepared, time_ns=NOW_NS)


@pytest.mark.promise("L6")
def test_what_is_too_much_is_refused_before_its_signature_is_checked(place: Place) -> None:
    let_in = place.node.check(a_flood(MEMBER_TRANSACTIONS_MAX))
    assert let_in == [0] * MEMBER_TRANSACTIONS_MAX
    raws = a_flood(3)
    assert place.node.check(raws) == [NOT_A_TRANSACTION] * 3
    assert not any(place.application.checker.known(each) for each in raws)
    assert place.node.check(a_flood(1, key=KEYS[1])) == [0]


@pytest.mark.promise("L6")
def test_what_was_submitted_here_is_let_in_beyond_what_peers_may_send(place: Place) -> None:
    place.node.check(a_flood(MEMBER_TRANSACTIONS_MAX))
    [raw] = a_flood(1)
    place.application.checker.check([raw])
    assert place.node.check([raw]) == [0]


@pytest.mark.promise("L6")
def test_forgeries_take_nothing_from_the_member_in_whose_name_they_are(place: Place) -> None:
    forgeries = [forged(each) for each in a_flood(FORGED_MAX - 1)]
    assert place.node.check(forgeries) == [NOT_A_TRANSACTION] * len(forgeries)
    assert place.node.check(a_flood(MEMBER_TRANSACTIONS_MAX)) == [0] * MEMBER_TRANSACTIONS_MAX


@pytest.mark.promise("L6")
def test_after_too_many_forgeries_peers_wait_for_the_next_block(place: Place) -> None:
    place.node.check([forged(each) for each in a_flood(FORGED_MAX)])
    [ours, theirs] = a_flood(2)
    place.application.checker.check([ours])
    assert place.node.check([ours, theirs]) == [0, NOT_A_TRANSACTION]
    place.node.decide(block(a_flood(1)[0]))
    assert place.node.check([theirs]) == [0]


@pytest.mark.promise("L6")
def test_what_waits_over_a_block_counts_after_it(place: Place) -> None:
    waits = a_flood(MEMBER_TRANSACTIONS_MAX)
    place.node.check(waits)
    place.node.decide(block(toy.notes(2, time_s=NOW_S, key=KEYS[1])))
    assert place.node.check(waits, recheck=True) == [0] * len(waits)
    assert place.node.check(a_flood(1)) == [NOT_A_TRANSACTION]


def test_what_is_refused_is_counted_by_reason(place: Place) -> None:
    place.node.check([b"junk", wrongly_signed(), *a_flood(MEMBER_TRANSACTIONS_MAX + 2)])
    assert not place.node.process([b"junk"], time_ns=NOW_NS)
    assert place.application.application.figures() == {
        "mempool": MEMBER_TRANSACTIONS_MAX,
        "mempool_refused_unfit": 1,
        "mempool_refused_unsigned": 1,
        "mempool_refused_busy": 2,
        "proposals_refused": 1,
    }


def test_little_waits_for_which_nobody_pays() -> None:
    waiting = Waiting()
    assert sum(waiting.may_enter(None, is_known=False) for _ in range(NOBODYS_MAX + 5)) == NOBODYS_MAX
    assert waiting.may_enter("RVJ", is_known=False)


@pytest.mark.promise("L4")
def test_what_is_decided_all_the_same_leaves_nothing(place: Place) -> None:
    raw = toy.notes(1, time_s=NOW_S)
    decided = place.node.decide(block(b"garbage", toy.notes(13, time_s=NOW_S), raw, raw))
    assert decided.codes == (NOT_A_TRANSACTION, toy.UNLUCKY, 0, 0)
    assert place.application.chain.meta.log_size == 2


def test_a_row_is_asked_for_over_abci(place: Place) -> None:
    assert place.node.row(toy.NOTES.key((toy.PublicKey(toy.KEY.public), 0))) != b""
    assert place.node.row(b"toy.notes\0absent") == b""


TIMES_S = st.integers(NOW_S - 400, NOW_S + 700)
NONCES = st.sampled_from([bytes([each]) * 16 for each in range(4)])
NOTES = st.builds(
    lambda number, time_s, key, nonce: toy.notes(number, time_s=time_s, key=key, nonce=nonce),
    st.integers(0, 5),
    TIMES_S,
    st.sampled_from(KEYS),
    NONCES,
)
WAITS = st.lists(st.one_of(st.binary(max_size=80), NOTES, NOTES.map(forged)), max_size=12)


@pytest.mark.promise("L3")
def test_an_honest_proposer_is_never_refused(place: Place) -> None:
    place.node.decide(block(toy.notes(0, time_s=NOW_S, key=KEYS[0], nonce=bytes(16))))

    @settings(max_examples=60, deadline=None)
    @given(WAITS, TIMES_S, st.integers(0, 4000))
    def proposes(waits: list[bytes], time_s: int, size_bytes_max: int) -> None:
        time_ns = max(time_s, NOW_S) * 10**9
        prepared = place.node.prepare(waits, time_ns=time_ns, size_bytes_max=size_bytes_max)
        assert place.node.process(prepared, time_ns=time_ns)
        assert sum(len(wire.message(1, raw)) for raw in prepared) <= size_bytes_max

    proposes()


@given(st.lists(st.binary(max_size=300), max_size=20), st.randoms(use_true_random=False))
def test_frames_may_be_split_anywhere(payloads: list[bytes], chance: random.Random) -> None:
    stream = b"".join(wire.delimited(each) for each in payloads)
    frames, found, at = Frames(), [], 0
    while at < len(stream):
        size = chance.randint(1, 50)
        found += frames.feed(stream[at : at + size])
        at += size
    assert found == payloads


@pytest.mark.parametrize("head", [wire.varint(REQUEST_BYTES_MAX + 1), b"\xff" * 5, b"\xff" * 9])
def test_a_frame_that_is_too_long_is_refused_by_its_length(head: bytes) -> None:
    with pytest.raises(FrameInvalid):
        list(Frames().feed(head))


BROKEN = [
    pytest.param(wire.varint(REQUEST_BYTES_MAX + 1), id="oversize"),
    pytest.param(wire.delimited(b"\xff\xff\xff"), id="no protobuf"),
    pytest.param(wire.delimited(b""), id="no request"),
    pytest.param(wire.delimited(wire.message(21, b"")), id="a request that is not served"),
    pytest.param(wire.delimited(wire.message(2, b"") * 2), id="two requests in one"),
    pytest.param(wire.delimited(wire.message(8, b"\x0a\x05abc")), id="a field that is cut off"),
    pytest.param(wire.delimited(wire.message(8, b"\x08\x01")), id="a field of another type"),
]


@pytest.mark.parametrize("data", BROKEN)
def test_bytes_that_are_no_request_end_their_connection_alone(place: Place, data: bytes) -> None:
    connection = AbciConnection(place.node.socket_path)
    connection.send(data)
    assert connection.is_ended()
    connection.close()
    assert place.node.check([toy.notes(1, time_s=NOW_S)]) == [0]
    assert place.application.failures == []


IN_ORDER_ONLY = {INIT_CHAIN, COMMIT, FINALIZE}
"""Calls that a node makes in its order or is broken: then the ledger stops, as it should."""


def test_garbage_ends_connections_and_nothing_else(place: Place) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"SALUS_SEED={seed}")
    chance = random.Random(seed)
    for _ in range(300):
        number = chance.choice([each for each in range(1, 23) if each not in IN_ORDER_ONLY])
        connection = AbciConnection(place.node.socket_path)
        frame = wire.delimited(wire.message(number, chance.randbytes(chance.randrange(40))))
        connection.send(frame + chance.randbytes(chance.randrange(3)))
        connection.finish()
    assert place.application.failures == []
    assert place.node.check([toy.notes(1, time_s=NOW_S)]) == [0]
    place.node.decide(block(toy.notes(1, time_s=NOW_S)))


def test_unknown_fields_are_passed_over(place: Place) -> None:
    connection = AbciConnection(place.node.socket_path)
    raw = toy.notes(1, time_s=NOW_S)
    unknown = wire.message(99, b"new") + wire.integer(98, 7) + b"\xbd\x06" + bytes(4)  # bytes, varint, fixed32
    answers = connection.ask_all([(8, wire.blob(1, raw) + unknown), (FLUSH, unknown)])
    assert answers == [b"", b""]
    connection.close()
