"""Deposits of several threads at once, done as one: what is paid once for each deposit is paid once for all of them.

Promises: each has its own answer; what one of them has wrong is told to that one alone, and keeps nobody else from
having theirs stored.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from salus.node.assemble import Node
from salus.node.errors import NotNow, Refusal, Refused
from salus.node.services.deposit import ChartDeposit, Filed, deposit_charts

TOGETHER_MAX = 64
"""How many deposits are done at one time."""
BEFORE_ANYTHING = frozenset({Refusal.VERSION_UNFIT, Refusal.PATIENT_UNKNOWN})
"""What `deposit_charts` says before it stores anything."""


@dataclass
class _Asked:
    charts: Sequence[ChartDeposit]
    filed: list[list[Filed]] | None = None
    error: Exception | None = None
    is_done: bool = field(default=False)

    @property
    def names(self) -> set[tuple[bytes, bytes]]:
        """Which records are written: two versions of one record are never made at one time."""
        return {(chart.pseudonym, record.name) for chart in self.charts for record in chart.records}


class Depositor:
    """The deposits of one worker; used by any number of threads. Whoever finds nobody at it does it for all.

    That the ledger has them is noted by upkeep, for many at once: an answer does not wait for it.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._changed = threading.Condition()
        self._waiting: list[_Asked] = []
        self._is_at_it = False

    def deposit_charts(self, charts: Sequence[ChartDeposit]) -> list[list[Filed]]:
        """Deposit records of several people, as `deposit.deposit_charts` does.

        Raises:
            Refused, NotNow: as there; NotNow, too, where the ledger said no to another deposit of the same moment:
                this one is stored and will be registered, and the same again gets its own answer.
        """
        mine = _Asked(charts)
        with self._changed:
            self._waiting.append(mine)
            while self._is_at_it and not mine.is_done:
                self._changed.wait()
            group = [] if mine.is_done else self._take(mine)
            self._is_at_it = self._is_at_it or bool(group)
        if group:
            self._do(group)
        if mine.error is not None:
            raise mine.error
        assert mine.filed is not None, "who is done has an answer"
        return mine.filed

    def _take(self, mine: _Asked) -> list[_Asked]:
        """Take those that wait, this one first, as far as no two write the same record."""
        group, names = [mine], mine.names
        for each in self._waiting:
            if each is not mine and len(group) < TOGETHER_MAX and names.isdisjoint(each.names):
                group.append(each)
                names |= each.names
        self._waiting = [each for each in self._waiting if each not in group]
        return group

    def _do(self, group: list[_Asked]) -> None:
        try:
            self._deposit(group)
        finally:
            with self._changed:
                for each in group:
                    if each.filed is None and each.error is None:  # this thread is about to say what failed
                        each.error = NotNow("depositing has failed: send it again")
                    each.is_done = True
                self._is_at_it = False
                self._changed.notify_all()

    def _deposit(self, group: list[_Asked]) -> None:
        try:
            filed = iter(deposit_charts(self._node, [chart for each in group for chart in each.charts], marks=False))
        except Refused as refused:
            if len(group) == 1:
                group[0].error = refused
            elif refused.refusal in BEFORE_ANYTHING:
                for each in group:
                    self._deposit([each])
            else:
                words = "another deposit of the same moment was refused: send this one again"
                for each in group:
                    each.error = NotNow(words)
        except NotNow as error:
            for each in group:
                each.error = NotNow(str(error))
        else:
            for each in group:
                each.filed = [next(filed) for _ in each.charts]
