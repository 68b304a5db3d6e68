"""Staff, request, release, audit, verify: one record's way from hospital to practice, by command line."""

import json
import stat
from contextlib import closing
from pathlib import Path

import pytest

from salus.clinical import fhir
from salus.ledger.identifiers import CertificateId, Pseudonym
from salus.node.http_peers import node_peers
from salus.node.notices import Notice, NoticeKind, note
from salus.node.opening import open_node
from salus.node.services import statements
from salus.testing.population import HOSPITAL, PRACTICE, SyntheticPerson
from tests.cli.conftest import North, Result, Run, assert_fails, who, write_chart

pytestmark = pytest.mark.services


@pytest.fixture
def doctor(north: North, tmp_path: Path, run: Run) -> Path:
    """A certified doctor of the practice."""
    path = tmp_path / "rao.staff"
    certified = run(
        "staff", "certify", north.practice, "--name", "Dr Anita Rao", "--role", "GP", "--out", path, "--json"
    )
    assert certified.status == 0
    assert certified.facts["role_class"] == "clinical"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    return path


def officer_of(node: Path, tmp_path: Path, run: Run) -> Path:
    """A certified privacy officer of a node."""
    path = tmp_path / f"{node.name}-officer.staff"
    words = ("--name", "Sam Okoro", "--role", "Caldicott guardian", "--role-class", "officer")
    assert run("staff", "certify", node, *words, "--out", path).status == 0
    return path


def loaded(north: North, person: SyntheticPerson, tmp_path: Path, run: Run) -> SyntheticPerson:
    assert run("import", north.hospital, write_chart(tmp_path / "chart.ndjson", person)).status == 0
    return person


def asked(north: North, doctor: Path, person: SyntheticPerson, run: Run, *more: str) -> Result:
    return run("request", north.practice, "--staff", doctor, "--from", HOSPITAL.ods, *who(person), *more, "--json")


@pytest.mark.promise("R1", "R2", "R3", "R5")
def test_from_a_refusal_to_a_verified_receipt(
    north: North, doctor: Path, everybody: list[SyntheticPerson], tmp_path: Path, run: Run
) -> None:
    person = loaded(north, everybody[10], tmp_path, run)
    refused = asked(north, doctor, person, run)
    assert (refused.status, refused.facts["reason"]) == (1, "nothing_permits")
    assert run("consent", "file", north.hospital, *who(person), "--share-with", PRACTICE.ods).status == 0
    granted = asked(north, doctor, person, run)
    assert (granted.status, granted.facts["basis"]) == (0, "choice")
    assert stat.S_IMODE(Path(granted.facts["file"]).stat().st_mode) == 0o600
    out = tmp_path / "received.ndjson"
    released = run("release", north.practice, granted.facts["permit"][:8], "--out", out, "--keep", "--json")
    assert released.status == 0
    chart = person.chart_at(HOSPITAL.ods)
    assert chart is not None
    assert sorted(out.read_bytes().splitlines()) == sorted(chart.resources)
    assert released.facts["records"] == len(chart.resources)
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    mine = tmp_path / "mine"
    officer = officer_of(north.hospital, tmp_path, run)
    audited = run("audit", north.hospital, "--staff", officer, *who(person), "--out", mine, "--json")
    assert audited.status == 0
    (relationship,) = audited.facts["relationships"]
    assert [event["number"] for event in relationship["events"]] == list(range(1, len(relationship["events"]) + 1))
    assert any("It was refused" in event["words"] for event in relationship["events"])
    assert relationship["events"][-1]["words"] == f"A privacy officer of {HOSPITAL.ods} looked at this history."
    (receipt,) = sorted(mine.glob("*.salus-receipt"))
    for proof in (receipt, mine / f"{HOSPITAL.ods}.salus-history"):
        verified = run("verify", proof, "--trust", north.folder / "trust.json", "--json")
        assert verified.status == 0, verified
        assert verified.facts["faults"] == []
        assert "trust is one key" in verified.facts["lines"][-1]
    assert run("consent", "withdraw", north.hospital, *who(person)).status == 0
    dead = run("release", north.practice, granted.facts["permit"][:8])
    assert_fails(dead, 1, error="permit rests on version 1 of the sharing choices, now 2", hint="ask again")


