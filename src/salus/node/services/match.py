"""Match: ask a node whether it holds records of a person, and answer without telling more than a pseudonym (R1).

Signed by the session's key, for the asked node, this moment and once; the organisation signs what carries it. The
identifiers are scored inside the asked node. *Nothing* looks the same whatever the reason. A match is anchored in the
patient's history by CommitReleases with an empty permit; the note behind it says who asked and when.
"""

import secrets

import msgspec

from salus.clinical import nhs_number
from salus.clinical.nhs_number import NhsNumber, NhsNumberInvalid
from salus.contracts import membership, residuals
from salus.contracts.provisions import RoleClass
from salus.crypto.signing import SignatureInvalid, verify_tagged
from salus.ledger.encoding import EncodingInvalid, encode
from salus.ledger.identifiers import OrganisationId, Pseudonym
from salus.node import tallies
from salus.node.assemble import Node
from salus.node.errors import Refusal, Refused
from salus.node.exchange import MatchAnswer, MatchAsk, Peers, SignedMatchAsk
from salus.node.members import read_time_s
from salus.node.people import OpenSession, require_session_room
from salus.node.services import enrol
from salus.node.services.anchor import anchor_note
from salus.node.services.identify import check_session, staff_certificate
from salus.node.tallies import Counted, Tally

DIRECT_CARE = (RoleClass.CLINICAL, RoleClass.PHARMACY, RoleClass.ADMINISTRATIVE)
NOTHING = MatchAnswer(b"")
MATCH_TAG = "salus/match/1"
MATCH_NONCE_BYTES = 16
PSEUDONYM_BYTES = 16
MATCH_S = 30
"""How far a match's time may be from the present, either way."""
HEARD_S = 5 * MATCH_S
"""How long a match is known to have been heard: longer than it can be answered, should the clock be set back."""
HEARD_MAX = 1_000


def match(
    node: Node, peers: Peers, custodian: OrganisationId, session: OpenSession, number: NhsNumber, *, date_of_birth: str
) -> Pseudonym | None:
    """Ask a custodian for a person's pseudonym there; None when it answers nothing.

    Args:
        node: who asks, by its organisation and its present.
        date_of_birth: YYYY-MM-DD.

    Raises:
        Refused: TOO_MANY sessions of one person, what the custodian says, or MESSAGE_UNFIT for what is no match.
    """
    require_session_room(node, session)
    ask = MatchAsk(number.digits, date_of_birth, session.certified, session.certificate)
    try:
        answer = peers.ask(custodian, sign_match(node, custodian, session, ask))
    except Refused as refused:
        if refused.refusal is not Refusal.REPLAYED:
            raise
        # It was heard, its answer was lost, and it was sent once more: only a new one is answered.
        answer = peers.ask(custodian, sign_match(node, custodian, session, ask))
    if not isinstance(answer, MatchAnswer) or len(answer.pseudonym) not in (0, PSEUDONYM_BYTES):
        raise Refused(Refusal.MESSAGE_UNFIT, f"expected a pseudonym or nothing, {custodian} answers something else")
    return Pseudonym(answer.pseudonym) if answer.pseudonym else None


def sign_match(
    node: Node, asked: OrganisationId, session: OpenSession, ask: MatchAsk, *, at_s: int | None = None
) -> SignedMatchAsk:
    """Sign a match with the session's key.

    Args:
        asked: who is to answer, and nobody else.
        at_s: Unix seconds; None for the present.
    """
    if at_s is None:
        with node.engine.snapshot() as reader:
            at_s = read_time_s(reader, node.clock)
    nonce = secrets.token_bytes(MATCH_NONCE_BYTES)
    unsigned = SignedMatchAsk(ask, at_s, nonce, bytes(64))
    terms = match_terms(unsigned, chain=node.chain, sender=node.organisation, asked=asked)
    return msgspec.structs.replace(unsigned, signature=session.key.sign_tagged(MATCH_TAG, terms))


def match_terms(signed: SignedMatchAsk, *, chain: str, sender: OrganisationId, asked: OrganisationId) -> bytes:
    """Return what the session's key signs, under MATCH_TAG: docs/spec/exchange.md."""
    return encode((chain, sender, asked, signed.at_s, signed.nonce, signed.ask))


def answer_match(node: Node, sender: OrganisationId, signed: SignedMatchAsk) -> MatchAnswer:
    """Answer another node.

    1. The person who asks is certified for direct care, in a session for this custodian.
    2. The session's key signed this very ask, for this node, now, and it was not heard before.
    3. Number and date of birth fit one person here; else answer nothing.
    4. Keep a note of who asked, and anchor it in the patient's history.

    Raises:
        Refused: PERSON_UNFIT, SESSION_UNFIT, SIGNATURE_UNFIT, REPLAYED.
    """
    ask = signed.ask
    time_s = _identify(node, sender, ask)  # 1
    _require_signed(node, sender, signed, time_s=time_s)  # 2
    try:
        pseudonym = enrol.match(node, nhs_number.parse(ask.nhs_number), ask.date_of_birth)  # 3
    except NhsNumberInvalid:
        return NOTHING
    if pseudonym is None:
        return NOTHING
    anchor_note(node, pseudonym, sender, ask.session, ask.certificate)  # 4
    return MatchAnswer(pseudonym)


def _require_signed(node: Node, sender: OrganisationId, signed: SignedMatchAsk, *, time_s: int) -> None:
    session_key = signed.ask.session.session.session_key
    terms = match_terms(signed, chain=node.chain, sender=sender, asked=node.organisation)
    try:
        verify_tagged(session_key, MATCH_TAG, terms, signed.signature)
    except SignatureInvalid as error:
        raise Refused(Refusal.SIGNATURE_UNFIT, "expected the session's signature under this match") from error
    if abs(time_s - signed.at_s) > MATCH_S:
        raise Refused(Refusal.SIGNATURE_UNFIT, f"expected a match signed at {time_s}, give or take {MATCH_S} s")
    heard = tallies.count(
        node, Tally.MATCH, who=session_key, what=signed.nonce, now_s=time_s, within_s=HEARD_S, most=HEARD_MAX
    )
    if heard is Counted.AGAIN:
        raise Refused(Refusal.REPLAYED, "expected a match that was not sent before: sign a new one")
    if heard is Counted.TOO_MANY:
        raise Refused(Refusal.TOO_MANY, f"expected at most {HEARD_MAX} matches of a session in {HEARD_S} s: wait")


def _identify(node: Node, sender: OrganisationId, ask: MatchAsk) -> int:
    """Check who asks; return the present, Unix seconds."""
    with node.engine.snapshot() as reader:
        time_s = read_time_s(reader, node.clock)
        if membership.is_suspended(membership.require_organisation(reader, sender), time_s=time_s):
            raise Refused(Refusal.SENDER_UNKNOWN, f"{sender} is suspended: nothing is answered until that ends")
        roles = _roles(ask)
        role = next((role for role in roles if role in DIRECT_CARE), None)
        if role is None:
            raise Refused(Refusal.PERSON_UNFIT, "expected a person certified for direct care")
        certificate = staff_certificate(reader, ask.certificate, organisation=sender, role_class=role, time_s=time_s)
    check_session(ask.session, certificate.key, custodian=node.organisation, time_s=time_s)
    return time_s


def _roles(ask: MatchAsk) -> tuple[RoleClass, ...]:
    try:
        return residuals.person_certificate(ask.certificate).role_classes
    except (EncodingInvalid, IndexError) as error:
        raise Refused(Refusal.PERSON_UNFIT, "expected the certificate of the person who asks") from error
