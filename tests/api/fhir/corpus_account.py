"""What became of examples that others publish, as a page: how many, how long, and each that was refused with why."""

import datetime
import os
import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Account:
    """One published set.

    Args:
        name: the folder. sent: how many resources it has; apart: those that are no records, by name.
        refused: why, by name; differing: what came back another.
        stored_s, read_s: how long it took, in seconds; both forms are in the second.
    """

    name: str
    sent: int = 0
    apart: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    differing: list[str] = field(default_factory=list)
    stored_s: float = 0.0
    read_s: float = 0.0

    @property
    def row(self) -> str:
        same = self.sent - len(self.apart) - len(self.refused) - len(self.differing)
        counts = (self.sent, same, len(self.differing), len(self.refused), len(self.apart))
        return f"| {self.name} | {' | '.join(map(str, counts))} | {self.stored_s:.0f} s | {self.read_s:.0f} s |"


def write_page(page: Path, accounts: Sequence[Account]) -> None:
    """Write what became of several sets."""
    page.write_text("\n".join(_lines(accounts)) + "\n", encoding="utf-8")


def _lines(accounts: Sequence[Account]) -> Iterator[str]:
    yield "# Published examples, stored and read back\n"
    machine = f"Python {platform.python_version()}, {os.cpu_count()} processors"
    yield f"{datetime.datetime.now(datetime.UTC):%d %B %Y, %H:%M}, {machine}; run again: `make corpus`."
    yield "Stored over HTTP, validated by R4's definitions, then read back in JSON and in XML."
    yield "Each has to be equal in value: every decimal as it was written, every extension, arrays in order."
    yield "HL7's and UK Core's are put and read one by one."
    yield "Synthea's charts are sent as the transactions that they are, and read by searches of a type, page by page.\n"
    yield "| set | resources | came back the same | came back another | refused | no records | storing | reading |"
    yield "|---|---|---|---|---|---|---|---|"
    yield from (each.row for each in accounts)
    yield "\nFour of Synthea's Observations give `(score)` as a code of UCUM, which has no such code."
    yield "This server has no UCUM to look in and keeps them; HAPI's validator refuses their bundle."
    yield "\n## Refused\n"
    for why, names in _by_reason(accounts).items():
        yield f"- {why}: {', '.join(names)}"
    yield "\n## No records\n"
    yield "A Consent, an AuditEvent and a Subscription are never kept as they come; each has interactions of its own."
    yield f"Not sent: {', '.join(name for each in accounts for name in each.apart)}."
    if any(each.differing for each in accounts):
        yield "\n## Came back another\n"
        yield from (f"- {name}" for each in accounts for name in each.differing)


def _by_reason(accounts: Sequence[Account]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for each in accounts:
        for name, why in each.refused.items():
            found.setdefault(why, []).append(name)
    return dict(sorted(found.items()))
