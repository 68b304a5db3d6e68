"""View a patient: what a member of staff sees of one person: this organisation's records, and what others answer.

Promises: own records go through the one decision point at each look (R3, R4); others are asked through `collect`. An
emergency is one request at each custodian for one time box, with its reason (`BTG`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

from salus.clinical.fhir.search import Query, parse_query
from salus.clinical.nhs_number import NhsNumber
from salus.contracts import access
from salus.contracts.access import DenialReason
from salus.contracts.provisions import Purpose, Verb
from salus.ledger.identifiers import PermitId, Pseudonym
from salus.node.assemble import Node
from salus.node.errors import NotNow
from salus.node.people import HeldSession
from salus.node.projections.resources import Found
from salus.node.services.accounts import Account, Accounts
from salus.node.services.collect import Answered, Asking, Collected, Custodian
from salus.node.services.own_care import open_for_own_staff
from salus.node.services.request import DURATION_S, Denied, Wish, emergency_s
from salus.node.services.respond import Login, Responder
from salus.node.services.search import CANDIDATES_MAX, Reach, Search
from salus.node.services.show import Shown, newest, show

TYPES: Final = (
    "AllergyIntolerance",
    "Condition",
    "DiagnosticReport",
    "DocumentReference",
    "Flag",
    "ImagingStudy",
    "Immunization",
    "MedicationRequest",
    "MedicationStatement",
    "Observation",
    "Procedure",
)
"""What a first view shows; a letter's own bytes are opened when somebody opens it."""

MANY: Final = {
    "DiagnosticReport": "date",
    "DocumentReference": "date",
    "ImagingStudy": "started",
    "Immunization": "date",
    "Observation": "date",
    "Procedure": "date",
}
"""Types of which a chart may have many, and what they are put in order by."""


@dataclass(frozen=True)
class EmergencyAnswer:
    """Until when emergency access lasts, Unix seconds, and own records; or the name of the reason why there is none.

    `permit` is the one under which they came; empty where nothing came, or the ledger is yet to hear of it.
    """

    until_s: int = 0
    reason: str = ""
    records: tuple[bytes, ...] = field(default=(), repr=False)
    permit: bytes = b""


@dataclass(frozen=True)
class Viewed:
    """Who is looked at, why, and whether it is an emergency.

    Args:
        pseudonym: here; empty for somebody who has no records here.
        number: by which others are asked; None where it is not known, then nobody is.
    """

    pseudonym: bytes = field(repr=False)
    number: NhsNumber | None = field(repr=False)
    born: str = field(repr=False)
    justification: str = field(repr=False)
    is_emergency: bool = False

    def login(self, login: Login) -> Login:
        """Return as whom and why this organisation's own records are asked for."""
        return replace(login, justification=self.justification)


def own_records(
    node: Node,
    responder: Responder,
    login: Login,
    viewed: Viewed,
    types: Sequence[str] = TYPES,
    *,
    most: int | None = None,
    skip: int = 0,
    code: str = "",
    only: Callable[[Found], bool] | None = None,
) -> list[Shown]:
    """Return what may be shown of this organisation's records of somebody; in an emergency they have come already.

    Args:
        most: how many of each type that has many, the newest; allergies, problems and medicines come whole.
        skip: how many of these newest are passed over.
        code: the only one of what they are about; empty for any.
        only: which of them are opened, and so in the receipt; None for all.

    Raises:
        Refused, NotNow: as `show`.
    """
    if not viewed.pseudonym or viewed.is_emergency:
        return []
    asking = viewed.login(login)
    found = _found(node, responder, asking, viewed, types, most=most, skip=skip, code=code)
    found = found if only is None else [each for each in found if only(each)]
    if not found:
        return []
    shown = show(node, responder, asking, [newest(each) for each in found])
    return [shown[each.key] for each in found if each.key in shown]


def has_older(
    node: Node, responder: Responder, login: Login, viewed: Viewed, types: Sequence[str], *, beyond: int, code: str = ""
) -> bool:
    """Tell whether more own records of one of these types may be shown than so many; of types that have many.

    Raises:
        Refused, NotNow: as `show`.
    """
    if not viewed.pseudonym or viewed.is_emergency:
        return False
    many = [each for each in types if each in MANY]
    return bool(_found(node, responder, viewed.login(login), viewed, many, most=1, skip=beyond, code=code))


