"""Four organisations, four validators, twelve links, a load on them, and what must hold whatever was done to them."""

import hashlib
import os
import random
import socket
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import msgspec

from salus.contracts import membership
from salus.contracts.genesis import FirstValidator, Genesis, check
from salus.contracts.membership import KeyUse
from salus.crypto.signing import SigningKey
from salus.engines.attendance import attendance
from salus.engines.base import Unavailable
from salus.engines.headers import read_header
from salus.engines.store import LEAVES
from salus.ledger import transactions
from salus.ledger.identifiers import Digest, OrganisationId, PublicKey
from salus.ledger.machine import read_meta, stored_result
from salus.ledger.outcomes import TransactionResult, decode_leaf
from salus.ledger.transactions import Message
from salus.node.keys import OrganisationKeys, generate
from salus.testing.world import HOSPITAL, PRACTICE, make_genesis, unix_now_s
from tests.engines.cometbft.network import wait_until
from tests.faults.links import Links
from tests.faults.validator import PATIENCE_S, Settings, Validator

CHAIN = "salus-faults"
MEMBERS = (HOSPITAL, PRACTICE, OrganisationId("RX2"), OrganisationId("FX003"))
OBSERVER = OrganisationId("PT005")
POWER = 10
RESUMES_S = 10.0
"""After healing there are blocks within so long."""


class FourValidators:
    """The network: four validators, and where it has one an observer, which `start` does not start."""

    def __init__(self, place: Path, *, has_observer: bool = False) -> None:
        self.place = place
        members = (*MEMBERS, OBSERVER) if has_observer else MEMBERS
        self.keys = {each: generate() for each in members}
        self.genesis = four_validators(self.keys)
        self.links = Links(ports_to_listen_on(len(members)))
        made = [
            Validator(
                organisation,
                self.keys[organisation],
                self.genesis,
                Settings(str(place / str(number)), number, self.links.ports_of(number)),
            )
            for number, organisation in enumerate(members)
        ]
        self.all, self.observers = made[: len(MEMBERS)], made[len(MEMBERS) :]

    def start(self) -> None:
        """Start all, and wait until they have blocks."""
        for each in self.all:
            each.start()
        wait_until(lambda: min(self.heights()) >= 2, "the first blocks")

    def close(self) -> None:
        """End everything."""
        for each in (*self.all, *self.observers):
            each.close()
        self.links.close()

    def twin_ports(self) -> list[int]:
        """Where a second node with the fourth one's keys reaches the third, and listens; it knows of nobody else."""
        nowhere, own = ports_to_listen_on(2)
        return [nowhere, nowhere, self.all[2].settings.ports[2], own]

    def heights(self) -> list[int]:
        """The height of each."""
        return [height_of(each) for each in self.all]

    def resumed(self, *, patience_s: float = PATIENCE_S, among: Sequence[Validator] = ()) -> float:
        """Wait until all of them have a block that nobody has now; return how long that took, in seconds."""
        began_s, height = time.monotonic(), max(self.heights())
        wait = lambda: all(height_of(each) > height for each in among or self.all)  # noqa: E731
        wait_until(wait, f"a block after {height}, they have {self.heights()}", patience_s=patience_s)
        return time.monotonic() - began_s

    def agree(self, load: "Load | None" = None, *, among: Sequence[Validator] = ()) -> str:
        """Assert that nothing diverged, was lost or happened twice; return the evidence in words.

        1. All reach one height, and say the same app hash there. 2. Header for header they have the same chain, 3. and
        leaf for leaf the same log. 4. What anybody was told of a transaction stands in each log, once.
        """
        validators = list(among or self.all)
        height = max(height_of(each) for each in validators)
        wait_until(lambda: all(has_header(each, height + 1) for each in validators), f"height {height} on all")
        [head] = {header_of(each, height + 1) for each in validators}  # 1
        for each in validators:
            assert_own_app_hash(each, validators[0])
        alike = [{found for each in validators if (found := header_of(each, lower))} for lower in range(2, height)]
        assert max(map(len, alike)) == 1, alike  # 2
        logs = [leaves_of(each) for each in validators]
        common = min(map(len, logs))
        assert all(log[:common] == logs[0][:common] for log in logs)  # 3
        words = f"height {height}, app hash {head[:6].hex()} on {len(validators)}"
        return words if load is None else f"{words}; {load.judge(validators, logs)}"  # 4


