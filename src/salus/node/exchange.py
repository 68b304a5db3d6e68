"""What nodes say to each other, as values; `api/exchange` carries them, authenticated and sealed (DESIGN §6).

A permit says who may ask for what; these messages only move it along. Every refusal has a number and words.
"""

from collections.abc import Iterator
from typing import Annotated, Protocol

import msgspec
from msgspec import Meta

from salus.contracts.residuals import CertifiedSession
from salus.ledger.entries import PlacedEntry
from salus.ledger.erasure_statements import SignedStatement
from salus.ledger.fields import CommittedFields, OpenedField
from salus.ledger.identifiers import (
    CountField,
    OrganisationId,
    PermitIdField,
    PseudonymField,
    SecondsField,
    SignatureField,
)
from salus.ledger.receipts import Statement
from salus.ledger.recovery_shares import AskedShare, KeptShare

INLINE_BYTES_MAX = 1 << 20
"""Sealed records up to this many bytes together travel inside the offer; larger ones in their own stream."""
PART_BYTES_MAX = 64_000_000


class ExchangeMessage(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Anything that one node says to another."""

    def __repr__(self) -> str:
        """Hide what is said: identifiers, keys and records are among it (P4)."""
        return f"{type(self).__name__}(…)"


PartNumber = Annotated[int, Meta(ge=1, lt=1 << 32)]


class MatchAsk(ExchangeMessage, frozen=True, array_like=True, tag=1):
    """Do you hold records of this person? Answered with a pseudonym or with nothing, and told to nobody else.

    It travels inside a SignedMatchAsk; alone it is refused.
    """

    nhs_number: Annotated[str, Meta(max_length=10)]
    date_of_birth: Annotated[str, Meta(max_length=10)]
    session: CertifiedSession
    certificate: CommittedFields


class MatchAnswer(ExchangeMessage, frozen=True, array_like=True, tag=2):
    """The pseudonym; empty for *nothing*, whatever the reason."""

    pseudonym: Annotated[bytes, Meta(max_length=16)]


class PartAsk(ExchangeMessage, frozen=True, array_like=True, tag=3):
    """Give me a part of what the permit allows. The residual opens the request's commitment.

    `height` is the permit's: the custodian waits until its own state has it.
    """

    permit: PermitIdField
    height: CountField
    part: PartNumber
    residual: CommittedFields
    reader_key: Annotated[bytes, Meta(max_length=1300)]


class OfferedRecord(ExchangeMessage, frozen=True, array_like=True):
    """One record of a part; `inline` has its sealed bytes, or is empty when they come in their own stream."""

    placed: PlacedEntry
    size_bytes: CountField
    inline: bytes


class PartOffer(ExchangeMessage, frozen=True, array_like=True, tag=4):
    """A part: the receipt's statement, signed by the custodian, the requester's view of it, and the records."""

    statement: Statement
    signature: SignatureField
    fields: tuple[OpenedField, ...]
    records: tuple[OfferedRecord, ...]
    part_count: int


class StreamAsk(ExchangeMessage, frozen=True, array_like=True, tag=5):
    """Send the sealed bytes of one record of an offered part; `place` counts from 0 within the part."""

    permit: PermitIdField
    part: PartNumber
    place: CountField


class PartAccept(ExchangeMessage, frozen=True, array_like=True, tag=6):
    """Sealed bytes received: the requester's signature under the statement."""

    permit: PermitIdField
    part: PartNumber
    signature: SignatureField


class Slots(ExchangeMessage, frozen=True, array_like=True, tag=7):
    """The release key, sealed to the reader key, and each record's slot and metadata under it, in the offer's order."""

    release_key: bytes
    slots: tuple[bytes, ...]
    metadata: tuple[CommittedFields, ...]


class Delivery(ExchangeMessage, frozen=True, array_like=True, tag=8):
    """What a patient's own device signed about a relationship here, and what opens its commitment: rules, a reason."""

    raw: bytes
    residual: CommittedFields


class HistoryAsk(ExchangeMessage, frozen=True, array_like=True, tag=9):
    """Show me my history here: a session that a key of the pseudonym certified."""

    pseudonym: PseudonymField
    session: CertifiedSession


class HistoryAnswer(ExchangeMessage, frozen=True, array_like=True, tag=10):
    """The bundle of proofs and opened receipts, as `salus verify` reads it."""

    bundle: bytes


class Done(ExchangeMessage, frozen=True, array_like=True, tag=11):
    """It is done; `code` is the outcome's."""

    code: int


class RefusedAnswer(ExchangeMessage, frozen=True, array_like=True, tag=12):
    """No, for good: a permanent number and words."""

    refusal: int
    words: str


class NotNowAnswer(ExchangeMessage, frozen=True, array_like=True, tag=13):
    """Not now: try later with the same bytes."""

    words: str


class SignedMatchAsk(ExchangeMessage, frozen=True, array_like=True, tag=14):
    """A match, signed by the session's key for one asked node, one moment, once; the only one that is answered.

    `at_s` is when, in Unix seconds; the nonce is random.
    """

    ask: MatchAsk
    at_s: SecondsField
    nonce: Annotated[bytes, Meta(min_length=16, max_length=16)]
    signature: SignatureField


class ErasureAsk(ExchangeMessage, frozen=True, array_like=True, tag=15):
    """I have erased this relationship: state what became of what you held. Answered to its custodian alone.

    `height` is the tombstone's: the holder waits until its own state has it.
    """

    pseudonym: PseudonymField
    height: CountField


class ErasureAnswer(ExchangeMessage, frozen=True, array_like=True, tag=16):
    """The holder's statement, signed."""

    signed: SignedStatement


class KeepShareAsk(ExchangeMessage, frozen=True, array_like=True, tag=17):
    """Keep this for a recovery: signed by the pseudonym's key, which the patient holds."""

    kept: KeptShare
    signature: SignatureField


class GiveShareAsk(ExchangeMessage, frozen=True, array_like=True, tag=18):
    """Give me what you keep: signed by the key that a FinishRecovery put in the lost one's place."""

    asked: AskedShare
    signature: SignatureField


class ShareAnswer(ExchangeMessage, frozen=True, array_like=True, tag=19):
    """What was kept, sealed to the ask's own key."""

    sealed: bytes


TakeOverCode = Annotated[str, Meta(max_length=32)]


class TakeOverAsk(ExchangeMessage, frozen=True, array_like=True, tag=20):
    """What may be taken over with this code, which you gave your patient? Asked by the member where their device is."""

    code: TakeOverCode


class TakeOverOffer(ExchangeMessage, frozen=True, array_like=True, tag=21):
    """The relationship and its present key; both empty for *nothing*, whatever the reason."""

    pseudonym: Annotated[bytes, Meta(max_length=16)]
    key: Annotated[bytes, Meta(max_length=32)]


class TakeOverSigned(ExchangeMessage, frozen=True, array_like=True, tag=22):
    """Sign after the patient's device: a body of one TakeOverKey, the device's signature, what opens the commitment."""

    code: TakeOverCode
    body: bytes
    signature: SignatureField
    residual: CommittedFields


class ChoicesAsk(ExchangeMessage, frozen=True, array_like=True, tag=23):
    """Show the patient what they have decided with you. The residual opens the request's commitment.

    `height` is the permit's: the custodian waits until its own state has it.
    """

    permit: PermitIdField
    height: CountField
    residual: CommittedFields


class ChoicesAnswer(ExchangeMessage, frozen=True, array_like=True, tag=24):
    """What opens the commitments of the choices in force, as far as it is held; nothing where `may_see` is false."""

    may_see: bool
    rules: tuple[CommittedFields, ...]


DeviceAsk = Delivery | HistoryAsk | KeepShareAsk | GiveShareAsk
"""What a patient's own device may say, without a member's signature: each is signed by a key of the pseudonym's."""
Ask = (
    MatchAsk
    | PartAsk
    | StreamAsk
    | PartAccept
    | DeviceAsk
    | SignedMatchAsk
    | ErasureAsk
    | TakeOverAsk
    | TakeOverSigned
    | ChoicesAsk
)
NoAnswer = RefusedAnswer | NotNowAnswer
Answer = (
    MatchAnswer
    | PartOffer
    | Slots
    | HistoryAnswer
    | Done
    | ErasureAnswer
    | ShareAnswer
    | TakeOverOffer
    | ChoicesAnswer
    | NoAnswer
)


class Peers(Protocol):
    """How a node reaches the others."""

    def ask(self, organisation: OrganisationId, ask: Ask) -> Answer:
        """Ask another node. Raises Refused or NotNow as it answers, and NotNow when it does not."""

    def stream(self, organisation: OrganisationId, ask: StreamAsk) -> Iterator[bytes]:
        """Receive sealed segments, each as it was stored. Raises like `ask`, also half way through."""
