"""A sharing choice as a FHIR Consent, and the rules of a Consent as a tree (FHIR R4 consent.html).

docs/spec/provisions.md has the table of both ways. What a tree cannot say is refused, never left out: a rule that was
read without one of its conditions would share more, or less, than the patient wants.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import IntEnum
from itertools import product
from typing import Final, TypeVar

import msgspec

from salus.clinical.fhir import FhirRejected
from salus.clinical.fhir.dates import span
from salus.clinical.fhir.elements import objects, text, texts
from salus.clinical.fhir.renaming import instant
from salus.clinical.labels import CONFIDENTIALITY, label
from salus.contracts.patients import Actor
from salus.contracts.provisions import (
    EARLIEST_S,
    FIRST_DAY,
    LAST_DAY,
    LATEST_S,
    DataMeaning,
    DataReference,
    Provision,
    ProvisionInvalid,
    ProvisionType,
    Purpose,
    RoleClass,
    Verb,
    as_set,
    check,
)
from salus.ledger.identifiers import OrganisationId
from salus.node.shapes import systems

PRIVACY: Final = "patient-privacy"
ANYBODY: Final = "IRCP"
"""HL7 v3 ParticipationType, information recipient: an actor of any role."""
_BASE_RULES: Final = {ProvisionType.PERMIT: "OPTIN", ProvisionType.DENY: "OPTOUT"}
_TYPES: Final = {"permit": ProvisionType.PERMIT, "deny": ProvisionType.DENY}
_ACTIONS: Final = {"access": (Verb.READ, Verb.SEARCH), "disclose": (Verb.EXPORT, Verb.SUBSCRIBE)}
_HIGH_WATER: Final = "LMNRV"
_SAID_BY_US: Final = frozenset(
    {"resourceType", "id", "meta", "text", "language", "category", "dateTime", "performer", "organization"}
)
"""What a Consent that is sent may have, and what is answered from what the ledger knows."""
_READ: Final = frozenset({"status", "scope", "patient", "policyRule", "verification", "provision"})
_PROVISION: Final = frozenset(
    {*("type", "period", "actor", "action", "securityLabel", "purpose", "class", "code", "dataPeriod", "data")}
    | {"provision"}
)
_ACTORS: Final = {
    Actor.PATIENT: "the patient signed",
    Actor.DELEGATE: "somebody whom the patient lets act signed",
    Actor.CUSTODIAN: "by custodian, which holds the key for the patient",
}

Content = Mapping[str, object]
FindRecord = Callable[[str], bytes | None]
"""Gives the record id of `Type/id`; None for what is not here."""
E = TypeVar("E", bound=IntEnum)


@dataclass(frozen=True)
class ConsentFacts:
    """What a Consent says beside its rules.

    Args:
        logical_id: of the Consent; patient: of the Patient; custodian: where the choice was filed.
        evidence_on_day: whole day UTC since 1970-01-01 of the patient's evidence, where the custodian acted.
        filed_at_s: when these rules came into force, in seconds since 1970.
    """

    logical_id: str
    patient: str
    custodian: OrganisationId
    actor: Actor
    is_in_force: bool
    evidence_on_day: int
    filed_at_s: int


def consent(facts: ConsentFacts, tree: Provision, references: Mapping[bytes, str]) -> bytes:
    """Return a choice as a Consent in JSON.

    Args:
        references: `Type/id` of the records that the tree names, by record id; others are named by their id alone.
    """
    actor = facts.actor.name.lower()
    said: dict[str, object] = {
        "resourceType": "Consent",
        "id": facts.logical_id,
        "meta": {"tag": [{"system": systems.ACTOR, "code": actor, "display": _ACTORS[facts.actor]}]},
        "status": "active" if facts.is_in_force else "inactive",
        "scope": _concept(systems.CONSENT_SCOPE, PRIVACY),
        "category": [_concept(systems.ACT_CODE, "IDSCL")],
        "patient": {"reference": f"Patient/{facts.patient}"},
        "dateTime": instant(facts.filed_at_s),
        "performer": [_performer(facts)],
        "organization": [systems.organisation(facts.custodian)],
        "policyRule": _concept(systems.ACT_CODE, _BASE_RULES[tree.type]),
        "verification": [_verification(facts)],
    }
    provision = _written(tree, references, is_root=True)
    return msgspec.json.encode(said | ({"provision": provision} if provision else {}))


@dataclass(frozen=True)
class AskedConsent:
    """What somebody who sends a Consent asks for.

    Args:
        patient: the reference as it came; empty for none.
        evidence: the day of the patient's evidence, YYYY-MM-DD; empty for none.
        tree: None where the Consent is no longer active.
    """

    patient: str = field(repr=False)
    evidence: str
    tree: Provision | None = field(repr=False)


def read_consent(content: Content, find_record: FindRecord) -> AskedConsent:
    """Return what a Consent asks for. Raises ProvisionInvalid, which says nothing of the patient."""
    _require_only("a Consent", content, _SAID_BY_US | _READ)
    if _codes(content, "scope.coding", systems.CONSENT_SCOPE) != [PRIVACY]:
        remedy = "keep treatment, research and advance directives as the documents that they are"
        raise ProvisionInvalid(f"a Consent with the scope {PRIVACY}", "another scope or none", remedy)
    status = content.get("status")
    if status not in ("active", "inactive"):
        raise ProvisionInvalid("the status active or inactive", "another", "file it when it holds")
    patient, evidence = text(content, "patient.reference") or "", text(content, "verification.verificationDate") or ""
    tree = _tree(content, find_record) if status == "active" else None
    return AskedConsent(patient, evidence[:10], tree)


# To FHIR


def _performer(facts: ConsentFacts) -> dict[str, object]:
    match facts.actor:
        case Actor.PATIENT:
            return {"reference": f"Patient/{facts.patient}"}
        case Actor.DELEGATE:
            return {"type": "RelatedPerson", "display": "somebody whom the patient lets act"}
    return systems.organisation(facts.custodian)


def _verification(facts: ConsentFacts) -> dict[str, object]:
    """Signed by the patient or a delegate it is verified by itself; the custodian's word has a date."""
    if facts.actor is not Actor.CUSTODIAN:
        return {"verified": True, "verificationDate": instant(facts.filed_at_s)}
    said: dict[str, object] = {"verified": False}
    return said | ({"verificationDate": _day(facts.evidence_on_day)} if facts.evidence_on_day else {})


