"""Four validators on one machine: Salus, and Go applications that do less, under the same load in one run (DESIGN §9).

Transactions are handed to the nodes' RPC as fast as they take them, never more than so many ahead of what is committed;
counted is what is in the blocks. Each round starts every network anew, and rounds alternate.
"""

import random
import secrets
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import cycle, islice
from pathlib import Path

from bench.four_nodes import (
    CHAIN,
    HOSPITAL,
    PRACTICE,
    Blocks,
    FourNodes,
    build,
    peers,
    processor_s,
    salus,
    size_bytes,
    transaction_key,
)
from bench.ledger import CHOICE, access_request
from bench.measure import Line, Spread
from salus.contracts.access import CommitReleases, End
from salus.contracts.consent import FileConsent, WithdrawConsent
from salus.contracts.patients import Enrol, Holder
from salus.contracts.records import RegisterBatch
from salus.crypto.signing import SigningKey
from salus.engines.client import LedgerClient
from salus.engines.cometbft.rpc import NodeRpc
from salus.ledger import transactions
from salus.ledger.identifiers import Digest, PermitId, Pseudonym, PublicKey
from salus.ledger.outcomes import DENIED, decode_leaf
from salus.ledger.transactions import Message

ROUNDS = 3
WARM_S = 2.0
MEASURED_S = 8.0
AHEAD_MAX = 4_000
"""Messages that are handed over and not committed: past saturation, latency is what is outstanding by the rate."""
HANDED_OVER_MAX = 64
RELATIONSHIPS = 200
LONE = 40
IDLE_S = 20.0
APART_S = (0.5, 2.0)
"""Between transactions that each find the network idle: a proof block is over, an empty one may be due."""
PACED_S = 8.0
PACED_CLIENTS = 256
"""So many are in flight at most: past saturation, latency is what is outstanding by the rate."""
SIGNED_BEFORE = 50_000
MIXED = ["request", "request", "request", "batch", "request", "request", "note", "request", "choice", "batch"]
"""60 % access requests, 20 % registrations, 10 % choices, 10 % others."""
SIGNATURES = {"request": 2, "batch": 1, "note": 1, "choice": 1}


def run() -> list[Line]:
    """Measure; every figure that is compared comes from this one run."""
    with tempfile.TemporaryDirectory() as place:
        program = build(Path(place))
        rates: dict[str, list[float]] = {}
        for number in range(ROUNDS):
            for name, many, network, raws in contestants(program):
                with network(Path(place) / f"{number} {name}") as four:
                    rates.setdefault(name, []).append(throughput(four, raws(four), many))
        with salus(Path(place) / "quiet") as four:
            rest = [*idle(four), *loaded(four)]
    return [*compared({name: Spread(tuple(found)) for name, found in rates.items()}), *rest]


Network = Callable[[Path], AbstractContextManager[FourNodes]]
Raws = Callable[[FourNodes], Iterator[bytes]]


def contestants(program: Path) -> list[tuple[str, int, Network, Raws]]:
    """Name each network, its messages in a transaction, how it begins, and its load; by number they are Salus."""
    return [
        ("1", 1, salus, lambda four: Load(four).transactions(1)),
        ("verifying", 1, lambda place: peers(place, "verifying", program), lambda _: signed()),
        ("10", 10, salus, lambda four: Load(four).transactions(10)),
        ("50", 50, salus, lambda four: Load(four).transactions(50)),
        ("kvstore", 1, lambda place: peers(place, "kvstore", None), lambda _: pairs()),
        ("behind", 1, lambda place: peers(place, "kvstore", program), lambda _: pairs()),
    ]


def compared(rates: dict[str, Spread]) -> list[Line]:
    """Return the lines that compare Salus with the others."""
    each = sum(SIGNATURES[kind] for kind in MIXED) / len(MIXED)
    verifying, built_in = rates["verifying"], rates["kvstore"]
    lines = [
        _ratio("1 message per transaction", "the Go application that only verifies, in signatures", 0.9,
               rates["1"].median * each, verifying.median * each, rates),
        *(
            _ratio(f"{many} messages per transaction", "the built-in Go kvstore, in messages", goal,
                   rates[str(many)].median * many, built_in.median, rates)
            for many, goal in ((10, 1.2), (50, 2.0))
        ),
    ]  # fmt: skip
    behind = rates["behind"].median
    lines.append(Line("Go kvstore behind a socket, beside it", "-", f"{behind:,.0f} transactions/s", None, {}))
    return lines


