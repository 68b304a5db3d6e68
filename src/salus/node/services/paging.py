"""Paging: cut a page out of candidates, so that what may not be shown decides nothing (R4).

A hit is shown, or it is as if it were not there; that there is another page says that it has a hit; a total counts what
may be shown, on all pages, or is left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from salus.contracts.provisions import Verb
from salus.ledger.identifiers import Pseudonym
from salus.node.assemble import Node
from salus.node.projections.resources import DIRECTORY
from salus.node.services.respond import Login, Responder
from salus.node.services.show import Shown, Wanted, Within, hidden_rosters, show
from salus.vault.rows import RecordKey

LOOKED_AHEAD_MAX = 100
"""How many relationships are asked for to find out whether there is another page; beyond, it may turn out empty."""


@dataclass(frozen=True)
class Cut:
    """Some hits, and the candidates that come after; `total` is None where it is not told."""

    hits: list[Shown]
    rest: Sequence[Wanted]
    total: int | None


class Pager:
    """Cuts the pages of one request.

    Args:
        verb: what is done with what is shown.
        within: how far whoever asks may go.
        with_deleted: whether versions that say that a resource is gone are hits, as they are in a history.
    """

    def __init__(
        self,
        node: Node,
        responder: Responder,
        login: Login,
        verb: Verb = Verb.SEARCH,
        *,
        within: Within,
        with_deleted: bool = False,
    ) -> None:
        self._node = node
        self._responder = responder
        self._login = login
        self._verb = verb
        self._within = within
        self._with_deleted = with_deleted

    def cut(self, candidates: Sequence[Wanted], *, count: int, with_total: bool) -> Cut:
        """Return the next hits out of candidates.

        Args:
            with_total: whether all that may be shown is counted; it is only where one relationship is left, since each
                other one would have to be asked for at the ledger.

        Raises:
            Refused, NotNow: as `show`.
        """
        hits: list[Shown] = []
        place = 0
        while len(hits) < count and place < len(candidates):
            part = candidates[place : place + max(count - len(hits), 1)]
            hits += self.shown(part)
            place += len(part)
        allowed: dict[Pseudonym, frozenset[RecordKey]] = {}
        rest = self._from_first_allowed(candidates[place:], allowed)
        return Cut(hits, rest, self._total(hits, rest, allowed) if with_total else None)

    def shown(self, wanted: Sequence[Wanted]) -> list[Shown]:
        """Return what may be shown of these versions, in their order."""
        found = show(self._node, self._responder, self._login, wanted, self._verb, within=self._within)
        kept = [found[each.key] for each in wanted if each.key in found]
        return kept if self._with_deleted else [each for each in kept if not each.is_deleted]

    def _from_first_allowed(
        self, rest: Sequence[Wanted], allowed: dict[Pseudonym, frozenset[RecordKey]]
    ) -> Sequence[Wanted]:
        """Drop what may not be shown before the next hit: that there is another page says that it has one.

        Args:
            allowed: of the relationships that were asked about, what may be shown of the rest.
        """
        for place, each in enumerate(rest):
            whose = each.found.pseudonym
            if whose not in allowed:
                if len(allowed) == LOOKED_AHEAD_MAX:
                    return rest[place:]
                allowed[whose] = self._allowed_of(whose, rest)
            if each.key in allowed[whose]:
                return rest[place:]
        return ()

    def _total(
        self, hits: Sequence[Shown], rest: Sequence[Wanted], allowed: dict[Pseudonym, frozenset[RecordKey]]
    ) -> int | None:
        relationships = {each.found.pseudonym for each in rest}
        if len(relationships - {DIRECTORY}) > 1:
            return None
        for each in relationships - allowed.keys():
            allowed[each] = self._allowed_of(each, rest)
        return len(hits) + sum(each.key in allowed[each.found.pseudonym] for each in rest)

    def _allowed_of(self, pseudonym: Pseudonym, rest: Sequence[Wanted]) -> frozenset[RecordKey]:
        theirs = [each for each in rest if each.found.pseudonym == pseudonym]
        keys = [each.key for each in theirs]
        if pseudonym == DIRECTORY:
            of = (self._node, self._responder, self._login)
            return frozenset(keys) - hidden_rosters(*of, theirs, self._verb, within=self._within)
        return self._responder.allowed(self._login, pseudonym, self._verb, keys)
