"""A node, put together: one organisation's vault, keys, journal and its view of the ledger.

Everything outside is handed in: no service reads a setting, the clock of the machine or a network by itself.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from salus.contracts import CONTRACTS, membership
from salus.contracts.membership import KeyUse
from salus.crypto.signing import SigningKey
from salus.engines.base import Busy as LedgerBusy
from salus.engines.base import Engine, Status, Unavailable
from salus.ledger import transactions
from salus.ledger.identifiers import OrganisationId, PublicKey
from salus.ledger.machine import message_decoder
from salus.ledger.outcomes import NOT_A_TRANSACTION, TransactionResult
from salus.ledger.state import Reader
from salus.ledger.transactions import Message, Transaction
from salus.node import schema
from salus.node.config import PERSON_LIMITS, PersonLimits
from salus.node.errors import Busy, NotNow, Refusal, Refused
from salus.node.journal import Journal
from salus.node.keys import OrganisationKeys
from salus.vault.vault import Vault

HEADER_AGE_MS_MAX = 10_000
"""A node whose newest header is older releases nothing to other organisations (R3)."""
EXPIRY_S = 60
MESSAGES = message_decoder(CONTRACTS)


@dataclass(frozen=True)
class Node:
    """One worker of one organisation's node.

    Args:
        clock: Unix seconds of the local clock.
        custodian_journal: what this worker released; requester_journal: what it received.
        person_limits: how often one certified person may do what.
        has_index: whether what is deposited is indexed, to be found by interfaces that search.
    """

    organisation: OrganisationId
    chain: str
    keys: OrganisationKeys = field(repr=False)
    engine: Engine
    vault: Vault
    custodian_journal: Journal
    requester_journal: Journal
    clock: Callable[[], int]
    person_limits: PersonLimits = PERSON_LIMITS
    has_index: bool = False

    def __post_init__(self) -> None:
        with self.vault.database.writing() as connection:
            schema.prepare(connection)

    def title(self) -> str:
        """Return what people call the organisation; its id while no ledger says."""
        try:
            with self.engine.snapshot() as reader:
                found = membership.member(reader, self.organisation)
        except Unavailable:
            found = None
        return self.organisation if found is None else found.name

    def signing(self, use: KeyUse) -> SigningKey:
        """Return the organisation's own signing key for a use."""
        return self.keys.signing(use)

    def decode(self, raw: bytes) -> Transaction:
        """Parse a transaction of this chain. Raises NotATransaction."""
        return transactions.decode(raw, chain=self.chain, messages=MESSAGES)

    def submit(self, *messages: Message, keys: tuple[SigningKey, ...] = ()) -> TransactionResult:
        """Sign and submit messages; the organisation's transaction key signs first, `keys` after it.

        Raises:
            Refused: LEDGER_REJECTED, with the permanent number of the rejection.
            NotNow: the ledger is not there.
        """
        return self.submit_signed(messages, (self.signing(KeyUse.TRANSACTION), *keys))

    def submit_signed(self, messages: tuple[Message, ...], keys: tuple[SigningKey, ...]) -> TransactionResult:
        """Sign messages with exactly these keys and submit them; see `submit`."""
        raw = transactions.sign(
            messages,
            chain=self.chain,
            keys=keys,
            expires_at_s=self.clock() + EXPIRY_S,
            nonce=secrets.token_bytes(16),
        )
        return self.submit_raw(raw)

    def submit_raw(self, raw: bytes) -> TransactionResult:
        """Submit bytes that somebody signed; see `submit`."""
        result = self.ask_ledger(raw)
        require_accepted(result)
        return result

    def ask_ledger(self, raw: bytes) -> TransactionResult:
        """Submit bytes that somebody signed; return what the ledger says, also when that is no. Raises NotNow."""
        try:
            return self.engine.submit(raw)
        except LedgerBusy as error:
            raise Busy(f"the ledger has too much to do ({error}): send the same again") from error
        except Unavailable as error:
            raise NotNow(f"the ledger does not answer ({error}): send the same again") from error

    def require_fresh(self) -> Status:
        """Return where the ledger stands. Raises NotNow unless it is recent enough to release to others (R3)."""
        try:
            status = self.engine.status()
        except Unavailable as error:
            raise NotNow(f"the ledger does not answer ({error}): try later") from error
        if status.header_age_ms > HEADER_AGE_MS_MAX:
            raise NotNow(
                f"newest block is {status.header_age_ms // 1000} s old, expected at most {HEADER_AGE_MS_MAX // 1000}: "
                "nothing is released to others until the ledger moves"
            )
        return status

    def key_of(self, reader: Reader, organisation: OrganisationId, use: KeyUse) -> PublicKey:
        """Return a member's registered key. Raises Refused when there is none."""
        key = membership.current_key(reader, organisation, use)
        if key is None:
            raise Refused(Refusal.SENDER_UNKNOWN, f"{organisation} has no registered key for {use.name.lower()}")
        return PublicKey(key)


def require_accepted(result: TransactionResult) -> None:
    """Raise Refused (LEDGER_REJECTED), with the number of the rejection, where the ledger says no."""
    if result.code >= NOT_A_TRANSACTION:
        words = f"the ledger says no, number {result.code}: {result.reason}"
        raise Refused(Refusal.LEDGER_REJECTED, words, number=result.code)
