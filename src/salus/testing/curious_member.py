"""The curious member: somebody with the whole ledger tries to link the pseudonyms of one person (P7).

It knows the rules, when things happened, and of some people when they were seen. It links by what happens close
together; the rates against the truth are published in SECURITY.md, written by `python -m salus.testing.curious_member
--write SECURITY.md` and compared by a test. Nothing here is a promise: these are measurements of one invented year.
"""

import sys
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

from salus.contracts import CONTRACTS
from salus.contracts.access import AccessDenied, AccessPermitted
from salus.contracts.consent import ConsentFiled
from salus.contracts.patients import Enrolled
from salus.contracts.records import BatchRegistered
from salus.ledger.encoding import encode
from salus.ledger.identifiers import OrganisationId, Pseudonym
from salus.ledger.machine import outcome_decoder
from salus.ledger.outcomes import decode_leaf
from salus.testing.ledger_year import (
    ASKING_S,
    DAY_S,
    ENROLLING_S,
    YEAR_FROM_S,
    Habits,
    Year,
    live_a_year,
)

SEED = 20_250_701
PEOPLE = 1000
HOUR_S = 3600
EVER_S = 366 * DAY_S
VISIT_S = 3 * HOUR_S
"""A visit that somebody saw begin has most often left its deposit within this time."""
CERTAIN = 1_000_000
"""What a coincidence weighs that leaves one candidate; with n candidates each gets an n-th of it."""
CLAIM_AT = CERTAIN // 2


class Event(NamedTuple):
    """Something that happened under a pseudonym. `by` is who asked, or which gate was filed; empty for a deposit."""

    time_s: int
    pseudonym: Pseudonym
    by: bytes


Pair = tuple[Pseudonym, Pseudonym]
Scores = dict[Pair, int]


