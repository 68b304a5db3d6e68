"""Bundles: many resources in one file, and the chart of one patient sorted out of them.

Promises: an entry's resource keeps the very bytes that stood in the bundle; either the whole bundle is read or none.
Never guesses: a resource that cannot be attributed to the bundle's patient stops the import with its place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from salus.clinical.fhir.faults import Fault, FhirRejected
from salus.clinical.fhir.metadata import WITH_FILES, RecordMetadata
from salus.clinical.fhir.resources import TYPE_NAME, Resource, from_content
from salus.clinical.fhir.strict_json import JsonObject, broken_at, not_json, read_object, too_deep
from salus.clinical.fhir.subjects import PERSONAL

BUNDLE_BYTES_MAX = 50_000_000
KINDS = ("transaction", "batch", "collection", "searchset")


class Envelope(msgspec.Struct):
    """A bundle around its entries, which stay unparsed."""

    entry: msgspec.Raw = msgspec.Raw(b"[]")


class Slice(msgspec.Struct):
    """An entry around its resource, whose bytes are taken as they are."""

    resource: msgspec.Raw


@dataclass(frozen=True, slots=True)
class Entry:
    """One resource of a bundle; `full_url` is None when the entry gives none, `place` names it in messages."""

    full_url: str | None
    resource: Resource
    place: str


@dataclass(frozen=True, slots=True)
class Bundle:
    """The kind of bundle and its entries in order."""

    kind: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class PatientChart:
    """A whole-patient bundle: the Patient, what is about that patient, and what stands beside it for anybody."""

    patient: Resource
    resources: tuple[Resource, ...]
    shared: tuple[Resource, ...]


@dataclass(frozen=True, slots=True)
class Known:
    """What sorting looks up: the patient's entry, entries by the names that references use, documents of Binaries."""

    patient: Entry
    names: Mapping[str, Entry]
    documents: Mapping[str, RecordMetadata]


def read_bundle(source: bytes) -> Bundle:
    """Read a transaction, batch, collection or searchset bundle.

    Raises:
        FhirRejected: TOO_LARGE above 50 MB, NOT_A_BUNDLE, BUNDLE_TYPE, BAD_ENTRY, and the faults of its resources,
            each placed at its entry (counted from 1).
    """
    if len(source) > BUNDLE_BYTES_MAX:
        hint = "import it as NDJSON, one resource a line, which has no limit: salus import FILE.ndjson"
        expected, came = f"a bundle of at most {BUNDLE_BYTES_MAX:,} bytes", f"{len(source):,}"
        raise FhirRejected(Fault.TOO_LARGE, expected=expected, came=came, hint=hint)
    kind, raw = read_envelope(source, KINDS, hint="deposit a document or message bundle as one record")
    return Bundle(kind, tuple(entry(each, f"entry {number}") for number, each in enumerate(raw, start=1)))


def read_envelope(
    source: bytes, kinds: Sequence[str], *, hint: str, entries_max: int | None = None
) -> tuple[str, list[msgspec.Raw]]:
    """Return the type of a bundle, and its entries, each still unparsed.

    Args:
        kinds: of which types it may be; hint: what to do with one of another.
        entries_max: None for any number.

    Raises:
        FhirRejected: NOT_A_BUNDLE, BUNDLE_TYPE, TOO_LARGE above `entries_max`, BAD_ENTRY where the entries are no
            array, and what makes the bytes unreadable.
    """
    entries = unparsed_entries(source)
    kind = kind_of(outside(source, entries), kinds, hint)
    raw = each_raw(entries)
    if entries_max is not None and len(raw) > entries_max:
        expected, hint = f"at most {entries_max:,} entries", "send several bundles, or import as NDJSON"
        raise FhirRejected(Fault.TOO_LARGE, expected=expected, came=f"{len(raw):,}", hint=hint)
    return kind, raw