class Load:
    """Each member submits at its own validator, one transaction after the other; what has no outcome is sent again.

    Args:
        pause_s: between two transactions of a member.
    """

    def __init__(self, validators: Sequence[Validator], *, pause_s: float = 0.2) -> None:
        self._pause_s = pause_s
        self._ended = threading.Event()
        self.told: list[tuple[bytes, TransactionResult]] = []
        self.took: list[tuple[float, float]] = []
        """When a transaction was first submitted, and how long until its outcome; monotonic seconds."""
        self._threads = [threading.Thread(target=self._submit, args=(each,), daemon=True) for each in validators]
        for each in self._threads:
            each.start()

    def __enter__(self) -> "Load":
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for each in self._threads:
            each.join(PATIENCE_S)
            assert not each.is_alive(), "what was submitted gets an outcome"

    def judge(self, validators: Sequence[Validator], logs: Sequence[list[bytes]]) -> str:
        """Assert that each outcome is everywhere, once; return how many."""
        told = list(self.told)
        for validator, log in zip(validators, logs, strict=True):
            counts: dict[bytes, int] = {}
            for leaf in log:
                name = decode_leaf(leaf).transaction
                counts[name] = counts.get(name, 0) + 1
            with validator.client.snapshot() as snapshot:
                for raw, result in told:
                    name = transactions.transaction_hash(raw)
                    assert counts.get(name, 0) == len(result.leaves), f"{validator.organisation}: lost or twice"
                    if result.leaves:
                        assert stored_result(snapshot, name) == msgspec.structs.replace(result, reason="")
        done = sum(1 for _, result in told if result.leaves)
        return f"{done} outcomes told ({len(told) - done} expired), each everywhere once"

    def p95_ms(self, since_s: float, until_s: float = float("inf")) -> float:
        """The 95th percentile of what was submitted in a time, in milliseconds."""
        took = sorted(each for began_s, each in list(self.took) if since_s <= began_s < until_s)
        assert took, "something was submitted meanwhile"
        return took[min(len(took) - 1, int(0.95 * len(took)))] * 1000

    def has_told(self, *, since_s: float) -> bool:
        """Whether something that was submitted since then has an outcome."""
        return any(began_s >= since_s for began_s, _ in list(self.took))

    def worst_ms(self, since_s: float, until_s: float) -> float:
        """The longest of what was submitted in a time, in milliseconds."""
        return 1000 * max(each for began_s, each in self.took if since_s <= began_s < until_s)

    def longest_gap_s(self) -> float:
        """The longest time without an outcome for anybody, in seconds."""
        ended = sorted(began_s + took_s for began_s, took_s in self.took)
        return max((later - earlier for earlier, later in pairwise(ended)), default=0.0)

    def _submit(self, validator: Validator) -> None:
        number = 0
        while not self._ended.wait(self._pause_s):
            number += 1
            raw = publish(validator, f"file-{number}")
            began_s = time.monotonic()
            while (result := outcome(validator, raw)) is None:
                time.sleep(0.1)
            self.told.append((raw, result))
            self.took.append((began_s, time.monotonic() - began_s))


def ports_to_listen_on(count: int) -> list[int]:
    """Free ports that the system gives to no outgoing connection: a node that was away finds its own again."""
    found: list[int] = []
    while len(found) < count:
        port = random.randrange(20_000, 32_000)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            found.append(port)
    return found


def outcome(validator: Validator, raw: bytes, *, timeout_s: float = 5.0) -> TransactionResult | None:
    """Submit at a validator; None when it has no outcome in time."""
    with suppress(Unavailable):
        return validator.client.submit(raw, timeout_s=timeout_s)
    return None


def publish(validator: Validator, name: str, *, expires_at_s: int = 0) -> bytes:
    """A transaction of its member: the hash of a file."""
    digest = Digest(hashlib.sha256(f"{validator.organisation} {name}".encode()).digest())
    message = membership.PublishFile(OrganisationId(validator.organisation), name, digest)
    return signed(validator, message, expires_at_s=expires_at_s)


def signed(validator: Validator, *messages: Message, also: tuple[SigningKey, ...] = (), expires_at_s: int = 0) -> bytes:
    """A transaction that its member signs."""
    keys = (validator.keys.signing(KeyUse.TRANSACTION), *also)
    ends_s = expires_at_s or unix_now_s() + 300
    return transactions.sign(messages, chain=CHAIN, keys=keys, expires_at_s=ends_s, nonce=os.urandom(16))


def four_validators(keys: dict[OrganisationId, OrganisationKeys]) -> Genesis:
    """A genesis in which four members sign blocks, with equal power."""
    seats = tuple(
        FirstValidator(each, PublicKey(keys[each].signing(KeyUse.CONSENSUS).public), POWER) for each in MEMBERS
    )
    genesis = msgspec.structs.replace(make_genesis(keys, chain=CHAIN), validators=seats)
    check(genesis)
    return genesis


def height_of(validator: Validator) -> int:
    """The height that its store has; 0 before it has begun."""
    with suppress(Unavailable), validator.client.snapshot() as snapshot:
        meta = read_meta(snapshot)
        return 0 if meta is None else meta.height
    return 0


def has_header(validator: Validator, height: int) -> bool:
    """Whether a header has come."""
    return bool(header_of(validator, height))


def header_of(validator: Validator, height: int) -> bytes:
    """The app hash in the header of a height, and the block's own hash; empty when it is not there."""
    with validator.client.snapshot() as snapshot:
        found = read_header(snapshot, height)
    if found is None:
        return b""
    return found.signed.header.app_hash + found.signed.commit.block_id.hash


def absent(validator: Validator) -> dict[str, str]:
    """Of whom a validator's status says that it did not sign, and how often."""
    with validator.client.snapshot() as snapshot:
        found = attendance(snapshot, height=height_of(validator))
        owners = {each.public_key: membership.owner_of(snapshot, each.public_key) for each in found}
    return {
        str(owner.organisation): f"{each.signed} of {each.of}"
        for each in found
        if (owner := owners[each.public_key]) is not None and each.signed < each.of
    }


def seats_of(validator: Validator, height: int) -> dict[bytes, int]:
    """Who may sign a height, with which power."""
    with validator.client.snapshot() as snapshot:
        sealed = read_header(snapshot, height)
    return {} if sealed is None else {each.public_key: each.power for each in sealed.validators}


def assert_own_app_hash(validator: Validator, other: Validator) -> None:
    """What a validator has executed gives the app hash that another's header carries."""
    with validator.client.snapshot() as snapshot:
        meta = read_meta(snapshot)
    assert meta is not None
    wait_until(lambda: has_header(other, meta.height + 1), f"the header after {meta.height}")
    assert header_of(other, meta.height + 1).startswith(meta.app_hash), f"{validator.organisation}: another app hash"


def leaves_of(validator: Validator) -> list[bytes]:
    """The whole log."""
    with validator.client.snapshot() as snapshot:
        return [leaf for _, leaf in snapshot.items(LEAVES)]
