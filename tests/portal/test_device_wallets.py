"""Wallets of devices at the portal: what two windows do to one, and whoever signed in without a device (U3)."""

from __future__ import annotations

import pytest

from tests.portal.pocket_device import PocketDevice
from tests.portal.test_acting_devices import state
from tests.portal.test_organisations import Patient, ann, here, tablet

__all__ = ["ann", "here", "tablet"]
pytestmark = pytest.mark.promise("U3")


def test_of_two_windows_with_one_wallet_the_second_begins_again(ann: Patient, tablet: PocketDevice) -> None:
    """What it brings was made without what the first one has added, and would lose that."""
    other = Patient(ann.here, ann.name, ann.at, ann.phone, ann.here.signed_in(ann.name))
    other.open(ann.phone)
    names = [
        (
            each,
            tablet.approve(
                each.browser, each.browser.post("/acting-devices", {"do": "reach", "device": tablet.id.hex()})
            ),
        )
        for each in (ann, other)
    ]
    first, second = [each.browser.get(f"/signing/{name}/done") for each, name in names]
    assert first.status_code == 303
    assert second.status_code == 403
    ann.do("let-act", tablet, ann.phone)
    ann.do("accept", tablet, tablet)
    assert ann.keys() == [1, 1]


def test_who_signed_in_without_a_device_does_not_have_a_wallet_written_anew(ann: Patient, tablet: PocketDevice) -> None:
    """The answer to such a request has any blob: it would be the end of a device that acts."""
    thief = Patient(ann.here, ann.name, ann.at, PocketDevice(), ann.here.signed_in(ann.name))
    assert not state(ann.here, thief.browser).held
    before = ann.named("Tablet")
    came = thief.do("reach", tablet)
    assert (came.status_code, came.headers["location"]) == (303, "/opening")
    assert ann.named("Tablet") == before
    came = thief.open(ann.phone, way=ann.phone)
    assert came.headers["location"] == "/acting-devices", "to where they were"
    thief.do("reach", tablet, tablet)
    assert len(ann.named("Tablet").keys) == 2
