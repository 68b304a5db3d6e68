"""A sharing choice or a policy as a JSON file that a person can write, with the names of docs/spec/provisions.md.

Numbers are written as their names in lower case (`"type": "permit"`, `"purposes": ["treat"]`), days and times as dates
(`"valid_to": "2027-03-31"`, `"data_from": "2010"`), identifiers in hexadecimal; what is left out means any.
"""

import calendar
from datetime import UTC, date, datetime
from enum import IntEnum
from typing import Literal, TypeVar

import msgspec

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
from salus.sdk.choice_presets import EPOCH, label

FILE_SIZE_BYTES_MAX = 262_144
_DAY_END_S = 86_399


class WrittenReference(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One data reference."""

    meaning: str
    id: str


class WrittenProvision(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One provision as it stands in the file."""

    type: Literal["permit", "deny"]
    organisations: tuple[str, ...] = ()
    role_classes: tuple[str, ...] = ()
    purposes: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ()
    valid_from: str = ""
    valid_to: str = ""
    data_from: str = ""
    data_to: str = ""
    labels: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    persons: tuple[str, ...] = ()
    data: tuple[WrittenReference, ...] = ()
    provisions: tuple["WrittenProvision", ...] = ()


E = TypeVar("E", bound=IntEnum)


def read_choice(text: bytes) -> Provision:
    """Return the checked tree of a file. Raises ProvisionInvalid."""
    if len(text) > FILE_SIZE_BYTES_MAX:
        raise ProvisionInvalid(f"a file of at most {FILE_SIZE_BYTES_MAX} bytes", f"{len(text)}", "use fewer criteria")
    try:
        written = msgspec.json.decode(text, type=WrittenProvision)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ProvisionInvalid(
            f"a provision in JSON ({error})", "another text", "see docs/spec/provisions.md for the names"
        ) from error
    tree = _provision(written)
    check(tree)
    return tree


def write_choice(tree: Provision) -> bytes:
    """Return the file of a tree; `read_choice` gives the tree again."""
    return msgspec.json.format(msgspec.json.encode(_written(tree)), indent=2)


def _provision(written: WrittenProvision) -> Provision:
    return Provision(
        type=ProvisionType[written.type.upper()],
        organisations=as_set(OrganisationId(code) for code in written.organisations),
        role_classes=_numbers(RoleClass, "role_classes", written.role_classes),
        purposes=_numbers(Purpose, "purposes", written.purposes),
        verbs=_numbers(Verb, "verbs", written.verbs),
        valid_from_day=_day(written.valid_from) if written.valid_from else FIRST_DAY,
        valid_to_day=_day(written.valid_to) if written.valid_to else LAST_DAY,
        data_from_s=_second(written.data_from, is_end=False) if written.data_from else EARLIEST_S,
        data_to_s=_second(written.data_to, is_end=True) if written.data_to else LATEST_S,
        labels=as_set(map(label, written.labels)),
        classes=as_set(written.classes),
        codes=as_set(written.codes),
        persons=as_set(_identifier(person) for person in written.persons),
        data=as_set(map(_reference, written.data)),
        provisions=tuple(_provision(each) for each in written.provisions),
    )


def _written(tree: Provision) -> WrittenProvision:
    return WrittenProvision(
        type="permit" if tree.type is ProvisionType.PERMIT else "deny",
        organisations=tree.organisations,
        role_classes=tuple(each.name.lower() for each in tree.role_classes),
        purposes=tuple(each.name.lower() for each in tree.purposes),
        verbs=tuple(each.name.lower() for each in tree.verbs),
        valid_from="" if tree.valid_from_day == FIRST_DAY else _day_text(tree.valid_from_day),
        valid_to="" if tree.valid_to_day == LAST_DAY else _day_text(tree.valid_to_day),
        data_from="" if tree.data_from_s == EARLIEST_S else _second_text(tree.data_from_s),
        data_to="" if tree.data_to_s == LATEST_S else _second_text(tree.data_to_s),
        labels=tree.labels,
        classes=tree.classes,
        codes=tree.codes,
        persons=tuple(person.hex() for person in tree.persons),
        data=tuple(WrittenReference(each.meaning.name.lower(), each.id.hex()) for each in tree.data),
        provisions=tuple(map(_written, tree.provisions)),
    )


def _numbers(kind: type[E], name: str, written: tuple[str, ...]) -> tuple[E, ...]:
    try:
        return as_set(kind[each.upper()] for each in written)
    except KeyError as error:
        known = ", ".join(each.name.lower() for each in kind)
        raise ProvisionInvalid(f"{name} among {known}", "another", "name one of them") from error


def _reference(written: WrittenReference) -> DataReference:
    (meaning,) = _numbers(DataMeaning, "data.meaning", (written.meaning,))
    return DataReference(meaning, _identifier(written.id))


def _identifier(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError as error:
        raise ProvisionInvalid("an identifier in hexadecimal", "another text", "copy it whole") from error


def _day(text: str) -> int:
    try:
        return (date.fromisoformat(text) - EPOCH).days
    except ValueError as error:
        raise ProvisionInvalid("a day as YYYY-MM-DD", "another text", "write the whole date") from error


def _second(text: str, *, is_end: bool) -> int:
    """The first or last second that a FHIR dateTime covers: a year, a month, a day, or a second with its offset."""
    try:
        if len(text) > 10:
            return int(datetime.fromisoformat(text).astimezone(UTC).timestamp())
        parts = [int(part) for part in text.split("-")]
        year, month = parts[0], parts[1] if len(parts) > 1 else (12 if is_end else 1)
        last = calendar.monthrange(year, month)[1]
        day = date(year, month, parts[2] if len(parts) > 2 else (last if is_end else 1))
    except ValueError as error:
        raise ProvisionInvalid(
            "a date or a time of FHIR", "another text", "write 2010, 2010-05 or 2010-05-31"
        ) from error
    return (day - EPOCH).days * 86_400 + (_DAY_END_S if is_end else 0)


def _day_text(day: int) -> str:
    return date.fromordinal(EPOCH.toordinal() + day).isoformat()


def _second_text(second: int) -> str:
    days, rest = divmod(second, 86_400)
    hours, minutes, seconds = rest // 3600, rest // 60 % 60, rest % 60
    return f"{_day_text(days)}T{hours:02}:{minutes:02}:{seconds:02}+00:00"
