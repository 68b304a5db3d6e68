"""Match: ask a node whether it holds records of a person, and answer without telling more than a pseudonym (R1).

The identifiers are scored inside the asked node. *Nothing* looks the same whatever the reason. A match is anchored in
the patient's history by CommitReleases with an empty permit; the note behind it says who asked and when.
"""

from salus.clinical import nhs_number
from salus.clinical.nhs_number import NhsNumber, NhsNumberInvalid
from salus.contracts import membership, residuals
from salus.contracts.access import CommitReleases, End
from salus.contracts.provisions import RoleClass
from salus.crypto.sealing import new_key
from salus.ledger.encoding import EncodingInvalid, encode
from salus.ledger.fields import commit_fields
from salus.ledger.identifiers import OrganisationId, PermitId, Pseudonym
from salus.node import documents
from salus.node.assemble import Node
from salus.node.documents import Kind
from salus.node.errors import Refusal, Refused
from salus.node.exchange import MatchAnswer, MatchAsk, Peers
from salus.node.members import read_time_s
from salus.node.people import OpenSession
from salus.node.services import enrol
from salus.node.services.identify import check_session, staff_certificate

DIRECT_CARE = (RoleClass.CLINICAL, RoleClass.PHARMACY, RoleClass.ADMINISTRATIVE)
NOTHING = MatchAnswer(b"")


def match(
    peers: Peers, custodian: OrganisationId, session: OpenSession, number: NhsNumber, *, date_of_birth: str
) -> Pseudonym | None:
    """Ask a custodian for a person's pseudonym there; None when it answers nothing.

    Args:
        date_of_birth: YYYY-MM-DD.
    """
    answer = peers.ask(custodian, MatchAsk(number.digits, date_of_birth, session.certified, session.certificate))
    assert isinstance(answer, MatchAnswer)
    return Pseudonym(answer.pseudonym) if answer.pseudonym else None


def answer_match(node: Node, sender: OrganisationId, ask: MatchAsk) -> MatchAnswer:
    """Answer another node.

    1. The person who asks is certified for direct care, in a session for this custodian.
    2. Number and date of birth fit one person here; else answer nothing.
    3. Keep a note of who asked, and anchor it in the patient's history.

    Raises:
        Refused: PERSON_UNFIT, SESSION_UNFIT.
    """
    _identify(node, sender, ask)  # 1
    try:
        pseudonym = enrol.match(node, nhs_number.parse(ask.nhs_number), ask.date_of_birth)  # 2
    except NhsNumberInvalid:
        return NOTHING
    if pseudonym is None:
        return NOTHING
    note = commit_fields(
        [sender, ask.certificate.root(), ask.session.session.session_key, node.clock()], secret=new_key()
    )
    documents.keep(node.vault, node.chain, pseudonym, Kind.MATCH, note.root(), encode(note))  # 3
    node.submit(
        CommitReleases(
            pseudonym=pseudonym,
            permit=PermitId(b""),
            end=End.CUSTODIAN,
            root=note.root(),
            is_closed=True,
        )
    )
    return MatchAnswer(pseudonym)


def _identify(node: Node, sender: OrganisationId, ask: MatchAsk) -> None:
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


def _roles(ask: MatchAsk) -> tuple[RoleClass, ...]:
    try:
        return residuals.person_certificate(ask.certificate).role_classes
    except (EncodingInvalid, IndexError) as error:
        raise Refused(Refusal.PERSON_UNFIT, "expected the certificate of the person who asks") from error
