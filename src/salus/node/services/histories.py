"""Histories: the versions of a resource, of types or of everything, the newest first, page by page (R4).

A page goes on at a place in the order of time, so that what is written meanwhile moves nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, not_, or_, select

from salus.contracts.provisions import Verb
from salus.node import schema
from salus.node.assemble import Node
from salus.node.projections.resources import Found, found
from salus.node.projections.search_statements import Condition, all_of, any_of
from salus.node.services.paging import Pager
from salus.node.services.respond import Login, Responder
from salus.node.services.search import Search
from salus.node.services.show import Shown, Wanted
from salus.vault.schema import records as stored

CANDIDATES = 1_000
"""How many versions are looked at in one go."""
ROUNDS_MAX = 10
"""How often more are looked at to fill a page, or to see whether there is another; beyond, it may turn out empty."""
_OTHERS = stored.alias()


@dataclass(frozen=True)
class Place:
    """Where in a history a version stands: when it was stored, in Unix seconds, then by record and version."""

    at_s: int
    record: bytes
    version: int


@dataclass(frozen=True)
class Asked:
    """What a history is of.

    Args:
        types: of the resources; only: this one, which is read and not searched for.
        since_s: only what was stored then or later; current: only what was the newest version at some moment between
            these. Unix seconds; None leaves it open.
    """

    types: Sequence[str]
    only: Found | None = None
    since_s: int | None = None
    current: tuple[int, int] | None = None


@dataclass(frozen=True)
class HistoryPage:
    """Some versions; `last` is the place after which there are more, None when there are none."""

    versions: list[Shown]
    last: Place | None
    total: int | None = None


class Histories:
    """Histories for one request.

    Args:
        search: how far whoever asks may go.
    """

    def __init__(self, node: Node, responder: Responder, login: Login, search: Search) -> None:
        self._node = node
        self._responder = responder
        self._login = login
        self._search = search

    def page(self, asked: Asked, *, count: int, after: Place | None) -> HistoryPage:
        """Return the next versions that may be shown.

        Args:
            after: where the page before ended; None for the first page, which tells a total where it can.

        Raises:
            FhirRejected, Refused, NotNow: as a search.
        """
        pager, versions = self._pager(asked), list[Shown]()
        is_first = after is None
        for _ in range(ROUNDS_MAX):
            candidates = self._candidates(asked, after)
            is_all = len(candidates) < CANDIDATES
            wanted = [each for each, _ in candidates]
            cut = pager.cut(wanted, count=count - len(versions), with_total=is_first and is_all and not versions)
            versions += cut.hits
            if cut.rest:
                looked_at = len(candidates) - len(cut.rest)
                return HistoryPage(versions, candidates[looked_at - 1][1] if looked_at else after, cut.total)
            if is_all:
                return HistoryPage(versions, None, cut.total)
            after = candidates[-1][1]
        return HistoryPage(versions, after)

    def has_any(self, asked: Asked) -> bool:
        """Tell whether there is a version that may be shown, without showing any."""
        candidates = [each for each, _ in self._candidates(asked, None)]
        return bool(self._pager(asked).cut(candidates, count=0, with_total=False).rest)

    def _pager(self, asked: Asked) -> Pager:
        verb = Verb.SEARCH if asked.only is None else Verb.READ
        of = (self._node, self._responder, self._login)
        return Pager(*of, verb, within=self._search.meets, with_deleted=True)

    def _candidates(self, asked: Asked, after: Place | None) -> list[tuple[Wanted, Place]]:
        """The next versions, before anything is decided about them."""
        of = self._of(asked)
        with self._node.vault.database.reading() as connection:
            # As many resources as versions are wanted were changed since then: no older version can be among them.
            since_s = max(connection.scalar(_nth_newest(of, after)) or 0, asked.since_s or 0)
            rows = connection.execute(_versions(of, asked, after, since_s=since_s)).all()
        return [
            (Wanted(found(row), row.stored_version), Place(row.stored_s, row.record_id, row.stored_version))
            for row in rows
        ]

    def _of(self, asked: Asked) -> Condition:
        """What a row of `node_resources` meets when its versions are in the history."""
        columns = schema.resources.c
        types = [(each, self._search.within_reach(each)) for each in asked.types if self._search.may(each)]
        whole = [each for each, within in types if not within]
        narrowed = [all_of([columns.type == each, *within]) for each, within in types if within]
        within = any_of([columns.type.in_(whole), *narrowed])
        return within if asked.only is None else and_(within, columns.record_id == asked.only.record)


def _nth_newest(of: Condition, after: Place | None) -> Any:
    updated_s = schema.resources.c.updated_s
    statement = select(updated_s).where(of).order_by(updated_s.desc()).offset(CANDIDATES - 1).limit(1)
    return statement if after is None else statement.where(updated_s < after.at_s)


def _versions(of: Condition, asked: Asked, after: Place | None, *, since_s: int) -> Any:
    columns, kept = schema.resources.c, stored.c
    placed = (kept.record_id == columns.record_id) & (kept.version <= columns.version)
    within = [of, columns.updated_s >= since_s, kept.staged_at_s >= since_s]
    if asked.current is not None:
        within.append(_was_current(*asked.current))
    if after is not None:
        within.append(_is_after(after))
    return (
        select(schema.resources, kept.version.label("stored_version"), kept.staged_at_s.label("stored_s"))
        .join(stored, placed)
        .where(all_of(within))
        .order_by(kept.staged_at_s.desc(), kept.record_id.desc(), kept.version.desc())
        .limit(CANDIDATES)
    )


def _was_current(from_s: int, to_s: int) -> ColumnElement[bool]:
    """That a version was the newest at some moment between two (FHIR R4 http.html 3.1.0.10, `_at`)."""
    kept, other = stored.c, _OTHERS.c
    is_next = (other.record_id == kept.record_id) & (other.version == kept.version + 1) & (other.staged_at_s <= from_s)
    return (kept.staged_at_s < to_s) & not_(select(other.version).where(is_next).exists())


def _is_after(place: Place) -> ColumnElement[bool]:
    kept = stored.c
    same_second = kept.staged_at_s == place.at_s
    same_record = same_second & (kept.record_id == place.record)
    return or_(
        kept.staged_at_s < place.at_s,
        same_second & (kept.record_id < place.record),
        same_record & (kept.version < place.version),
    )
