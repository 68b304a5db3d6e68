"""Challenges: a patient questions an access, or its refusal, and the custodian's privacy officer hears of it.

The ledger has that it was questioned, this node the words, sealed. That a challenge came is folded from the ledger
(`projections/permits`), so that one which the patient sent by another member is not missed; its words then are.
"""

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final
from unicodedata import category

from salus.contracts import residuals
from salus.contracts.access import AccessDenied, AccessPermitted, Challenge, Challenged
from salus.contracts.evidence import Event, decode_outcome, permit_of
from salus.contracts.gathering import read_trail
from salus.contracts.patients import Actor
from salus.contracts.provisions import Purpose
from salus.crypto.sealing import new_key
from salus.ledger.encoding import EncodingInvalid, decoder, encode, in_nfc
from salus.ledger.fields import CommittedFields
from salus.ledger.identifiers import OrganisationId, PermitId, Pseudonym
from salus.ledger.machine import read_leaf
from salus.ledger.outcomes import TransactionResult, decode_leaf
from salus.node import documents, tallies
from salus.node.assemble import Node
from salus.node.documents import Kind
from salus.node.errors import Refusal, Refused
from salus.node.notices import challenges
from salus.node.people import OpenSession
from salus.node.projections import permits
from salus.node.services import deliveries, officers
from salus.node.services.enrol import custodian_held_key
from salus.node.services.signer_requests import NewChallenge
from salus.node.tallies import Counted, Tally

CHALLENGES_MAX: Final = 20
CHALLENGES_S: Final = 86_400
"""So many of one patient within a day."""
_RESIDUAL = decoder(CommittedFields)


@dataclass(frozen=True)
class Questioned:
    """The request that a challenge is about, as the ledger has it.

    Args:
        at_s: Unix seconds; is_denied: whether the answer was no.
        name, role: of whoever asked; empty where they asked for no record, or are no member of staff.
    """

    requester: OrganisationId
    purpose: Purpose
    at_s: int
    is_denied: bool
    name: str = field(default="", repr=False)
    role: str = ""


@dataclass(frozen=True)
class Received:
    """A challenge that a patient sent.

    Args:
        permit: the id of the request that it is about, permitted or denied.
        at_s: Unix seconds.
        words: what the patient says; empty where they are not held here.
        questioned: what they say it of; None where the ledger has no such request.
    """

    pseudonym: Pseudonym
    permit: PermitId
    at_s: int
    actor: Actor
    words: str = field(repr=False)
    questioned: Questioned | None = None

    @property
    def is_assisted(self) -> bool:
        """Whether the custodian sent it for the patient."""
        return self.actor is Actor.CUSTODIAN


def received(node: Node, officer: OpenSession, *, skip: int = 0, most: int | None = None) -> list[Received]:
    """Return the challenges of this custodian's patients, the newest first, with whom and what each is about.

    They were sent to the officer, so to read them is no look; to open the history that they are about is one.

    Args:
        skip: how many of the newest are passed over; most: how many are returned, None for all.

    Raises:
        Refused: PERSON_UNFIT, SESSION_UNFIT.
    """
    officers.require_officer(node, officer)
    permits.follow(node)
    wanted = challenges(node)[::-1][skip : None if most is None else skip + most]
    with node.engine.snapshot() as reader:
        leaves = [read_leaf(reader, index) for index in wanted]
        found = [_received(node, encoded) for encoded in leaves if encoded is not None]
        asked = {each: _requests(read_trail(reader, each)) for each in {one.pseudonym for one in found}}
    return [replace(each, questioned=_questioned(node, asked[each.pseudonym], each.permit)) for each in found]


def send_by_custodian(node: Node, pseudonym: Pseudonym, permit: PermitId, words: str) -> None:
    """Send a patient's challenge with the key that the custodian holds, visibly so.

    Args:
        permit: the id of a request about this patient, permitted or denied.
        words: what the patient says, at most 2,000 characters.

    Raises:
        Refused: NOT_YOURS for another request, TOO_MANY, MESSAGE_UNFIT for too many words, CHOICE_UNFIT where the
            patient holds the key; or what the ledger says.
        NotNow: the ledger is away.
    """
    key = custodian_held_key(node, pseudonym)
    said = in_nfc(words)  # which may be longer
    if len(said) > residuals.WORDS_MAX:
        raise Refused(Refusal.MESSAGE_UNFIT, f"expected at most {residuals.WORDS_MAX} characters: say it in fewer")
    why = residuals.reason(said, new_key())
    message = Challenge(pseudonym, permit, why.root())
    _require_about_request(node, message.pseudonym, message.permit)
    _keep(node, message, why)
    node.submit_signed((message,), (key,))


