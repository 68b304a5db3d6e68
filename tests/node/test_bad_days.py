"""Bad days of a release: the other node goes, an answer is lost, a worker dies at each step, two are at work."""

import dataclasses
from collections.abc import Callable, Iterator

import pytest

from salus.contracts.access import End
from salus.contracts.membership import KeyUse
from salus.contracts.provisions import Purpose, RoleClass
from salus.crypto.hashing import EMPTY_ROOT
from salus.engines.base import Unavailable
from salus.ledger.identifiers import OrganisationId
from salus.ledger.receipts import Conclusion, sign_as_requester
from salus.node.answer import answer
from salus.node.errors import NotNow, Refusal, Refused
from salus.node.exchange import (
    Answer,
    Ask,
    PartAccept,
    PartAsk,
    RefusedAnswer,
    Slots,
    StreamAsk,
)
from salus.node.journal import Journal, JournalDamaged, State
from salus.node.line_keys import LineKeys
from salus.node.local_peers import LocalPeers
from salus.node.people import open_session
from salus.node.services.anchor import UNANSWERED_S, anchor, anchored
from salus.node.services.choices import withdraw_by_custodian
from salus.node.services.receive import receive
from salus.node.services.request import Wish, request
from salus.testing.world import CHAIN, HOSPITAL, PRACTICE, unix_now_s
from tests.node.one_day import LARGE, SMALL, Day, permits


class Interrupted(LocalPeers):
    """A way to the hospital on which something happens."""

    def __init__(self, day: Day, *, after_segments: int = 1 << 30, then: Callable[[], None] = lambda: None) -> None:
        super().__init__(PRACTICE, day.world.nodes)
        self._after, self._then = after_segments, then
        self.segments = 0

    def stream(self, organisation: OrganisationId, ask: StreamAsk) -> Iterator[bytes]:
        for segment in super().stream(organisation, ask):
            self.segments += 1
            yield segment
            if self.segments == self._after:
                self._then()


def gone() -> None:
    raise NotNow("the other node does not answer: try later")


# The other node


@pytest.mark.promise("R5")
def test_the_other_node_is_gone_half_way_through_a_stream(long_day: Day) -> None:
    granted = long_day.granted()
    with pytest.raises(NotNow):
        long_day.receive(granted, Interrupted(long_day, after_segments=2, then=gone))
    assert long_day.practice.requester_journal.permit_lines(granted.permit) == []
    (line,) = long_day.hospital.custodian_journal.permit_lines(granted.permit)
    assert line.state is State.INTENT
    assert long_day.receive(granted) == sorted([SMALL, LARGE])


@pytest.mark.promise("R3")
def test_a_withdrawal_in_the_middle_stops_the_stream_at_the_next_check(long_day: Day) -> None:
    """Five seconds of the custodian's clock after the last check it asks again; no segment leaves after that."""
    passed_s = [0]
    long_day.restart(HOSPITAL, clock=lambda: unix_now_s() + passed_s[0])

    def withdraw() -> None:
        withdraw_by_custodian(long_day.hospital, long_day.ann, long_day.choice)
        passed_s[0] = 5

    peers, granted = Interrupted(long_day, after_segments=2, then=withdraw), long_day.granted()
    with pytest.raises(Refused) as refused:
        long_day.receive(granted, peers)
    assert refused.value.refusal is Refusal.PERMIT_DEAD
    assert peers.segments == 2
    assert long_day.practice.requester_journal.permit_lines(granted.permit) == []


@pytest.mark.promise("R3")
def test_a_clock_that_is_set_back_during_a_stream_does_not_prolong_it(long_day: Day) -> None:
    passed_s = [0]
    long_day.restart(HOSPITAL, clock=lambda: unix_now_s() + passed_s[0])

    def withdraw() -> None:
        withdraw_by_custodian(long_day.hospital, long_day.ann, long_day.choice)
        passed_s[0] = -600

    peers = Interrupted(long_day, after_segments=2, then=withdraw)
    with pytest.raises(Refused):
        long_day.receive(long_day.granted(), peers)
    assert peers.segments == 2


class LosesAnswers(LocalPeers):
    """A network that brings the question and loses the first answer of a kind."""

    def __init__(self, day: Day, kind: type[Ask]) -> None:
        super().__init__(PRACTICE, day.world.nodes)
        self._kind: type[Ask] | None = kind

    def ask(self, organisation: OrganisationId, ask: Ask) -> Answer:
        came = super().ask(organisation, ask)
        if self._kind is not None and isinstance(ask, self._kind):
            self._kind = None
            gone()
        return came