def _ratio(what: str, beside: str, goal: float, ours: float, theirs: float, rates: dict[str, Spread]) -> Line:
    return Line(
        f"four validators, mixed load, {what}",
        f"≥ {goal} × {beside}",
        f"{ours:,.0f}/s = {ours / theirs:.2f} × {theirs:,.0f}/s",
        ours >= goal * theirs,
        {name: {"transactions_per_s": spread.readings} for name, spread in rates.items()},
    )


def throughput(four: FourNodes, raws: Iterator[bytes], many: int) -> float:
    """Return committed transactions per second while as many are handed over as the nodes take."""
    ahead_max = AHEAD_MAX // many
    feed = Submitting(four, raws, ahead_max=ahead_max) if four.clients else Feed(four.rpc, raws, ahead_max=ahead_max)
    try:
        feed.run(WARM_S)
        before, begun = feed.blocks.count, time.perf_counter()
        feed.run(MEASURED_S)
        return (feed.blocks.count - before) / (time.perf_counter() - begun)
    finally:
        feed.close()


class Submitting:
    """Submits at the four ledger processes, which hand on to their nodes what these may have at a time.

    Args:
        ahead_max: how many may be submitted and have no outcome.
    """

    def __init__(self, four: FourNodes, raws: Iterator[bytes], *, ahead_max: int) -> None:
        self._lock = threading.Lock()
        self._raws = raws
        self._at_once = min(HANDED_OVER_MAX, ahead_max // (2 * len(four.clients)))
        self._ended = threading.Event()
        self.blocks = Blocks(four.rpc[0])
        self.blocks.look()
        each = islice(cycle(four.clients), ahead_max // self._at_once)
        self._threads = [threading.Thread(target=self._submit, args=(client,)) for client in each]
        for thread in self._threads:
            thread.start()

    def run(self, seconds: float) -> None:
        """Count for some time."""
        time.sleep(seconds)
        self.blocks.look()

    def close(self) -> None:
        """Wait for what has no outcome yet."""
        self._ended.set()
        for each in self._threads:
            each.join()

    def _submit(self, client: LedgerClient) -> None:
        while not self._ended.is_set():
            with self._lock:
                raws = list(islice(self._raws, self._at_once))
            results = client.submit_many(raws)
            assert all(each.code <= DENIED for each in results), results[0].reason


class Feed:
    """Hands transactions to the four nodes of another application in turn, from this thread.

    Args:
        ahead_max: how many may be handed over and not committed.
    """

    def __init__(self, rpc: Sequence[Path], raws: Iterator[bytes], *, ahead_max: int) -> None:
        self._nodes = [NodeRpc(each) for each in rpc]
        self._raws = raws
        self._sent, self._ahead_max = 0, ahead_max
        self._at_once = min(HANDED_OVER_MAX, ahead_max // (2 * len(rpc)))
        self.blocks = Blocks(rpc[0])
        self.blocks.look()

    def run(self, seconds: float) -> None:
        """Hand over for some time."""
        until_s = time.perf_counter() + seconds
        for node in cycle(self._nodes):
            while self._sent - self.blocks.look() > self._ahead_max and time.perf_counter() < until_s:
                time.sleep(0.005)
            if time.perf_counter() >= until_s:
                return
            self._sent += self._at_once
            refused = [words for words in node.broadcast(list(islice(self._raws, self._at_once))) if words]
            assert not refused, refused[0]

    def close(self) -> None:
        """Let go of the nodes."""
        for node in self._nodes:
            node.close()


class Load:
    """Relationships on a network, and signed transactions about them.

    Enrols at once; every member's transactions name one custodian's pseudonyms only.
    """

    def __init__(self, four: FourNodes) -> None:
        self._hospital, self._practice = transaction_key(four, HOSPITAL), transaction_key(four, PRACTICE)
        self._session = SigningKey.generate()
        self.people = [(Pseudonym(secrets.token_bytes(16)), SigningKey.generate()) for _ in range(RELATIONSHIPS)]
        enrolled = four.clients[0].submit_many([self._enrol(*each) for each in self.people])
        assert all(each.code == 0 for each in enrolled), enrolled[0].reason

    def transactions(self, many: int) -> Iterator[bytes]:
        """Yield signed transactions without end, each of so many messages of one kind."""
        for number, kind in enumerate(cycle(MIXED)):
            yield self.transaction(kind, number, many)

    def transaction(self, kind: str, number: int, many: int = 1) -> bytes:
        """Return one transaction of a kind."""
        pseudonym, key = self.people[number % RELATIONSHIPS]
        make: dict[str, tuple[Callable[[Pseudonym], Message], list[SigningKey]]] = {
            "request": (access_request, [self._session, self._practice]),
            "batch": (self._batch, [self._hospital]),
            "note": (self._note, [self._hospital]),
            "choice": (self._choice, [key]),
        }
        message, keys = make[kind]
        return self.signed([message(pseudonym) for _ in range(many)], keys)

    def signed(self, messages: Sequence[Message], keys: Sequence[SigningKey]) -> bytes:
        """Return the bytes of a transaction."""
        ends_s, nonce = int(time.time()) + 300, secrets.token_bytes(16)
        return transactions.sign(messages, chain=CHAIN, keys=keys, expires_at_s=ends_s, nonce=nonce)

    def _enrol(self, pseudonym: Pseudonym, key: SigningKey) -> bytes:
        random = Digest(secrets.token_bytes(32))
        message = Enrol(pseudonym, HOSPITAL, PublicKey(key.public), Holder.PATIENT, Digest(b""), random)
        return self.signed([message], [self._hospital, key])

    def _batch(self, pseudonym: Pseudonym) -> Message:
        return RegisterBatch(pseudonym, HOSPITAL, Digest(secrets.token_bytes(32)), 16)

    def _note(self, pseudonym: Pseudonym) -> Message:
        root = Digest(secrets.token_bytes(32))
        return CommitReleases(pseudonym=pseudonym, permit=PermitId(b""), end=End.CUSTODIAN, root=root, is_closed=True)

    def _choice(self, pseudonym: Pseudonym) -> Message:
        return FileConsent(pseudonym, bytes(16), CHOICE, Digest(secrets.token_bytes(32)), 0)


def signed() -> Iterator[bytes]:
    """Yield transactions for the application that verifies, with as many signatures and bytes as ours have."""
    keys = [SigningKey.generate() for _ in range(2)]
    for kind in cycle(MIXED):
        signers = keys[: SIGNATURES[kind]]
        message = secrets.token_bytes(200)
        yield bytes([len(signers)]) + b"".join(key.public + key.sign(message) for key in signers) + message


def pairs() -> Iterator[bytes]:
    """Yield transactions for the kvstore, of about as many bytes as ours have."""
    while True:
        yield f"{secrets.token_hex(16)}={secrets.token_hex(150)}".encode()


def idle(four: FourNodes) -> list[Line]:
    """Measure one transaction at a time, a withdrawal, and what the eight processes use when nothing happens."""
    load = Load(four)
    alone = lone(four, load, apart=True)
    running = lone(four, load, apart=False)
    withdrawn = withdrawals(four, load)
    before, begun = processor_s(four.processes()), time.perf_counter()
    time.sleep(IDLE_S)
    share = (processor_s(four.processes()) - before) / (time.perf_counter() - begun)
    return [
        Line(
            "one transaction on an idle network, committed on all four",
            "p95 ≤ 100 ms",
            f"p95 {alone.percentile(95):.0f} ms, median {alone.median:.0f} ms",
            alone.percentile(95) <= 100,
            {"ms": alone.readings},
        ),
        Line(
            "one transaction after the other, while blocks are running",
            "p95 ≤ 200 ms",
            f"p95 {running.percentile(95):.0f} ms, median {running.median:.0f} ms",
            running.percentile(95) <= 200,
            {"ms": running.readings},
        ),
        Line(
            "withdrawal in force at all four, idle",
            "p99 ≤ 250 ms",
            f"p99 {withdrawn.percentile(99):.0f} ms, median {withdrawn.median:.0f} ms",
            withdrawn.percentile(99) <= 250,
            {"ms": withdrawn.readings},
        ),
        Line(
            "what the eight processes use when nothing happens",
            "≤ 20 % of one core",
            f"{share:.0%}",
            share <= 0.20,
            {"cores": share},
        ),
    ]


def lone(four: FourNodes, load: Load, *, apart: bool) -> Spread:
    """Return milliseconds of transactions that come one by one, each at the next node."""
    readings = []
    for number in range(LONE):
        if apart:
            time.sleep(random.uniform(*APART_S))
        readings.append(committed_everywhere(four, load.transaction("batch", number), number))
    return Spread(tuple(readings))


def loaded(four: FourNodes) -> list[Line]:
    """Measure commit and withdrawal at 80 % of these clients' highest rate, and what an access takes on the disk."""
    load = Load(four)
    raws = iter(list(islice(load.transactions(1), SIGNED_BEFORE)))
    peak_per_s = len(Paced(four.clients, raws, float("inf")).finish().readings) / PACED_S
    size = size_bytes(four.folders)
    paced = Paced(four.clients, raws, 0.8 * peak_per_s)
    withdrawn = withdrawals(four, load)
    took = paced.finish()
    per_transaction = (size_bytes(four.folders) - size) / len(four.folders) / max(1, len(took.readings))
    return [
        Line(
            f"commit at 80 % of the highest rate of {PACED_CLIENTS} clients",
            "p95 < 1 s",
            f"p95 {took.percentile(95):.0f} ms, median {took.median:.0f} ms at {0.8 * peak_per_s:,.0f} transactions/s",
            took.percentile(95) < 1000,
            {"ms": took.raw(), "p95_ms": took.percentile(95), "count": len(took.readings)},
        ),
        Line(
            "withdrawal in force at all four, at that load",
            "p99 < 1 s",
            f"p99 {withdrawn.percentile(99):.0f} ms, median {withdrawn.median:.0f} ms",
            withdrawn.percentile(99) < 1000,
            {"ms": withdrawn.readings},
        ),
        Line("disk of one validator per transaction, both stores", "-", f"{per_transaction:,.0f} bytes", None, {}),
    ]


def committed_everywhere(four: FourNodes, raw: bytes, number: int) -> float:
    """Submit at one node; return milliseconds until the state of all four has it."""
    begun = time.perf_counter()
    (result,) = four.clients[number % len(four.clients)].submit_many([raw])
    assert result.code <= DENIED, result.reason
    height = decode_leaf(result.leaves[0]).height
    for client in four.clients:
        client.wait_for(height, timeout_s=10)
    return (time.perf_counter() - begun) * 1000


def withdrawals(four: FourNodes, load: Load, count: int = 40) -> Spread:
    """Return milliseconds until a withdrawal is in the state of all four: a release asks its own node's state."""
    readings = []
    for number in range(count):
        pseudonym, key = load.people[number % RELATIONSHIPS]
        choice = secrets.token_bytes(16)
        filed = FileConsent(pseudonym, choice, CHOICE, Digest(secrets.token_bytes(32)), 0)
        committed_everywhere(four, load.signed([filed], [key]), number)
        withdrawn = WithdrawConsent(pseudonym, choice, Digest(secrets.token_bytes(32)), 0)
        readings.append(committed_everywhere(four, load.signed([withdrawn], [key]), number))
    return Spread(tuple(readings))


class Paced:
    """Clients that submit at a steady rate until `finish`; a reading is from when a submission should have begun."""

    def __init__(self, clients: Sequence[LedgerClient], raws: Iterator[bytes], per_s: float) -> None:
        self._lock = threading.Lock()
        self._raws, self._per_s = raws, per_s
        self._number, self._begun = 0, time.perf_counter()
        self._ended = threading.Event()
        self._readings: list[float] = []
        self._threads = [
            threading.Thread(target=self._run, args=(client,)) for client in islice(cycle(clients), PACED_CLIENTS)
        ]
        for each in self._threads:
            each.start()

    def finish(self) -> Spread:
        """End after the time that the load lasts at least; return milliseconds."""
        self._ended.wait(max(0.0, self._begun + PACED_S - time.perf_counter()))
        self._ended.set()
        for each in self._threads:
            each.join()
        return Spread(tuple(self._readings))

    def _run(self, client: LedgerClient) -> None:
        while not self._ended.is_set():
            with self._lock:
                raw, due = next(self._raws), self._begun + self._number / self._per_s
                self._number += 1
            time.sleep(max(0.0, due - time.perf_counter()))
            result = client.submit(raw)
            assert result.code <= DENIED, result.reason
            self._readings.append((time.perf_counter() - due) * 1000)
