"""A sharing choice or a policy as a value: a provision, and provisions nested in it as exceptions, to any depth.

The vocabulary is FHIR R4 `Consent.provision`; docs/spec/provisions.md maps each element. A set is a sorted tuple, each
value once, and an empty one means *any*. An interval always has both ends, so "no limit" is the first or last instant
that FHIR can write, and no rule needs a special case for it.
"""

import unicodedata
from collections.abc import Callable, Iterable
from enum import IntEnum
from typing import Any, TypeVar

import msgspec

from salus.ledger.encoding import EncodingInvalid, decoder, encode
from salus.ledger.identifiers import OrganisationId

DAY_S = 86_400
FIRST_DAY = 0
"""1970-01-01 as a whole day UTC: a validity that starts here has no start."""
LAST_DAY = 2_932_896
"""9999-12-31, the last day of a FHIR date: a validity that ends here has no end."""
EARLIEST_S = -62_135_596_800
"""0001-01-01T00:00:00Z, the first instant of a FHIR dateTime: a data period that starts here has no start."""
LATEST_S = 253_402_300_799
"""9999-12-31T23:59:59Z: a data period that ends here has no end."""

DEPTH_MAX = 8
NODES_MAX = 64
SET_SIZE_MAX = 64
TEXT_LENGTH_MAX = 256
CLASS_LENGTH_MAX = 64
TREE_BYTES_MAX = 16_384
ORGANISATION_LENGTH_MIN = 2
ORGANISATION_LENGTH_MAX = 12
RECORD_ID_BYTES = 16
CERTIFICATE_ID_BYTES = 32
UNITS = "http://unitsofmeasure.org"
"""A unit is part of a number: no record carries one as a label or a code."""

_ORGANISATION_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
_MEMBERS = {
    "organisations": "organisation codes of 2 to 12 characters A-Z or 0-9",
    "role_classes": "numbers of role classes",
    "purposes": "numbers of purposes",
    "verbs": "numbers of verbs",
    "labels": "security labels of the form system|code, 3 to 256 characters",
    "classes": "FHIR resource types: up to 64 letters, the first a capital",
    "codes": "codes of the form system|code, 3 to 256 characters",
    "persons": "identifiers of certificates, 32 bytes",
    "data": "references to single records (meaning INSTANCE), identifiers of 16 bytes",
}
_AS_RECORDS_DO = "write the code system as records do, a bar, then the code, in NFC: http://loinc.org|718-7"
_REMEDIES = {
    "labels": _AS_RECORDS_DO,
    "classes": "write the type as records do: Observation",
    "codes": _AS_RECORDS_DO,
    "data": "name each record that is meant: what refers to it, and its author, nothing committed of a record shows",
}


class ProvisionType(IntEnum):
    """FHIR R4 ConsentProvisionType."""

    DENY = 0
    PERMIT = 1


class Purpose(IntEnum):
    """Why somebody asks: codes of HL7 v3 ActReason (PurposeOfUse)."""

    TREAT = 1
    ETREAT = 2
    BTG = 3
    PATRQT = 4
    HPAYMT = 5
    HRESCH = 6
    PUBHLTH = 7
    HLEGAL = 8


class RoleClass(IntEnum):
    """In which capacity somebody asks (DESIGN §5.1)."""

    CLINICAL = 1
    PHARMACY = 2
    ADMINISTRATIVE = 3
    PATIENT_SIDE = 4
    INSURER = 5
    RESEARCH = 6
    OFFICER = 7
    SYSTEM = 8


class Verb(IntEnum):
    """What is to be done with the records (DESIGN §5.1)."""

    READ = 1
    SEARCH = 2
    EXPORT = 3
    SUBSCRIBE = 4


class DataMeaning(IntEnum):
    """How a data reference is read: FHIR R4 ConsentDataMeaning."""

    INSTANCE = 1
    """That record."""
    RELATED = 2
    """That record and those that it refers to."""
    DEPENDENTS = 3
    """That record and those that refer to it."""
    AUTHORED_BY = 4
    """Records of that author: the identifier is a person's or an organisation's."""