@pytest.mark.promise("R5")
@pytest.mark.parametrize("kind", [PartAsk, PartAccept])
def test_an_acknowledgement_is_lost_and_sent_again(day: Day, kind: type[Ask]) -> None:
    """The same request again is the same receipt, with the same release key, and stands once in each journal."""
    peers, granted = LosesAnswers(day, kind), day.granted()
    with pytest.raises(NotNow):
        day.receive(granted, peers)
    first = day.hospital.custodian_journal.permit_lines(granted.permit)
    assert day.receive(granted, peers) == [SMALL]
    again = day.hospital.custodian_journal.permit_lines(granted.permit)
    assert len(again) == len(first) == 1
    if kind is PartAccept:
        assert again[0].receipt == first[0].receipt
    (own,) = anchored(day.hospital, granted.permit, End.CUSTODIAN)
    (theirs,) = anchored(day.practice, granted.permit, End.REQUESTER)
    assert own.receipt == theirs.receipt
    assert (own.conclusion, theirs.conclusion) == (Conclusion.SLOT_SENT, Conclusion.OPENED)


@pytest.mark.promise("R2", "R5")
def test_a_request_whose_answer_is_lost_is_closed_by_both_ends(day: Day) -> None:
    """The ledger has the permit, the practice never heard: nothing is released under it, and both ends say so."""
    deaf = dataclasses.replace(day.practice, engine=LosesResults(day.practice.engine))
    session = open_session(day.doctor.key, day.doctor.certificate, custodian=HOSPITAL, from_s=unix_now_s())
    with pytest.raises(NotNow):
        request(deaf, session, Wish(day.ann, HOSPITAL, RoleClass.CLINICAL, Purpose.TREAT))
    for node in (day.hospital, day.practice):
        anchor(node, close=frozenset(permits(day)))
    (permit,) = permits(day)
    closed = {each.end: (each.root, each.is_closed) for each in day.trail(permit)}
    assert closed == {End.CUSTODIAN: (EMPTY_ROOT, True), End.REQUESTER: (EMPTY_ROOT, True)}


class LosesResults:
    """An engine whose outcomes do not arrive."""

    def __init__(self, engine: object) -> None:
        self._engine = engine

    def __getattr__(self, name: str) -> object:
        return getattr(self._engine, name)

    def submit(self, raw: bytes) -> None:
        self._engine.submit(raw)  # type: ignore[attr-defined]
        raise Unavailable("no outcome in time")


# The worker


@pytest.mark.promise("R5")
def test_killed_after_the_offer_nothing_was_released(day: Day) -> None:
    granted = day.granted()
    day.offer(granted)
    hospital = day.restart(HOSPITAL)
    (line,) = hospital.custodian_journal.permit_lines(granted.permit)
    assert line.state is State.NOT_RELEASED
    assert anchored(hospital, granted.permit, End.CUSTODIAN) == []
    assert day.receive(granted) == [SMALL]
    (leaf,) = anchored(hospital, granted.permit, End.CUSTODIAN)
    assert leaf.conclusion is Conclusion.SLOT_SENT


@pytest.mark.promise("R5")
def test_killed_between_receipt_and_slot_it_was_possibly_released(day: Day, monkeypatch: pytest.MonkeyPatch) -> None:
    """The receipt is logged and the slot may have left: the custodian anchors *possibly released*, never nothing."""
    granted = day.granted()
    with monkeypatch.context() as patched:
        patched.setattr(type(day.hospital.vault), "release_slots", killed)
        with pytest.raises(Killed):
            day.receive(granted)
    hospital, practice = day.restart(HOSPITAL), day.restart(PRACTICE)
    (own,) = anchored(hospital, granted.permit, End.CUSTODIAN)
    (theirs,) = anchored(practice, granted.permit, End.REQUESTER)
    assert (own.conclusion, theirs.conclusion) == (Conclusion.POSSIBLY_RELEASED, Conclusion.SLOT_MISSING)
    assert own.receipt == theirs.receipt
    anchor(hospital)
    anchor(practice)
    assert {each.end for each in day.trail(granted.permit) if each.root != EMPTY_ROOT} == set(End)
    assert day.receive(granted) == [SMALL]
    assert anchored(hospital, granted.permit, End.CUSTODIAN)[0].conclusion is Conclusion.SLOT_SENT
    assert anchored(practice, granted.permit, End.REQUESTER)[0].conclusion is Conclusion.OPENED


