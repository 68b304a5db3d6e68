"""What two nodes must do, as a plain model beside the auditor: who holds which records, and which of them may go.

Registered batches, choices in force, certificates and the life of permits are the auditor's; what the ledger does not
know is remembered here: bodies, rules, and which record has which labels.
"""

from dataclasses import dataclass, field
from typing import Any, Final

from salus.testing.auditor import Auditor
from salus.testing.auditor.access import EMERGENCY, is_alive, is_own
from salus.testing.auditor.canonical import decode, encode
from salus.testing.auditor.evaluation import EARLIEST_S, LATEST_S, may_go
from salus.testing.auditor.view import Row

Version = tuple[bytes, int]
"""Record id and version."""
SESSION_S_MAX: Final = 43_200


@dataclass(frozen=True)
class Kept:
    """A record version at the custodian.

    Args:
        root: of the batch that has its entry.
    """

    body: bytes
    record_class: str
    labels: list[str]
    root: bytes


@dataclass
class Person:
    """One relationship at the custodian."""

    pseudonym: bytes
    kept: dict[Version, Kept] = field(default_factory=dict)
    trees: dict[bytes, list[Any]] = field(default_factory=dict)
    """Rules by the commitment of their choice."""


@dataclass(frozen=True)
class Asked:
    """A request that was permitted.

    Args:
        person: the certificate's id.
        role_class: that the certificate covers.
        until_s: end of the session.
    """

    permit: bytes
    requester: str
    person: bytes
    role_class: int
    until_s: int
    classes: tuple[str, ...]


class NodeModel:
    """Predicts releases of one custodian."""

    def __init__(self, auditor: Auditor, custodian: str) -> None:
        self._auditor = auditor
        self._custodian = custodian
        self.people: dict[bytes, Person] = {}
        self._released: dict[bytes, set[Version]] = {}

    def refuses(self, asked: Asked, *, time_s: int) -> bool:
        """Tell whether the custodian must refuse a part at this time, the later of block time and clock."""
        view = self._auditor.view(time_s=time_s)
        if not is_alive(view, asked.permit):
            return True
        permit = self._permit(asked)
        certificate = view.get("membership.certificates", [asked.requester, asked.person])
        if certificate is None or time_s >= certificate[2] or permit[3] not in certificate[1]:
            return True
        return permit[3] != asked.role_class or time_s >= asked.until_s

    def released(self, asked: Asked, *, time_s: int) -> dict[Version, bytes]:
        """Return what must come, with its bytes: judged when it is asked for first, and the same ever after."""
        permit = self._permit(asked)
        person = self.people[permit[0]]
        if asked.permit not in self._released:
            scope = {version: kept for version, kept in self._in_scope(person, permit) if self._is_asked(kept, asked)}
            judged = {version for version, kept in scope.items() if self._may_go(permit, asked, version, kept, time_s)}
            self._released[asked.permit] = judged
        return {version: person.kept[version].body for version in self._released[asked.permit]}

    def _permit(self, asked: Asked) -> Row:
        return self._auditor.table("access.permits")[encode(asked.permit)]

    def _in_scope(self, person: Person, permit: Row) -> list[tuple[Version, Kept]]:
        newest: dict[bytes, tuple[Version, Kept]] = {}
        for version, kept in sorted(person.kept.items()):
            if self._registered_at_s(person, kept) <= permit[6]:
                newest[version[0]] = (version, kept)
        return list(newest.values())

    def _registered_at_s(self, person: Person, kept: Kept) -> int:
        batch = self._auditor.spaces["indexes"].get(b"records.batches\x00" + encode([person.pseudonym, kept.root]))
        if batch is None:
            return 1 << 60
        number: Any = decode(batch)
        leaf: Any = decode(self._auditor.spaces["leaves"][number[0].to_bytes(8, "big")])
        return int(leaf[1])

    def _is_asked(self, kept: Kept, asked: Asked) -> bool:
        return not asked.classes or kept.record_class in asked.classes

    def _may_go(self, permit: Row, asked: Asked, version: Version, kept: Kept, time_s: int) -> bool:
        person = self.people[permit[0]]
        choices = self._auditor.table("consent.choices").get(encode(permit[0]), [0, []])[1]
        record = [[version[0]], [kept.record_class], kept.labels, [], EARLIEST_S, LATEST_S, [], [], []]
        return may_go(
            network=self._policy(""),
            custodian=self._policy(self._custodian),
            choices=[person.trees[choice[2]] for choice in choices],
            ticket=[],
            is_emergency=permit[10] == EMERGENCY,
            is_own=is_own(permit),
            request=(permit[2], permit[3], permit[4], permit[5], time_s // 86_400, asked.person),
            record=record,
        )

    def _policy(self, code: str) -> list[Any]:
        found = self._auditor.table("membership.policies").get(encode(code))
        return found[1] if found else []
