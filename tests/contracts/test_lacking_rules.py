"""When a release goes on, marked, though rules are not held: own staff's direct care and emergencies (DESIGN §5.1)."""

import pytest

from salus.contracts.access import Basis, Permit
from salus.contracts.decision import may_lack_rules
from salus.contracts.provisions import Purpose, RoleClass, Verb
from salus.ledger.identifiers import Digest, OrganisationId, Pseudonym, PublicKey

pytestmark = pytest.mark.promise("R1", "R3")

OWN, OTHER = OrganisationId("RVJ"), OrganisationId("A81001")
ROWS = """
    own    choice     TREAT   CLINICAL        goes on
    own    own_staff  TREAT   CLINICAL        goes on
    own    emergency  ETREAT  CLINICAL        goes on
    own    emergency  BTG     ADMINISTRATIVE  goes on
    own    choice     HPAYMT  CLINICAL        waits
    own    choice     HRESCH  CLINICAL        waits
    own    choice     TREAT   ADMINISTRATIVE  goes on
    own    choice     TREAT   OFFICER         waits
    other  choice     TREAT   CLINICAL        waits
    other  own_staff  TREAT   CLINICAL        waits
    other  emergency  ETREAT  CLINICAL        waits
    other  emergency  BTG     CLINICAL        waits
"""


@pytest.mark.parametrize("row", ROWS.strip().splitlines(), ids=str.strip)
def test_who_may_go_on(row: str) -> None:
    who, basis, purpose, role_class, *said = row.split()
    terms = Permit(
        pseudonym=Pseudonym(bytes(16)),
        custodian=OWN,
        requester=OWN if who == "own" else OTHER,
        role_class=RoleClass[role_class],
        purpose=Purpose[purpose],
        verb=Verb.READ,
        from_s=0,
        until_s=900,
        session_key=PublicKey(bytes(32)),
        reader_key=Digest(bytes(32)),
        basis=Basis[basis.upper()],
        ticket=Digest(b""),
        choices_version=0,
        network_policy_version=0,
        custodian_policy_version=0,
        residual=Digest(bytes(32)),
        closed=0,
    )
    assert may_lack_rules(terms) is (said == ["goes", "on"])
