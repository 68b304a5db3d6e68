"""What the signer page answered, held against what was asked, before anybody acts on it (docs/spec/signer.md).

Whoever has the id of a request can answer it with anything, so nothing is believed: each transaction is for this chain,
has the one message that was asked for, the rules that were asked for, a residual that opens its commitment, and
signatures that hold. Above all, an organisation's key signs a body after the page only if `co_sign` has it from here.
Whether the key that signed acts for the pseudonym, the ledger decides, and `identify` for sessions.
"""

import binascii
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from salus.contracts.access import Challenge
from salus.contracts.consent import FileConsent, WithdrawConsent
from salus.contracts.patients import AddKey, Enrol, Holder, RemoveKey, TakeOverKey
from salus.contracts.provisions import ProvisionInvalid, gate
from salus.contracts.residuals import CertifiedSession, ResidualInvalid, Session
from salus.contracts.ticket_bearers import BearerUnfit, read_bearer
from salus.contracts.tickets import IssueTicket, RevokeTicket
from salus.crypto.signing import SignatureInvalid, SigningKey, verify_tagged
from salus.ledger import transactions
from salus.ledger.encoding import EncodingInvalid, decoder, encode
from salus.ledger.fields import CommittedFields
from salus.ledger.identifiers import Digest, Pseudonym, PublicKey
from salus.ledger.transactions import NotATransaction
from salus.node.errors import Refusal, Refused
from salus.node.services import signer_recovery_answers
from salus.node.services.signer_parts import (
    MESSAGES,
    UNFIT,
    HalfSigned,
    KeyAccepted,
    KeyMade,
    NewBlob,
    Part,
    SessionSigned,
    Signed,
    members,
    need,
    read_body,
    read_ending,
    read_half,
    read_whole,
    to_bytes,
)
from salus.node.services.signer_requests import (
    AcceptKey,
    BeginEnrolment,
    BeginTakeOver,
    CertifySession,
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
    WithdrawChoice,
    to_text,
)

__all__ = [
    "ANSWER_BYTES_MAX",
    "Answered",
    "Declined",
    "HalfSigned",
    "KeyAccepted",
    "KeyMade",
    "NewBlob",
    "Part",
    "SessionSigned",
    "Signed",
    "co_sign",
    "join",
    "read_answer",
    "read_take_over",
]

ANSWER_BYTES_MAX: Final = 524_288
BLOB_BYTES_MAX: Final = 65_536
VOUCHER_BYTES: Final = 32
_CHANGES_BLOB: Final = {Kind.CREATE, Kind.NEW_KEY, Kind.ENROL, Kind.TAKE_OVER, Kind.START_RECOVERY}
_SESSION: Final = decoder(CertifiedSession)
_NO_BYTES: Final = (msgspec.DecodeError, binascii.Error, EncodingInvalid, NotATransaction)
_SHAPELESS: Final = (*_NO_BYTES, BearerUnfit, ProvisionInvalid, ResidualInvalid)

Text = Annotated[str, Meta(max_length=131_072)]


@dataclass(frozen=True)
class Declined:
    """Nothing was signed: the person refused, or the page could not (docs/spec/signer.md has the reasons)."""

    reason: str


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
    refused: Annotated[str, Meta(pattern="^(person|unable|request|clock|wallet)$")]


class _Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: int
    device: _Device | None
    items: Annotated[tuple[dict[str, Text], ...], Meta(max_length=32)]


def read_answer(request: SigningRequest, raw: bytes) -> Answered | Declined:
    """Return what the page answered, checked against the request.

    Raises:
        Refused: MESSAGE_UNFIT for an answer to something else; SIGNATURE_UNFIT where a signature does not hold.
    """
    need(len(raw) <= ANSWER_BYTES_MAX)
    with _plainly():
        declined = b'"refused"' in raw[:64]
        if declined:
            said = msgspec.json.decode(raw, type=_Declined)
            need(said.format == 1)
            return Declined(said.refused)
        answer = msgspec.json.decode(raw, type=_Answer)
        need(answer.format == 1 and len(answer.items) == len(request.items))
        pairs = zip(request.items, answer.items, strict=True)
        return Answered(_blob(request, answer.device), tuple(_part(request, item, said) for item, said in pairs))