def _written(tree: Provision, references: Mapping[bytes, str], *, is_root: bool) -> dict[str, object]:
    said: dict[str, object] = {
        "type": "" if is_root else tree.type.name.lower(),  # the root's is the policy rule (R4: not at the root)
        "period": _period(tree),
        "actor": _written_actors(tree),
        "action": [_concept(systems.VERB, each.name.lower()) for each in tree.verbs],
        "securityLabel": [_coding(*_split(each)) for each in tree.labels],
        "purpose": [_coding(systems.ACT_REASON, each.name) for each in tree.purposes],
        "class": [_coding(systems.RESOURCE_TYPES, each) for each in tree.classes],
        "code": [_concept(*_split(each)) for each in tree.codes],
        "dataPeriod": _data_period(tree),
        "data": [_written_data(each, references) for each in tree.data],
        "provision": [_written(each, references, is_root=False) for each in tree.provisions],
    }
    return {name: value for name, value in said.items() if value}


def _written_actors(tree: Provision) -> list[dict[str, object]]:
    """Each combination as one actor: FHIR's actors are alternatives, while here all three have to hold."""
    if not (tree.organisations or tree.role_classes or tree.persons):
        return []
    roles = tree.role_classes or (None,)
    organisations = tree.organisations or (None,)
    persons = tree.persons or (None,)
    return [
        {"role": _role(role), "reference": _actor(organisation, person)}
        for role, organisation, person in product(roles, organisations, persons)
    ]


