"""What the signer page answered, held against what was asked, before anybody acts on it (docs/spec/signer.md).

Whoever has the id of a request can answer it with anything, so nothing is believed: each transaction is for this chain,
has the one message that was asked for, the rules that were asked for, a residual that opens its commitment, and
signatures that hold. Above all, an organisation's key signs a body after the page only if `co_sign` has it from here.
Whether the key that signed acts for the pseudonym, the ledger decides, and `identify` for sessions.
"""

import base64
import binascii
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from salus.contracts import CONTRACTS
from salus.contracts.access import Challenge
from salus.contracts.consent import FileConsent, WithdrawConsent
from salus.contracts.patients import (
    AddKey,
    CancelRecovery,
    ChangeRecoveryKey,
    Enrol,
    FinishRecovery,
    Holder,
    RemoveKey,
    StartRecovery,
    TakeOverKey,
)
from salus.contracts.provisions import Provision, ProvisionInvalid, gate
from salus.contracts.residuals import (
    CertifiedSession,
    DelegateTerms,
    ResidualInvalid,
    Session,
    choice_tree,
    reason_words,
)
from salus.contracts.ticket_bearers import BearerUnfit, read_bearer
from salus.contracts.tickets import IssueTicket, RevokeTicket
from salus.crypto.signing import SignatureInvalid, SigningKey, verify_tagged
from salus.ledger import transactions
from salus.ledger.encoding import EncodingInvalid, decoder, encode
from salus.ledger.fields import CommittedFields
from salus.ledger.identifiers import Digest, Pseudonym, PublicKey
from salus.ledger.machine import message_decoder
from salus.ledger.transactions import Body, Message, NotATransaction, PatientMessage
from salus.node.errors import Refusal, Refused
from salus.node.services.signer_requests import (
    AcceptKey,
    BeginEnrolment,
    BeginRecovery,
    BeginTakeOver,
    CertifySession,
    ChooseGuardians,
    EndRecovery,
    EndTicket,
    FileChoice,
    Item,
    Kind,
    LetAct,
    NewChallenge,
    NewKey,
    NewTicket,
    SigningRequest,
    StopActing,
    StopRecovery,
    WithdrawChoice,
    to_text,
)

ANSWER_BYTES_MAX: Final = 524_288
BLOB_BYTES_MAX: Final = 65_536
VOUCHER_BYTES: Final = 32
_CHANGES_BLOB: Final = {Kind.CREATE, Kind.NEW_KEY, Kind.ENROL, Kind.TAKE_OVER, Kind.START_RECOVERY}
_EXPIRY_S_MAX: Final = transactions.EXPIRY_AHEAD_S_MAX
_MESSAGES: Final = message_decoder(CONTRACTS)
_BODY: Final = decoder(Body)
_SESSION: Final = decoder(CertifiedSession)
_RESIDUAL: Final = decoder(CommittedFields)
_NO_BYTES: Final = (msgspec.DecodeError, binascii.Error, EncodingInvalid, NotATransaction)
_SHAPELESS: Final = (*_NO_BYTES, BearerUnfit, ProvisionInvalid, ResidualInvalid)
_UNFIT: Final = "the answer is not to what was asked: begin again"

Text = Annotated[str, Meta(max_length=131_072)]


@dataclass(frozen=True)
class Declined:
    """Nothing was signed: the person refused, or the page could not (docs/spec/signer.md has the reasons)."""

    reason: str


@dataclass(frozen=True)
class NewBlob:
    """A device's blob, which takes the place of the one before it."""

    device: bytes
    credential: bytes
    blob: bytes

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
class Answered:
    """What was signed, in the order of the request's items; `device` is None where its blob stays."""

    device: NewBlob | None
    parts: tuple[Part, ...]


