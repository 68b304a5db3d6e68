"""What a service's *not now* is over HTTP."""

import pytest

from salus.api.fhir.failures import failure_of
from salus.node.errors import Busy, NotNow

NOT_NOW = [
    pytest.param(Busy("the ledger has too much to do"), 429, "throttled", "1", id="a full queue"),
    pytest.param(NotNow("the disk is gone"), 503, "transient", "2", id="what is away"),
]


@pytest.mark.parametrize(("error", "status", "code", "after_s"), NOT_NOW)
def test_a_full_queue_is_429_and_what_is_away_is_503(error: NotNow, status: int, code: str, after_s: str) -> None:
    failure = failure_of(error)
    assert (failure.status, failure.issues[0].code, failure.headers["retry-after"]) == (status, code, after_s)