class Killed(BaseException):
    """The process is gone."""


def killed(*_: object, **__: object) -> None:
    raise Killed


@pytest.mark.promise("R5")
def test_killed_after_the_slot_it_counts_as_possibly_released(day: Day, monkeypatch: pytest.MonkeyPatch) -> None:
    granted = day.granted()
    offer = day.offer(granted)
    with monkeypatch.context() as patched:
        patched.setattr(Journal, "note", killed)
        with pytest.raises(Killed):
            day.accept(granted, offer)
    hospital = day.restart(HOSPITAL)
    assert anchored(hospital, granted.permit, End.CUSTODIAN)[0].conclusion is Conclusion.POSSIBLY_RELEASED


@pytest.mark.promise("R5")
def test_killed_before_the_receipt_is_whole_the_torn_line_is_dropped(day: Day) -> None:
    granted = day.granted()
    assert isinstance(day.accept(granted, day.offer(granted)), Slots)
    (path,) = (day.world.folder / "rvj" / "released").glob("*.journal")
    day.hospital.custodian_journal.close()
    keys, whole = LineKeys(day.hospital.vault, CHAIN), path.read_bytes()
    for cut in (1, 7, 9, 60):
        path.write_bytes(whole[:-cut])
        again = Journal(path.parent, keys, unfinished=State.POSSIBLY_RELEASED, now_s=unix_now_s())
        (line,) = again.permit_lines(granted.permit)
        assert line.state in (State.POSSIBLY_RELEASED, State.NOT_RELEASED)
        again.close()
    damaged = bytearray(whole)
    damaged[12] ^= 1
    path.write_bytes(bytes(damaged))
    with pytest.raises(JournalDamaged):
        Journal(path.parent, keys, unfinished=State.POSSIBLY_RELEASED, now_s=unix_now_s())


@pytest.mark.promise("R5")
def test_records_that_were_opened_count_as_opened_however_many_are_looked_at(long_day: Day) -> None:
    granted = long_day.granted()
    came = receive(long_day.practice, long_day.world.peers(PRACTICE), granted)
    next(came)
    came.close()
    (leaf,) = anchored(long_day.practice, granted.permit, End.REQUESTER)
    assert leaf.conclusion is Conclusion.OPENED


@pytest.mark.promise("R5")
def test_a_part_without_a_conclusion_gets_one_when_its_permit_is_closed(day: Day) -> None:
    """The practice has signed and never got an answer; nobody restarts it. Its anchor must not say *nothing*."""
    granted = day.granted()
    with pytest.raises(NotNow):
        day.receive(granted, NoSlots(day))
    anchor(day.practice, close=frozenset([granted.permit]))
    (leaf,) = anchored(day.practice, granted.permit, End.REQUESTER)
    assert leaf.conclusion is Conclusion.SLOT_MISSING
    assert day.trail(granted.permit)[-1].root != EMPTY_ROOT
    assert day.trail(granted.permit)[-1].is_closed


class NoSlots(LocalPeers):
    """A way to the hospital on which the requester's signature is lost, or the process with it."""

    def __init__(self, day: Day, then: Callable[..., None] = gone) -> None:
        super().__init__(PRACTICE, day.world.nodes)
        self._then = then

    def ask(self, organisation: OrganisationId, ask: Ask) -> Answer:
        if isinstance(ask, PartAccept):
            self._then()
        return super().ask(organisation, ask)


@pytest.mark.promise("R5")
def test_a_part_without_an_answer_is_anchored_at_once_and_again_when_the_slot_comes(day: Day) -> None:
    granted = day.granted()
    with pytest.raises(NotNow):
        day.receive(granted, NoSlots(day))
    assert anchor(day.practice) == 1
    assert day.trail(granted.permit)[-1].root != EMPTY_ROOT
    assert not day.trail(granted.permit)[-1].is_closed
    (leaf,) = anchored(day.practice, granted.permit, End.REQUESTER)
    assert leaf.conclusion is Conclusion.SLOT_MISSING
    assert day.receive(granted) == [SMALL]
    assert anchor(day.practice) == 1
    (leaf,) = anchored(day.practice, granted.permit, End.REQUESTER)
    assert leaf.conclusion is Conclusion.OPENED


