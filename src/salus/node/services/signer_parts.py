"""Parts of what the signer page answers: what each is, and how it is read before anything is believed of it.

A transaction or body is for this chain, ends with its request, has one message and the signatures that it says; what it
has to say, `signer_answers` and `signer_recovery_answers` know, a reader for each kind of item.
"""

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from salus.contracts import CONTRACTS
from salus.contracts.patients import AddKey, Enrol, TakeOverKey
from salus.contracts.provisions import Provision
from salus.contracts.residuals import CertifiedSession, DelegateTerms, choice_tree, reason_words
from salus.crypto.signing import verify_tagged
from salus.ledger import transactions
from salus.ledger.encoding import decoder, encode
from salus.ledger.fields import CommittedFields
from salus.ledger.identifiers import Digest, Pseudonym, PublicKey
from salus.ledger.machine import message_decoder
from salus.ledger.transactions import Body, Message, PatientMessage
from salus.node.errors import Refusal, Refused
from salus.node.services.signer_requests import EndTicket, SigningRequest, StopActing, StopRecovery

MESSAGES: Final = message_decoder(CONTRACTS)
UNFIT: Final = "the answer is not to what was asked: begin again"
_EXPIRY_S_MAX: Final = transactions.EXPIRY_AHEAD_S_MAX
_BODY: Final = decoder(Body)
_RESIDUAL: Final = decoder(CommittedFields)


@dataclass(frozen=True)
class NewBlob:
    """A device's blob, which takes the place of the one before it.

    Args:
        base: SHA-256 of the blob from which it was made, so that it takes the place of no other; empty of a new device.
    """

    device: bytes
    credential: bytes
    blob: bytes
    base: bytes = b""

    def __repr__(self) -> str:
        """Hide the blob."""
        return f"NewBlob({self.device.hex()})"


@dataclass(frozen=True)
class KeyMade:
    """A key of a device's for a relationship; it counts once it is on the ledger."""

    pseudonym: Pseudonym
    key: PublicKey


@dataclass(frozen=True)
class HalfSigned:
    """A body that the page signed and somebody else has to sign as well; `co_sign` or `join` makes it whole."""

    message: Enrol | TakeOverKey | AddKey
    body: bytes
    signers: tuple[PublicKey, ...]
    signature: bytes
    residual: CommittedFields


@dataclass(frozen=True)
class SessionSigned:
    """A session's key, certified by a key that is the pseudonym's if `identify.check_patient_session` says so."""

    pseudonym: Pseudonym
    session: CertifiedSession


@dataclass(frozen=True)
class Signed:
    """A whole transaction; `voucher` of a choice that was filed, `bearer` of a ticket."""

    message: PatientMessage
    raw: bytes
    residual: CommittedFields
    voucher: bytes = b""
    bearer: str = ""

    def __repr__(self) -> str:
        """Hide the bearer and the rules."""
        return f"Signed({type(self.message).__name__})"


@dataclass(frozen=True)
class KeyAccepted:
    """The signature of the device whose key a body adds."""

    body: bytes
    signature: bytes


Part = KeyMade | HalfSigned | SessionSigned | Signed | KeyAccepted


@dataclass(frozen=True)
class Half:
    """What came as a body, its signature already checked."""

    message: Message
    body: bytes
    signers: tuple[PublicKey, ...]
    signature: bytes
    residual: CommittedFields

    def root(self) -> Digest:
        """What its commitment has to be."""
        return self.residual.root()

    def of(self, message: Enrol | TakeOverKey | AddKey, *, why: str, terms: DelegateTerms | None = None) -> HalfSigned:
        """Return it, if it is this message, for this reason. Raises Refused (MESSAGE_UNFIT)."""
        expected = [encode(why), encode(terms)] if terms else [encode(why)]
        need(self.message == message and list(self.residual.values) == expected)
        return HalfSigned(message, self.body, self.signers, self.signature, self.residual)


@dataclass(frozen=True)
class Whole:
    """What came as a transaction, its signatures already checked."""

    message: Message
    raw: bytes
    residual: CommittedFields
    signers: tuple[PublicKey, ...]

    def root(self) -> Digest:
        """What its commitment has to be."""
        return self.residual.root()

    def of(
        self,
        message: PatientMessage,
        *,
        why: str = "",
        rules: Provision | None = None,
        voucher: bytes = b"",
        bearer: str = "",
    ) -> Signed:
        """Return it, if it is this message, for this reason or with these rules. Raises Refused (MESSAGE_UNFIT)."""
        need(self.message == message)
        need(choice_tree(self.residual) == rules if rules else reason_words(self.residual) == why)
        return Signed(message, self.raw, self.residual, voucher, bearer)


def read_whole(request: SigningRequest, parts: Sequence[bytes], *, signers: int = 1) -> Whole:
    """Return a transaction with one message and so many signers, and its residual."""
    raw, residual = parts
    transaction = transactions.decode(raw, chain=request.chain, messages=MESSAGES)
    transactions.verify(transaction)
    body = read_body(request, transaction.body_bytes)
    need(len(body.signers) == signers)
    return Whole(transaction.messages[0], raw, _RESIDUAL.decode(residual), body.signers)


def read_half(
    request: SigningRequest, parts: Sequence[bytes], *, signers: tuple[PublicKey | None, PublicKey], signed_by: int
) -> Half:
    """Return a body with one message and these two signers (None is any), of which the one at `signed_by` signed."""
    raw, signature, residual = parts
    body = read_body(request, raw)
    need(len(body.signers) == 2 and body.signers[1] == signers[1] and signers[0] in {None, body.signers[0]})
    verify_tagged(body.signers[signed_by], transactions.SIGNING_TAG, raw, signature)
    message = MESSAGES.decode(bytes(body.messages[0]))
    return Half(message, raw, body.signers, signature, _RESIDUAL.decode(residual))


def read_body(request: SigningRequest, raw: bytes) -> Body:
    """Return a body of this chain with one message, which ends when the request's would."""
    body: Body = _BODY.decode(raw)
    need(body.format == transactions.FORMAT and body.chain == request.chain and len(body.messages) == 1)
    need(request.time_s < body.expires_at_s <= request.time_s + _EXPIRY_S_MAX)
    return body


def members(said: Mapping[str, str], *names: str) -> tuple[bytes, ...]:
    """Return the bytes of exactly these members."""
    need(said.keys() == set(names))
    return tuple(to_bytes(said[name]) for name in names)


def to_bytes(text: str) -> bytes:
    """Return the bytes of base64url without padding (RFC 4648 section 5)."""
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def need(holds: bool) -> None:  # a condition, and nothing else
    """Raise Refused (MESSAGE_UNFIT) unless that is so."""
    if not holds:
        raise Refused(Refusal.MESSAGE_UNFIT, UNFIT)


def read_ending(make: Callable[[Any, Digest], PatientMessage], why: str) -> Callable[..., Part]:
    """Return what reads what ends something, for a reason that is always the same."""

    def read(request: SigningRequest, item: EndTicket | StopActing | StopRecovery, said: Mapping[str, str]) -> Signed:
        pseudonym, *rest = members(said, "pseudonym", "transaction", "residual")
        whole = read_whole(request, rest)
        need(pseudonym == item.pseudonym)
        return whole.of(make(item, whole.root()), why=why)

    return read
