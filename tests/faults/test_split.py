"""Splits, one-way links, delay and loss: who has no two thirds stands still, releases nothing, and catches up."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from salus.contracts.access import End
from salus.contracts.provisions import Purpose, RoleClass
from salus.ledger.receipts import Standing
from salus.node.assemble import HEADER_AGE_MS_MAX
from salus.node.errors import NotNow
from salus.node.people import OpenSession, certify_person, open_session
from salus.node.services.anchor import anchor, anchored
from salus.node.services.own_care import open_for_own_staff
from salus.node.services.request import Denied, Granted, Wish
from salus.testing.world import HOSPITAL, PRACTICE, World, unix_now_s
from tests.conftest import absent
from tests.engines.cometbft.network import VALIDATORS
from tests.faults.conftest import Evidence
from tests.faults.links import between
from tests.faults.namespaces import Namespaces
from tests.faults.network import RESUMES_S, FourValidators, Load, height_of
from tests.node.one_day import SMALL, Day, stage
from tests.node.test_own_care import conduct_of

pytestmark = [pytest.mark.services, pytest.mark.promise("L3")]

STANDS_S = 2.5
LISTENS = 26656
GIVE_UP_S = 11.0
"""A release must have been refused by then: 10 s, and one look."""
HALVES = between((0, 1), (2, 3))
ALONE = between((3,), (0, 1, 2))


@pytest.mark.fault("2-2 split; 2 of 4 down")
def test_without_two_thirds_nothing_moves_and_nothing_diverges(network: FourValidators, evidence: Evidence) -> None:
    with Load(network.all) as load:
        time.sleep(1.0)
        network.links.cut(HALVES)
        stood = stands_still(network)
        network.links.heal()
        resumed_s = network.resumed()
        for each in network.all[2:]:
            each.kill()
        stood += stands_still(network)
        for each in network.all[2:]:
            each.start()
        back_s = network.resumed()
    evidence(f"stood at {stood}; resumed {resumed_s:.1f} s after healing, {back_s:.1f} s after two starts")
    evidence(network.agree(load))


@pytest.mark.long
@pytest.mark.promise("R3")
@pytest.mark.fault("2-2 split, black-holed, with nodes")
def test_in_a_split_nothing_is_released_and_own_care_goes_on(network: FourValidators, evidence: Evidence) -> None:
    with two_nodes(network) as day:
        nurse = session_of_a_nurse(day)
        granted = day.granted()
        assert day.receive(granted) == [SMALL]
        network.links.hold(HALVES)
        split_s = time.monotonic()
        stopped_s = releases_until_refused(day, granted, split_s)
        age_ms = day.hospital.engine.status().header_age_ms
        assert age_ms > HEADER_AGE_MS_MAX, "the state is marked stale"
        wish = Wish(day.ann, HOSPITAL, RoleClass.CLINICAL, Purpose.TREAT)
        before = set(day.hospital.custodian_journal.permits_of(day.ann))
        came = open_for_own_staff(day.hospital, nurse, wish)
        assert not isinstance(came, Denied)
        assert [each.content for each in came] == [SMALL]
        [permit] = set(day.hospital.custodian_journal.permits_of(day.ann)) - before
        assert conduct_of(day.hospital, permit).standing is Standing.CONTINUITY
        network.links.heal()
        resumed_s = network.resumed()
        anchor(day.hospital)
        assert len(anchored(day.hospital, permit, End.CUSTODIAN)) == 1
        assert len(day.trail(b"")) == 1, "anchored with an empty permit"
        assert day.receive(day.granted()) == [SMALL]
    evidence(f"last release {stopped_s:.1f} s after the split, then refused at an age of {age_ms / 1000:.1f} s")
    evidence(f"own record opened in continuity, anchored after healing; resumed after {resumed_s:.1f} s")
    evidence(network.agree())


@pytest.mark.long
@pytest.mark.parametrize("hole_s", [5.0, 30.0])
@pytest.mark.fault("2-2 split by black-hole routes, in network namespaces")
def test_lost_packets_between_two_and_two(
    namespaces: Namespaces, four: FourValidators, evidence: Evidence, hole_s: float
) -> None:
    for number, each in enumerate(four.all):
        each.settings.hosts, each.settings.ports = namespaces.hosts, [LISTENS] * len(four.all)
        each.within = namespaces.inside(number)
    four.start()
    with Load(four.all) as load:
        namespaces.black_hole(HALVES)
        time.sleep(1.0)
        stood = max(four.heights())
        time.sleep(hole_s)
        assert max(four.heights()) == stood
        namespaces.heal()
        resumed_s = four.resumed(patience_s=60.0)
    evidence(f"stood at {stood} for {hole_s:.0f} s, resumed {resumed_s:.1f} s after healing; {four.agree(load)}")
    assert resumed_s < RESUMES_S


@pytest.mark.long
@pytest.mark.fault("3-1 split")
def test_three_go_on_and_one_catches_up(network: FourValidators, evidence: Evidence) -> None:
    with Load(network.all) as load:
        time.sleep(1.0)
        network.links.cut(ALONE)
        time.sleep(STANDS_S / 2)
        height, stood = network.heights()[0], height_of(network.all[3])
        time.sleep(STANDS_S)
        assert height_of(network.all[3]) == stood
        went_on = network.heights()[0] - height
        assert went_on > 0
        network.links.heal()
        caught_up_s = network.resumed()
    evidence(f"three went on by {went_on} blocks, the fourth stood at {stood} and caught up in {caught_up_s:.1f} s")
    evidence(network.agree(load))


@pytest.mark.long
@pytest.mark.fault("one-way links")
def test_who_is_heard_by_nobody_or_hears_nobody_harms_nobody(network: FourValidators, evidence: Evidence) -> None:
    for way, ways in {"unheard": [(3, each) for each in range(3)], "deaf": [(each, 3) for each in range(3)]}.items():
        with Load(network.all) as load:
            network.links.hold(ways)
            time.sleep(1.0)
            went_on_s = network.resumed(among=network.all[:3])
            time.sleep(STANDS_S)
            network.links.heal()
            healed_s = network.resumed(patience_s=30.0)
        evidence(f"{way}: others had a block after {went_on_s:.1f} s, all {healed_s:.1f} s after healing")
        evidence(network.agree(load))


@pytest.mark.long
@pytest.mark.fault("delay and loss")
def test_slow_links_make_slow_blocks(network: FourValidators, evidence: Evidence) -> None:
    everywhere = list(network.links.ways)
    for delay_s, loss in ((0.1, 0.0), (0.1, 0.05), (0.4, 0.2)):
        network.links.slow(everywhere, delay_s=delay_s, loss=loss)
        with Load(network.all, pause_s=1.0) as load:
            began_s = time.monotonic()
            time.sleep(3 * STANDS_S)
        evidence(f"{delay_s * 1000:.0f} ms, {loss:.0%} late: p95 {load.p95_ms(began_s):.0f} ms")
    network.links.heal()
    network.resumed()
    evidence(network.agree(load))


@pytest.fixture
def namespaces() -> Iterator[Namespaces]:
    try:
        made = Namespaces(VALIDATORS)
    except (OSError, subprocess.CalledProcessError) as error:
        absent(f"network namespaces need root: {error}")
        raise
    yield made
    made.close()


def stands_still(network: FourValidators) -> list[int]:
    """Look for some seconds; assert that nobody has a new block, and return the height.

    One that was decided before may still be executed, late on a machine that has much to do.
    """
    decided = max(network.heights()) + 1
    stood, height = -1, decided - 1
    while stood != height:
        time.sleep(STANDS_S)
        stood, height = height, max(network.heights())
        assert height <= decided
    return [height]


@contextmanager
def two_nodes(network: FourValidators) -> Iterator[Day]:
    """Hospital and practice, each beside its own validator, and a patient whom they share."""
    made = World(network.place / "nodes", network.genesis, network.all[0].client, network.keys)
    made.folder.mkdir()
    for validator, organisation in zip(network.all, (HOSPITAL, PRACTICE), strict=False):
        made.engine = validator.client
        made.open_node(organisation)
    made.engine = network.all[0].client
    yield stage(made, SMALL)


def session_of_a_nurse(day: Day) -> OpenSession:
    nurse = certify_person(day.hospital, name="N", role="Nurse", registration="NMC 1", role_class=RoleClass.CLINICAL)
    return open_session(nurse.key, nurse.certificate, custodian=HOSPITAL, from_s=unix_now_s())


def releases_until_refused(day: Day, granted: Granted, split_s: float) -> float:
    """Release again and again under one permit; return when it went last, in seconds after the split."""
    last_s = 0.0
    while time.monotonic() < split_s + GIVE_UP_S:
        try:
            day.receive(granted)
        except NotNow:
            return last_s
        last_s = time.monotonic() - split_s
        time.sleep(0.1)
    raise AssertionError(f"released {GIVE_UP_S:.0f} s after the split")