@pytest.mark.promise("R5")
@pytest.mark.parametrize("end", [End.CUSTODIAN, End.REQUESTER])
def test_what_a_worker_never_concluded_another_anchors_within_five_seconds(
    day: Day, end: End, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker is gone between receipt and slot, and nobody starts the node again."""
    passed_s = [0]
    granted = day.granted()
    peers = NoSlots(day, killed) if end is End.REQUESTER else None
    with monkeypatch.context() as patched:
        if end is End.CUSTODIAN:
            patched.setattr(type(day.hospital.vault), "release_slots", killed)
        with pytest.raises(Killed):
            day.receive(granted, peers)
    organisation = HOSPITAL if end is End.CUSTODIAN else PRACTICE
    other = day.world.open_node(organisation, clock=lambda: unix_now_s() + passed_s[0])
    anchor(other)
    assert anchored(other, granted.permit, end) == []
    passed_s[0] = UNANSWERED_S + 2
    anchor(other)
    (leaf,) = anchored(other, granted.permit, end)
    expected = {End.CUSTODIAN: Conclusion.POSSIBLY_RELEASED, End.REQUESTER: Conclusion.SLOT_MISSING}
    assert leaf.conclusion is expected[end]
    assert day.trail(granted.permit)[-1].root != EMPTY_ROOT


@pytest.mark.promise("R5")
@pytest.mark.parametrize("is_logged_first", [False, True])
def test_a_permit_closed_by_hand_before_its_slot_leaves_lets_none_go(
    day: Day, is_logged_first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The permit was looked at, the signature was right, and then the custodian closes: no slot without an anchor."""
    granted, log = day.granted(), day.hospital.custodian_journal.log
    offer = day.offer(granted)

    def closing(*args: object, **named: object) -> None:
        if is_logged_first:
            log(*args, **named)  # type: ignore[arg-type]
        anchor(day.hospital, close=frozenset([granted.permit]))
        if not is_logged_first:
            log(*args, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(day.hospital.custodian_journal, "log", closing)
    came = day.accept(granted, offer)
    assert isinstance(came, RefusedAnswer), came
    assert came.refusal == Refusal.PERMIT_DEAD
    (own,) = day.trail(granted.permit)
    assert own.is_closed
    assert (own.root != EMPTY_ROOT) == is_logged_first


@pytest.mark.promise("R5")
def test_a_slot_that_arrives_when_the_permit_was_closed_by_hand_opens_nothing(day: Day) -> None:
    class Closing(LocalPeers):
        def ask(self, organisation: OrganisationId, ask: Ask) -> Answer:
            came = super().ask(organisation, ask)
            if isinstance(ask, PartAccept):
                anchor(day.practice, close=frozenset([granted.permit]))
            return came

    granted = day.granted()
    with pytest.raises(Refused) as refused:
        day.receive(granted, Closing(PRACTICE, day.world.nodes))
    assert refused.value.refusal is Refusal.PERMIT_DEAD
    (own,) = day.trail(granted.permit)
    assert own.is_closed
    assert own.root != EMPTY_ROOT


@pytest.mark.promise("R5")
def test_a_permit_that_was_being_closed_is_closed_by_whoever_comes_next(day: Day) -> None:
    granted = day.granted()
    deaf = dataclasses.replace(day.hospital, engine=NoSubmissions(day.hospital.engine))
    with pytest.raises(NotNow):
        anchor(deaf, close=frozenset([granted.permit]))
    assert anchor(day.hospital) == 1
    assert day.trail(granted.permit)[-1].is_closed


class NoSubmissions(LosesResults):
    """An engine that takes nothing."""

    def submit(self, _raw: bytes) -> None:
        raise Unavailable("no ledger")


@pytest.mark.promise("R5")
def test_two_workers_of_one_node_on_one_database(day: Day) -> None:
    """One offers, the other gets the signature, both get it again: one receipt, whoever anchors."""
    first = day.hospital
    granted = day.granted()
    offer = day.offer(granted)
    second = day.world.open_node(HOSPITAL)
    assert second.custodian_journal is not first.custodian_journal
    slots = day.accept(granted, offer)
    signature = sign_as_requester(offer.statement, day.practice.signing(KeyUse.RECEIPT))
    assert isinstance(slots, Slots)
    assert isinstance(answer(first, PRACTICE, PartAccept(granted.permit, 1, signature)), Slots)
    for worker in (first, second):
        worker.custodian_journal.refresh()
    leaves = [anchored(worker, granted.permit, End.CUSTODIAN) for worker in (first, second)]
    assert leaves[0] == leaves[1]
    assert leaves[0][0].conclusion is Conclusion.SLOT_SENT
    assert anchor(first) == 1
    assert anchor(second) == 0