@pytest.mark.promise("P5")
def test_an_erasure_is_stated_by_who_received_something(
    north: North, doctor: Path, everybody: list[SyntheticPerson], tmp_path: Path, run: Run
) -> None:
    """Over HTTP, between processes: the hospital erases and asks the practice; the operator sees who said what."""
    person = loaded(north, everybody[12], tmp_path, run)
    assert run("consent", "file", north.hospital, *who(person), "--share-with", PRACTICE.ods).status == 0
    granted = asked(north, doctor, person, run)
    out = tmp_path / "received.ndjson"
    assert run("release", north.practice, granted.facts["permit"][:8], "--out", out, "--keep").status == 0
    erased = run("erase", north.hospital, *who(person), "--yes", "--json")
    (holder,) = erased.facts["holders"]
    assert (holder["holder"], holder["since_s"] > 0) == (PRACTICE.ods, True)
    with open_node(north.hospital) as node, closing(node_peers(node)) as peers:
        statements.collect(node, peers)  # what the served node does every minute
    again = run("erase", north.hospital, "--pseudonym", erased.facts["pseudonym"])
    assert again.status == 0
    assert "signed statements of other holders: 1 of 1" in again.out
    assert f"{PRACTICE.ods}: has erased what it held (stated " in again.out
    for place in (north.hospital, north.practice):
        checked = run("fsck", place, "--json")
        assert (checked.status, checked.facts["clean"]) == (0, True)
        assert checked.facts["erased_lines"][str(place)] >= 2
        assert "of the release journals are erased: the key went with the relationship" in run("fsck", place).out


def test_a_request_for_some_classes_only(
    north: North, doctor: Path, everybody: list[SyntheticPerson], tmp_path: Path, run: Run
) -> None:
    person = loaded(north, everybody[11], tmp_path, run)
    run("consent", "file", north.hospital, *who(person), "--share-with", PRACTICE.ods)
    granted = asked(north, doctor, person, run, "--class", "Patient")
    released = run("release", north.practice, granted.facts["permit"], "--json")
    assert released.facts["classes"] == {"Patient": 1}


def test_records_on_standard_output_are_lines_of_fhir(
    north: North, doctor: Path, everybody: list[SyntheticPerson], tmp_path: Path, run: Run
) -> None:
    person = loaded(north, everybody[12], tmp_path, run)
    run("consent", "file", north.hospital, *who(person), "--share-with", PRACTICE.ods)
    granted = asked(north, doctor, person, run, "--class", "Patient")
    result = run("release", north.practice, granted.facts["permit"], "--out", "-")
    (line,) = result.out.splitlines()
    assert fhir.parse(line.encode()).type == "Patient"


def test_a_person_whom_the_custodian_does_not_know(
    north: North, doctor: Path, everybody: list[SyntheticPerson], run: Run
) -> None:
    stranger = everybody[13]
    result = run("request", north.practice, "--staff", doctor, "--from", HOSPITAL.ods, *who(stranger))
    assert_fails(result, 1, error=f"{HOSPITAL.ods} answers nothing for this person", hint="check number and date")


def test_breaking_the_glass_needs_words(north: North, doctor: Path, everybody: list[SyntheticPerson], run: Run) -> None:
    person = everybody[14]
    result = run("request", north.practice, "--staff", doctor, "--from", HOSPITAL.ods, *who(person), "--purpose", "BTG")
    assert_fails(result, 2, error="expected a reason for breaking the glass", hint="--justification")


def test_a_permit_that_is_not_kept_here(north: North, run: Run) -> None:
    assert_fails(
        run("release", north.practice, "ffffffff"), 2, error="expected one permit that begins so", hint="request"
    )


def test_a_staff_file_that_others_may_read(
    north: North, doctor: Path, everybody: list[SyntheticPerson], run: Run
) -> None:
    doctor.chmod(0o644)
    result = run("request", north.practice, "--staff", doctor, "--from", HOSPITAL.ods, *who(everybody[14]))
    assert_fails(result, 2, error="readable by its owner only", hint="chmod 600")


def test_audit_sums_over_relationships(north: North, eleanor: SyntheticPerson, tmp_path: Path, run: Run) -> None:
    for node, ods in ((north.hospital, HOSPITAL.ods), (north.practice, PRACTICE.ods)):
        run("import", node, write_chart(tmp_path / f"{ods}.ndjson", eleanor, ods))
    officers = [("--staff", officer_of(node, tmp_path, run)) for node in (north.hospital, north.practice)]
    both = (north.hospital, north.practice, *officers[0], *officers[1])
    result = run("audit", *both, *who(eleanor))
    assert result.status == 0
    assert result.out.splitlines()[-1].endswith("events in 2 relationships.")
    two = run("audit", *both, "--pseudonym", "00" * 16)
    assert_fails(two, 2, error="expected one node with --pseudonym", hint="name the person")