class _Device(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: Text
    credential: Text
    blob: Text


class _Declined(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: int
    refused: Annotated[str, Meta(pattern="^(person|unable|request|wallet)$")]


class _Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: int
    device: _Device | None
    items: Annotated[tuple[dict[str, Text], ...], Meta(max_length=32)]


def read_answer(request: SigningRequest, raw: bytes) -> Answered | Declined:
    """Return what the page answered, checked against the request.

    Raises:
        Refused: MESSAGE_UNFIT for an answer to something else; SIGNATURE_UNFIT where a signature does not hold.
    """
    _need(len(raw) <= ANSWER_BYTES_MAX)
    with _plainly():
        declined = b'"refused"' in raw[:64]
        if declined:
            said = msgspec.json.decode(raw, type=_Declined)
            _need(said.format == 1)
            return Declined(said.refused)
        answer = msgspec.json.decode(raw, type=_Answer)
        _need(answer.format == 1 and len(answer.items) == len(request.items))
        pairs = zip(request.items, answer.items, strict=True)
        return Answered(_blob(request, answer.device), tuple(_part(request, item, said) for item, said in pairs))


def read_take_over(request: SigningRequest, *, body: bytes, signature: bytes, residual: CommittedFields) -> HalfSigned:
    """Return what a device signed elsewhere for such a request, checked alike. Raises as `read_answer`."""
    (item,) = request.items
    assert isinstance(item, BeginTakeOver), "asked for something else"
    with _plainly():
        key = _body(request, body).signers[-1]
        said = {"pseudonym": item.pseudonym, "key": key, "body": body, "signature": signature}
        texts = {name: to_text(each) for name, each in (said | {"residual": encode(residual)}).items()}
        return _taken_over(request, item, texts)


def co_sign(half: HalfSigned, key: SigningKey) -> bytes:
    """Return the transaction of a body that an organisation's key, or one that it holds, signs before the page's.

    The body came through `read_answer`, so it does what was asked and nothing else.
    """
    assert half.signers[0] == key.public, "the page names another key as the first signer"
    return transactions.assemble(half.body, [transactions.sign_body(half.body, key), half.signature])


def join(half: HalfSigned, accepted: KeyAccepted) -> bytes:
    """Return the transaction of a body that one device signed to let another act, and that one to accept it."""
    assert half.body == accepted.body, "two devices signed different bodies"
    return transactions.assemble(half.body, [half.signature, accepted.signature])


@contextmanager
def _plainly() -> Iterator[None]:
    try:
        yield
    except _SHAPELESS as error:
        raise Refused(Refusal.MESSAGE_UNFIT, _UNFIT) from error
    except SignatureInvalid as error:
        raise Refused(Refusal.SIGNATURE_UNFIT, "expected a signature of the key that the answer names") from error


def _blob(request: SigningRequest, device: _Device | None) -> NewBlob | None:
    _need((device is not None) == (request.kind in _CHANGES_BLOB))
    if device is None:
        return None
    new = NewBlob(_bytes(device.id), _bytes(device.credential), _bytes(device.blob))
    kept = [each for each in request.devices if each.id == new.device]
    _need(len(kept) == 1 and kept[0].credential in {b"", new.credential})
    _need(0 < len(new.credential) <= 1023 and 0 < len(new.blob) <= BLOB_BYTES_MAX)
    return new


def _part(request: SigningRequest, item: Item, said: Mapping[str, str]) -> Part:
    read: Callable[[SigningRequest, Any, Mapping[str, str]], Part] = _READERS[type(item)]
    return read(request, item, said)


def _key_made(_: SigningRequest, item: NewKey, said: Mapping[str, str]) -> KeyMade:
    pseudonym, key = _members(said, "pseudonym", "key")
    _need(pseudonym == item.pseudonym and len(key) == 32)
    return KeyMade(item.pseudonym, PublicKey(key))


def _enrolled(request: SigningRequest, item: BeginEnrolment, said: Mapping[str, str]) -> HalfSigned:
    pseudonym, key, *rest = _members(said, "pseudonym", "key", "body", "signature", "residual")
    half = _half(request, rest, signers=(item.key, PublicKey(key)), signed_by=1)
    message = Enrol(Pseudonym(pseudonym), item.custodian, PublicKey(key), Holder.PATIENT, Digest(b""), half.root())
    return half.of(message, why="enrolled by the patient")


def _taken_over(request: SigningRequest, item: BeginTakeOver, said: Mapping[str, str]) -> HalfSigned:
    pseudonym, key, *rest = _members(said, "pseudonym", "key", "body", "signature", "residual")
    half = _half(request, rest, signers=(item.key, PublicKey(key)), signed_by=1)
    _need(pseudonym == item.pseudonym and key != item.key)
    message = TakeOverKey(item.pseudonym, PublicKey(key), Digest(b""), half.root())
    return half.of(message, why="taken over by the patient")


def _let_act(request: SigningRequest, item: LetAct, said: Mapping[str, str]) -> HalfSigned:
    pseudonym, *rest = _members(said, "pseudonym", "body", "signature", "residual")
    half = _half(request, rest, signers=(None, item.key), signed_by=0)
    _need(pseudonym == item.pseudonym)
    message = AddKey(item.pseudonym, item.key, item.key_kind, item.expires_at_s, half.root())
    return half.of(message, why="let act by the patient", terms=item.terms)


def _accepted(request: SigningRequest, item: AcceptKey, said: Mapping[str, str]) -> KeyAccepted:
    pseudonym, signature = _members(said, "pseudonym", "signature")
    message = _MESSAGES.decode(bytes(_body(request, item.body).messages[0]))
    assert isinstance(message, AddKey), "asked to accept something else than a key"
    _need(pseudonym == message.pseudonym)
    verify_tagged(message.key, transactions.SIGNING_TAG, item.body, signature)
    return KeyAccepted(item.body, signature)


def _certified(_: SigningRequest, item: CertifySession, said: Mapping[str, str]) -> SessionSigned:
    pseudonym, session = _members(said, "pseudonym", "session")
    certified: CertifiedSession = _SESSION.decode(session)
    _need(pseudonym == item.pseudonym)
    _need(certified.session == Session(item.key, item.custodian, item.from_s, item.until_s))
    return SessionSigned(item.pseudonym, certified)


def _filed(request: SigningRequest, item: FileChoice, said: Mapping[str, str]) -> Signed:
    pseudonym, choice, voucher, *rest = _members(said, "pseudonym", "choice", "voucher", "transaction", "residual")
    whole = _whole(request, rest)
    _need(pseudonym == item.pseudonym and len(voucher) == VOUCHER_BYTES)
    _need(item.replaces is None or choice == item.replaces.choice)
    message = FileConsent(item.pseudonym, choice, gate(item.tree), whole.root(), 0)
    return whole.of(message, rules=item.tree, voucher=voucher)


def _withdrawn(request: SigningRequest, item: WithdrawChoice, said: Mapping[str, str]) -> Signed:
    pseudonym, choice, *rest = _members(said, "pseudonym", "choice", "transaction", "residual")
    whole = _whole(request, rest)
    _need(pseudonym == item.pseudonym and choice == item.choice)
    message = WithdrawConsent(item.pseudonym, item.choice, whole.root(), 0)
    return whole.of(message, why="withdrawn by the patient")


def _issued(request: SigningRequest, item: NewTicket, said: Mapping[str, str]) -> Signed:
    bearer = said.get("bearer", "")
    plain = {name: each for name, each in said.items() if name != "bearer"}
    pseudonym, ticket, *rest = _members(plain, "pseudonym", "ticket", "transaction", "residual")
    whole, read = _whole(request, rest, signers=2), read_bearer(bearer)
    _need(pseudonym == item.pseudonym and read.pseudonym == item.pseudonym and read.key.public == ticket)
    claims = read.claims
    _need(claims.aud == item.audience and claims.exp == item.expires_at_s)
    _need(claims.access.fhir_resources == item.resources)
    (condition,) = gate(item.tree).may_permit
    until_s = item.expires_at_s
    message = IssueTicket(item.pseudonym, PublicKey(ticket), condition, item.uses_max, until_s, whole.root())
    return whole.of(message, rules=item.tree, bearer=bearer)


def _challenged(request: SigningRequest, item: NewChallenge, said: Mapping[str, str]) -> Signed:
    pseudonym, *rest = _members(said, "pseudonym", "transaction", "residual")
    whole = _whole(request, rest)
    _need(pseudonym == item.pseudonym)
    return whole.of(Challenge(item.pseudonym, item.permit, whole.root()), why=item.words)


def _ended(make: Callable[[Any, Digest], PatientMessage], why: str) -> Callable[..., Part]:
    """Read what ends something, for a reason that is always the same."""

    def read(request: SigningRequest, item: EndTicket | StopActing | StopRecovery, said: Mapping[str, str]) -> Signed:
        pseudonym, *rest = _members(said, "pseudonym", "transaction", "residual")
        whole = _whole(request, rest)
        _need(pseudonym == item.pseudonym)
        return whole.of(make(item, whole.root()), why=why)

    return read


def _guardians_chosen(request: SigningRequest, item: ChooseGuardians, said: Mapping[str, str]) -> Signed:
    pseudonym, key, second, *rest = _members(said, "pseudonym", "key", "second", "transaction", "residual")
    whole = _whole(request, rest)
    _need(pseudonym == item.pseudonym and len(second) == (32 if item.second else 0))
    message = ChangeRecoveryKey(item.pseudonym, PublicKey(key), Digest(second), whole.root())
    return whole.of(message, why="guardians chosen")


def _recovery_begun(request: SigningRequest, item: BeginRecovery, said: Mapping[str, str]) -> Signed:
    pseudonym, key, recovery, *rest = _members(said, "pseudonym", "key", "recovery", "transaction", "residual")
    whole = _whole(request, rest, signers=2)
    _need(pseudonym == item.pseudonym and whole.signers == (recovery, key))
    message = StartRecovery(item.pseudonym, PublicKey(key), whole.root())
    return whole.of(message, why="the device was lost")


def _recovery_ended(request: SigningRequest, item: EndRecovery, said: Mapping[str, str]) -> Signed:
    pseudonym, recovery, *rest = _members(said, "pseudonym", "recovery", "transaction", "residual")
    whole = _whole(request, rest)
    _need(pseudonym == item.pseudonym and whole.signers == (recovery,))
    return whole.of(FinishRecovery(item.pseudonym, whole.root()), why="recovered")


def _revocation(item: EndTicket, root: Digest) -> RevokeTicket:
    return RevokeTicket(item.pseudonym, item.ticket, root)


def _removal(item: StopActing, root: Digest) -> RemoveKey:
    return RemoveKey(item.pseudonym, item.key, root)


def _cancellation(item: StopRecovery, root: Digest) -> CancelRecovery:
    return CancelRecovery(item.pseudonym, root)


_READERS: Final[Mapping[type[Item], Callable[..., Part]]] = {
    NewKey: _key_made,
    BeginEnrolment: _enrolled,
    BeginTakeOver: _taken_over,
    CertifySession: _certified,
    FileChoice: _filed,
    WithdrawChoice: _withdrawn,
    NewTicket: _issued,
    EndTicket: _ended(_revocation, "revoked by the patient"),
    NewChallenge: _challenged,
    LetAct: _let_act,
    AcceptKey: _accepted,
    StopActing: _ended(_removal, "removed by the patient"),
    StopRecovery: _ended(_cancellation, "cancelled by the patient"),
    ChooseGuardians: _guardians_chosen,
    BeginRecovery: _recovery_begun,
    EndRecovery: _recovery_ended,
}


@dataclass(frozen=True)
class _Half:
    """What came as a body, its signature already checked."""

    message: Message
    body: bytes
    signers: tuple[PublicKey, ...]
    signature: bytes
    residual: CommittedFields

    def root(self) -> Digest:
        return self.residual.root()

    def of(self, message: Enrol | TakeOverKey | AddKey, *, why: str, terms: DelegateTerms | None = None) -> HalfSigned:
        expected = [encode(why), encode(terms)] if terms else [encode(why)]
        _need(self.message == message and list(self.residual.values) == expected)
        return HalfSigned(message, self.body, self.signers, self.signature, self.residual)


@dataclass(frozen=True)
class _Whole:
    """What came as a transaction, its signatures already checked."""

    message: Message
    raw: bytes
    residual: CommittedFields
    signers: tuple[PublicKey, ...]

    def root(self) -> Digest:
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
        _need(self.message == message)
        _need(choice_tree(self.residual) == rules if rules else reason_words(self.residual) == why)
        return Signed(message, self.raw, self.residual, voucher, bearer)


def _whole(request: SigningRequest, parts: Sequence[bytes], *, signers: int = 1) -> _Whole:
    """A transaction with one message and so many signers, and its residual."""
    raw, residual = parts
    transaction = transactions.decode(raw, chain=request.chain, messages=_MESSAGES)
    transactions.verify(transaction)
    body = _body(request, transaction.body_bytes)
    _need(len(body.signers) == signers)
    return _Whole(transaction.messages[0], raw, _RESIDUAL.decode(residual), body.signers)


def _half(
    request: SigningRequest, parts: Sequence[bytes], *, signers: tuple[PublicKey | None, PublicKey], signed_by: int
) -> _Half:
    """A body with one message and these two signers (None is any), of which the one at `signed_by` signed."""
    raw, signature, residual = parts
    body = _body(request, raw)
    _need(len(body.signers) == 2 and body.signers[1] == signers[1] and signers[0] in {None, body.signers[0]})
    verify_tagged(body.signers[signed_by], transactions.SIGNING_TAG, raw, signature)
    message = _MESSAGES.decode(bytes(body.messages[0]))
    return _Half(message, raw, body.signers, signature, _RESIDUAL.decode(residual))


def _body(request: SigningRequest, raw: bytes) -> Body:
    """A body of this chain with one message, which ends when the request's would."""
    body: Body = _BODY.decode(raw)
    _need(body.format == transactions.FORMAT and body.chain == request.chain and len(body.messages) == 1)
    _need(request.time_s < body.expires_at_s <= request.time_s + _EXPIRY_S_MAX)
    return body


def _members(said: Mapping[str, str], *names: str) -> tuple[bytes, ...]:
    """The bytes of exactly these members."""
    _need(said.keys() == set(names))
    return tuple(_bytes(said[name]) for name in names)


def _bytes(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def _need(holds: bool) -> None:  # a condition, and nothing else
    if not holds:
        raise Refused(Refusal.MESSAGE_UNFIT, _UNFIT)
