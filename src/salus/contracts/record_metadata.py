"""The metadata of a record as a committed list of fields, and what the rules read from it.

The custodian commits to it at deposit; a receipt opens to the patient what is needed to run a rule again, and nothing
of it is on the ledger (P1, P7). Titles are for people: no rule reads them.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from salus.contracts.provisions import EARLIEST_S, LATEST_S, Record
from salus.ledger.encoding import decoder
from salus.ledger.fields import CommittedFields, commit_fields
from salus.ledger.identifiers import RecordId

LIST_MAX = 4096
FIELDS = 6
IDS_FIELD = 4
TITLE_FIELD = 5


class Facts(msgspec.Struct, frozen=True, array_like=True):
    """What is committed of one record version. Times in seconds; `EARLIEST_S` and `LATEST_S` where not known.

    Args:
        classes: its FHIR type; of a file, those of the letters and reports that it belongs to as well.
    """

    classes: tuple[str, ...]
    codes: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    period_from_s: int = EARLIEST_S
    period_to_s: int = LATEST_S
    ids: tuple[bytes, ...] = ()
    title: str = ""

    def __repr__(self) -> str:
        """Hide what it says of people (P4)."""
        return "Facts(…)"


_TEXTS = decoder(Annotated[tuple[str, ...], Meta(max_length=LIST_MAX)])
_PERIOD = decoder(tuple[int, int])
_IDS = decoder(Annotated[tuple[bytes, ...], Meta(max_length=LIST_MAX)])
_TITLE = decoder(str)


def commit_facts(facts: Facts, *, secret: bytes) -> CommittedFields:
    """Return the committed metadata; `secret` is 32 random bytes of this record version alone."""
    period = (facts.period_from_s, facts.period_to_s)
    return commit_fields([facts.classes, facts.codes, facts.labels, period, facts.ids, facts.title], secret=secret)


def record_of(record: RecordId, values: tuple[bytes, ...]) -> Record:
    """Return what the rules may know of a record, from its opened fields.

    Args:
        values: the fields' bytes in order; the title may be left out.

    Raises:
        EncodingInvalid: a field is not of its format.
    """
    period_from_s, period_to_s = _PERIOD.decode(values[3])
    return Record(
        ids=(record, *_IDS.decode(values[4])),
        classes=_TEXTS.decode(values[0]),
        codes=_TEXTS.decode(values[1]),
        labels=_TEXTS.decode(values[2]),
        period_from_s=period_from_s,
        period_to_s=period_to_s,
    )


def facts_of(committed: CommittedFields) -> Facts:
    """Return the facts that were committed to. Raises EncodingInvalid."""
    classes, codes, labels, period, ids, title = committed.values
    period_from_s, period_to_s = _PERIOD.decode(period)
    return Facts(
        classes=_TEXTS.decode(classes),
        codes=_TEXTS.decode(codes),
        labels=_TEXTS.decode(labels),
        period_from_s=period_from_s,
        period_to_s=period_to_s,
        ids=_IDS.decode(ids),
        title=_TITLE.decode(title),
    )


def classes_of(committed: CommittedFields) -> tuple[str, ...]:
    """Return the record's classes, its FHIR type first. Raises EncodingInvalid."""
    classes: tuple[str, ...] = _TEXTS.decode(committed.values[0])
    return classes


def ids_of(committed: CommittedFields) -> tuple[bytes, ...]:
    """Return the names that the record has at its source, such as `Observation/17`. Raises EncodingInvalid."""
    ids: tuple[bytes, ...] = _IDS.decode(committed.values[IDS_FIELD])
    return ids


def title_of(committed: CommittedFields) -> str:
    """Return the words that say to a person what the record is. Raises EncodingInvalid."""
    title: str = _TITLE.decode(committed.values[TITLE_FIELD])
    return title
