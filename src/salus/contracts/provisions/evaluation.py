"""Apply a tree to one request and one record: none, deny or permit, and which provision decided.

The law (DESIGN §5.1): a provision that fails on request or record says nothing; else it denies if one of its exceptions
denies, else permits if one permits, else does as its own type says.

What is not known never opens a record. Where a record's period, a record's author or the person who asks is not stated,
or a period lies only partly inside a criterion, a provision *perhaps* holds: it may still deny, it cannot permit.
docs/spec/provisions.md shows why this keeps the laws and why a rule by the provision's own type would not be safe.
"""

from collections.abc import Iterable
from enum import IntEnum
from typing import Protocol

import msgspec

from salus.contracts.provisions.tree import (
    EARLIEST_S,
    LATEST_S,
    DataMeaning,
    DataReference,
    Provision,
    ProvisionType,
    Purpose,
    RoleClass,
    Verb,
)
from salus.ledger.identifiers import OrganisationId


class Effect(IntEnum):
    """What a tree says of one request and one record."""

    NONE = 0
    DENY = 1
    PERMIT = 2


class Request(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Who asks, why, for what, when. The ledger sees all but the person, and no gate reads the person.

    Args:
        day: whole day UTC since 1970-01-01 on which the rules are applied.
        person: certificate identifier of the person or device that asks; empty when not stated.
    """

    organisation: OrganisationId
    role_class: RoleClass
    purpose: Purpose
    verb: Verb
    day: int
    person: bytes = b""


class Record(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What the rules may know of a record; the custodian fills it in and the patient's receipt opens it.

    Args:
        ids: its identifier and those of the records that it supersedes, so that a rule outlives a correction.
        period_from_s: first second that the record can be about; a year alone is its whole extent. With period_to_s,
            inclusive; the widest interval, or an inverted one, means that the period is not known.
        authors: identifiers of persons and organisations; empty when not known.
        refers_to: identifiers of the records that it refers to.
        referred_by: identifiers of the records that refer to it.
    """

    ids: tuple[bytes, ...]
    classes: tuple[str, ...]
    labels: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    period_from_s: int = EARLIEST_S
    period_to_s: int = LATEST_S
    authors: tuple[bytes, ...] = ()
    refers_to: tuple[bytes, ...] = ()
    referred_by: tuple[bytes, ...] = ()


class OpenCriteria(Protocol):
    """The criteria that the ledger may see: of a provision, or of a condition of its gate."""

    @property
    def organisations(self) -> tuple[OrganisationId, ...]: ...
    @property
    def role_classes(self) -> tuple[RoleClass, ...]: ...
    @property
    def purposes(self) -> tuple[Purpose, ...]: ...
    @property
    def verbs(self) -> tuple[Verb, ...]: ...
    @property
    def valid_from_day(self) -> int: ...
    @property
    def valid_to_day(self) -> int: ...


class _Match(IntEnum):
    NO = 0
    PERHAPS = 1
    YES = 2


_EFFECTS = {ProvisionType.DENY: Effect.DENY, ProvisionType.PERMIT: Effect.PERMIT}


def outcome(tree: Provision, request: Request, record: Record) -> Effect:
    """Return what a checked tree says of one request and one record."""
    match = _match(tree, request, record)
    if match is _Match.NO:
        return Effect.NONE
    own = _EFFECTS[tree.type]
    effect = _of_exceptions(tree.provisions, request, record, otherwise=own) if tree.provisions else own
    if match is _Match.PERHAPS and effect is Effect.PERMIT:
        return Effect.NONE
    return effect


def explain(tree: Provision, request: Request, record: Record) -> tuple[Effect, str]:
    """Return the outcome and the path of the provision whose type it is: "1" the root, "1.2" its second exception.

    The first in the author's order when several agree; "" when no provision applies. For receipts.
    """
    effect = outcome(tree, request, record)
    if effect is Effect.NONE:
        return effect, ""
    path, provision = "1", tree
    while (index := _first_with(effect, provision.provisions, request, record)) is not None:
        path, provision = f"{path}.{index + 1}", provision.provisions[index]
    return effect, path


def combine(effects: Iterable[Effect], default: Effect) -> Effect:
    """Return what several trees say together of one record: any deny, else any permit, else the default."""
    said = frozenset(effects)
    if Effect.DENY in said:
        return Effect.DENY
    return Effect.PERMIT if Effect.PERMIT in said else default


def holds_openly(criteria: OpenCriteria, request: Request) -> bool:
    """Tell whether the open criteria hold for a request; the one function that ledger and custodian share."""
    return (
        (not criteria.organisations or request.organisation in criteria.organisations)
        and (not criteria.role_classes or request.role_class in criteria.role_classes)
        and (not criteria.purposes or request.purpose in criteria.purposes)
        and (not criteria.verbs or request.verb in criteria.verbs)
        and criteria.valid_from_day <= request.day <= criteria.valid_to_day
    )


def is_open(provision: Provision) -> bool:
    """Tell whether a provision has only criteria that the ledger may see; its exceptions are not looked at."""
    closed = provision.labels or provision.classes or provision.codes or provision.persons or provision.data
    return not closed and provision.data_from_s == EARLIEST_S and provision.data_to_s == LATEST_S


def _of_exceptions(provisions: tuple[Provision, ...], request: Request, record: Record, *, otherwise: Effect) -> Effect:
    effect = otherwise
    for provision in provisions:
        exception = outcome(provision, request, record)
        if exception is Effect.DENY:
            return Effect.DENY
        if exception is Effect.PERMIT:
            effect = Effect.PERMIT
    return effect


def _first_with(effect: Effect, provisions: tuple[Provision, ...], request: Request, record: Record) -> int | None:
    """The place of the first exception with this outcome; None when none has it."""
    for index, provision in enumerate(provisions):
        if outcome(provision, request, record) is effect:
            return index
    return None


def _match(provision: Provision, request: Request, record: Record) -> _Match:
    if not holds_openly(provision, request):
        return _Match.NO
    if is_open(provision):
        return _Match.YES
    if not (
        _any_of(provision.labels, record.labels)
        and _any_of(provision.classes, record.classes)
        and _any_of(provision.codes, record.codes)
    ):
        return _Match.NO
    return min(_person_match(provision, request), _period_match(provision, record), _data_match(provision, record))


def _any_of(wanted: tuple[str, ...], present: tuple[str, ...]) -> bool:
    for value in present if wanted else ():  # a loop, since a generator here costs half of the whole evaluation
        if value in wanted:
            return True
    return not wanted


def _person_match(provision: Provision, request: Request) -> _Match:
    if not provision.persons or request.person in provision.persons:
        return _Match.YES
    return _Match.NO if request.person else _Match.PERHAPS


def _period_match(provision: Provision, record: Record) -> _Match:
    """YES when the record lies wholly inside the data period, NO when wholly outside, else PERHAPS."""
    wanted_from_s, wanted_to_s = provision.data_from_s, provision.data_to_s
    from_s, to_s = record.period_from_s, record.period_to_s
    if from_s > to_s:
        from_s, to_s = EARLIEST_S, LATEST_S
    if wanted_from_s <= from_s and to_s <= wanted_to_s:
        return _Match.YES
    return _Match.NO if to_s < wanted_from_s or wanted_to_s < from_s else _Match.PERHAPS


def _data_match(provision: Provision, record: Record) -> _Match:
    match = _Match.NO if provision.data else _Match.YES
    for reference in provision.data:
        if _refers(reference, record):
            return _Match.YES
        if reference.meaning is DataMeaning.AUTHORED_BY and not record.authors:
            match = _Match.PERHAPS
    return match


def _refers(reference: DataReference, record: Record) -> bool:
    """FHIR R4 ConsentDataMeaning: seen from the record, so `related` looks at what refers to it."""
    if reference.meaning is DataMeaning.AUTHORED_BY:
        return reference.id in record.authors
    if reference.id in record.ids:
        return True
    if reference.meaning is DataMeaning.RELATED:
        return reference.id in record.referred_by
    return reference.meaning is DataMeaning.DEPENDENTS and reference.id in record.refers_to
