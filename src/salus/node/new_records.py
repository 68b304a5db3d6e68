"""What is to be deposited: a record's name among those of its patient, its bytes, and the facts that rules read."""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from salus.clinical.fhir.elements import objects
from salus.clinical.fhir.resources import Resource
from salus.contracts import record_metadata
from salus.contracts.provisions import EARLIEST_S, LATEST_S
from salus.contracts.record_metadata import Facts
from salus.ledger.encoding import in_nfc
from salus.ledger.identifiers import RecordId
from salus.node.errors import Refusal, Refused
from salus.node.shapes import APART, BESIDE, systems

_RAW = msgspec.json.Decoder(dict[str, msgspec.Raw])


@dataclass(frozen=True)
class NewRecord:
    """A record version to be deposited.

    Args:
        name: names the record among those of its relationship: `Type/id`, or its bytes where it has no id.
        body: the record itself; empty says that it was deleted.
        after: the version that must be the newest before it, 0 for none; None does not mind.
    """

    name: bytes = field(repr=False)
    body: bytes = field(repr=False)
    facts: Facts
    after: int | None = None

    def record_id(self, secret: bytes) -> RecordId:
        """Return the id that this name has under a secret: the same source resource is the same record."""
        return RecordId(hmac.digest(secret, self.name, "sha256")[:16])


def new_record(resource: Resource, *, after: int | None = None) -> NewRecord:
    """Return what is to be deposited of a resource.

    Raises:
        Refused: RECORD_UNFIT: it has more codes or labels than rules can know of, or is of a type that is made from the
            ledger, or tagged as what is: a record of one would say something else.
    """
    if resource.type in APART:
        words = f"expected a record, came a {resource.type}, which is none: send it to its own address"
        raise Refused(Refusal.RECORD_UNFIT, words)
    if resource.type in BESIDE and _is_tagged_as_made(resource.body):
        words = f"expected a record without the tag {systems.MADE}, which says that it is no record: take it out"
        raise Refused(Refusal.RECORD_UNFIT, words)
    name = f"{resource.type}/{resource.id}".encode() if resource.id else b""
    return NewRecord(name or resource.body, resource.body, _facts(resource, name), after)


def _is_tagged_as_made(body: bytes) -> bool:
    meta = _RAW.decode(body).get("meta")
    tags = objects(msgspec.json.decode(meta), "tag") if meta is not None else ()
    return any(each.get("system") == systems.MADE for each in tags)


def require_bounded(codes: Sequence[str], labels: Sequence[str]) -> None:
    """Raise Refused, RECORD_UNFIT, when a record has more codes or labels than rules can know of."""
    for what, texts in (("codes", codes), ("labels", labels)):
        if len(texts) > record_metadata.LIST_MAX:  # leaving some out would let the record past a deny that names them
            words = f"expected at most {record_metadata.LIST_MAX} {what} in a record, came {len(texts)}: divide it"
            raise Refused(Refusal.RECORD_UNFIT, words)


def _facts(resource: Resource, name: bytes) -> Facts:
    metadata = resource.metadata
    require_bounded(metadata.codes, metadata.labels)
    return Facts(
        classes=(metadata.resource_type, *metadata.part_of),
        codes=_as_rules_say(metadata.codes),
        labels=_as_rules_say(metadata.labels),
        period_from_s=EARLIEST_S if metadata.period_from_s is None else metadata.period_from_s,
        period_to_s=LATEST_S if metadata.period_to_s is None else metadata.period_to_s,
        ids=(name,) if name else (),
        title=in_nfc(metadata.title or ""),
    )


def _as_rules_say(codes: Sequence[str]) -> tuple[str, ...]:
    """Return codes in NFC, as rules name them: whoever writes one otherwise means no other."""
    return tuple(sorted({in_nfc(each) for each in codes}))
