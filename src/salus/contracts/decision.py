"""The decision on one record: the whole rules, in the same order in which the ledger decided on their gates.

A custodian's node asks this for every record before anything of it leaves (R1, R4), and the patient runs it again from
the receipt. It is pure: the same rules, request and record give the same answer for ever.
"""

from enum import IntEnum

import msgspec

from salus.contracts import tickets
from salus.contracts.access import Basis, Permit, open_request
from salus.contracts.provisions import Effect, Provision, Purpose, Record, Request, RoleClass, explain, outcome
from salus.ledger.identifiers import Digest


class Source(IntEnum):
    """Whose rule decided."""

    NETWORK_POLICY = 1
    CUSTODIAN_POLICY = 2
    CHOICE = 3
    DEFAULT = 4
    TICKET = 5


class ChoiceRules(msgspec.Struct, frozen=True, array_like=True):
    """A choice in force: the commitment by which the ledger knows it, and its whole rules."""

    commitment: Digest
    tree: Provision


class Rules(msgspec.Struct, frozen=True, array_like=True):
    """Everything that is applied to a record.

    Args:
        network, custodian: the trees of both policies.
        choices: the patient's choices in force.
        ticket: the rules of the permit's ticket, then those of the tickets that it was made from; empty when the permit
            names none, or when they are not held, and then the ticket opens nothing.
    """

    network: tuple[Provision, ...]
    custodian: tuple[Provision, ...]
    choices: tuple[ChoiceRules, ...]
    ticket: tuple[Provision, ...] = ()


class RecordDecision(msgspec.Struct, frozen=True, array_like=True):
    """Whether a record may go, and which rule says so.

    Args:
        rule: the choice's commitment, or the policy's tree number as one byte; empty by default.
        path: the provision within the tree.
    """

    may_go: bool
    source: Source
    rule: bytes
    path: str


def decide(terms: Permit, rules: Rules, request: Request, record: Record) -> RecordDecision:
    """Decide on one record under a live permit, in the order of a decision (DESIGN §5).

    A tree *denies* or *permits* a record when that is its outcome (provisions). The first of these that holds decides:

    2. A policy that denies the record forbids it, whatever else permits; a policy that denies BTG for a label is how a
       network marks records *never override*.
    3. An emergency passes the patient's denies; it leaves under review.
    4. A choice that denies the record keeps it.
    5. A choice that permits the record lets it go; so does the permit's ticket, if its rules and those of every ticket
       that it was made from permit the record.
    6. Else the default: own staff, the patient, or a policy that permits the record.
    """
    for source, trees in ((Source.NETWORK_POLICY, rules.network), (Source.CUSTODIAN_POLICY, rules.custodian)):  # 2
        denied = _policy_says(Effect.DENY, source, trees, request, record)
        if denied is not None:
            return denied
    if terms.basis is Basis.EMERGENCY:  # 3
        return _DEFAULT_YES
    for effect in (Effect.DENY, Effect.PERMIT):  # 4, 5
        said = _choice_says(effect, rules.choices, request, record)
        if said is not None:
            return said
    if terms.ticket and _ticket_permits(rules.ticket, request, record):  # 5
        return RecordDecision(may_go=True, source=Source.TICKET, rule=terms.ticket, path="")
    if _is_by_default(terms, request):  # 6
        return _DEFAULT_YES
    for source, trees in ((Source.NETWORK_POLICY, rules.network), (Source.CUSTODIAN_POLICY, rules.custodian)):
        permitted = _policy_says(Effect.PERMIT, source, trees, request, record)
        if permitted is not None:
            return permitted
    return _DEFAULT_NO


def may_lack_rules(terms: Permit) -> bool:
    """Tell whether a release goes on, marked, where rules are not held here (DESIGN §5.1).

    Own staff's direct care and emergencies do: the rest of the rules holds for them. Nothing goes to others.
    """
    is_care = terms.basis is Basis.EMERGENCY or tickets.is_direct_care(open_request(terms, time_s=terms.from_s))
    return terms.requester == terms.custodian and is_care


_DEFAULT_YES = RecordDecision(may_go=True, source=Source.DEFAULT, rule=b"", path="")
_DEFAULT_NO = RecordDecision(may_go=False, source=Source.DEFAULT, rule=b"", path="")


def _policy_says(
    wanted: Effect, source: Source, trees: tuple[Provision, ...], request: Request, record: Record
) -> RecordDecision | None:
    for number, tree in enumerate(trees):
        if outcome(tree, request, record) is wanted:
            _, path = explain(tree, request, record)
            return RecordDecision(wanted is Effect.PERMIT, source, bytes([number]), path)
    return None


def _choice_says(
    wanted: Effect, choices: tuple[ChoiceRules, ...], request: Request, record: Record
) -> RecordDecision | None:
    for choice in choices:
        if outcome(choice.tree, request, record) is wanted:
            _, path = explain(choice.tree, request, record)
            return RecordDecision(wanted is Effect.PERMIT, Source.CHOICE, choice.commitment, path)
    return None


def _ticket_permits(trees: tuple[Provision, ...], request: Request, record: Record) -> bool:
    return bool(trees) and all(outcome(tree, request, record) is Effect.PERMIT for tree in trees)


def _is_by_default(terms: Permit, request: Request) -> bool:
    is_own_staff = terms.requester == terms.custodian and tickets.is_direct_care(request)
    is_patient = request.purpose is Purpose.PATRQT and request.role_class is RoleClass.PATIENT_SIDE
    return is_own_staff or is_patient
