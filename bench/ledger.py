"""The embedded ledger, signed and durable, beside what the same run gives of PyNaCl, the tree and LMDB (DESIGN §9)."""

import os
import secrets
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import lmdb

from bench.measure import Line, Spread, rate
from salus.contracts import CONTRACTS
from salus.contracts.access import RequestAccess
from salus.contracts.consent import FileConsent
from salus.contracts.genesis import genesis_rows
from salus.contracts.membership import KeyUse
from salus.contracts.patients import Enrol, Holder
from salus.contracts.provisions import Provision, ProvisionType, Purpose, RoleClass, Verb, gate
from salus.contracts.records import RegisterBatch
from salus.crypto.signing import SigningKey, verify
from salus.engines.base import Founding
from salus.engines.embedded import EmbeddedEngine, verifying_processes
from salus.ledger import transactions
from salus.ledger.identifiers import Digest, Pseudonym, PublicKey
from salus.ledger.outcomes import DENIED
from salus.ledger.transactions import Message
from salus.ledger.tree import Tree
from salus.node.keys import OrganisationKeys, generate
from salus.testing.world import HOSPITAL, PRACTICE, make_genesis

RELATIONSHIPS = 200
TRANSACTIONS = 6_000
BATCH = 50
CHOICE = gate(Provision(type=ProvisionType.PERMIT, organisations=(PRACTICE,), purposes=(Purpose.TREAT,)))


