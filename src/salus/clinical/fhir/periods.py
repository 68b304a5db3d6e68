"""When the content of a record took place: the period by which a sharing choice can include or exclude it.

FHIR has some forty names for it. They are tried in one order for all types, from what happened to when it was written
down, and the first that says anything is taken. A period with no known end is open: a condition that has not abated
overlaps with every later day.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from salus.clinical.fhir.dates import Span, span
from salus.clinical.fhir.elements import objects, present, texts, values
from salus.clinical.fhir.faults import FhirRejected

UNKNOWN = Span(None, None)

# What happened: each element holds a date, a Period or a Timing.
HAPPENED = (
    *("effectivePeriod", "effectiveDateTime", "effectiveInstant", "effectiveTiming"),
    *("performedPeriod", "performedDateTime", "occurrencePeriod", "occurrenceDateTime", "occurrenceTiming"),
    *("occurredPeriod", "occurredDateTime", "timingPeriod", "timingDateTime", "timingTiming"),
    *("identifiedPeriod", "identifiedDateTime", "createdPeriod", "createdDateTime"),
    *("context.period", "collection.collectedPeriod", "collection.collectedDateTime"),
    *("period", "servicePeriod", "executionPeriod", "billablePeriod", "servicedPeriod", "servicedDate"),
    *("applies", "planningHorizon", "started"),
)

# What began and ended in two elements; the last item says whether a missing end leaves the period open.
BEGAN_AND_ENDED = (
    (("onsetPeriod", "onsetDateTime"), ("abatementPeriod", "abatementDateTime"), True),
    (("startDate",), ("target.dueDate",), True),
    (("start",), ("end",), False),
    (("whenPrepared", "whenHandedOver"), ("whenHandedOver",), False),
    (("sent", "received"), ("received",), False),
)

# When it was written down, where nothing says when it happened.
WRITTEN_DOWN = (
    *("authoredOn", "authored", "dateWritten", "dateTime", "date", "recordedDate", "receivedTime"),
    *("issued", "recorded", "created", "dateAsserted", "lastOccurrence"),
)


def clinical_period(content: Mapping[str, object]) -> Span:
    """The period of a parsed resource; `UNKNOWN` when it has none or its dates cannot be read.

    Where the period is unknown a rule that denies by period must apply, and one that permits by period must not.
    """
    for path in present(content, HAPPENED):
        found = covering(content, path)
        if found != UNKNOWN:
            return found
    return began_and_ended(content) or written_down(content)


def began_and_ended(content: Mapping[str, object]) -> Span | None:
    """The period of the first pair of elements that is present; None when no pair is."""
    for begins, ends, stays_open in BEGAN_AND_ENDED:
        begun = first_known(content, begins)
        ended = first_known(content, ends)
        if begun == UNKNOWN and ended == UNKNOWN:
            continue
        open_end_s = None if stays_open else begun.to_s
        return Span(begun.from_s, open_end_s if ended == UNKNOWN else ended.to_s)
    return None


def written_down(content: Mapping[str, object]) -> Span:
    """The period of the first element that says when the record was made."""
    return first_known(content, WRITTEN_DOWN)


def first_known(content: Mapping[str, object], paths: Iterable[str]) -> Span:
    """The first of these elements that says anything."""
    return next((found for path in present(content, paths) if (found := covering(content, path)) != UNKNOWN), UNKNOWN)


def covering(content: Mapping[str, object], path: str) -> Span:
    """The smallest span around all dates, Periods and Timings at a path; any open side leaves it open."""
    spans = [found for value in values(content, path) for found in spans_of(value)]
    if not spans:
        return UNKNOWN
    starts = [each.from_s for each in spans if each.from_s is not None]
    ends = [each.to_s for each in spans if each.to_s is not None]
    return Span(
        min(starts) if len(starts) == len(spans) else None,
        max(ends) if len(ends) == len(spans) else None,
    )


def spans_of(value: object) -> list[Span]:
    """The spans that one value states: a date one, a Period one, a Timing those of its events and bounds."""
    if isinstance(value, str):
        return readable([value])
    if not isinstance(value, dict):
        return []
    if "start" in value or "end" in value:
        return of_period(value)
    bounds = [each for bounds in objects(value, "repeat.boundsPeriod") for each in of_period(bounds)]
    return readable(texts(value, "event")) + bounds


def of_period(period: Mapping[str, object]) -> list[Span]:
    """A FHIR Period, both ends included to their precision; nothing when neither end can be read."""
    starts, ends = readable(texts(period, "start")), readable(texts(period, "end"))
    if not starts and not ends:
        return []
    return [Span(starts[0].from_s if starts else None, ends[0].to_s if ends else None)]


def readable(dates: Iterable[str]) -> list[Span]:
    """The spans of those texts that are FHIR dates; others say nothing about when."""
    found = []
    for text in dates:
        try:
            found.append(span(text))
        except FhirRejected:
            continue
    return found
