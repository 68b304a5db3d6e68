"""A ledger in memory whose blocks any number of validators sign: what the tests of proofs prove things about.

Deterministic: the same calls give the same bytes, so golden files can be made of it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import msgspec

from salus.crypto.hashing import EMPTY_ROOT, sha256
from salus.crypto.signing import SigningKey
from salus.ledger import proofs, transactions
from salus.ledger.comet.block import BLOCK_SIZE_MAX_BYTES, block_id, consensus_hash, data_hash
from salus.ledger.comet.commit import commit_hash, encode_signed_header, vote_sign_bytes
from salus.ledger.comet.types import (
    COMMIT,
    Block,
    Commit,
    CommitSig,
    Header,
    SignedHeader,
    Validator,
    Version,
)
from salus.ledger.comet.validators import in_order, validator_address, validators_hash
from salus.ledger.contract import Context, Contract
from salus.ledger.identifiers import CountField, OrganisationId, Pseudonym, PublicKey, PublicKeyField
from salus.ledger.machine import HISTORY, FirstRow, Machine, Meta
from salus.ledger.outcomes import DENIED, Outcome, PatientOutcome, TransactionResult
from salus.ledger.proofs import AppState, HistoryProof, LightBlock, OutcomeProof, SignedState, StateProof
from salus.ledger.state import Changes
from salus.ledger.transactions import Message, PatientMessage
from salus.ledger.verifier.trust import EngineKind, TrustedValidator, TrustRoot

START_S = 1_750_000_000
BLOCK_S = 2
NOW_S = START_S + 86_400
GENESIS_HASH = sha256(b"genesis")
ORGANISATIONS = ("RVJ", "A81001", "FA002", "RX8")


class Rows:
    """A store in a dictionary."""

    def __init__(self) -> None:
        self.spaces: dict[str, dict[bytes, bytes]] = {}

    def get(self, space: str, key: bytes) -> bytes | None:
        return self.spaces.get(space, {}).get(key)

    def first_keys(self, space: str, *, below: bytes, limit: int) -> list[bytes]:
        return [key for key in sorted(self.spaces.get(space, {})) if key < below][:limit]

    def items(self, space: str, *, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        yield from ((key, row) for key, row in sorted(self.spaces.get(space, {}).items()) if key >= start)

    def write(self, changes: Changes) -> None:
        for space, rows in changes.items():
            held = self.spaces.setdefault(space, {})
            for key, row in rows.items():
                if row is None:
                    held.pop(key, None)
                else:
                    held[key] = row


def consensus_keys(count: int) -> list[SigningKey]:
    """The validators' keys."""
    return [SigningKey.from_seed(sha256(b"validator %d" % number)) for number in range(count)]


