"""Store: what somebody writes through an interface, all of one request or none of it.

A resource is named by its type and logical id; its bytes are kept as they came. Whose it is follows from what it says
of its patient, and never changes: a version that names somebody else is refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeGuard

import msgspec

from salus.clinical.fhir import Fault, FhirRejected, Resource
from salus.clinical.fhir.metadata import WITH_FILES
from salus.clinical.fhir.subjects import HOST_PATHS
from salus.contracts.record_metadata import Facts, facts_of
from salus.ledger.identifiers import Pseudonym
from salus.node import derived_names
from salus.node.assemble import Node
from salus.node.errors import Refusal, Refused
from salus.node.new_records import NewRecord, new_record, require_bounded
from salus.node.projections import resources
from salus.node.projections.resources import DIRECTORY, Found
from salus.node.services import rosters
from salus.node.services.deposit import METADATA, ChartDeposit, deposit_charts
from salus.node.services.deposit_together import Depositor
from salus.node.services.owners import known_patient, owner, recognise
from salus.node.shapes import BESIDE, members


@dataclass(frozen=True)
class Write:
    """A resource to be stored under its type and id.

    Args:
        after: the version that must be its newest, 0 for none; None does not mind.
    """

    resource: Resource
    after: int | None = None


@dataclass(frozen=True)
class Deletion:
    """A resource to be marked as gone; its versions stay, and are judged like any record."""

    type: str
    logical_id: str
    after: int | None = None


@dataclass(frozen=True)
class Stored:
    """What became of a write: where the resource is now; `is_new` is false when the same was there before."""

    found: Found
    is_new: bool


def store(
    node: Node,
    writes: Sequence[Write | Deletion],
    *,
    only: bytes | None = None,
    depositor: Depositor | None = None,
    is_ledger: bool = False,
) -> list[Stored]:
    """Store resources and deletions, all or none, each patient's as one batch.

    1. Find out whose each is; patients first, so that what names them finds them.
    2. A resource that is here stays its owner's, and is of the version that it must be.
    3. Enrol the patients who are new: nothing that is known to be wrong gets as far.
    4. Deposit: durable, registered, indexed.

    Args:
        only: the one relationship that may be written to, where whoever writes is bound to one.
        depositor: of the worker, where several threads write at one time.
        is_ledger: whether what the ledger knows of members and their staff is written, which nobody else writes.

    Raises:
        FhirRejected: it names nobody and has to, somebody who is not here, or somebody else than before.
        Refused: VERSION_UNFIT, RECORD_UNFIT, or the ledger says no.
        NotNow: the ledger is away: what is durable is registered when it is back.
    """
    assert node.has_index, "what is named by type and id is found by the index"
    if not is_ledger:
        _require_not_published(node, writes)
    newcomers: dict[Pseudonym, Resource] = {}
    owners = _owners(node, writes, newcomers)  # 1
    for write, whose in zip(writes, owners, strict=True):
        if only is not None and whose != only:
            raise _of_somebody_else(write, "one of somebody else")
        _require_fit(node, write, whose)  # 2
    enrolled = {name: known_patient(node, patient)[0] for name, patient in newcomers.items()}  # 3
    charts: dict[Pseudonym, list[tuple[int, NewRecord]]] = {}
    for place, (write, whose) in enumerate(zip(writes, owners, strict=True)):
        kept = replace(write, resource=rosters.covered(write.resource)) if _is_roster(write, whose) else write
        charts.setdefault(enrolled.get(whose, whose), []).append((place, _new_record(node, kept, writes)))
    deposits = [ChartDeposit(whose, [record for _, record in records]) for whose, records in charts.items()]
    listing = [write for write, whose in zip(writes, owners, strict=True) if _is_roster(write, whose)]
    rosters.mark(node, [write.resource for write in listing])
    filed = depositor.deposit_charts(deposits) if depositor is not None else deposit_charts(node, deposits)  # 4
    _keep_members(node, writes, listing)
    is_new = {
        place: each.is_new
        for records, of_chart in zip(charts.values(), filed, strict=True)
        for (place, _), each in zip(records, of_chart, strict=True)
    }
    found = resources.find_all(node, [_name(write) for write in writes])
    assert len(found) == len(writes), "what was deposited is in the index"
    return [Stored(each, is_new[place]) for place, each in enumerate(found)]


def _is_roster(write: Write | Deletion, whose: Pseudonym) -> TypeGuard[Write]:
    return isinstance(write, Write) and whose == DIRECTORY and rosters.is_roster(write.resource)


def _keep_members(node: Node, writes: Sequence[Write | Deletion], listing: Sequence[Write]) -> None:
    """Keep who is on the rosters that were stored, and nobody of those that are gone."""
    for each in listing:
        rosters.keep(node, each.resource)
    for write in writes:
        if isinstance(write, Deletion) and write.type == rosters.KIND:
            rosters.forget(node, write.logical_id)


def _require_not_published(node: Node, writes: Sequence[Write | Deletion]) -> None:
    for kind, logical_id in map(_name, writes):
        prefix = members.PREFIXES.get(kind, "")
        if prefix and logical_id.startswith(prefix):
            words = f"expected an id without {prefix}: the ledger says what its members and their staff are"
            raise Refused(Refusal.RECORD_UNFIT, words)
        if kind in BESIDE and derived_names.find(node, kind, logical_id) is not None:
            words = "expected an id of its own: this one is of what is made from the ledger, which nobody writes"
            raise Refused(Refusal.RECORD_UNFIT, words)


def _owners(node: Node, writes: Sequence[Write | Deletion], newcomers: dict[Pseudonym, Resource]) -> list[Pseudonym]:
    """Whose each write is; who is not known here yet has a name for the time being, noted in `newcomers`."""
    beside: dict[str, Pseudonym] = {}
    attached_by: dict[str, set[Pseudonym]] = {}
    for write in writes:
        if isinstance(write, Write) and write.resource.type == "Patient":
            known = recognise(node, write.resource)
            if known is None:
                known = Pseudonym(f"new {len(newcomers)}".encode())
                newcomers[known] = write.resource
            beside[f"Patient/{write.resource.id}"] = known
    rest = [write for write in writes if isinstance(write, Write) and write.resource.type != "Patient"]
    for write in sorted(rest, key=lambda each: _place_in_order(each.resource)):
        name = f"{write.resource.type}/{write.resource.id}"
        beside[name] = owner(node, write.resource, beside, attached_by=attached_by.get(name, set()))
        for url in write.resource.attachments:
            attached_by.setdefault(url, set()).add(beside[name])
    return [
        beside[f"{write.resource.type}/{write.resource.id}"] if isinstance(write, Write) else _deleted(node, write)
        for write in writes
    ]


def _place_in_order(resource: Resource) -> int:
    """After what it belongs to; a Provenance is its targets', whatever they are."""
    return 2 if resource.type == "Provenance" else 1 if resource.type in HOST_PATHS else 0