@pytest.mark.promise("R4", "U2")
def test_a_folder_alone_shows_nobodys_history(
    north: North, doctor: Path, everybody: list[SyntheticPerson], tmp_path: Path, run: Run
) -> None:
    """Whoever can read the node's folder is an operator, and neither the patient nor a privacy officer."""
    person = loaded(north, everybody[16], tmp_path, run)
    alone = run("audit", north.hospital, *who(person))
    assert_fails(
        alone, 2, error="expected who looks, the patient or a privacy officer", hint="add --wallet, or --staff"
    )
    elsewhere = run("audit", north.hospital, "--staff", doctor, *who(person))
    assert_fails(elsewhere, 2, error=f"staff file of an officer of {HOSPITAL.ods}", hint="--role-class officer")
    nurse = tmp_path / "nurse.staff"
    run("staff", "certify", north.hospital, "--name", "Nurse", "--role", "Nurse", "--out", nurse)
    own = run("audit", north.hospital, "--staff", nurse, *who(person))
    assert_fails(own, 1, error="does not cover the role class officer", hint="")
    assert run("staff", "notices", north.hospital, "--json").facts == {"notices": []}


def test_what_was_noted_for_the_officer(north: North, run: Run) -> None:
    certificate, pseudonym = CertificateId(b"\xab" * 32), Pseudonym(b"\xcd" * 16)
    noted = Notice(NoticeKind.EMERGENCY_REFUSED, 1_750_000_000, certificate, pseudonym)
    with open_node(north.practice) as node:
        note(node, noted, name=b"one permit")
        note(node, noted, name=b"one permit")
    lines = run("staff", "notices", north.practice).out.splitlines()
    assert len(lines) == 2
    assert "an emergency too many" in lines[1]
    assert "abababab" in lines[1]
    (fact,) = run("staff", "notices", north.practice, "--json").facts["notices"]
    assert fact == {
        "kind": "emergency_refused",
        "at_s": 1_750_000_000,
        "certificate": certificate.hex(),
        "pseudonym": pseudonym.hex(),
    }


@pytest.mark.promise("U2")
def test_a_patient_looks_with_a_wallet_and_leaves_no_mark(
    north: North, everybody: list[SyntheticPerson], tmp_path: Path, run: Run
) -> None:
    person, wallet, key = everybody[17], tmp_path / "mine.wallet", tmp_path / "mine.key"
    keyed = ("--wallet", wallet, "--key-file", key)
    assert run("patient", "new", wallet, "--key-file", key).status == 0
    assert run("patient", "enrol", wallet, north.hospital, *who(person), "--key-file", key).status == 0
    for _ in range(2):
        audited = run("audit", north.hospital, *keyed, "--json")
        assert audited.status == 0
        assert audited.facts["events"] == 1
    stranger, other = tmp_path / "other.wallet", tmp_path / "other.key"
    assert run("patient", "new", stranger, "--key-file", other).status == 0
    assert run("audit", north.hospital, "--wallet", stranger, "--key-file", other, *who(person)).status == 1


@pytest.mark.promise("R5", "L5")
def test_a_changed_receipt_proves_nothing(
    north: North, doctor: Path, everybody: list[SyntheticPerson], tmp_path: Path, run: Run
) -> None:
    person = loaded(north, everybody[15], tmp_path, run)
    run("consent", "file", north.hospital, *who(person), "--share-with", PRACTICE.ods)
    granted = asked(north, doctor, person, run)
    run("release", north.practice, granted.facts["permit"])
    officer = officer_of(north.hospital, tmp_path, run)
    run("audit", north.hospital, "--staff", officer, *who(person), "--out", tmp_path / "mine")
    (receipt,) = (tmp_path / "mine").glob("*.salus-receipt")
    trust = north.folder / "trust.json"
    changed = bytearray(receipt.read_bytes())
    changed[len(changed) // 2] ^= 1
    receipt.write_bytes(changed)
    result = run("verify", receipt, "--trust", trust)
    assert result.status == 1
    assert result.out == ""
    assert "hint: " in result.err


def test_a_trust_file_that_is_none(north: North, tmp_path: Path, run: Run) -> None:
    wrong = tmp_path / "trust.json"
    wrong.write_text(json.dumps({"format": 99}), encoding="utf-8")
    result = run("verify", north.folder / "genesis", "--trust", wrong)
    assert_fails(result, 2, error="expected trust file format 1, came 99", hint="use the release that wrote it")
