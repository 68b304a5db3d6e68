"""Choice dangers: allergies and anticoagulants that a choice would keep from whoever treats the patient.

Rules are put to each record as they would be in force, alone: what other choices do beside this one, a preview says.
"""

from collections.abc import Collection, Iterable
from typing import Final

from salus.clinical.anticoagulants import may_be_anticoagulant
from salus.clinical.fhir.circumstances import is_wrong
from salus.clinical.fhir.metadata import derive
from salus.clinical.fhir.plain import name_of
from salus.contracts.provisions import (
    Effect,
    Provision,
    Purpose,
    Record,
    Request,
    RoleClass,
    Verb,
    day_of,
    outcome,
)
from salus.ledger.identifiers import OrganisationId
from salus.node.assemble import Node
from salus.node.services.own_chart import Held
from salus.node.services.sharing import Wanted, tree_of

_ALLERGY: Final = "AllergyIntolerance"


def unknown(
    node: Node,
    kept: Iterable[Held],
    wanted: Wanted,
    *,
    about: Collection[str],
    before: Provision | None,
    lost: Collection[str],
) -> list[Held]:
    """Return those records of allergies and anticoagulants that a choice would hide from clinicians, each name once.

    Args:
        kept: the patient's allergies and medicines, of whatever custodians.
        about: codes of the custodians whose records the choice is about.
        before: the rules in whose place it is put; None for a new choice.
        lost: of this organisation's records, by `Type/id`, those that a preview shows now and would not show then.
    """
    tree, here = tree_of(wanted), node.organisation
    found: dict[str, Held] = {}
    for each in kept:
        custodian = OrganisationId(each.custodian or here)
        if custodian not in about or is_wrong(each.content) or not _matters(each):
            continue
        at = OrganisationId(wanted.organisation) if wanted.organisation else custodian
        is_lost = not each.custodian and f"{each.type}/{each.logical_id}" in lost
        if is_lost or _is_hidden(each, tree, before, _asked(node, at)):
            found.setdefault(name_of(each.content), each)
    return list(found.values())


def _matters(held: Held) -> bool:
    return held.type == _ALLERGY or may_be_anticoagulant(held.content)


def _is_hidden(held: Held, tree: Provision, before: Provision | None, asked: Request) -> bool:
    """Tell whether rules deny a record, or permit it no more where those before them did."""
    facts = derive(held.content)
    record = Record(ids=(), classes=(facts.resource_type,), labels=facts.labels, codes=facts.codes)
    said = outcome(tree, asked, record)
    was_let_go = before is not None and outcome(before, asked, record) is Effect.PERMIT
    return said is Effect.DENY or (was_let_go and said is not Effect.PERMIT)


def _asked(node: Node, at: OrganisationId) -> Request:
    return Request(at, RoleClass.CLINICAL, Purpose.TREAT, Verb.READ, day_of(node.clock()))
