"""Request: ask the ledger for a permit, on behalf of a person who is known by certificate and session (R1, R2)."""

import secrets
from dataclasses import dataclass

from salus.contracts import membership
from salus.contracts.access import AccessDenied, AccessPermitted, DenialReason, Permit, RequestAccess, granted
from salus.contracts.membership import KeyUse
from salus.contracts.provisions import Purpose, RoleClass, Verb
from salus.contracts.residuals import RequestResidual, Scope, commit_request
from salus.contracts.tickets import UseTicket
from salus.crypto.hashing import sha256
from salus.crypto.hpke import HpkeKey, HpkeSuite
from salus.crypto.sealing import new_key
from salus.crypto.signing import SigningKey
from salus.ledger.encoding import decoder, in_nfc
from salus.ledger.fields import CommittedFields
from salus.ledger.identifiers import Digest, OrganisationId, PermitId, Pseudonym, PublicKey
from salus.ledger.outcomes import decode_leaf
from salus.ledger.transactions import PatientMessage
from salus.node import people
from salus.node.assemble import Node
from salus.node.people import OpenSession

DURATION_S = 900
EMERGENCY_S = 3600
"""How long emergency access lasts, where the network allows that."""
ANY_RECORD = Scope()
_DECISION = decoder(AccessPermitted | AccessDenied)


@dataclass(frozen=True)
class Granted:
    """A permit and what its holder needs to use it: the residual and the reader key, both only here."""

    permit: PermitId
    terms: Permit
    height: int
    residual: CommittedFields
    reader_key: HpkeKey


@dataclass(frozen=True)
class Denied:
    """The ledger's answer is no; the reason is committed."""

    reason: DenialReason
    height: int


@dataclass(frozen=True)
class Wish:
    """What is asked, of whom, and why; `ticket` is a bearer ticket's key, if there is one."""

    pseudonym: Pseudonym
    custodian: OrganisationId
    role_class: RoleClass
    purpose: Purpose
    verb: Verb = Verb.READ
    scope: Scope = ANY_RECORD
    justification: str = ""
    duration_s: int = DURATION_S
    ticket: SigningKey | None = None


def request(node: Node, session: OpenSession, wish: Wish) -> Granted | Denied:
    """Ask the ledger for a permit.

    1. The person has room for this session, and for this emergency if it is one. Put what stays off the ledger into
       the residual, and make a reader key for this permit alone (R6).
    2. Spend the ticket, if there is one, in the same transaction.
    3. Commit RequestAccess, signed by session key and organisation; read the decision from its leaf.

    Raises:
        Refused: TOO_MANY, LEDGER_REJECTED.
        NotNow: the ledger does not answer.
    """
    name = secrets.token_bytes(16)
    people.require_session_room(node, session)  # 1
    if wish.purpose is Purpose.BTG:
        people.require_emergency_room(node, session.certificate, name=name, pseudonym=wish.pseudonym)
    residual = commit_request(
        RequestResidual(
            request=name,
            scope=wish.scope,
            certificate=session.certificate,
            session=session.certified,
            justification=in_nfc(wish.justification),
        ),
        secret=new_key(),
    )
    reader_key = HpkeKey.generate(HpkeSuite.X25519)
    messages, keys = _messages(node, session, wish, residual.root(), reader_key.public)  # 2
    result = node.submit_signed(messages, keys)  # 3
    leaf = decode_leaf(result.leaves[-1])
    decision: AccessPermitted | AccessDenied = _DECISION.decode(leaf.data)
    if isinstance(decision, AccessDenied):
        return Denied(decision.reason, leaf.height)
    asked = messages[-1]
    assert isinstance(asked, RequestAccess)
    permit, terms = granted(asked, decision, leaf, session_key=PublicKey(session.key.public))
    return Granted(permit, terms, leaf.height, residual, reader_key)


def emergency_s(node: Node) -> int:
    """Return for how long emergency access is asked for, seconds."""
    with node.engine.snapshot() as reader:
        return min(EMERGENCY_S, membership.network(reader).emergency_s_max)


def _messages(
    node: Node, session: OpenSession, wish: Wish, residual: Digest, reader_key: bytes
) -> tuple[tuple[PatientMessage, ...], tuple[SigningKey, ...]]:
    asked = RequestAccess(
        pseudonym=wish.pseudonym,
        custodian=wish.custodian,
        requester=node.organisation,
        role_class=wish.role_class,
        purpose=wish.purpose,
        verb=wish.verb,
        duration_s=wish.duration_s,
        session=0 if wish.ticket is None else 1,
        reader_key=Digest(sha256(reader_key)),
        ticket=Digest(wish.ticket.public if wish.ticket else b""),
        residual=residual,
    )
    own = node.signing(KeyUse.TRANSACTION)
    if wish.ticket is None:
        return (asked,), (session.key, own)
    used = UseTicket(
        pseudonym=wish.pseudonym,
        ticket=PublicKey(wish.ticket.public),
        session=1,
    )
    return (used, asked), (wish.ticket, session.key, own)