@dataclass
class Ledger:
    """A machine, its rows, and a signed header for each height."""

    machine: Machine
    rows: Rows
    keys: list[SigningKey]
    headers: dict[int, SignedHeader] = field(default_factory=dict)
    sets: dict[int, tuple[Validator, ...]] = field(default_factory=dict)
    announced: list[SigningKey] = field(default_factory=list)
    results: list[TransactionResult] = field(default_factory=list)

    @property
    def chain(self) -> str:
        return self.machine.chain

    @property
    def meta(self) -> Meta:
        assert self.machine.meta is not None
        return self.machine.meta

    @property
    def validators(self) -> tuple[Validator, ...]:
        return in_order(Validator(key.public, 10) for key in self.keys)

    @property
    def time_s(self) -> int:
        """Time of the next block."""
        return self.meta.time_s + BLOCK_S

    def block(self, *raws: bytes) -> list[TransactionResult]:
        """Make one block of transactions and sign its header, which carries the state before it."""
        height, time_s = self.meta.height + 1, self.time_s
        header = self._header(raws, height=height, time_s=time_s)
        admitted = [self.machine.admit_verified(raw, time_s=time_s) for raw in raws]
        executed = self.machine.execute(height=height, time_s=time_s, block_transactions=admitted)
        self.rows.write(executed.changes)
        self.headers[height] = self._signed(Block(header, tuple(raws), (), self._last_commit()))
        self.sets[height] = self.validators
        self.results.extend(executed.results)
        return list(executed.results)

    def sign(self, messages: Sequence[Message], *keys: SigningKey) -> bytes:
        """Sign a transaction for the next block; its nonce follows from what is there."""
        nonce = sha256(b"nonce %d %d" % (self.meta.height, len(self.results)) + msgspec.msgpack.encode(messages))[:16]
        return transactions.sign(messages, chain=self.chain, keys=keys, expires_at_s=self.time_s + 60, nonce=nonce)

    def run(self, messages: Sequence[Message], *keys: SigningKey) -> TransactionResult:
        """Make a block with one transaction."""
        return self.block(self.sign(messages, *keys))[0]

    def signed_state(self) -> SignedState:
        """Make an empty block, which signs the newest state; return the two."""
        state = AppState(self.meta.tree_root, self.meta.log_size, self.meta.log_root)
        self.block()
        return SignedState(state, encode_signed_header(self.headers[self.meta.height]), self.validators)

    def rotate(self, *numbers: int) -> None:
        """Make a block that announces other validators, who sign from the next one on."""
        everybody = consensus_keys(max(numbers) + 1)
        self.announced = [everybody[number] for number in numbers]
        self.block()
        self.keys, self.announced = self.announced, []

    def light_block(self, height: int = 0) -> LightBlock:
        """Return a height's signed header with its validators; the newest one's for 0."""
        which = height or self.meta.height
        return LightBlock(encode_signed_header(self.headers[which]), self.sets[which])

    def sign_state(self, state: AppState, *, height: int = 0, time_s: int = 0) -> SignedState:
        """Sign any state at all, as validators could that break the rules; the ledger does not move."""
        header = msgspec.structs.replace(
            self._header((), height=height or self.meta.height + 1, time_s=time_s or self.time_s),
            app_hash=state.app_hash(),
        )
        signed = self._signed(Block(header, (), (), self._last_commit()))
        return SignedState(state, encode_signed_header(signed), self.validators)

    def prove_row(self, key: bytes) -> StateProof:
        return StateProof(key, self.rows.get("state", key) or b"", self.machine.tree.prove(key))

    def prove_outcome(self, index: int, state: AppState) -> OutcomeProof:
        return proofs.prove_outcome(self.rows, index, state)

    def prove_history(self, pseudonym: bytes) -> HistoryProof:
        row = self.prove_row(HISTORY.key(Pseudonym(pseudonym)))
        return proofs.prove_history(self.rows, Pseudonym(pseudonym), row)

    def trust(self, *, engine: EngineKind | None = None) -> TrustRoot:
        kind = EngineKind.EMBEDDED if len(self.keys) == 1 else EngineKind.COMETBFT
        return TrustRoot(
            format=1,
            chain=self.chain,
            genesis_hash=GENESIS_HASH,  # type: ignore[arg-type]
            engine=engine or kind,
            validators=tuple(
                TrustedValidator(OrganisationId(organisation), PublicKey(key.public), 10)
                for organisation, key in zip(ORGANISATIONS, self.keys, strict=False)
            ),
            trusted_at_s=START_S,
            trusting_period_s=14 * 86_400,
        )

    def _last_commit(self) -> Commit:
        newest = self.headers.get(self.meta.height)
        return newest.commit if newest else Commit()

    def _header(self, raws: Sequence[bytes], *, height: int, time_s: int) -> Header:
        validators = validators_hash(self.validators)
        announced = in_order(Validator(key.public, 10) for key in self.announced)
        return Header(
            version=Version(app=1),
            chain_id=self.chain,
            height=height,
            time_ns=time_s * 10**9 + 123_456_789,
            last_block_id=self._last_commit().block_id,
            last_commit_hash=commit_hash(self._last_commit()),
            data_hash=data_hash(raws),
            validators_hash=validators,
            next_validators_hash=validators_hash(announced) if announced else validators,
            consensus_hash=consensus_hash(block_size_max_bytes=BLOCK_SIZE_MAX_BYTES, gas_max=-1),
            app_hash=self.meta.app_hash,
            last_results_hash=EMPTY_ROOT,
            evidence_hash=EMPTY_ROOT,
            proposer_address=validator_address(self.validators[0].public_key),
        )

    def _signed(self, block: Block) -> SignedHeader:
        voted = block_id(block)
        keys = {key.public: key for key in self.keys}
        votes = [
            CommitSig(COMMIT, validator_address(each.public_key), block.header.time_ns + place, b"")
            for place, each in enumerate(self.validators)
        ]
        commit = Commit(block.header.height, 0, voted, tuple(votes))
        signatures = tuple(
            msgspec.structs.replace(
                vote, signature=keys[each.public_key].sign(vote_sign_bytes(self.chain, commit, place))
            )
            for place, (vote, each) in enumerate(zip(votes, self.validators, strict=True))
        )
        return SignedHeader(block.header, msgspec.structs.replace(commit, signatures=signatures))


def ledger(
    contracts: Sequence[Contract], first: Sequence[FirstRow] = (), *, validators: int = 1, chain: str = "proofs-1"
) -> Ledger:
    """Begin a ledger in memory."""
    rows = Rows()
    machine = Machine(chain, contracts, rows)
    executed = machine.genesis(time_s=START_S, rows=first)
    rows.write(executed.changes)
    return Ledger(machine, rows, consensus_keys(validators))


# A contract just large enough to have rows, outcomes and histories.

TOY = Contract("toy", 1)
KEY = SigningKey.from_seed(sha256(b"toy"))


class Note(msgspec.Struct, frozen=True, array_like=True):
    number: int


NOTES = TOY.table("notes", Note)


class WriteNote(Message, frozen=True, array_like=True, tag=101):
    key: PublicKeyField
    number: CountField


class Visit(PatientMessage, frozen=True, array_like=True, tag=102):
    key: PublicKeyField
    number: CountField


class NoteWritten(Outcome, frozen=True, array_like=True, tag=101):
    number: CountField


class Visited(PatientOutcome, frozen=True, array_like=True, tag=102):
    number: CountField

    @property
    def code(self) -> int:
        return DENIED if self.number == 7 else 0


@TOY.handles(WriteNote, NoteWritten)
def write_note(context: Context, message: WriteNote) -> NoteWritten:
    context.signed_by((message.key,), who="the key")
    NOTES.put(context, message.number, Note(message.number))
    return NoteWritten(message.number)


@TOY.handles(Visit, Visited)
def visit(context: Context, message: Visit) -> Visited:
    context.signed_by((message.key,), who="the key")
    return Visited(message.pseudonym, message.number)


def toy_ledger(*, validators: int = 1) -> Ledger:
    """Begin a toy ledger."""
    return ledger((TOY,), validators=validators)


def write_notes(made: Ledger, *numbers: int) -> None:
    """Write rows, one transaction each, in one block."""
    key = PublicKey(KEY.public)
    made.block(*(made.sign([WriteNote(key, number)], KEY) for number in numbers))


def visits(made: Ledger, pseudonym: bytes, *numbers: int) -> None:
    """Add events to a history, each in a block of its own."""
    for number in numbers:
        made.run([Visit(Pseudonym(pseudonym), PublicKey(KEY.public), number)], KEY)
