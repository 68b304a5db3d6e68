"""A patient's records at another custodian, which is reached over a network: what came, what did not, and from whom."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from salus.contracts.provisions import Purpose, RoleClass
from salus.node.services.collect import Answered, Asking, Collected
from salus.testing.world import PRACTICE
from tests.portal.portal_world import Hospital, portal
from tests.portal.second_custodian import Manner


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    with portal(tmp_path_factory.mktemp("portal"), is_joined=True) as made:
        yield made


def _collected(here: Hospital) -> Collected:
    assert here.joined is not None
    (_, session) = here.joined[1].sessions(from_s=here.node.clock())
    asking = Asking(session, RoleClass.PATIENT_SIDE, Purpose.PATRQT, pseudonym=session.pseudonym)
    collection, until_s = here.portal.collections.begin([asking], about=b""), time.monotonic() + 10
    while time.monotonic() < until_s:
        came = here.portal.collections.look(collection)[PRACTICE]
        if came.state is not Answered.ASKING:
            return came
        time.sleep(0.02)
    raise AssertionError("nothing came")


@pytest.mark.parametrize(
    ("manner", "wanted"), [(Manner.ANSWERS, Answered.CAME), (Manner.IS_DOWN, Answered.SILENT)], ids=str
)
def test_another_custodian_is_asked_over_the_network(here: Hospital, manner: Manner, wanted: Answered) -> None:
    assert here.joined is not None
    with here.joined[0].being(manner):
        came = _collected(here)
    assert came.state is wanted
    assert any(b"Amlodipine" in each for each in came.records) == (wanted is Answered.CAME)