def to_sign(node: Node, custodian: OrganisationId, pseudonym: Pseudonym, permit: bytes, words: str) -> NewChallenge:
    """Return what a patient's device is asked to say of a request; the words in lines, as the signer page shows them.

    Args:
        custodian: whose records were asked for, and whose officer reads it; the history there is on every ledger.

    Raises:
        Refused: NOT_YOURS for a request that is not about this patient, MESSAGE_UNFIT for no words, or too many.
    """
    lines = ("".join(each for each in line if category(each)[0] != "C").strip() for line in words.splitlines())
    said = in_nfc("\n".join(filter(None, lines)))
    if not 0 < len(said) <= residuals.WORDS_MAX:
        raise Refused(Refusal.MESSAGE_UNFIT, f"expected 1 to {residuals.WORDS_MAX} characters: say it in fewer")
    _require_about_request(node, pseudonym, PermitId(permit))
    return NewChallenge(custodian, pseudonym, PermitId(permit), said)


def take(node: Node, raw: bytes, message: Challenge, residual: CommittedFields) -> TransactionResult:
    """Take a challenge that the patient's device signed.

    1. A key signed it that acts for a patient here, of a request about them; the words open the commitment. Nobody
       else's fills the vault.
    2. Keep the words, durably, before the ledger knows of them. Submit what the patient signed.

    Raises:
        Refused: CHOICE_UNFIT, NOT_YOURS, TOO_MANY; or what the ledger says.
        NotNow: the ledger is away.
    """
    deliveries.require_acting(node, raw, message.pseudonym)  # 1
    deliveries.require_reason_behind(message.commitment, residual)
    _require_about_request(node, message.pseudonym, message.permit)
    _keep(node, message, residual)  # 2
    return node.submit_raw(raw)


def _require_about_request(node: Node, pseudonym: Pseudonym, permit: PermitId) -> None:
    with node.engine.snapshot() as reader:
        trail = read_trail(reader, pseudonym)
    asked = {permit_of(each.leaf) for each in trail if isinstance(each.outcome, AccessPermitted | AccessDenied)}
    if permit not in asked:
        raise Refused(Refusal.NOT_YOURS, "expected a request about this patient, permitted or denied: name one")


def _keep(node: Node, message: Challenge, words: CommittedFields) -> None:
    counted = tallies.count(
        node,
        Tally.CHALLENGE,
        who=_keyed(node, message.pseudonym),
        what=_keyed(node, message.commitment),
        now_s=node.clock(),
        within_s=CHALLENGES_S,
        most=CHALLENGES_MAX,
    )
    if counted is Counted.TOO_MANY:
        raise Refused(Refusal.TOO_MANY, f"expected at most {CHALLENGES_MAX} challenges in a day: send it tomorrow")
    deliveries.keep(node, message.pseudonym, Kind.REASON, message.commitment, words)


def _keyed(node: Node, name: bytes) -> bytes:
    """Return what stands for a name in a tally, which an erasure does not reach (P5)."""
    return hmac.digest(node.keys.lookup, encode(("challenge", name)), "sha256")


def _received(node: Node, encoded: bytes) -> Received:
    leaf = decode_leaf(encoded)
    outcome = decode_outcome(leaf)
    assert isinstance(outcome, Challenged), "only challenges are noted as such"
    kept = documents.find(node.vault, Kind.REASON, outcome.commitment)
    words = "" if kept is None else residuals.reason_words(_RESIDUAL.decode(kept))
    return Received(outcome.pseudonym, outcome.permit, leaf.time_s, outcome.actor, words)


def _requests(trail: Sequence[Event]) -> dict[PermitId, Event]:
    return {permit_of(each.leaf): each for each in trail if isinstance(each.outcome, AccessPermitted | AccessDenied)}


def _questioned(node: Node, asked: Mapping[PermitId, Event], permit: PermitId) -> Questioned | None:
    event = asked.get(permit)
    if event is None:
        return None
    outcome = event.outcome
    assert isinstance(outcome, AccessPermitted | AccessDenied), "only requests are looked among"
    is_denied, (name, role) = isinstance(outcome, AccessDenied), _who(node, permit)
    return Questioned(outcome.requester, outcome.purpose, event.leaf.time_s, is_denied, name, role)


def _who(node: Node, permit: PermitId) -> tuple[str, str]:
    """Name and role of a member of staff who asked for records under a permit; empty for anybody else."""
    kept = documents.find(node.vault, Kind.REQUEST, permit)
    if kept is None:
        return "", ""
    try:
        person = residuals.person_certificate(residuals.request_residual(_RESIDUAL.decode(kept)).certificate)
    except (EncodingInvalid, IndexError):  # the certificate of a patient's own session, or of who helps them
        return "", ""
    return person.name, person.role
