"""Where the practice is another computer's: it, and the patient's own device, of the portal that a module opens."""

import pytest

from tests.portal.portal_world import Hospital
from tests.portal.second_custodian import OwnDevice, Practice


@pytest.fixture
def practice(here: Hospital) -> Practice:
    assert here.joined is not None
    return here.joined[0]


@pytest.fixture
def device(here: Hospital) -> OwnDevice:
    assert here.joined is not None
    return here.joined[1]
