"""Own elsewhere: what a patient's other custodians answer the patient, in sessions that their own device certified.

Promises: each is asked for its own pseudonym through a permit of its own (R1, P7); whoever is slow or silent keeps
nobody's answer back; the answers are kept sealed for all workers, and no longer than the permit (`collect`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from salus.contracts.provisions import Purpose, RoleClass
from salus.ledger.identifiers import OrganisationId
from salus.node.assemble import Node
from salus.node.people import HeldSession
from salus.node.services import ledger_reads
from salus.node.services.collect import Answered, Asking, Collected, Collections, Custodian, Sought
from salus.node.services.own_chart import Held, held_elsewhere


@dataclass(frozen=True)
class Answer:
    """What one custodian has answered, by its place among the patient's others; `asked_s` is when it was asked last."""

    place: int
    custodian: Custodian
    state: Answered
    is_cut: bool
    asked_s: int


class Elsewhere:
    """A patient's other custodians, for one request.

    Args:
        sessions: one with each of them.
        about: the patient's pseudonym here, so that an erasure takes the answers along.
        collection: what they were asked before, or empty.
        sought: what they are asked for.
    """

    def __init__(
        self,
        node: Node,
        collections: Collections,
        sessions: Sequence[HeldSession],
        *,
        about: bytes,
        collection: bytes,
        sought: Sought = Sought.RECORDS,
    ) -> None:
        self._collections = collections
        self._sessions = sessions
        self._about = about
        self._sought = sought
        self._now_s = node.clock()
        self._names = {each.organisation: each.name for each in ledger_reads.members(node)} if sessions else {}
        self._came = collections.look(collection, about=about) if sessions and collection else {}
        self.collection = collection

    def begin(self) -> bytes:
        """Ask all of them unless they were asked, and the time box is not over; return the collection's name."""
        if self._sessions and not self._came:
            wanted = [self._asking(each) for each in self._sessions]
            self.collection = self._collections.begin(wanted, about=self._about)
            self._came = self._collections.look(self.collection)
        return self.collection

    def again(self, place: int) -> None:
        """Ask one of them once more, by its place; nobody for a place that none has."""
        if 0 <= place < len(self._sessions) and self._came:
            self._collections.again(self.collection, self._asking(self._sessions[place]))

    def answers(self) -> list[Answer]:
        """Return what each has answered so far; who shows no record is as who has none."""
        return [
            Answer(place, self._custodian(each), self._state(came), came.is_cut, came.asked_s)
            for place, each in enumerate(self._sessions)
            if (came := self._of(each)) is not None
        ]

    def records(self) -> list[Held]:
        """Return what has come, of every type."""
        found = []
        for each in self._sessions:
            came, name = self._of(each), self._custodian(each).name
            bodies = came.records if came is not None else ()
            found += [held_elsewhere(body, organisation=name, custodian=each.custodian) for body in bodies]
        return [each for each in found if each is not None]

    def history_of(self, custodian: str) -> bytes:
        """Return the file of the patient's history at one of them; empty where it has not come."""
        came = self._came.get(OrganisationId(custodian))
        return came.records[0] if self._sought is Sought.HISTORY and came is not None and came.records else b""

    def rules_of(self, custodian: str) -> tuple[bytes, ...]:
        """Return what opens the rules of the patient's choices at one of them, as far as it has come."""
        came = self._came.get(OrganisationId(custodian))
        return came.records if self._sought is Sought.CHOICES and came is not None else ()

    def _asking(self, session: HeldSession) -> Asking:
        return Asking(
            session=session,
            role_class=RoleClass.PATIENT_SIDE,
            purpose=Purpose.PATRQT,
            pseudonym=session.pseudonym,
            sought=self._sought,
        )

    def _state(self, came: Collected) -> Answered:
        is_empty = self._sought is Sought.RECORDS and not came.records and not came.is_cut
        has_nothing = came.state is Answered.CAME and is_empty
        return Answered.NOTHING_THERE if has_nothing else came.state_at(self._now_s)

    def _of(self, session: HeldSession) -> Collected | None:
        return self._came.get(OrganisationId(session.custodian))

    def _custodian(self, session: HeldSession) -> Custodian:
        code = OrganisationId(session.custodian)
        return Custodian(code, self._names.get(code, code))
