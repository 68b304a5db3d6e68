"""Asking until the time is over, and what was found."""

import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from salus.testing.fuzz.checking import Answer, Finding, Known, faults_of
from salus.testing.fuzz.requests import Asked

SLOW_S: Final = 10.0
Ask = Callable[[Asked], Answer]


@dataclass
class Report:
    """What was asked and found.

    Args:
        asked: requests by interaction; answered: by status.
    """

    asked: Counter[str] = field(default_factory=Counter)
    answered: Counter[int] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    slowest_s: float = 0.0


def fuzz(ask: Ask, asked: Iterable[Asked], known: Known, *, stored: Callable[[], int], until_s: float) -> Report:
    """Ask one request after another until `time.monotonic()` is past `until_s`; return what was found.

    Args:
        stored: counts what is stored, to see that a refusal stored nothing.
    """
    report, before = Report(), stored()
    for number, each in enumerate(asked):
        if time.monotonic() > until_s:
            break
        from_s = time.monotonic()
        answer = ask(each)
        took_s = time.monotonic() - from_s
        after = stored()
        faults = faults_of(each.method, answer, known)
        faults += [f"refused with {answer.status}, but stored"] if answer.status >= 400 and after != before else []
        faults += [f"took {took_s:.0f} s"] if took_s > SLOW_S else []
        report.asked[each.code] += 1
        report.answered[answer.status] += 1
        report.findings += [Finding(number, each.code, fault) for fault in faults]
        report.slowest_s = max(report.slowest_s, took_s)
        before = after
    return report