def _role(role: RoleClass | None) -> dict[str, object]:
    if role is None:
        return _concept(systems.PARTICIPATION, ANYBODY)
    return _concept(systems.ROLE_CLASS, role.name.lower())


def _actor(organisation: OrganisationId | None, person: bytes | None) -> dict[str, object]:
    if person is not None:
        identifier: dict[str, object] = {"system": systems.CERTIFICATE, "value": person.hex()}
        at = {} if organisation is None else {"assigner": systems.organisation(organisation)}
        return {"type": "Practitioner", "identifier": identifier | at}
    return {"display": "anybody in this role"} if organisation is None else systems.organisation(organisation)


def _period(tree: Provision) -> dict[str, str]:
    start = {} if tree.valid_from_day == FIRST_DAY else {"start": _day(tree.valid_from_day)}
    return start | ({} if tree.valid_to_day == LAST_DAY else {"end": _day(tree.valid_to_day)})


def _data_period(tree: Provision) -> dict[str, str]:
    start = {} if tree.data_from_s == EARLIEST_S else {"start": instant(tree.data_from_s)}
    return start | ({} if tree.data_to_s == LATEST_S else {"end": instant(tree.data_to_s)})


def _written_data(reference: DataReference, references: Mapping[bytes, str]) -> dict[str, object]:
    known = references.get(reference.id)
    named: dict[str, object] = {"identifier": {"system": systems.RECORD, "value": reference.id.hex()}}
    return {"meaning": "instance", "reference": {"reference": known} if known else named}


# From FHIR


def _tree(content: Content, find_record: FindRecord) -> Provision:
    rules = [each for each in _BASE_RULES.items() if each[1] in _codes(content, "policyRule.coding", systems.ACT_CODE)]
    provisions = list(objects(content, "provision"))
    at_root = provisions[0] if provisions else {}
    types = {kind for kind, _ in rules} | ({_type(at_root)} if "type" in at_root else set())
    if len(types) != 1:
        remedy = "write policyRule OPTIN for what is permitted or OPTOUT for what is denied"
        raise ProvisionInvalid("one base rule", "none, or both", remedy)
    trees = list(_provisions(at_root, types.pop(), find_record))
    if len(trees) != 1:
        remedy = "put each actor into a provision of its own, below one without actors"
        raise ProvisionInvalid("actors at the root that share role and organisation", "others", remedy)
    check(trees[0])
    return trees[0]


def _type(provision: Content) -> ProvisionType:
    try:
        return _TYPES[str(provision.get("type"))]
    except KeyError as error:
        raise ProvisionInvalid("the type permit or deny in each nested provision", "another", "add it") from error


def _provisions(provision: Content, kind: ProvisionType, find_record: FindRecord) -> Iterator[Provision]:
    """Yield a provision; one for each actor where its actors are not all combinations of what they name."""
    _require_only("a provision", provision, _PROVISION)
    valid_from_day, valid_to_day = _read_period(provision)
    data_from_s, data_to_s = _read_data_period(provision)
    for organisations, role_classes, persons in _alternatives(provision):
        yield Provision(
            type=kind,
            organisations=organisations,
            role_classes=role_classes,
            purposes=as_set(_purposes(provision)),
            verbs=as_set(_verbs(provision)),
            valid_from_day=valid_from_day,
            valid_to_day=valid_to_day,
            data_from_s=data_from_s,
            data_to_s=data_to_s,
            labels=as_set(_labels(provision, kind)),
            classes=as_set(_classes(provision)),
            codes=as_set(_tokens(provision, "code", "code.coding")),
            persons=persons,
            data=as_set(_data(provision, find_record)),
            provisions=tuple(
                one for each in objects(provision, "provision") for one in _provisions(each, _type(each), find_record)
            ),
        )


_Alternative = tuple[tuple[OrganisationId, ...], tuple[RoleClass, ...], tuple[bytes, ...]]
_Who = tuple[OrganisationId | None, RoleClass | None, bytes | None]


