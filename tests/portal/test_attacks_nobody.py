"""Whoever may not be seen, looked for with a watch: by number, by name, and from another system."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest

from salus.node.services import sharing
from salus.node.services.find_patient import NOBODY_STEP_S
from salus.node.services.sharing import Wanted
from salus.testing.world import HOSPITAL
from tests.portal.patient_charts import NUMBER
from tests.portal.portal_world import ORIGIN, Browser, Hospital, portal

WHY = {"reason": "other", "reason-words": "a clinic", "relationship": "treating"}
BORN = {"born-day": "14", "born-month": "3", "born-year": "1968"}
ASKED = {
    "by number": ({"number": NUMBER}, {"number": "9990000026"}),
    "by number and birthday": ({"number": NUMBER} | BORN, {"number": NUMBER} | BORN | {"born-day": "15"}),
    "by name": ({"family": "Moss"} | BORN, {"family": "Nobody"} | BORN),
}


@pytest.fixture(scope="module")
def hidden(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Hospital, Browser]]:
    """A hospital at which Eleanor lets nobody see anything, and a doctor who has found her before."""
    with portal(tmp_path_factory.mktemp("portal")) as here:
        doctor = here.signed_in("rao")
        assert all(look(doctor, each)[0] != "/patients/found" for each, _ in (ASKED["by number"],))
        known = here.portal.accounts.find(here.accounts["eleanor"])
        assert known is not None
        login = here.portal.accounts.login_of(known, here.portal.accounts.hold(known)[0])
        sharing.file(here.node, login, here.patient, Wanted(is_permit=False, organisation=HOSPITAL))
        yield here, here.signed_in("rao")


def look(doctor: Browser, asked: dict[str, str]) -> tuple[str, float]:
    """Look for somebody; where that leads, and after how many seconds."""
    doctor.get("/patients")
    begun_s = time.monotonic()
    came = doctor.client.post("/patients", data={"form": doctor.form} | WHY | asked, headers={"origin": ORIGIN})
    return came.headers["location"], time.monotonic() - begun_s


@pytest.mark.promise("R4")
@pytest.mark.parametrize(("somebody", "nobody"), ASKED.values(), ids=ASKED)
def test_the_clock_does_not_tell_who_may_not_be_seen_from_nobody(
    hidden: tuple[Hospital, Browser], somebody: dict[str, str], nobody: dict[str, str]
) -> None:
    """To decide about her took 50 ms and about nobody 30; a few tries told the one from the other."""
    doctor = hidden[1]
    for asked in (somebody, nobody):
        place, took_s = look(doctor, asked)
        assert place == "/patients/found"
        assert took_s >= NOBODY_STEP_S


def test_the_pages_do_not_tell_either(hidden: tuple[Hospital, Browser]) -> None:
    said = []
    for asked in ASKED["by number"]:
        look(hidden[1], asked)
        text = hidden[1].get("/patients/found").text
        said.append(re.sub(r'name="(?:form|of)" value="[^"]*"|[\d ]{10,}', "", text))
    assert said[0] == said[1]