def run() -> list[Line]:
    """Measure; every figure that is compared comes from this one run."""
    verified = verify_rate()
    tree, disk = tree_rate(), disk_rate()
    with tempfile.TemporaryDirectory() as folder:
        ledger = Load(Path(folder))
        try:
            single = ledger.run(per_transaction=1, count=TRANSACTIONS)
            batched = ledger.run(per_transaction=BATCH, count=TRANSACTIONS * 4 // BATCH)
        finally:
            ledger.engine.close()
    share = single / verified.median
    return [
        Line(
            "embedded ledger, one message per transaction, mixed load",
            "≥ 0.5 × PyNaCl on two threads (10,000/s on a quiet machine)",
            f"{single:,.0f}/s = {share:.2f} × {verified.median:,.0f}/s",
            share >= 0.5,
            {"messages_per_s": single, "verify_two_threads_per_s": verified.raw()},
        ),
        Line(
            f"embedded ledger, {BATCH} messages per transaction, one proved write each",
            "≥ 15,000 messages/s",
            f"{batched:,.0f}/s; the tree alone {tree.median:,.0f}/s; LMDB alone {disk.median:,.0f} durable writes/s",
            batched >= 15_000,
            {"messages_per_s": batched, "tree_keys_per_s": tree.raw(), "lmdb_durable_per_s": disk.raw()},
        ),
    ]


class Load:
    """A ledger with relationships, and signed transactions to throw at it."""

    def __init__(self, folder: Path) -> None:
        self.keys: dict[str, OrganisationKeys] = {HOSPITAL: generate(), PRACTICE: generate()}
        genesis = make_genesis(self.keys)  # type: ignore[arg-type]
        self.chain = genesis.chain
        founding = Founding(self.chain, CONTRACTS, genesis.time_s, tuple(genesis_rows(genesis)))
        consensus = self.keys[HOSPITAL].signing(KeyUse.CONSENSUS)
        self.engine = EmbeddedEngine(folder, founding, consensus, verifiers=verifying_processes())
        self.hospital = self.keys[HOSPITAL].signing(KeyUse.TRANSACTION)
        self.practice = self.keys[PRACTICE].signing(KeyUse.TRANSACTION)
        self.session = SigningKey.generate()
        self.people = [(Pseudonym(secrets.token_bytes(16)), SigningKey.generate()) for _ in range(RELATIONSHIPS)]
        for pseudonym, key in self.people:
            enrol = Enrol(
                pseudonym, HOSPITAL, PublicKey(key.public), Holder.PATIENT, Digest(b""), Digest(secrets.token_bytes(32))
            )
            self._submit([self._signed([enrol], [self.hospital, key])])

    def run(self, *, per_transaction: int, count: int) -> float:
        """Return messages per second from first submission to last durable answer."""
        raws = [self._transaction(number, per_transaction) for number in range(count)]
        begun = time.perf_counter()
        self._submit(raws)
        return count * per_transaction / (time.perf_counter() - begun)

    def _submit(self, raws: list[bytes]) -> None:
        done, waiting = threading.Semaphore(0), 0
        for start in range(0, len(raws), 100):
            self.engine.offer(raws[start : start + 100], lambda came: (self._check(came), done.release()))
            waiting += 1
            if waiting > 20:
                done.acquire()
                waiting -= 1
        for _ in range(waiting):
            done.acquire()

    def _check(self, came: object) -> None:
        for result in came.outcome():  # type: ignore[attr-defined]
            assert result.code <= DENIED, result.reason

    def _transaction(self, number: int, per_transaction: int) -> bytes:
        kinds: list[Callable[[int], tuple[Message, list[SigningKey]]]] = [self._batch, self._choice, self._request]
        if per_transaction > 1:
            messages = [self._batch(number * per_transaction + place)[0] for place in range(per_transaction)]
            return self._signed(messages, [self.hospital])
        message, keys = kinds[(0, 0, 1, 2)[number % 4]](number)
        return self._signed([message], keys)

    def _batch(self, number: int) -> tuple[Message, list[SigningKey]]:
        pseudonym = self.people[number % RELATIONSHIPS][0]
        return RegisterBatch(pseudonym, HOSPITAL, Digest(secrets.token_bytes(32)), 16), [self.hospital]

    def _choice(self, number: int) -> tuple[Message, list[SigningKey]]:
        pseudonym, key = self.people[number % RELATIONSHIPS]
        return FileConsent(pseudonym, bytes(16), CHOICE, Digest(secrets.token_bytes(32)), 0), [key]

    def _request(self, number: int) -> tuple[Message, list[SigningKey]]:
        message = access_request(self.people[number % RELATIONSHIPS][0])
        return message, [self.session, self.practice]

    def _signed(self, messages: list[Message], keys: list[SigningKey]) -> bytes:
        return transactions.sign(
            messages, chain=self.chain, keys=keys, expires_at_s=int(time.time()) + 300, nonce=secrets.token_bytes(16)
        )


def access_request(pseudonym: Pseudonym) -> RequestAccess:
    """Return the practice's request for records at the hospital."""
    return RequestAccess(
        pseudonym=pseudonym,
        custodian=HOSPITAL,
        requester=PRACTICE,
        role_class=RoleClass.CLINICAL,
        purpose=Purpose.TREAT,
        verb=Verb.READ,
        duration_s=900,
        session=0,
        reader_key=Digest(secrets.token_bytes(32)),
        ticket=Digest(b""),
        residual=Digest(secrets.token_bytes(32)),
    )


def verify_rate() -> Spread:
    """Return how many signatures PyNaCl verifies in a second on two threads."""
    key = SigningKey.generate()
    message = os.urandom(300)
    signature = key.sign(message)

    def some() -> None:
        for _ in range(1000):
            verify(key.public, message, signature)

    def both() -> int:
        threads = [threading.Thread(target=some) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return 2000

    return rate(both)


def tree_rate() -> Spread:
    """Return how many keys of a table of 100,000 the tree takes in a second, in blocks of 1,000."""
    rows = _Rows()
    tree = Tree(rows)
    keys = [secrets.token_bytes(32) for _ in range(100_000)]
    rows.update(tree.update(dict.fromkeys(keys, b"row")))

    def block() -> int:
        changed = {keys[secrets.randbelow(len(keys))]: secrets.token_bytes(40) for _ in range(1000)}
        rows.update(tree.update(changed))
        return len(changed)

    return rate(block)


class _Rows(dict[bytes, bytes | None]):
    pass


def disk_rate() -> Spread:
    """Return how many rows of 300 bytes LMDB makes durable in a second, in transactions of 1,000."""
    with tempfile.TemporaryDirectory() as folder, lmdb.open(folder, map_size=1 << 32) as environment:
        place = 0

        def block() -> int:
            nonlocal place
            with environment.begin(write=True) as transaction:
                for _ in range(1000):
                    transaction.put(place.to_bytes(8, "big"), bytes(300), append=True)
                    place += 1
            return 1000

        return rate(block)
