"""Choices elsewhere: what a patient has decided at another custodian, for the patient's own session there; both ends.

The ledger says which choices are in force, the custodian what their rules are (DESIGN §5.1). It gives them under a
permit of that session alone, committed and live, and by the decision by which it shows them to the patient itself (R1,
R4, decision 0045). Promises: what does not open the ledger's commitment is no rule here (L5).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from salus.contracts import consent
from salus.contracts.access import Permit
from salus.contracts.provisions import Purpose, RoleClass, Verb
from salus.contracts.record_metadata import record_of
from salus.ledger.encoding import encode
from salus.ledger.fields import CommittedFields
from salus.ledger.identifiers import OrganisationId, Pseudonym, PublicKey
from salus.ledger.state import Reader
from salus.node.assemble import Node
from salus.node.errors import Refusal, Refused
from salus.node.exchange import ChoicesAnswer, ChoicesAsk, Peers
from salus.node.people import HeldSession
from salus.node.projections import resources
from salus.node.services import choices, delegations, ledger_reads, sharing
from salus.node.services.deposit import METADATA
from salus.node.services.judge import (
    Hearing,
    Judged,
    hear_residual,
    judge,
    judge_versions,
    require_live,
    wait_for_height,
)
from salus.node.services.release import keep_request
from salus.node.services.request import Granted
from salus.node.services.sharing import InForce


@dataclass(frozen=True)
class Place:
    """A relationship of a patient's that choices are about: with which custodian, by code and name."""

    custodian: OrganisationId
    name: str
    pseudonym: Pseudonym = field(repr=False)


def places(node: Node, pseudonym: bytes, others: Sequence[HeldSession], *, title: str) -> list[Place]:
    """Return the relationships in which a patient decides: the one here first, then those of their other sessions.

    Args:
        title: what people call this organisation.
    """
    names = {each.organisation: each.name for each in ledger_reads.members(node)} if others else {}
    own = Place(node.organisation, title, Pseudonym(pseudonym))
    codes = [(OrganisationId(each.custodian), Pseudonym(each.pseudonym)) for each in others]
    return [own, *(Place(code, names.get(code, code), theirs) for code, theirs in codes)]


def answer_choices(node: Node, sender: OrganisationId, ask: ChoicesAsk) -> ChoicesAnswer:
    """Give a patient the rules of their choices here.

    1. The ledger is fresh, and has the permit's height (R3).
    2. The permit is live, and for the patient; the session is certified by a key of their own, and of no delegate.
    3. The rules let the patient's own Patient go: else nothing, as on the pages here.
    4. Keep who asked, durably, before anything leaves.

    Raises:
        Refused: what `require_live` and `hear_residual` say; PERSON_UNFIT for anybody but the patient.
        NotNow: the ledger is away, or behind.
    """
    if node.require_fresh().height < ask.height:  # 1
        wait_for_height(node, ask.height)
    with node.engine.snapshot() as reader, node.vault.database.reading():
        hearing = _hear_patient(node, reader, sender, ask)  # 2
        current = consent.choices(reader, hearing.terms.pseudonym).choices
        may_see = _may_see(node, reader, hearing)  # 3
    keep_request(node, ask.permit, hearing.terms.pseudonym, ask.residual)  # 4
    if not may_see:
        return ChoicesAnswer(may_see=False, rules=())
    return ChoicesAnswer(may_see=True, rules=choices.kept_rules(node, [each.commitment for each in current]))


def ask_rules(peers: Peers, granted: Granted) -> tuple[bytes, ...] | None:
    """Return what opens the rules of choices, encoded; None where the patient may not see them.

    Raises:
        Refused, NotNow: as `Peers.ask`.
    """
    ask = ChoicesAsk(granted.permit, granted.height, granted.residual)
    came = peers.ask(granted.terms.custodian, ask)
    if not isinstance(came, ChoicesAnswer):
        raise Refused(Refusal.MESSAGE_UNFIT, "expected the rules of choices")
    return tuple(map(encode, came.rules)) if came.may_see else None


def in_force(node: Node, place: Place, rules: Iterable[bytes]) -> list[InForce]:
    """Return the choices in force at another custodian, the newest first.

    Args:
        rules: what opens their commitments, as the custodian gave it; of what it did not give, nothing is said.
    """
    with node.engine.snapshot() as reader:
        current = consent.choices(reader, place.pseudonym).choices
    return sharing.shown(node, current, choices.opened_trees([each.commitment for each in current], rules))


def _hear_patient(node: Node, reader: Reader, sender: OrganisationId, ask: ChoicesAsk) -> Hearing:
    terms = require_live(node, reader, ask.permit, sender)
    if not _is_for_patient(terms):
        raise Refused(Refusal.PERSON_UNFIT, "expected a permit for the patient, to read, by no ticket")
    hearing = hear_residual(node, reader, ask.permit, terms, ask.residual)
    if delegations.is_delegate(reader, terms.pseudonym, PublicKey(hearing.who.certificate)):
        raise Refused(Refusal.PERSON_UNFIT, "expected the patient: who helps them decides where they help")
    return hearing


def _is_for_patient(terms: Permit) -> bool:
    asked = (terms.role_class, terms.purpose, terms.verb, bytes(terms.ticket))
    return asked == (RoleClass.PATIENT_SIDE, Purpose.PATRQT, Verb.READ, b"")


def _may_see(node: Node, reader: Reader, hearing: Hearing) -> bool:
    """Tell whether the patient's own Patient may go; a node without an index of records looks for it among all."""
    patient = resources.patient_of(node, hearing.terms.pseudonym)
    found = judge(node, reader, hearing) if patient is None else judge_versions(node, reader, hearing, [patient.key])
    return any(each.decision.may_go and _is_patient(each) for each in found.records)


def _is_patient(judged: Judged) -> bool:
    metadata: CommittedFields = METADATA.decode(judged.record.metadata)
    return "Patient" in record_of(judged.placed.entry.record, metadata.values).classes