class DataReference(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, order=True):
    """One entry of FHIR `provision.data`."""

    meaning: DataMeaning
    id: bytes


class Provision(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A rule, and the exceptions to it. All its criteria must hold; within one criterion any of its values will do.

    Args:
        valid_from_day: first day UTC, since 1970-01-01, on which the rule holds; with valid_to_day, inclusive.
        data_from_s: first second, since 1970-01-01 UTC, of the data that the rule is about; with data_to_s, inclusive.
        labels: security labels as records carry them, `system|code`.
        classes: FHIR resource types.
        codes: `system|code` found in the record.
        persons: who asks, by name: certificate identifiers.
        data: records by name; `check` accepts INSTANCE alone (ADR 0008).
        provisions: exceptions, in the author's order, which `explain` numbers.
    """

    type: ProvisionType
    organisations: tuple[OrganisationId, ...] = ()
    role_classes: tuple[RoleClass, ...] = ()
    purposes: tuple[Purpose, ...] = ()
    verbs: tuple[Verb, ...] = ()
    valid_from_day: int = FIRST_DAY
    valid_to_day: int = LAST_DAY
    data_from_s: int = EARLIEST_S
    data_to_s: int = LATEST_S
    labels: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    persons: tuple[bytes, ...] = ()
    data: tuple[DataReference, ...] = ()
    provisions: tuple["Provision", ...] = ()


class ProvisionInvalid(Exception):
    """A tree or a gate is not one that this language allows.

    Args:
        expected: what the language asks for.
        came: what was found, by its place and its size and never by its value: it may be about a person.
        remedy: what to do.
    """

    def __init__(self, expected: str, came: str, remedy: str) -> None:
        super().__init__(f"expected {expected}, came {came}: {remedy}")
        self.expected = expected
        self.came = came
        self.remedy = remedy


T = TypeVar("T")
_TREE = decoder(Provision)


def as_set(values: Iterable[T]) -> tuple[T, ...]:
    """Return the values in the canonical form of a criterion: sorted, each once."""
    return tuple(sorted(set(values)))  # type: ignore[type-var]  # every criterion holds values of one ordered type


def day_of(time_s: int) -> int:
    """Return the whole day UTC since 1970-01-01 of a time in seconds."""
    return time_s // DAY_S


def encode_tree(tree: Provision) -> bytes:
    """Return the canonical bytes of a checked tree.

    Raises:
        ProvisionInvalid: see `check`.
    """
    check(tree)
    return encode(tree)


def decode_tree(data: bytes) -> Provision:
    """Return the tree of these bytes, checked.

    Raises:
        ProvisionInvalid: the bytes are not the one encoding of a tree within the bounds.
    """
    check_bytes("a tree", len(data), TREE_BYTES_MAX)
    try:
        tree = _TREE.decode(data)
    except (EncodingInvalid, RecursionError) as error:  # thousands of nested arrays fit into the bytes allowed
        raise ProvisionInvalid(
            "the canonical encoding of a tree", "other bytes", "encode it with `encode_tree`"
        ) from error
    assert isinstance(tree, Provision)
    check(tree)
    return tree


def check(tree: Provision) -> None:
    """Check the shape, the bounds and the canonical form of a tree, and that each criterion can meet some record.

    A deny whose criterion no record can meet would keep nothing back, and nobody would notice. Work is bounded by
    NODES_MAX and SET_SIZE_MAX.

    Raises:
        ProvisionInvalid: names the provision by its path; the first that is wrong, in the order of the paths.
    """
    for path, provision in _numbered(tree):
        _check_provision(f"provision {path}", provision)
    check_bytes("a tree", len(encode(tree)), TREE_BYTES_MAX)


def check_bytes(what: str, size_bytes: int, bound_bytes: int) -> None:
    """Raise ProvisionInvalid when an encoding is larger than its bound."""
    if size_bytes > bound_bytes:
        raise ProvisionInvalid(
            f"{what} of at most {bound_bytes} bytes", f"{size_bytes}", "use fewer or shorter criteria"
        )


def check_set(where: str, name: str, values: tuple[Any, ...], size_max: int) -> None:
    """Raise ProvisionInvalid unless a set is canonical: bounded, sorted, each value once and well formed."""
    if len(values) > size_max:
        raise ProvisionInvalid(f"at most {size_max} {name}", f"{len(values)} in {where}", "split it or use fewer")
    well_formed = _WELL_FORMED.get(name)
    for place, value in enumerate(values):
        if well_formed and not well_formed(value):
            came = f"another at place {place} of {name} in {where}"
            raise ProvisionInvalid(_MEMBERS[name], came, _REMEDIES.get(name, "correct it"))
        if place and values[place - 1] >= value:
            raise ProvisionInvalid(
                f"{name} sorted and each once", f"place {place} out of order in {where}", "sort them"
            )


def check_interval(where: str, name: str, bounds: tuple[int, int], limits: tuple[int, int]) -> None:
    """Raise ProvisionInvalid unless `bounds` is an interval with its start not after its end, within `limits`."""
    if not limits[0] <= bounds[0] <= bounds[1] <= limits[1]:
        raise ProvisionInvalid(
            f"a {name} that starts before it ends, within {limits[0]} to {limits[1]}",
            f"{bounds[0]} to {bounds[1]} in {where}",
            "exchange the ends, or leave the provision out: it would never hold",
        )


def _numbered(tree: Provision) -> list[tuple[str, Provision]]:
    """Every provision with its path, parents first. Raises ProvisionInvalid when there are too many or too deep."""
    numbered: list[tuple[str, Provision]] = []
    waiting = [("1", 1, tree)]
    while waiting:
        path, depth, provision = waiting.pop()
        numbered.append((path, provision))
        children = provision.provisions
        if children and depth == DEPTH_MAX:
            raise ProvisionInvalid(f"at most {DEPTH_MAX} levels", f"more below provision {path}", "nest less deeply")
        if len(numbered) + len(waiting) + len(children) > NODES_MAX:
            raise ProvisionInvalid(f"at most {NODES_MAX} provisions", "more", "merge provisions that agree")
        waiting += [(f"{path}.{index}", depth + 1, children[index - 1]) for index in range(len(children), 0, -1)]
    return numbered


def _check_provision(where: str, provision: Provision) -> None:
    for name in _MEMBERS:
        check_set(where, name, getattr(provision, name), SET_SIZE_MAX)
    validity = (provision.valid_from_day, provision.valid_to_day)
    check_interval(where, "validity in days", validity, (FIRST_DAY, LAST_DAY))
    check_interval(
        where, "data period in seconds", (provision.data_from_s, provision.data_to_s), (EARLIEST_S, LATEST_S)
    )


def _is_organisation(code: str) -> bool:
    length_fits = ORGANISATION_LENGTH_MIN <= len(code) <= ORGANISATION_LENGTH_MAX
    return length_fits and _ORGANISATION_CHARACTERS.issuperset(code)


def _is_text(text: str) -> bool:
    """Lone surrogates and control characters are not printable, so what passes can be encoded and shown."""
    return 0 < len(text) <= TEXT_LENGTH_MAX and text.isprintable() and unicodedata.is_normalized("NFC", text)


def _is_token(text: str) -> bool:
    """`system|code` as a record can carry it: FHIR allows no space in a system, and single ones inside a code."""
    system, _, code = text.rpartition("|")
    is_spaced = " " not in system and code == " ".join(code.split())
    return bool(system) and bool(code) and is_spaced and system != UNITS and _is_text(text)


def _is_resource_type(text: str) -> bool:
    return len(text) <= CLASS_LENGTH_MAX and text.isascii() and text.isalpha() and text[0].isupper()


def _is_record(reference: DataReference) -> bool:
    return reference.meaning is DataMeaning.INSTANCE and len(reference.id) == RECORD_ID_BYTES


_WELL_FORMED: dict[str, Callable[[Any], bool]] = {
    "organisations": _is_organisation,
    "labels": _is_token,
    "classes": _is_resource_type,
    "codes": _is_token,
    "persons": lambda person: len(person) == CERTIFICATE_ID_BYTES,
    "data": _is_record,
}
"""The enumerations are missing: their decoder admits no other number."""