def read_take_over(request: SigningRequest, *, body: bytes, signature: bytes, residual: CommittedFields) -> HalfSigned:
    """Return what a device signed elsewhere for such a request, checked alike. Raises as `read_answer`."""
    (item,) = request.items
    assert isinstance(item, BeginTakeOver), "asked for something else"
    with _plainly():
        key = read_body(request, body).signers[-1]
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
        raise Refused(Refusal.MESSAGE_UNFIT, UNFIT) from error
    except SignatureInvalid as error:
        raise Refused(Refusal.SIGNATURE_UNFIT, "expected a signature of the key that the answer names") from error


def _blob(request: SigningRequest, device: _Device | None) -> NewBlob | None:
    need((device is not None) == (request.kind in _CHANGES_BLOB))
    if device is None:
        return None
    new = NewBlob(to_bytes(device.id), to_bytes(device.credential), to_bytes(device.blob))
    kept = [each for each in request.devices if each.id == new.device]
    need(len(kept) == 1 and kept[0].credential in {b"", new.credential})
    need(0 < len(new.credential) <= 1023 and 0 < len(new.blob) <= BLOB_BYTES_MAX)
    return new


def _part(request: SigningRequest, item: Item, said: Mapping[str, str]) -> Part:
    read: Callable[[SigningRequest, Any, Mapping[str, str]], Part] = _READERS[type(item)]
    return read(request, item, said)


def _key_made(_: SigningRequest, item: NewKey, said: Mapping[str, str]) -> KeyMade:
    pseudonym, key = members(said, "pseudonym", "key")
    need(pseudonym == item.pseudonym and len(key) == 32)
    return KeyMade(item.pseudonym, PublicKey(key))


def _enrolled(request: SigningRequest, item: BeginEnrolment, said: Mapping[str, str]) -> HalfSigned:
    pseudonym, key, *rest = members(said, "pseudonym", "key", "body", "signature", "residual")
    half = read_half(request, rest, signers=(item.key, PublicKey(key)), signed_by=1)
    message = Enrol(Pseudonym(pseudonym), item.custodian, PublicKey(key), Holder.PATIENT, Digest(b""), half.root())
    return half.of(message, why="enrolled by the patient")


def _taken_over(request: SigningRequest, item: BeginTakeOver, said: Mapping[str, str]) -> HalfSigned:
    pseudonym, key, *rest = members(said, "pseudonym", "key", "body", "signature", "residual")
    half = read_half(request, rest, signers=(item.key, PublicKey(key)), signed_by=1)
    need(pseudonym == item.pseudonym and key != item.key)
    message = TakeOverKey(item.pseudonym, PublicKey(key), Digest(b""), half.root())
    return half.of(message, why="taken over by the patient")


def _let_act(request: SigningRequest, item: LetAct, said: Mapping[str, str]) -> HalfSigned:
    pseudonym, *rest = members(said, "pseudonym", "body", "signature", "residual")
    half = read_half(request, rest, signers=(None, item.key), signed_by=0)
    need(pseudonym == item.pseudonym)
    message = AddKey(item.pseudonym, item.key, item.key_kind, item.expires_at_s, half.root())
    return half.of(message, why="let act by the patient", terms=item.terms)


def _accepted(request: SigningRequest, item: AcceptKey, said: Mapping[str, str]) -> KeyAccepted:
    pseudonym, signature = members(said, "pseudonym", "signature")
    message = MESSAGES.decode(bytes(read_body(request, item.body).messages[0]))
    assert isinstance(message, AddKey), "asked to accept something else than a key"
    need(pseudonym == message.pseudonym)
    verify_tagged(message.key, transactions.SIGNING_TAG, item.body, signature)
    return KeyAccepted(item.body, signature)