def _deleted(node: Node, deletion: Deletion) -> Pseudonym:
    return _require_found(node, deletion).pseudonym


def _require_found(node: Node, deletion: Deletion) -> Found:
    found = resources.find(node, deletion.type, deletion.logical_id)
    if found is None:
        raise Refused(Refusal.RECORD_UNFIT, "expected a resource that is here: there is nothing to delete")
    return found


def _require_fit(node: Node, write: Write | Deletion, whose: Pseudonym) -> None:
    kind, _ = name = _name(write)
    known = resources.find(node, *name)
    version = known.version if known is not None else 0
    if write.after is not None and write.after != version:
        words = f"expected version {write.after} as the newest of this {kind}, it has {version}: read it again"
        raise Refused(Refusal.VERSION_UNFIT, words)
    if known is not None and known.pseudonym != whose:
        raise _of_somebody_else(write, "one about somebody else than its earlier versions")


def _of_somebody_else(write: Write | Deletion, came: str) -> FhirRejected:
    kind, _ = _name(write)
    expected, hint = f"a {kind} of the patient whose record this is", "create it in the other patient's record"
    return FhirRejected(Fault.WRONG_PATIENT, expected=expected, came=came, hint=hint)


def _new_record(node: Node, write: Write | Deletion, beside: Sequence[Write | Deletion]) -> NewRecord:
    if isinstance(write, Write):
        new = new_record(write.resource, after=write.after)
        return new if write.resource.type != "Binary" else replace(new, facts=_as_part(node, write, new.facts, beside))
    return NewRecord(
        f"{write.type}/{write.logical_id}".encode(), b"", _facts(node, _require_found(node, write)), write.after
    )


def _as_part(node: Node, binary: Write, own: Facts, beside: Sequence[Write | Deletion]) -> Facts:
    """What rules read of a Binary: what they read of the documents that it belongs to, and its own labels."""
    name = "/".join(_name(binary))
    documents = [
        new_record(each.resource).facts
        for each in beside
        if isinstance(each, Write)
        and (name in each.resource.attachments or "/".join(_name(each)) in binary.resource.hosts)
    ]
    hosts = [found for host in binary.resource.hosts if (found := resources.find(node, *host.split("/")[-2:]))]
    before = resources.find(node, *_name(binary))
    documents += [_facts(node, each) for each in hosts] if not documents else []
    documents += [_facts(node, before)] if not documents and not binary.resource.subjects and before is not None else []
    if not documents:
        return own
    codes = tuple(sorted({*own.codes, *(code for each in documents for code in each.codes)}))
    labels = tuple(sorted({*own.labels, *(label for each in documents for label in each.labels)}))
    require_bounded(codes, labels)
    part_of = WITH_FILES & {name for each in documents for name in each.classes}
    return msgspec.structs.replace(
        own,
        classes=(*own.classes, *sorted(part_of)),
        codes=codes,
        labels=labels,
        period_from_s=min(each.period_from_s for each in documents),
        period_to_s=max(each.period_to_s for each in documents),
    )


def _facts(node: Node, found: Found) -> Facts:
    return facts_of(METADATA.decode(node.vault.record(*found.key).metadata))


def _name(write: Write | Deletion) -> tuple[str, str]:
    if isinstance(write, Deletion):
        return write.type, write.logical_id
    assert write.resource.id is not None, "an interface gives every resource an id"
    return write.resource.type, write.resource.id
