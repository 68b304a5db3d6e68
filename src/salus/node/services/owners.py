"""Owners: whose a resource is, by what it says of its patient; nobody's, when it is about no patient.

Never guesses: a personal record that names nobody, or somebody who is not here, is refused.
"""

from collections.abc import Mapping, Set
from typing import Final

from salus.clinical.fhir import Fault, FhirRejected, Resource
from salus.clinical.fhir.elements import texts, values
from salus.clinical.fhir.patients import demographics, person_number
from salus.clinical.fhir.strict_json import read_object
from salus.clinical.fhir.subjects import EITHER, SHARED, unversioned
from salus.ledger.identifiers import Pseudonym
from salus.node.assemble import Node
from salus.node.errors import Refusal, Refused
from salus.node.projections import resources
from salus.node.projections.resources import DIRECTORY
from salus.node.services import enrol, rosters

BORN_UNKNOWN = ""
NOBODY: Final[frozenset[Pseudonym]] = frozenset()


def recognise(node: Node, patient: Resource) -> Pseudonym | None:
    """Return the pseudonym of a Patient; None when the person is not known here yet.

    Raises:
        FhirRejected: the Patient cannot be told from others; or another person has this number here.
    """
    number, born = _told_by(patient)
    known = enrol.match(node, number, born)
    if known is None and enrol.find(node, number) is not None:
        raise _mixed_up()
    return known


def known_patient(node: Node, patient: Resource) -> tuple[Pseudonym, bool]:
    """Return the pseudonym of a Patient and whether it is new: who is not known yet is enrolled, visibly by custodian.

    Raises:
        FhirRejected: as `recognise`.
        Refused: the ledger says no.
        NotNow: the ledger is away.
    """
    known = recognise(node, patient)
    if known is not None:
        return known, False
    number, born = _told_by(patient)
    try:
        return enrol.enrol(node, number, born), True
    except Refused as refused:
        if refused.refusal is not Refusal.ALREADY_ENROLLED:
            raise
        raise _mixed_up() from refused  # cut off after the ledger had it: finished by now, and of another date of birth


def _told_by(patient: Resource) -> tuple[enrol.PersonNumber, str]:
    return person_number(patient), demographics(patient.body).birth_date or BORN_UNKNOWN


def _mixed_up() -> FhirRejected:
    # Whoever has this number here has the same date of birth, or it is somebody else's chart.
    hint = "check the number and the date of birth at the source: two people may have been mixed up"
    expected, came = "the date of birth that this person has here", "another"
    return FhirRejected(Fault.WRONG_PATIENT, expected=expected, came=came, hint=hint)


def owner(
    node: Node, resource: Resource, beside: Mapping[str, Pseudonym], *, attached_by: Set[Pseudonym] = NOBODY
) -> Pseudonym:
    """Return whose a resource is that is no Patient; DIRECTORY where it is about nobody.

    Args:
        beside: owners of what is written together with it, by `Type/id`.
        attached_by: owners of those of them whose attachment it is.

    Raises:
        FhirRejected: NO_PATIENT or WRONG_PATIENT: it names nobody and has to, or somebody unknown, or two people.
    """
    if rosters.is_roster(resource) and not _known(node, resource) - {DIRECTORY}:
        rosters.require_fit(node, resource)
        for each in resource.subjects:
            _named(node, each, beside, resource)  # whoever is on it is here
        return DIRECTORY
    named = resource.subjects or resource.hosts
    owners = {_named(node, reference, beside, resource) for reference in named}
    if not named and resource.type == "Binary":
        owners |= attached_by or _known(node, resource)
    if resource.nhs_number is not None:
        owners.add(_numbered(node, resource))
    if len(owners) > 1:
        owners.discard(DIRECTORY)  # a Provenance of somebody's record and of an organisation is that person's
    if len(owners) > 1:
        raise _refused(Fault.SEVERAL_PATIENTS, resource, "several people")
    if not owners and not _is_nobodys(node, resource):  # a Binary: who may see it has to be decided
        raise _refused(Fault.NO_PATIENT, resource, "none")
    return next(iter(owners), DIRECTORY)


def _is_nobodys(node: Node, resource: Resource) -> bool:
    """Tell whether a resource is about no patient.

    By its type; or a Group that says by a search who is in it, a Schedule of nothing but what is in the directory.
    """
    if resource.type == rosters.KIND:
        rosters.require_none(node, resource)
        return "member" not in read_object(resource.body)
    if resource.type == "Schedule":
        body = read_object(resource.body)
        actors, named = values(body, "actor"), [unversioned(each) for each in texts(body, "actor.reference")]
        return 0 < len(named) == len(actors) and all(each.split("/")[-2:][0] in SHARED for each in named)
    return resource.type in SHARED | EITHER


def _known(node: Node, resource: Resource) -> Set[Pseudonym]:
    found = resources.find(node, resource.type, resource.id) if resource.id is not None else None
    return {found.pseudonym} if found is not None else NOBODY


def _named(node: Node, reference: str, beside: Mapping[str, Pseudonym], resource: Resource) -> Pseudonym:
    name = "/".join(reference.split("/")[-2:])
    if name in beside:
        return beside[name]
    found = resources.find(node, *name.split("/")) if name.count("/") == 1 else None
    if found is None or found.is_deleted:
        raise of_nobody_here(resource)
    return found.pseudonym


def _numbered(node: Node, resource: Resource) -> Pseudonym:
    assert resource.nhs_number is not None, "asked for where there is a number"
    found = enrol.find(node, resource.nhs_number)
    if found is None:
        raise of_nobody_here(resource)
    return found


def of_nobody_here(resource: Resource) -> FhirRejected:
    """Return the refusal of a resource that names, or belongs to, what is not here."""
    return _refused(Fault.WRONG_PATIENT, resource, "somebody who is not here")


def _refused(fault: Fault, resource: Resource, came: str) -> FhirRejected:
    expected, hint = f"a {resource.type} that names one patient of this server", "give it as Patient/ID"
    return FhirRejected(fault, expected=expected, came=came, hint=hint)
