"""What ends a permit that later issues bring about: suspension, a role taken away, a new policy (R3).

Votes are not there yet, so the rows are written as a vote would write them.
"""

import msgspec
import pytest

from salus.contracts import access, membership
from salus.contracts.access import PermitDead, Versions, granted, require_live
from salus.contracts.membership import Policy
from salus.contracts.provisions import RoleClass, gate
from salus.ledger.encoding import encode
from salus.ledger.identifiers import OrganisationId
from salus.ledger.state import STATE, Table
from tests.contracts.network import BEGIN_S, MemoryLedger, digest, key, organisation, pseudonym
from tests.contracts.scenario import OUTCOMES, Row, Run, Scenario, run
from tests.contracts.trees import TREES

STEPS = [
    Row(1, "hospital enrols ann", "done"),
    Row(2, "ann files c1 as practice", "done"),
    Row(3, "okafor of practice asks for ann: clinical TREAT read, as p1", "permitted: Choice"),
    Row(4, "hughes of hospital asks for ann: clinical TREAT read, as p2", "permitted: OwnStaff"),
]


@pytest.fixture
def state() -> Run:
    """A permit of the practice, p1, and one of the custodian's own staff, p2."""
    return run(Scenario("life", "life", STEPS), MemoryLedger)


def alive(state: Run, label: str, *, time_s: int = BEGIN_S) -> str:
    try:
        require_live(state.ledger.reader(), state.places.permits[label], time_s=time_s)
    except PermitDead as dead:
        return str(dead)
    return "alive"


def write(state: Run, table: Table[object, object], place: object, value: object) -> None:
    assert isinstance(state.ledger, MemoryLedger)
    state.ledger.store.write({STATE: {table.key(place): encode(value)}})


def change(state: Run, name: str, **fields: object) -> None:
    row = membership.ORGANISATIONS.get(state.ledger.reader(), organisation(name))
    assert row is not None
    write(state, membership.ORGANISATIONS, organisation(name), msgspec.structs.replace(row, **fields))


@pytest.mark.promise("R3")
@pytest.mark.parametrize("name", ["practice", "hospital"])
def test_a_suspension_of_either_end_stops_releases_between_them(state: Run, name: str) -> None:
    change(state, name, suspended_until_s=BEGIN_S + 60)
    assert alive(state, "p1").startswith(f"{organisation(name)} is suspended")
    assert alive(state, "p1", time_s=BEGIN_S + 59).startswith(f"{organisation(name)} is suspended")
    assert alive(state, "p1", time_s=BEGIN_S + 60) == "alive"
    assert alive(state, "p2") == "alive", "never an organisation's own patients"


@pytest.mark.promise("R3")
def test_a_role_class_that_the_requester_lost_ends_the_permit(state: Run) -> None:
    change(state, "practice", role_classes=(RoleClass.ADMINISTRATIVE,))
    assert alive(state, "p1").startswith("A81001 no longer holds the role class CLINICAL")
    change(state, "hospital", role_classes=(RoleClass.ADMINISTRATIVE,))
    assert alive(state, "p2").startswith("RX1 no longer holds the role class CLINICAL")


@pytest.mark.promise("R3")
@pytest.mark.parametrize(("name", "words"), [("", "network policy"), ("RX1", "custodian's policy")])
def test_a_new_policy_ends_permits(state: Run, name: str, words: str) -> None:
    tree = TREES["no-insurers"]
    write(state, membership.POLICIES, OrganisationId(name), Policy(1, (tree,), (gate(tree),)))
    assert alive(state, "p1").startswith(f"permit rests on version 0 of the {words}, now 1")
    assert alive(state, "p2").startswith(f"permit rests on version 0 of the {words}, now 1")


def test_the_requester_s_policy_is_none_of_the_permit_s(state: Run) -> None:
    tree = TREES["no-insurers"]
    write(state, membership.POLICIES, organisation("practice"), Policy(1, (tree,), (gate(tree),)))
    assert alive(state, "p1") == "alive"


def test_a_permit_is_not_alive_before_it_begins(state: Run) -> None:
    assert alive(state, "p1", time_s=BEGIN_S - 1).startswith("permit runs from")


def test_a_requester_reads_the_permit_off_its_leaf(state: Run) -> None:
    leaf = state.events[2].leaf
    row = access.permit(state.ledger.reader(), state.places.permits["p1"])
    assert row is not None
    asked = access.RequestAccess(
        row.pseudonym, row.custodian, row.requester, row.role_class, row.purpose, row.verb, 900, 0,
        digest("reader key"), b"", row.residual,
    )  # fmt: skip
    want = (state.places.permits["p1"], row)
    assert granted(asked, OUTCOMES.decode(leaf.data), leaf, session_key=key("okafor").public) == want


def test_a_leaf_repeats_no_key(state: Run) -> None:
    leaf = state.events[2].leaf
    assert key("okafor").public not in leaf.data
    assert digest("reader key") not in leaf.data
    assert len(state.places.permits["p1"]) == 16


def test_versions_of_what_has_no_row_are_zero(state: Run) -> None:
    reader = state.ledger.reader()
    assert access.versions(reader, pseudonym("bob"), organisation("hospital")) == Versions(0, 0, 0)
    assert access.versions(reader, pseudonym("ann"), organisation("hospital")) == Versions(1, 0, 0)


def test_an_emergency_is_found_until_its_review() -> None:
    steps = [
        Row(1, "hospital enrols ann", "done"),
        Row(2, "okafor of practice asks for ann: clinical BTG read, as p1", "permitted: Emergency"),
    ]
    state = run(Scenario("emergency", "life", steps), MemoryLedger)
    found = access.emergency(state.ledger.reader(), state.places.permits["p1"])
    assert found == access.Emergency(
        pseudonym("ann"), organisation("hospital"), organisation("practice"), key("okafor").public, BEGIN_S
    )
    assert access.emergency(state.ledger.reader(), bytes(16)) is None


def test_a_denial_names_the_versions_that_it_rests_on() -> None:
    steps = [
        Row(1, "given the network policy research-by-default", None),
        Row(2, "hospital enrols ann", "done"),
        Row(3, "ann files c1 as nothing", "done"),
        Row(4, "okafor of practice asks for ann: clinical TREAT read", "denied: PatientDenies"),
    ]
    outcome = OUTCOMES.decode(run(Scenario("denial", "life", steps), MemoryLedger).events[-1].leaf.data)
    assert (outcome.choices_version, outcome.network_policy_version, outcome.custodian_policy_version) == (1, 1, 0)