def _found(
    node: Node,
    responder: Responder,
    asking: Login,
    viewed: Viewed,
    types: Sequence[str],
    *,
    most: int | None,
    skip: int,
    code: str,
) -> list[Found]:
    reach = Reach(viewed.pseudonym, lambda _type: True, lambda _type: ())
    search, found = Search(node, responder, asking, reach), []
    for each in types:
        order = [("_sort", f"-{MANY[each]}")] if each in MANY else []
        wanted = parse_query(each, [*order, *([("code", code)] if code else [])], is_strict=True)
        if most is None or each not in MANY:
            found += search.candidates(wanted)
        else:
            found += _newest(search, wanted, partial(_may_go, responder, asking, viewed), skip + most)[skip:]
    return found


def _newest(search: Search, wanted: Query, may_go: Callable[[list[Found]], list[Found]], count: int) -> list[Found]:
    """The newest that may be shown, so many: a page is full of these, and hints at no other (R4)."""
    first = count
    while True:
        rows = search.candidates(wanted, first=first)
        found = may_go(rows)
        if len(found) >= count or len(rows) < first or first == CANDIDATES_MAX:
            return found[:count]
        first = min(2 * first, CANDIDATES_MAX)


def _may_go(responder: Responder, asking: Login, viewed: Viewed, found: list[Found]) -> list[Found]:
    """While the ledger is away, care of own patients goes on: then `show` alone decides, of what a page has."""
    keys = [each.key for each in found]
    try:
        allowed = responder.allowed(asking, Pseudonym(viewed.pseudonym), Verb.READ, keys) if keys else frozenset()
    except NotNow:
        return found
    return [each for each in found if each.key in allowed]


def begin_emergency(node: Node, login: Login, viewed: Viewed) -> EmergencyAnswer:
    """Have this organisation's own records by emergency access: one request, for its whole time box.

    For somebody who has no records here there is nothing to ask here, and others are asked as they are collected.

    Raises:
        Refused: TOO_MANY emergencies of this person; the officer has a notice.
        NotNow: the ledger is out of reach.
    """
    now_s, lasts_s = node.clock(), emergency_s(node)
    if not viewed.pseudonym:
        return EmergencyAnswer(now_s + lasts_s)
    wish = Wish(
        pseudonym=Pseudonym(viewed.pseudonym),
        custodian=node.organisation,
        role_class=login.role_class,
        purpose=Purpose.BTG,
        justification=viewed.justification,
        duration_s=lasts_s,
    )
    opened = open_for_own_staff(node, login.session, wish)
    if isinstance(opened, Denied):
        return EmergencyAnswer(reason=opened.reason.name)
    came = list(opened)
    permit = _committed(node, came[0].permit) if came else b""
    return EmergencyAnswer(now_s + lasts_s, records=tuple(each.content for each in came), permit=permit)


def _committed(node: Node, permit: PermitId) -> bytes:
    """A permit that the ledger has; empty for one of continuity, which nobody has reviewed."""
    with node.engine.snapshot() as reader:
        return b"" if access.permit(reader, permit) is None else permit


def sessions_with(
    accounts: Accounts, account: Account, custodians: Sequence[Custodian], have: Sequence[HeldSession]
) -> tuple[HeldSession, ...]:
    """Return the sessions that a member of staff has, and a new one with each custodian where there is none.

    Raises:
        Refused: as `Accounts.hold_with`.
    """
    known = {each.custodian for each in have}
    new = [accounts.hold_with(account, each.organisation) for each in custodians if each.organisation not in known]
    return (*have, *new)


def askings(
    node: Node, account: Account, custodians: Sequence[Custodian], have: Sequence[HeldSession], viewed: Viewed
) -> list[Asking]:
    """Return how each custodian is asked for somebody; nobody is where the number or the date of birth is not known.

    Args:
        have: a session with each of them, at least.
    """
    if viewed.number is None or not viewed.born:
        return []
    by_custodian = {each.custodian: each for each in have}
    return [_asking(node, account, by_custodian[each.organisation], viewed) for each in custodians]


def own_answer(
    node: Node, account: Account, session: HeldSession, viewed: Viewed, begun: EmergencyAnswer
) -> tuple[Asking, Collected]:
    """Return own records that came by emergency access as an answer that is kept with the others."""
    came = Collected(Answered.CAME, node.clock(), records=begun.records, emergency=begun.permit)
    return _asking(node, account, session, viewed), came


def why_denied(collected: Collected) -> str:
    """Return the name of the ledger's reason for a no; empty for every other answer."""
    return DenialReason(collected.reason).name if collected.state is Answered.DENIED and collected.reason else ""


def _asking(node: Node, account: Account, session: HeldSession, viewed: Viewed) -> Asking:
    return Asking(
        session=session,
        role_class=account.role_class,
        purpose=Purpose.BTG if viewed.is_emergency else Purpose.TREAT,
        number=viewed.number,
        born=viewed.born,
        justification=viewed.justification,
        duration_s=emergency_s(node) if viewed.is_emergency else DURATION_S,
    )