@dataclass(frozen=True)
class Sight:
    """What a member sees, in order of time, by custodian."""

    enrolments: dict[OrganisationId, list[Event]] = field(default_factory=lambda: defaultdict(list))
    deposits: dict[OrganisationId, list[Event]] = field(default_factory=lambda: defaultdict(list))
    requests: dict[OrganisationId, list[Event]] = field(default_factory=lambda: defaultdict(list))
    choices: dict[OrganisationId, list[Event]] = field(default_factory=lambda: defaultdict(list))
    transactions: dict[OrganisationId, list[Event]] = field(default_factory=lambda: defaultdict(list))

    def waiting(self, wait_s: int) -> "Sight":
        """Return the same, had records waited for the next multiple of so many seconds, a multiple of 60."""
        late = {
            organisation: sorted(event._replace(time_s=-(-(event.time_s - 1) // wait_s) * wait_s + 1) for event in all_)
            for organisation, all_ in self.deposits.items()
        }
        return replace(self, deposits=late)


@dataclass(frozen=True)
class Rate:
    """How well links were guessed.

    Args:
        claims: pairs that the adversary says are one person; `correct` of them are; `pairs` there are in truth.
        possible: pairs of pseudonyms at two custodians, among which a blind guess would choose.
    """

    claims: int
    correct: int
    pairs: int
    possible: int

    @property
    def precision_per_mille(self) -> int:
        """How many of a thousand claims are right."""
        return 1000 * self.correct // self.claims if self.claims else 0

    @property
    def recall_per_mille(self) -> int:
        """How many of a thousand true links are found."""
        return 1000 * self.correct // self.pairs if self.pairs else 0

    @property
    def chance_per_mille(self) -> int:
        """How many of a thousand blind guesses would be right."""
        return 1000 * self.pairs // self.possible if self.possible else 0


def look(leaves: Iterable[bytes]) -> Sight:
    """Read the log as any member can, without the deposits of older records on enrolment."""
    sight, home = Sight(), dict[Pseudonym, OrganisationId]()
    outcomes = outcome_decoder(CONTRACTS)
    for leaf in map(decode_leaf, leaves):
        outcome, time_s = outcomes.decode(leaf.data), leaf.time_s
        if isinstance(outcome, Enrolled):
            home[outcome.pseudonym] = outcome.custodian
        sight.transactions[home[outcome.pseudonym]].append(Event(time_s, outcome.pseudonym, leaf.transaction))
        if isinstance(outcome, Enrolled):
            sight.enrolments[outcome.custodian].append(Event(time_s, outcome.pseudonym, outcome.key))
        elif isinstance(outcome, BatchRegistered) and time_s >= YEAR_FROM_S + ENROLLING_S:
            sight.deposits[outcome.custodian].append(Event(time_s, outcome.pseudonym, b""))
        elif isinstance(outcome, AccessPermitted | AccessDenied):
            sight.requests[outcome.custodian].append(Event(time_s, outcome.pseudonym, outcome.requester.encode()))
        elif isinstance(outcome, ConsentFiled):
            custodian = home[outcome.pseudonym]
            sight.choices[custodian].append(Event(time_s, outcome.pseudonym, encode(outcome.gate)))
    return sight


# Signals: each gives pairs of pseudonyms at two custodians a score


def by_enrolment(sight: Sight, one: OrganisationId, other: OrganisationId) -> Scores:
    """Enrolled within the same minute."""
    return together(sight.enrolments[one], sight.enrolments[other], before_s=60, after_s=60)


def by_shared_key(sight: Sight, one: OrganisationId, other: OrganisationId) -> Scores:
    """Enrolled with the same key."""
    return together(sight.enrolments[one], sight.enrolments[other], before_s=EVER_S, after_s=EVER_S, alike=True)


def by_transaction(sight: Sight, one: OrganisationId, other: OrganisationId) -> Scores:
    """Named in one transaction."""
    return together(sight.transactions[one], sight.transactions[other], before_s=0, after_s=0, alike=True)


def by_deposits(sight: Sight, one: OrganisationId, other: OrganisationId) -> Scores:
    """Records came in at both within three hours, again and again."""
    return together(sight.deposits[one], sight.deposits[other], before_s=VISIT_S, after_s=VISIT_S)


def by_requests_at_visits(sight: Sight, one: OrganisationId, other: OrganisationId, *, wait_s: int = 0) -> Scores:
    """One asked at the other, and records came in at the one soon after."""
    scores: Scores = defaultdict(int)
    for visited, asked in ((one, other), (other, one)):
        asking = [event for event in sight.requests[asked] if event.by == visited.encode()]
        found = together(asking, sight.deposits[visited], before_s=0, after_s=VISIT_S + wait_s)
        for (at_asked, at_visited), score in found.items():
            scores[(at_asked, at_visited) if asked == one else (at_visited, at_asked)] += score
    return scores


def by_joint_requests(sight: Sight, one: OrganisationId, other: OrganisationId) -> Scores:
    """A third organisation asked at both at the same time."""
    return together(sight.requests[one], sight.requests[other], before_s=ASKING_S, after_s=ASKING_S, alike=True)


def by_choices(sight: Sight, one: OrganisationId, other: OrganisationId, *, within_s: int = DAY_S) -> Scores:
    """The same gate was filed at both within a day, or another time."""
    return together(sight.choices[one], sight.choices[other], before_s=within_s, after_s=within_s, alike=True)


def by_gates(sight: Sight, one: OrganisationId, other: OrganisationId) -> Scores:
    """The same gate was filed at both, whenever."""
    return together(sight.choices[one], sight.choices[other], before_s=EVER_S, after_s=EVER_S, alike=True)


def by_everything(sight: Sight, one: OrganisationId, other: OrganisationId, *, wait_s: int = 0) -> Scores:
    """All of these together."""
    scores: Scores = defaultdict(int)
    signals = (by_enrolment, by_shared_key, by_transaction, by_deposits, by_joint_requests, by_choices)
    for found in [
        *(signal(sight, one, other) for signal in signals),
        by_requests_at_visits(sight, one, other, wait_s=wait_s),
    ]:
        for pair, score in found.items():
            scores[pair] += score
    return scores


def together(
    ones: Sequence[Event], others: Sequence[Event], *, before_s: int, after_s: int, alike: bool = False
) -> Scores:
    """Share out one coincidence among all candidates near each event of the first list.

    Args:
        before_s, after_s: how far before and after an event a candidate may be.
        alike: only events by the same requester, or with the same gate, key or transaction, are candidates.
    """
    groups: dict[bytes, list[Event]] = defaultdict(list)
    for event in others:
        groups[event.by if alike else b""].append(event)
    times = {by: [event.time_s for event in group] for by, group in groups.items()}
    scores: Scores = defaultdict(int)
    for event in ones:
        by = event.by if alike else b""
        if by in groups:
            from_place = bisect_left(times[by], event.time_s - before_s)
            to_place = bisect_right(times[by], event.time_s + after_s)
            candidates = sorted({each.pseudonym for each in groups[by][from_place:to_place]})
            for candidate in candidates:
                scores[event.pseudonym, candidate] += CERTAIN // len(candidates)
    return scores


def claims(scores: Scores) -> list[Pair]:
    """Return the pairs that are each other's only best candidate, with enough behind them."""
    best_of_one, best_of_other = _best(scores, 0), _best(scores, 1)
    return [
        pair
        for pair, score in sorted(scores.items())
        if score >= CLAIM_AT and best_of_one[pair[0]] == pair and best_of_other[pair[1]] == pair
    ]


def _best(scores: Scores, side: int) -> dict[Pseudonym, Pair | None]:
    best: dict[Pseudonym, tuple[int, Pair | None]] = {}
    for pair, score in sorted(scores.items()):
        highest, _ = best.get(pair[side], (0, None))
        if score >= highest:
            best[pair[side]] = (score, pair if score > highest else None)
    return {pseudonym: pair for pseudonym, (_, pair) in best.items()}


Signal = Callable[[Sight, OrganisationId, OrganisationId], Scores]


def rate(year: Year, sight: Sight, signal: Signal) -> Rate:
    """Let the adversary claim what it can by one signal, and compare with the truth."""
    claimed = correct = pairs = possible = 0
    for one, other in combinations(sorted(sight.enrolments), 2):
        truth = {
            (dweller.pseudonyms[one], dweller.pseudonyms[other])
            for dweller in year.dwellers
            if one in dweller.pseudonyms and other in dweller.pseudonyms
        }
        found = claims(signal(sight, one, other))
        claimed, correct = claimed + len(found), correct + len(truth.intersection(found))
        pairs, possible = pairs + len(truth), possible + len(sight.enrolments[one]) * len(sight.enrolments[other])
    return Rate(claimed, correct, pairs, possible)


# Known visit times


@dataclass(frozen=True)
class Knowledge:
    """What the adversary knows of a visit: from when and until when its deposit must have come in."""

    words: str
    window: Callable[[int, int], tuple[int, int]]


KNOWLEDGE = (
    Knowledge("the minute in which it ended", lambda _start_s, end_s: (end_s, end_s + 60)),
    Knowledge("the hour in which it began", lambda start_s, _end_s: (start_s, start_s + HOUR_S)),
    Knowledge("the day", lambda start_s, _end_s: (start_s - start_s % DAY_S, start_s - start_s % DAY_S + DAY_S)),
)


def recognised(year: Year, sight: Sight, knowledge: Knowledge, *, visits: int, wait_s: int) -> tuple[int, int]:
    """Return (recognised, people): whose pseudonym at a custodian is the only one that fits what is known.

    Args:
        visits: how many visits the adversary knows; who has fewer is left out.
        wait_s: how long records wait for their batch.
    """
    hits = people = 0
    for dweller in year.dwellers:
        for organisation, all_visits in dweller.visits.items():
            known = [visit for visit in all_visits if visit[0] >= YEAR_FROM_S + ENROLLING_S][:visits]
            if len(known) == visits:
                windows = [knowledge.window(*visit) for visit in known]
                fits = _fitting(sight.deposits[organisation], windows, wait_s=wait_s)
                people, hits = people + 1, hits + (fits == {dweller.pseudonyms[organisation]})
    return hits, people


def _fitting(deposits: Sequence[Event], windows: Iterable[tuple[int, int]], *, wait_s: int) -> set[Pseudonym]:
    times = [event.time_s for event in deposits]
    found = [
        {event.pseudonym for event in deposits[bisect_left(times, from_s) : bisect_right(times, to_s + wait_s)]}
        for from_s, to_s in windows
    ]
    return set.intersection(*found)


# The page


SIGNALS: Mapping[str, Signal] = {
    "enrolled in the same minute": by_enrolment,
    "the same key": by_shared_key,
    "one transaction": by_transaction,
    "deposits within three hours of each other": by_deposits,
    "a request, then a deposit at the requester": by_requests_at_visits,
    "one requester asks at both within five minutes": by_joint_requests,
    "the same gate, filed within a day": by_choices,
    "the same gate, filed at any time": by_gates,
    "everything together": by_everything,
}
WAITS = (("a minute", 60), ("an hour", HOUR_S), ("a day", DAY_S))
KNOWN_VISITS = (1, 2, 3)
BEGIN, END = "<!-- curious member: begin -->", "<!-- curious member: end -->"


def page(*, people_count: int = PEOPLE, seed: int = SEED) -> str:
    """Return the tables of SECURITY.md."""
    year = live_a_year(seed=seed, people_count=people_count, habits=Habits())
    sight = look(year.leaves)
    heading = (
        f"Measured over one invented year of {people_count:,} people at four custodians (seed {seed}), "
        f"{len(year.leaves):,} events on the ledger."
    )
    tables = (_signal_table(year, sight), _wait_table(year, sight), _visit_table(year, sight))
    return "\n\n".join([heading, *("\n".join(table) for table in tables)])


def _signal_table(year: Year, sight: Sight) -> Iterator[str]:
    yield "| signal | links claimed | of them right | of all links found | a blind guess is right |"
    yield "|---|---|---|---|---|"
    for name, signal in SIGNALS.items():
        found = rate(year, sight, signal)
        yield f"| {name} | {found.claims} | {_rates(found)} | {_percent(found.chance_per_mille)} |"


def _wait_table(year: Year, sight: Sight) -> Iterator[str]:
    yield "| records wait for their batch up to | links claimed | of them right | of all links found |"
    yield "|---|---|---|---|"
    for name, wait_s in WAITS:

        def signal(sight: Sight, one: OrganisationId, other: OrganisationId, wait_s: int = wait_s) -> Scores:
            return by_everything(sight, one, other, wait_s=wait_s)

        found = rate(year, sight.waiting(wait_s), signal)
        yield f"| {name} | {found.claims} | {_rates(found)} |"


def _visit_table(year: Year, sight: Sight) -> Iterator[str]:
    sights = {wait_s: sight.waiting(wait_s) for _, wait_s in WAITS}
    yield "| known of a person's visits to one custodian | " + " | ".join(f"waits {name}" for name, _ in WAITS) + " |"
    yield "|---|" + "---|" * len(WAITS)
    for knowledge in KNOWLEDGE:
        for visits in KNOWN_VISITS:
            found = [recognised(year, sights[each], knowledge, visits=visits, wait_s=each) for _, each in WAITS]
            cells = [f"{_percent(1000 * hits // max(people, 1))} of {people}" for hits, people in found]
            yield f"| {knowledge.words}, of {visits} | " + " | ".join(cells) + " |"


def _rates(found: Rate) -> str:
    precision = _percent(found.precision_per_mille) if found.claims else "–"
    return f"{precision} | {_percent(found.recall_per_mille)}"


def _percent(per_mille: int) -> str:
    return f"{per_mille // 10}.{per_mille % 10} %"


def written_into(text: str, tables: str) -> str:
    """Return a page with the tables between its two marks replaced. Raises ValueError when a mark is missing."""
    before, after = text.index(BEGIN) + len(BEGIN), text.index(END)
    return f"{text[:before]}\n\n{tables}\n\n{text[after:]}"


def main(arguments: Sequence[str]) -> int:
    """Print the tables, or with `--write FILE` put them between the marks of a page."""
    tables = page()
    if arguments[:1] == ["--write"]:
        path = Path(arguments[1])
        path.write_text(written_into(path.read_text(encoding="utf-8"), tables), encoding="utf-8")
        return 0
    sys.stdout.write(tables + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
