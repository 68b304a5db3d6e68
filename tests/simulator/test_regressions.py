"""What the simulator found in nodes, each as a row that stays; what it found elsewhere stands with its part."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from salus.contracts.access import End
from salus.contracts.provisions import Purpose, RoleClass
from salus.node import schema
from salus.node.people import certify_person, open_session
from salus.node.services.anchor import anchor
from salus.node.services.enrol import enrol
from salus.node.services.own_care import open_for_own_staff
from salus.node.services.request import Denied, Wish
from salus.testing.population.numbers import kept_nhs_number
from salus.testing.world import HOSPITAL, World, world


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path, organisations=(HOSPITAL,)) as made:
        yield made


@pytest.mark.promise("R5")
def test_who_asks_itself_has_one_end_to_anchor(alone: World) -> None:
    # Nodes, seed 0: the other end was anchored too, the ledger refused it, and every anchor after it failed.
    node = alone.hospital
    pseudonym = enrol(node, kept_nhs_number(1), "1980-02-29")
    nurse = certify_person(node, name="N", role="Nurse", registration="1", role_class=RoleClass.CLINICAL)
    session = open_session(nurse.key, nurse.certificate, custodian=HOSPITAL, from_s=node.clock())
    opened = open_for_own_staff(node, session, Wish(pseudonym, HOSPITAL, RoleClass.CLINICAL, Purpose.TREAT))
    assert not isinstance(opened, Denied)
    assert list(opened) == []
    assert (anchor(node), anchor(node)) == (1, 0)
    with node.vault.database.reading() as connection:
        assert connection.scalars(select(schema.permits.c.end)).all() == [End.CUSTODIAN]
