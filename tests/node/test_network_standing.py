"""When a member that was removed may stop: when the others go on without it, or have let go of it."""

import pytest

from salus.contracts.membership import LedgerAccess
from salus.ledger.identifiers import OrganisationId
from salus.node.network.standing import LET_GO_S, Standing

NOW_S = 1_800_000_000
VALIDATOR = LedgerAccess.VALIDATOR


def standing(*, access: LedgerAccess | None, power: int, header_s: int = NOW_S, suspended_s: int = 0) -> Standing:
    return Standing(OrganisationId("RZ4"), 12, access, power, header_s, suspended_s)


@pytest.mark.promise("L7")
@pytest.mark.parametrize(
    ("access", "power", "age_s", "peers", "has_left"),
    [
        pytest.param(VALIDATOR, 10, 0, 3, False, id="a member"),
        pytest.param(VALIDATOR, 0, 3600, 0, False, id="a member that is cut off"),
        pytest.param(None, 10, 1, 3, False, id="removed, signs still"),
        pytest.param(None, 10, LET_GO_S + 1, 1, False, id="removed, the ledger stands still"),
        pytest.param(None, 10, 1, 0, False, id="removed, its node has just begun"),
        pytest.param(None, 10, LET_GO_S + 1, 0, True, id="removed, let go of"),
        pytest.param(None, 0, 1, 3, True, id="removed, the others go on"),
    ],
)
def test_a_removed_member_runs_until_the_others_go_on(
    access: LedgerAccess | None, power: int, age_s: int, peers: int, has_left: bool
) -> None:
    found = standing(access=access, power=power, header_s=NOW_S - age_s)
    assert found.has_left(time_s=NOW_S, peers=peers) is has_left


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (standing(access=VALIDATOR, power=10), ""),
        (standing(access=VALIDATOR, power=10, suspended_s=NOW_S), ""),
        (standing(access=VALIDATOR, power=10, suspended_s=NOW_S + 1), "RZ4 is suspended until"),
        (standing(access=None, power=10), "do not stop it"),
        (standing(access=None, power=0), "no member any more"),
    ],
)
def test_what_its_operator_hears(found: Standing, words: str) -> None:
    said = found.words(time_s=NOW_S)
    assert words in said
    assert bool(words) is bool(said)