def _certified(_: SigningRequest, item: CertifySession, said: Mapping[str, str]) -> SessionSigned:
    pseudonym, session = members(said, "pseudonym", "session")
    certified: CertifiedSession = _SESSION.decode(session)
    need(pseudonym == item.pseudonym)
    need(certified.session == Session(item.key, item.custodian, item.from_s, item.until_s))
    return SessionSigned(item.pseudonym, certified)


def _filed(request: SigningRequest, item: FileChoice, said: Mapping[str, str]) -> Signed:
    pseudonym, choice, voucher, *rest = members(said, "pseudonym", "choice", "voucher", "transaction", "residual")
    whole = read_whole(request, rest)
    need(pseudonym == item.pseudonym and len(voucher) == VOUCHER_BYTES)
    need(item.replaces is None or choice == item.replaces.choice)
    message = FileConsent(item.pseudonym, choice, gate(item.tree), whole.root(), 0)
    return whole.of(message, rules=item.tree, voucher=voucher)


def _withdrawn(request: SigningRequest, item: WithdrawChoice, said: Mapping[str, str]) -> Signed:
    pseudonym, choice, *rest = members(said, "pseudonym", "choice", "transaction", "residual")
    whole = read_whole(request, rest)
    need(pseudonym == item.pseudonym and choice == item.choice)
    message = WithdrawConsent(item.pseudonym, item.choice, whole.root(), 0)
    return whole.of(message, why="withdrawn by the patient")


def _issued(request: SigningRequest, item: NewTicket, said: Mapping[str, str]) -> Signed:
    bearer = said.get("bearer", "")
    plain = {name: each for name, each in said.items() if name != "bearer"}
    pseudonym, ticket, *rest = members(plain, "pseudonym", "ticket", "transaction", "residual")
    whole, read = read_whole(request, rest, signers=2), read_bearer(bearer)
    need(pseudonym == item.pseudonym and read.pseudonym == item.pseudonym and read.key.public == ticket)
    claims = read.claims
    need(claims.aud == item.audience and claims.exp == item.expires_at_s)
    need(claims.access.fhir_resources == item.resources)
    (condition,) = gate(item.tree).may_permit
    until_s = item.expires_at_s
    message = IssueTicket(item.pseudonym, PublicKey(ticket), condition, item.uses_max, until_s, whole.root())
    return whole.of(message, rules=item.tree, bearer=bearer)


def _challenged(request: SigningRequest, item: NewChallenge, said: Mapping[str, str]) -> Signed:
    pseudonym, *rest = members(said, "pseudonym", "transaction", "residual")
    whole = read_whole(request, rest)
    need(pseudonym == item.pseudonym)
    return whole.of(Challenge(item.pseudonym, item.permit, whole.root()), why=item.words)


def _revocation(item: EndTicket, root: Digest) -> RevokeTicket:
    return RevokeTicket(item.pseudonym, item.ticket, root)


def _removal(item: StopActing, root: Digest) -> RemoveKey:
    return RemoveKey(item.pseudonym, item.key, root)


_READERS: Final[Mapping[type[Item], Callable[..., Part]]] = {
    NewKey: _key_made,
    BeginEnrolment: _enrolled,
    BeginTakeOver: _taken_over,
    CertifySession: _certified,
    FileChoice: _filed,
    WithdrawChoice: _withdrawn,
    NewTicket: _issued,
    EndTicket: read_ending(_revocation, "revoked by the patient"),
    NewChallenge: _challenged,
    LetAct: _let_act,
    AcceptKey: _accepted,
    StopActing: read_ending(_removal, "removed by the patient"),
    **signer_recovery_answers.READERS,
}