def unparsed_entries(source: bytes) -> msgspec.Raw:
    """The bytes of the `entry` array; an empty array when there is none."""
    try:
        return msgspec.json.decode(source, type=Envelope).entry
    except RecursionError:
        raise too_deep("far more") from None
    except UnicodeDecodeError:
        raise not_json("bytes that are not UTF-8") from None
    except msgspec.ValidationError:
        raise FhirRejected(Fault.NOT_A_BUNDLE, expected="a Bundle", came="no JSON object", hint=BUNDLE_HINT) from None
    except msgspec.DecodeError as error:
        raise not_json(broken_at(error)) from None


def outside(source: bytes, entries: msgspec.Raw) -> JsonObject:
    """The bundle without its entries, read strictly, so that a second `entry` array is seen as a repeated key."""
    before, found, after = source.partition(bytes(entries))
    return read_object(before + b"[]" + after if found else source)


def kind_of(envelope: JsonObject, kinds: Sequence[str], hint: str) -> str:
    """The bundle's type, when it is one of some."""
    came = envelope.get("resourceType")
    if came != "Bundle":
        shown = came if isinstance(came, str) and TYPE_NAME.fullmatch(came) else "no resourceType"
        raise FhirRejected(Fault.NOT_A_BUNDLE, expected="a Bundle", came=shown, hint=BUNDLE_HINT)
    kind = envelope.get("type")
    if kind in kinds:
        return str(kind)
    expected = f"a bundle of type {', '.join(kinds)}"
    raise FhirRejected(Fault.BUNDLE_TYPE, expected=expected, came="another type or none", hint=hint)


BUNDLE_HINT = "deposit a single resource as it is, or wrap several in a Bundle"


def each_raw(entries: msgspec.Raw) -> list[msgspec.Raw]:
    """The entries, each still unparsed."""
    try:
        return msgspec.json.decode(entries, type=list[msgspec.Raw])
    except msgspec.DecodeError:
        raise bad_entry("an array", "another value") from None


def entry(raw: msgspec.Raw, place: str) -> Entry:
    """Parse one entry; faults carry its place."""
    try:
        return parsed_entry(bytes(raw), place)
    except FhirRejected as fault:
        raise fault.at(place) from fault


def parsed_entry(source: bytes, place: str) -> Entry:
    """An entry's address and resource; the resource's bytes are the slice of the entry that holds it."""
    content = read_object(source)
    resource, full_url = content.get("resource"), content.get("fullUrl")
    if not isinstance(resource, dict):
        raise bad_entry("an entry with a resource", "one without")
    body = bytes(msgspec.json.decode(source, type=Slice).resource)
    return Entry(full_url if isinstance(full_url, str) else None, from_content(resource, body), place)


def bad_entry(expected: str, came: str) -> FhirRejected:
    """The refusal of an entry that is none."""
    return FhirRejected(Fault.BAD_ENTRY, expected=expected, came=came, hint="send bundles that carry resources")


def patient_chart(bundle: Bundle) -> PatientChart:
    """Sort a bundle about one patient; a searchset's OperationOutcomes are left out.

    A Binary that some of the patient's documents point to takes over their classes, labels, codes and period, because
    it is the same record in several resources and carries none of its own.

    Raises:
        FhirRejected: NO_PATIENT, SEVERAL_PATIENTS or WRONG_PATIENT, placed at the entry that is at fault.
    """
    entries = [each for each in bundle.entries if each.resource.type != "OperationOutcome"]
    names = {name: each for each in entries for name in names_of(each)}
    known = Known(only_patient(entries), names, documents_of(entries, names))
    others = [each for each in entries if each is not known.patient]
    about = [is_about(each, known) for each in others]
    mine = [each for each, is_mine in zip(others, about, strict=True) if is_mine]
    return PatientChart(
        patient=known.patient.resource,
        resources=tuple(as_part_of(known.documents.get(each.place), each.resource) for each in mine),
        shared=tuple(each.resource for each, is_mine in zip(others, about, strict=True) if not is_mine),
    )


