"""What a contract is made of, and the context in which its handlers run.

A contract declares tables, messages, folds and the contracts below it. The machine enforces at run time that a handler
writes only its own contract's tables and asks only the contracts below (DESIGN §3), and counts its steps (L6).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

from salus.ledger.identifiers import Digest, PublicKey
from salus.ledger.outcomes import Leaf, Outcome
from salus.ledger.state import Index, Overlay, Reader, Table
from salus.ledger.transactions import Message

STEPS_MAX = 20_000
"""Counted steps that one transaction may take: row reads and writes, and conditions compared (L6)."""

SIGNATURE_MISSING = 11
"""The transaction lacks the signature of a key that the message needs."""
SIGNER_UNUSED = 12
"""The transaction names a signer that no message needs, or names the signers in another order."""
STEPS_EXHAUSTED = 13
"""The transaction would take more steps than one transaction may."""
MACHINE_REJECTIONS = {
    SIGNATURE_MISSING: "SignatureMissing",
    SIGNER_UNUSED: "SignerUnused",
    STEPS_EXHAUSTED: "StepsExhausted",
}


class Rejected(Exception):
    """The rules say no: the transaction changes nothing, and the leaf holds the permanent number.

    Args:
        code: contract number × 100 + the rejection's number; below 100 the machine's own.
        detail: what was expected, what came, what to do; never proved, never about a person.
    """

    def __init__(self, code: int, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


class RulesNewer(Exception):
    """The members voted for rules that this software does not know: it stops before the first block under them."""


M = TypeVar("M", bound=Message)
O = TypeVar("O", bound=Outcome)  # noqa: E741
Handler = Callable[["Context", Any], Outcome]
Fold = Callable[[Overlay, int, Leaf, Any], None]
V = TypeVar("V")


@dataclass(frozen=True)
class Misbehaviour:
    """What a validator did wrong, as consensus has verified it: the block's evidence.

    Args:
        address: first 20 bytes of the SHA-256 of its consensus key.
        height: at which it happened.
        time_s: the time of that height, seconds since 1970.
    """

    address: bytes
    height: int
    time_s: int


ValidatorUpdate = tuple[PublicKey, int]
"""A consensus key and its power from two heights later on; power 0 takes it away."""
BlockEnd = Callable[["Context", tuple[Misbehaviour, ...]], Iterable[ValidatorUpdate]]
BlockCheck = Callable[[Reader, int], None]


@dataclass(eq=False)
class Contract:
    """A contract's declarations.

    Args:
        number: permanent; its messages are tagged number × 100 + n, its rejections numbered alike.
        below: the contracts whose queries it may ask.
        block_end: runs after the messages of a block that has transactions or evidence; must not raise.
        block_check: called with the rows and the height of a block before it is executed; raises RulesNewer.
    """

    name: str
    number: int
    below: tuple["Contract", ...] = ()
    handlers: dict[type[Message], Handler] = field(default_factory=dict)
    outcomes: dict[type[Message], tuple[type[Outcome], ...]] = field(default_factory=dict)
    folds: dict[type[Outcome], Fold] = field(default_factory=dict)
    tables: dict[str, Table[Any, Any]] = field(default_factory=dict)
    indexes: dict[str, Index[Any, Any]] = field(default_factory=dict)
    block_end: BlockEnd | None = None
    block_check: BlockCheck | None = None

    @cached_property
    def readable(self) -> frozenset[bytes]:
        """The names, as they begin a key, of this contract and of those below it."""
        return frozenset(contract.name.encode() for contract in (self, *self.below))

    def table(self, name: str, value: type[V], *, expires_at_s: Callable[[V], int] | None = None) -> Table[Any, V]:
        """Declare a proved table."""
        table = Table[Any, V](self.name, name, value, expires_at_s=expires_at_s)
        self.tables[table.name] = table
        return table

    def index(self, name: str, value: type[V]) -> Index[Any, V]:
        """Declare an index: a fold of the log."""
        index = Index[Any, V](self.name, name, value)
        self.indexes[index.name] = index
        return index

    def handles(
        self, message: type[M], *outcomes: type[Outcome]
    ) -> Callable[[Callable[["Context", M], Outcome]], Callable[["Context", M], Outcome]]:
        """Register the handler of a message, and the outcomes that it may report."""

        def register(handler: Callable[["Context", M], Outcome]) -> Callable[["Context", M], Outcome]:
            assert message not in self.handlers
            self.handlers[message] = handler
            self.outcomes[message] = outcomes
            return handler

        return register

    def ends_block(self, end: BlockEnd) -> BlockEnd:
        """Register what runs at the end of a block: it hears the evidence and says which validators change."""
        assert self.block_end is None
        self.block_end = end
        return end

    def checks_block(self, check: BlockCheck) -> BlockCheck:
        """Register what may say that a block is not for this software to execute."""
        assert self.block_check is None
        self.block_check = check
        return check

    def fold(
        self, outcome: type[O]
    ) -> Callable[[Callable[[Overlay, int, Leaf, O], None]], Callable[[Overlay, int, Leaf, O], None]]:
        """Register what an outcome adds to the indexes: called with (overlay, log index, leaf, outcome)."""

        def register(fold: Callable[[Overlay, int, Leaf, O], None]) -> Callable[[Overlay, int, Leaf, O], None]:
            assert outcome not in self.folds
            self.folds[outcome] = fold
            return fold

        return register


class Context:
    """What a handler may see: the state, the block's time, who signed; and nothing else.

    Args:
        time_s: block time in seconds.
        signers: the keys whose signatures were verified, in the body's order.
    """

    def __init__(
        self, overlay: Overlay, *, height: int, time_s: int, transaction: Digest, signers: tuple[PublicKey, ...]
    ) -> None:
        self._overlay = overlay
        self.height = height
        self.time_s = time_s
        self.transaction = transaction
        self.signers = signers
        self.message_index = 0
        self.used_signers: list[PublicKey] = []
        self.steps = 0
        self._contract: Contract | None = None
        self._readable: frozenset[bytes] = frozenset()

    def enter(self, contract: Contract, message_index: int) -> None:
        """Begin one message, on behalf of its contract."""
        self._contract = contract
        self._readable = contract.readable
        self.message_index = message_index

    def get(self, space: str, key: bytes) -> bytes | None:
        """Return a row of the running contract or of one below it."""
        self.step()
        assert key[: key.index(b".")] in self._readable, "a contract asks only those below it"
        return self._overlay.get(space, key)

    def under(self, space: str, prefix: bytes) -> dict[bytes, bytes]:
        """Return the rows of the running contract, or of one below it, whose keys begin so: a step each, and one."""
        assert prefix[: prefix.index(b".")] in self._readable, "a contract asks only those below it"
        rows = self._overlay.under(space, prefix)
        self.step(1 + len(rows))
        return rows

    def put(self, space: str, key: bytes, row: bytes | None) -> None:
        """Write a row; tables call this after `check_write`."""
        self.step()
        self._overlay.put(space, key, row)

    def check_write(self, contract: str) -> None:
        """Assert that the running contract owns the table that is about to be written."""
        assert self._contract is not None
        assert self._contract.name == contract, f"{self._contract.name} must not write tables of {contract}"

    def step(self, count: int = 1) -> None:
        """Count work. Raises Rejected when the transaction has used up its steps (L6)."""
        self.steps += count
        if self.steps > STEPS_MAX:
            raise Rejected(STEPS_EXHAUSTED, f"expected at most {STEPS_MAX} steps: split the transaction")

    def signed_by(self, keys: Iterable[PublicKey], *, who: str) -> PublicKey:
        """Return the first signer that is among `keys`, and note that it was needed.

        Raises:
            Rejected: SIGNATURE_MISSING when no such key signed.
        """
        allowed = tuple(keys)
        self.step(len(allowed))
        for signer in self.signers:
            if signer in allowed:
                if signer not in self.used_signers:
                    self.used_signers.append(signer)
                return signer
        raise Rejected(SIGNATURE_MISSING, f"expected a signature of {who}: sign with a key that is registered for it")

    def has_signed(self, keys: Iterable[PublicKey]) -> bool:
        """Tell whether one of the keys signed, without making it needed."""
        return any(signer in tuple(keys) for signer in self.signers)


def check_signers(context: Context) -> None:
    """Raise Rejected unless the signers are exactly those that the messages needed, in the order of first need."""
    if tuple(context.used_signers) != context.signers:
        raise Rejected(SIGNER_UNUSED, "expected exactly the signers that the messages need, in order of first need")