def _alternatives(provision: Content) -> list[_Alternative]:
    actors = {_read_actor(each) for each in objects(provision, "actor")}
    if not actors:
        return [((), (), ())]
    organisations, roles, persons = ({each[place] for each in actors} for place in range(3))
    whole = (organisations, roles, persons)
    is_product = len(organisations) * len(roles) * len(persons) == len(actors)
    if is_product and not any(None in each and len(each) > 1 for each in whole):
        return [_alternative(actors)]
    return [_alternative([each]) for each in sorted(actors, key=repr)]


def _alternative(actors: Iterable[_Who]) -> _Alternative:
    listed = list(actors)
    return (
        as_set(each for each, _, _ in listed if each is not None),
        as_set(each for _, each, _ in listed if each is not None),
        as_set(each for _, _, each in listed if each is not None),
    )


def _read_actor(actor: Content) -> _Who:
    role = _read_role(actor)
    system, value = text(actor, "reference.identifier.system"), text(actor, "reference.identifier.value") or ""
    if system == systems.CERTIFICATE:
        at = text(actor, "reference.identifier.assigner.identifier.value")
        return (None if at is None else OrganisationId(at)), role, _identifier(value)
    if system == systems.ODS:
        return OrganisationId(value), role, None
    if role is not None and not ({"reference", "identifier"} & set(_only(actor, "reference"))):
        return None, role, None
    remedy = f"name an organisation by identifier {systems.ODS}, or a person by {systems.CERTIFICATE}"
    raise ProvisionInvalid("an actor that is known to the ledger", "another", remedy)


def _read_role(actor: Content) -> RoleClass | None:
    own = _codes(actor, "role.coding", systems.ROLE_CLASS)
    if own:
        return _numbers(RoleClass, "an actor's role", own)[0]
    if _codes(actor, "role.coding", systems.PARTICIPATION) == [ANYBODY]:
        return None
    remedy = f"write a code of {systems.ROLE_CLASS}, or {ANYBODY} for anybody"
    raise ProvisionInvalid("the role of a recipient", "another role", remedy)


def _purposes(provision: Content) -> tuple[Purpose, ...]:
    return _coded(Purpose, "purposes", provision, "purpose", systems.ACT_REASON)


def _verbs(provision: Content) -> Iterator[Verb]:
    count = len(list(objects(provision, "action")))
    own = _numbers(Verb, "actions", _codes(provision, "action.coding", systems.VERB))
    of_fhir = _codes(provision, "action.coding", systems.CONSENT_ACTION)
    if len(own) + len(of_fhir) != count or not set(of_fhir) <= _ACTIONS.keys():
        remedy = f"write access, disclose, or a code of {systems.VERB}"
        raise ProvisionInvalid("actions that a release can be", "others", remedy)
    yield from own
    for code in of_fhir:
        yield from _ACTIONS[code]


def _labels(provision: Content, kind: ProvisionType) -> Iterator[str]:
    """Yield labels; of confidentiality all that a permit covers, or that a deny has to (provisions.md, high water)."""
    for token in _tokens(provision, "securityLabel", "securityLabel"):
        yield token
        system, code = _split(token)
        place = _HIGH_WATER.find(code) if system == CONFIDENTIALITY and len(code) == 1 else -1
        if place >= 0:
            covered = _HIGH_WATER[: place + 1] if kind is ProvisionType.PERMIT else _HIGH_WATER[place:]
            yield from map(label, covered)


def _classes(provision: Content) -> Iterator[str]:
    for each in objects(provision, "class"):
        if each.get("system") not in (systems.RESOURCE_TYPES, None):
            remedy = f"write a code of {systems.RESOURCE_TYPES}"
            raise ProvisionInvalid("classes that are FHIR resource types", "others", remedy)
        yield str(each.get("code", ""))