def only_patient(entries: Iterable[Entry]) -> Entry:
    """The one Patient among the entries."""
    patients = [each for each in entries if each.resource.type == "Patient"]
    if len(patients) == 1:
        return patients[0]
    fault = Fault.SEVERAL_PATIENTS if patients else Fault.NO_PATIENT
    hint = "send one bundle per patient, or NDJSON for many" if patients else "add the Patient to the bundle"
    raise FhirRejected(fault, expected="a bundle with one Patient", came=str(len(patients)), hint=hint)


def names_of(each: Entry) -> Iterator[str]:
    """What references can call an entry: its full URL, and `Type/id` where there is an id."""
    if each.full_url is not None:
        yield each.full_url
    if each.resource.id is not None:
        yield f"{each.resource.type}/{each.resource.id}"


def documents_of(entries: Iterable[Entry], names: Mapping[str, Entry]) -> Mapping[str, RecordMetadata]:
    """For each Binary that entries point to, by the Binary's place, the metadata of all of these together."""
    found: dict[str, RecordMetadata] = {}
    for each in entries:
        for url in each.resource.attachments:
            if url in names and names[url].resource.type == "Binary":
                place = names[url].place
                found[place] = together(found.get(place), each.resource.metadata)
    return found


def together(before: RecordMetadata | None, document: RecordMetadata) -> RecordMetadata:
    """What one more document says of a file: every class, label and code counts, and the widest period."""
    document = msgspec.structs.replace(document, part_of=tuple(WITH_FILES & {document.resource_type}))
    if before is None:
        return document
    begins, ends = ({getattr(each, name) for each in (before, document)} for name in ("period_from_s", "period_to_s"))
    return msgspec.structs.replace(
        before,
        codes=tuple(sorted({*before.codes, *document.codes})),
        labels=tuple(sorted({*before.labels, *document.labels})),
        period_from_s=None if None in begins else min(begins),
        period_to_s=None if None in ends else max(ends),
        part_of=tuple(sorted({*before.part_of, *document.part_of})),
    )


def is_about(each: Entry, known: Known) -> bool:
    """Whether an entry belongs to the patient; False when it stands beside the patient for anybody.

    Raises:
        FhirRejected: it names somebody who is not in the bundle, or is a personal record that names nobody.
    """
    targets = [target_of(each, subject, known) for subject in subjects_of(each, known.patient)]
    if known.patient in targets or each.place in known.documents:
        return True
    if each.resource.type == "Provenance":  # it says nothing of itself: it belongs to what it is the provenance of
        return any(target.resource.subjects or target.place in known.documents for target in targets)
    if each.resource.type in PERSONAL:
        expected, hint = f"a {each.resource.type} that names the bundle's Patient", "add the reference at its source"
        raise FhirRejected(Fault.NO_PATIENT, expected=expected, came="none", hint=hint, place=each.place)
    return False


def subjects_of(each: Entry, patient: Entry) -> Iterable[str]:
    """The references to the subject; where there are none, an equal NHS number means the bundle's Patient."""
    stated, expected = each.resource.nhs_number, patient.resource.nhs_number
    if stated is None or expected is None:
        return each.resource.subjects
    if stated != expected:
        raise wrong_patient(each)
    return each.resource.subjects or tuple(names_of(patient))[:1]


def target_of(each: Entry, reference: str, known: Known) -> Entry:
    """The entry that a reference means."""
    if reference not in known.names:
        raise wrong_patient(each)
    return known.names[reference]


def wrong_patient(each: Entry) -> FhirRejected:
    """The refusal of a resource that names somebody else."""
    expected = f"a {each.resource.type} of the bundle's Patient"
    came, hint = (
        "one of somebody who is not in the bundle",
        "check which patient it belongs to and send it with that one",
    )
    return FhirRejected(Fault.WRONG_PATIENT, expected=expected, came=came, hint=hint, place=each.place)


def as_part_of(document: RecordMetadata | None, resource: Resource) -> Resource:
    """A Binary with its documents' metadata and classes and all labels; any other resource as it is."""
    if document is None:
        return resource
    labels = tuple(sorted({*document.labels, *resource.metadata.labels}))
    return replace(resource, metadata=msgspec.structs.replace(document, resource_type=resource.type, labels=labels))
