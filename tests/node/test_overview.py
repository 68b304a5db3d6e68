"""The overview for operators: where ledger, members and node stand, complete, and nothing of a person (P4)."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import insert

from salus.contracts.membership import (
    AnyAction,
    CertificateKind,
    Certify,
    LedgerAccess,
    Remove,
    SetAccess,
    SetSuspension,
)
from salus.contracts.provisions import RoleClass
from salus.engines.base import Unavailable
from salus.ledger.identifiers import CertificateId, OrganisationId
from salus.node import schema
from salus.node.errors import NotNow
from salus.node.projections import permits
from salus.node.sealed_rows import SealedRows
from salus.node.services import govern
from salus.node.services.backup import back_up_data, back_up_keys
from salus.node.services.govern import Change
from salus.node.services.jobs import Jobs
from salus.node.services.overview import (
    CertificateSeen,
    JobSeen,
    ValidatorSeen,
    Waiting,
    overview,
    see_certificates,
    see_ledger,
)
from salus.testing.world import HOSPITAL, PRACTICE, world
from tests.node.one_day import BORN, SMALL, Day, stage

DAY_S = 86_400


class State(msgspec.Struct, frozen=True, array_like=True):
    """Whatever a job is about."""

    words: str


@pytest.fixture
def day(tmp_path: Path) -> Iterator[Day]:
    with world(tmp_path) as made:
        yield stage(made, SMALL)


def certify(day: Day, organisation: OrganisationId, byte: int, *, in_s: int) -> int:
    """Certify a device until then; return when that is."""
    node = day.world.nodes[organisation]
    until_s = node.clock() + in_s
    certificate = CertificateId(bytes([byte]) * 32)
    node.submit(Certify(organisation, certificate, CertificateKind.DEVICE, (RoleClass.SYSTEM,), until_s))
    return until_s


@pytest.mark.promise("P4")
def test_ledger_members_and_node(day: Day) -> None:
    node = day.hospital
    day.receive(day.granted())
    permits.follow(node)
    seen = overview(node)
    assert (seen.organisation, seen.rules_version, seen.release) == (HOSPITAL, 1, "0.1.0")
    assert (seen.ledger.is_fresh, seen.ledger.clock_behind_ms) == (True, 0)
    assert seen.ledger.status.height > 0
    (validator,) = seen.validators
    assert validator == ValidatorSeen(HOSPITAL, validator.of, validator.of, 0, 1)
    assert set(seen.members.members) == {HOSPITAL, PRACTICE}
    assert (seen.node.patient_count, seen.node.record_count) == (1, 1)
    assert seen.node.waiting == Waiting(0, 0, anchors=1, erasures=0, enrolments=0, take_overs=0)
    for personal in (BORN, day.ann.hex(), repr(day.ann), "Dr"):
        assert personal not in repr(seen)


def test_what_waits_is_counted(day: Day) -> None:
    node = day.hospital
    with node.vault.database.writing() as connection:
        for number in range(2):
            connection.execute(insert(schema.enrolments).values(lookup=bytes([number]), pseudonym=bytes(16)))
        row = {"since_s": 1, "tries": 0, "next_s": 1, "pseudonym": bytes(16)}
        connection.execute(insert(schema.erasures).values(holder=PRACTICE, statement=b"", **row))
        connection.execute(insert(schema.erasures).values(holder=HOSPITAL, statement=b"", **row))
    found = overview(node).node.waiting
    assert (found.enrolments, found.erasures) == (2, 1), "its own statement it owes nobody"


def test_a_proposal_waits_for_votes(day: Day) -> None:
    made = govern.propose(day.hospital, Remove(PRACTICE))
    (proposal,) = overview(day.practice).members.proposals.values()
    assert not made.is_carried
    assert (proposal.proposer, proposal.in_favour) == (HOSPITAL, (HOSPITAL,))


def test_certificates_of_ours_that_end_soon(day: Day) -> None:
    later, soon = (certify(day, HOSPITAL, number, in_s=days * DAY_S) for number, days in ((1, 20), (2, 3)))
    certify(day, HOSPITAL, 3, in_s=40 * DAY_S)
    certify(day, PRACTICE, 4, in_s=3 * DAY_S)
    assert overview(day.hospital).certificates == (
        CertificateSeen(bytes([2]) * 32, "device", ("system",), soon),
        CertificateSeen(bytes([1]) * 32, "device", ("system",), later),
    )


def test_one_that_has_just_ended_is_still_there(day: Day) -> None:
    ends_s = certify(day, HOSPITAL, 5, in_s=60)
    for after_s, count in ((3_600, 1), (8 * DAY_S, 0)):
        later = dataclasses.replace(day.hospital, clock=lambda at_s=ends_s + after_s: at_s)
        assert len(see_certificates(later)) == count


def test_jobs_and_how_far_they_are(day: Day) -> None:
    node = day.hospital
    jobs = Jobs(node, SealedRows(node.vault, node.chain), "export")
    until_s = node.clock() + 600
    jobs.begin("app", State("Ann"), {1: State("one"), 2: State("two")}, until_s=until_s, jobs_max=2)
    assert overview(node).node.jobs == (JobSeen(step_count=0, part_count=2, until_s=until_s),)
    late = dataclasses.replace(node, clock=lambda: until_s)
    assert overview(late).node.jobs == ()


def test_how_old_backups_are(day: Day, tmp_path: Path) -> None:
    node = day.hospital
    assert (overview(node).node.data_backed_up_s, overview(node).node.keys_backed_up_s) == (0, 0)
    back_up_data(node, day.world.folder / "rvj", tmp_path / "backup")
    assert overview(node).node.keys_backed_up_s == 0
    later = dataclasses.replace(node, clock=lambda: node.clock() + 100)
    back_up_keys(later, tmp_path / "keys")
    found = overview(node).node
    assert 0 <= node.clock() - found.data_backed_up_s < 60
    assert 50 < found.keys_backed_up_s - found.data_backed_up_s < 160


def test_a_clock_that_is_behind_and_a_ledger_that_is_gone(day: Day, monkeypatch: pytest.MonkeyPatch) -> None:
    status = day.world.engine.status()
    assert see_ledger(day.world.engine, now_ms=status.header_time_ms - 5_000).clock_behind_ms >= 5_000

    def gone(*_: object) -> None:
        raise Unavailable("the ledger process went away")

    monkeypatch.setattr(day.world.engine, "status", gone)
    with pytest.raises(NotNow):
        overview(day.hospital)


CHANGES: dict[Change, AnyAction] = {
    Change.REMOVE: Remove(PRACTICE),
    Change.VALIDATOR: SetAccess(PRACTICE, LedgerAccess.VALIDATOR, 7),
    Change.OBSERVER: SetAccess(PRACTICE, LedgerAccess.OBSERVER, 0),
    Change.OWN_PROOFS: SetAccess(PRACTICE, LedgerAccess.OWN_PROOFS, 0),
    Change.SUSPEND: SetSuspension(PRACTICE, 9),
    Change.LIFT: SetSuspension(PRACTICE, 0),
}


@pytest.mark.parametrize("change", Change)
def test_what_a_change_proposes(change: Change) -> None:
    assert govern.action_of(change, PRACTICE, power=7, until_s=9) == CHANGES[change]