def _tokens(provision: Content, element: str, path: str) -> list[str]:
    """The codings of an element as `system|code`; each of its values has to have one."""
    tokens = [f"{each.get('system', '')}|{each.get('code', '')}" for each in objects(provision, path)]
    if any(not list(objects(each, "coding")) for each in objects(provision, element)) and path != element:
        raise ProvisionInvalid(f"a coding in each {element}", "words alone", "write system and code")
    return tokens


def _data(provision: Content, find_record: FindRecord) -> Iterator[DataReference]:
    for each in objects(provision, "data"):
        if each.get("meaning") != "instance":
            remedy = "name each record that is meant"
            raise ProvisionInvalid("data with the meaning instance", "another meaning", remedy)
        reference = text(each, "reference.reference")
        known = find_record(reference) if reference else _identifier(text(each, "reference.identifier.value") or "")
        if known is None:
            raise ProvisionInvalid("data that names a record here", "another", "write its Type/id")
        yield DataReference(DataMeaning.INSTANCE, known)


def _read_period(provision: Content) -> tuple[int, int]:
    start, end = text(provision, "period.start"), text(provision, "period.end")
    return (FIRST_DAY if start is None else day_of_date(start)), (LAST_DAY if end is None else day_of_date(end))


def _read_data_period(provision: Content) -> tuple[int, int]:
    start, end = text(provision, "dataPeriod.start"), text(provision, "dataPeriod.end")
    try:
        from_s = None if start is None else span(start).from_s
        to_s = None if end is None else span(end).to_s
    except FhirRejected as error:
        raise ProvisionInvalid("a period of FHIR dates", "another text", "correct it") from error
    return (EARLIEST_S if from_s is None else from_s), (LATEST_S if to_s is None else to_s)


def day_of_date(text_: str) -> int:
    """Return the whole day UTC since 1970-01-01 of YYYY-MM-DD. Raises ProvisionInvalid, also for a time of day."""
    try:
        if len(text_) == 10:
            return date.fromisoformat(text_).toordinal() - _EPOCH
    except ValueError:
        pass  # said below, with what to do
    remedy = "leave the time of day out: equal seconds would show two choices as one person's"
    raise ProvisionInvalid("a whole day as YYYY-MM-DD", "another text", remedy)


_EPOCH: Final = date(1970, 1, 1).toordinal()


def _day(day: int) -> str:
    return date.fromordinal(_EPOCH + day).isoformat()


def _require_only(what: str, content: Content, known: frozenset[str]) -> None:
    if not content.keys() <= known:
        remedy = "leave out what cannot be kept, rather than have it read as if it were not there"
        raise ProvisionInvalid(f"{what} with {', '.join(sorted(known))}", "more than that", remedy)


def _only(content: Content, name: str) -> Content:
    return next(objects(content, name), {})


def _coded(kind: type[E], name: str, content: Content, path: str, system: str) -> tuple[E, ...]:
    codes = _codes(content, path, system)
    if len(codes) != len(list(objects(content, path))):
        raise ProvisionInvalid(f"{name} of {system}", "another system", "write codes of that one")
    return _numbers(kind, name, codes)


def _numbers(kind: type[E], name: str, codes: Sequence[str]) -> tuple[E, ...]:
    try:
        return tuple(kind[code.upper()] for code in codes)
    except KeyError as error:
        known = ", ".join(each.name for each in kind)
        raise ProvisionInvalid(f"{name} among {known}", "another", "name one of them") from error


def _codes(content: Content, path: str, system: str) -> list[str]:
    return [code for each in objects(content, path) if each.get("system") == system for code in texts(each, "code")]


def _identifier(value: str) -> bytes:
    try:
        return bytes.fromhex(value)
    except ValueError as error:
        raise ProvisionInvalid("an identifier in hexadecimal", "another text", "copy it whole") from error


def _split(token: str) -> tuple[str, str]:
    system, _, code = token.rpartition("|")
    return system, code


def _coding(system: str, code: str) -> dict[str, object]:
    return {"system": system, "code": code}


def _concept(system: str, code: str) -> dict[str, object]:
    return {"coding": [_coding(system, code)]}
