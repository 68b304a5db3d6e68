"""Rosters: Groups that list people one by one, such as a ward list or a cohort that somebody put together.

What a roster says of itself is a resource of the directory; who is on it is kept apart, each under their own
relationship: so an erasure takes a member along, and no version, index or copy of the directory names anybody.
Whoever may be shown nobody on it is shown nothing of it (`show`). The ledger hears nothing of a roster.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec
from sqlalchemy import delete, insert, select

from salus.clinical.fhir import Fault, FhirRejected, Resource
from salus.clinical.fhir.elements import objects, text, values
from salus.clinical.fhir.resources import from_content
from salus.clinical.fhir.strict_json import JsonObject, read_object
from salus.clinical.fhir.subjects import may_be_patient, unversioned
from salus.ledger.encoding import decoder
from salus.ledger.identifiers import RecordId
from salus.node import schema
from salus.node.assemble import Node
from salus.node.projections import resources
from salus.node.projections.resources import DIRECTORY, Found, found, in_parts
from salus.node.projections.search_rows import Keyed
from salus.node.sealed_rows import SealedRows

KIND: Final = "Group"
MEMBERS_MAX: Final = 1_000
"""Whoever reads a roster asks for a permit of each member: more are found by a search (decision 0026)."""
_TABLE: Final = "roster member"
_COVERED: Final = ("member", "quantity", "text")
"""What says who, or how many, are on it: the narrative may repeat them."""
_COLUMNS = schema.roster_members.c
_RAW = msgspec.json.Decoder(dict[str, msgspec.Raw])


class _Entry(msgspec.Struct, frozen=True, array_like=True):
    """An entry of `Group.member`, as it came."""

    body: bytes


_decode = decoder(_Entry).decode


@dataclass(frozen=True)
class Member:
    """Somebody on a roster: the newest version of their Patient, and their entry as it came."""

    patient: Found
    entry: bytes = field(repr=False)


def is_roster(resource: Resource) -> bool:
    """Tell whether a resource is a Group that lists Patients, and nobody else."""
    if resource.type != KIND or not resource.subjects:
        return False
    listed = values(read_object(resource.body), "member")
    return all(_patient_id(each) for each in listed)


def require_fit(node: Node, roster: Resource) -> None:
    """Raise FhirRejected for a roster that would tell of its members where nobody decides on them.

    It has too many; a label, by which rules decide on records; or a Patient in another place. Or it would make a
    roster of a Group that was none.
    """
    content = read_object(roster.body)
    count = len(values(content, "member"))
    if count > MEMBERS_MAX:
        hint = "say by a search who is in it (member-filter)"
        raise _unfit(f"a list of at most {MEMBERS_MAX:,} people", f"{count:,}", hint)
    if roster.metadata.labels:
        hint = "leave the label out, or keep the list out of this server: rules about labels are asked of records"
        raise _unfit("a list of people without a security label", "one with a label", hint)
    covered = {name: value for name, value in content.items() if name not in _COVERED}
    if "contained" in content or any(_names_patient(each) for each in _references(covered)):
        raise _unfit("a list that names people as members only", "one that names them elsewhere", "take that out")
    before = resources.find(node, KIND, str(roster.id))
    if before is not None and before.record not in members(node, [before]):
        raise _changed()


def require_none(node: Node, group: Resource) -> None:
    """Raise FhirRejected for a Group that lists nobody, where the one before did: who is left would be told."""
    before = resources.find(node, KIND, str(group.id))
    if before is not None and before.record in members(node, [before]):
        raise _changed()


def covered(roster: Resource) -> Resource:
    """Return what is kept of a roster in the directory: what it says of itself, byte for byte."""
    fields = _RAW.decode(roster.body)
    body = msgspec.json.encode({name: value for name, value in fields.items() if name not in _COVERED})
    return from_content(read_object(body), body)


def uncovered(body: bytes, entries: Sequence[bytes]) -> bytes:
    """Return a roster with some of its members."""
    listed = msgspec.Raw(b"[" + b",".join(entries) + b"]")
    return msgspec.json.encode({**_RAW.decode(body), "member": listed})


def mark(node: Node, rosters: Iterable[Resource]) -> None:
    """Say of Groups that they are rosters, before anything of them can be found."""
    names = sorted({_name(node, str(each.id)) for each in rosters})
    if names:
        with node.vault.database.writing() as connection:
            marked = connection.scalars(select(_COLUMNS.list).where(_COLUMNS.list.in_(names) & (_COLUMNS.place == 0)))
            rows = [_row(each, 0) for each in sorted(set(names) - set(marked))]
            if rows:
                connection.execute(insert(schema.roster_members), rows)


def keep(node: Node, roster: Resource) -> None:
    """Keep who is on a roster, instead of who was; its members are here."""
    name, sealing = _name(node, str(roster.id)), SealedRows(node.vault, node.chain)
    entries = _entries(roster.body)
    ids = [_patient_id(msgspec.json.decode(each)) for each in entries]
    patients = resources.find_all(node, [("Patient", each) for each in ids])
    assert len(patients) == len(ids), "who is named was looked for before"
    rows = [
        _row(
            name,
            place,
            member=Keyed(node.keys.lookup).reference("Patient", patient.logical_id),
            pseudonym=patient.pseudonym,
            sealed=sealing.seal(_TABLE, _place_of(name, place), _Entry(entry)),
        )
        for place, (patient, entry) in enumerate(zip(patients, entries, strict=True), start=1)
    ]
    with node.vault.database.writing() as connection:
        connection.execute(delete(schema.roster_members).where(_COLUMNS.list == name))
        connection.execute(insert(schema.roster_members), [_row(name, 0), *rows])


def forget(node: Node, logical_id: str) -> None:
    """Forget who is on a roster; that it was one stays known, so that its end is told to nobody."""
    with node.vault.database.writing() as connection:
        theirs = (_COLUMNS.list == _name(node, logical_id)) & (_COLUMNS.place > 0)
        connection.execute(delete(schema.roster_members).where(theirs))


def members(node: Node, groups: Iterable[Found]) -> dict[RecordId, list[Member]]:
    """Return who is on those of some resources that are rosters, in order, before anything is decided about them."""
    names = {
        _name(node, each.logical_id): each.record
        for each in groups
        if each.type == KIND and each.pseudonym == DIRECTORY
    }
    if not names:
        return {}
    listed: dict[RecordId, list[Member]] = {}
    sealing, patient = SealedRows(node.vault, node.chain), schema.resources.c
    is_theirs = (patient.pseudonym == _COLUMNS.pseudonym) & (patient.type == "Patient") & (patient.deleted == 0)
    of_list = (_COLUMNS.list, _COLUMNS.place, _COLUMNS.sealed)
    people = select(schema.resources, *of_list).join(
        schema.roster_members, is_theirs & (patient.reference == _COLUMNS.member)
    )
    with node.vault.database.reading() as connection:
        for part in in_parts(sorted(names)):
            these = _COLUMNS.list.in_(part)
            marked = connection.scalars(select(_COLUMNS.list).where(these & (_COLUMNS.place == 0)))
            listed |= {names[each]: [] for each in marked}
            for row in connection.execute(people.where(these).order_by(_COLUMNS.list, _COLUMNS.place)):
                entry = sealing.open(_TABLE, _place_of(row.list, row.place), row.sealed, _decode)
                listed[names[row.list]].append(Member(found(row), entry.body))
    return listed


def patients_of(node: Node, roster: JsonObject) -> list[Found]:
    """Return the Patients of those on a roster who still are, of one that was shown."""
    ids = [_patient_id(each) for each in objects(roster, "member") if each.get("inactive") is not True]
    return [each for each in resources.find_all(node, [("Patient", each) for each in ids]) if not each.is_deleted]


def _patient_id(entry: object) -> str:
    """The id of the Patient of an entry; empty for an entry of another kind."""
    kind, _, logical_id = unversioned(text(entry, "entity.reference") or "").rpartition("/")
    return logical_id if kind.rpartition("/")[2] == "Patient" else ""


def _entries(body: bytes) -> list[bytes]:
    return [bytes(each) for each in msgspec.json.decode(_RAW.decode(body)["member"], type=list[msgspec.Raw])]


def _references(node: object) -> Iterable[str]:
    if isinstance(node, dict):
        for name, value in node.items():
            if name == "reference" and isinstance(value, str):
                yield value
            yield from _references(value)
    if isinstance(node, list):
        for value in node:
            yield from _references(value)


def _names_patient(reference: str) -> bool:
    return may_be_patient(unversioned(reference))


def _row(
    name: bytes, place: int, *, member: bytes = b"", pseudonym: bytes = b"", sealed: bytes = b""
) -> Mapping[str, object]:
    return {"list": name, "place": place, "member": member, "pseudonym": pseudonym, "sealed": sealed}


def _name(node: Node, logical_id: str) -> bytes:
    return Keyed(node.keys.lookup).reference(KIND, logical_id)


def _place_of(name: bytes, place: int) -> bytes:
    return name + place.to_bytes(4, "big")


def _changed() -> FhirRejected:
    hint = "give it another id"
    return _unfit("a Group that lists people, or does not, as it did before", "the other", hint)


def _unfit(expected: str, came: str, hint: str) -> FhirRejected:
    return FhirRejected(Fault.SEVERAL_PATIENTS, expected=expected, came=came, hint=hint)
