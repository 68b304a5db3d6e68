"""What is written through an interface: by type and id, all or none, each patient's own for ever."""

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import select

from salus.clinical.fhir import Fault, FhirRejected
from salus.clinical.fhir.resources import parse
from salus.clinical.local_number import LocalNumber
from salus.ledger.identifiers import Pseudonym
from salus.node import schema
from salus.node.assemble import Node
from salus.node.errors import Refusal, Refused
from salus.node.fsck import check_node
from salus.node.projections import resources
from salus.node.projections.resources import DIRECTORY
from salus.node.services import enrol, erase
from salus.node.services.deposit import redrive
from salus.node.services.reindex import reindex
from salus.node.services.store import Deletion, Stored, Write, store
from salus.testing.world import HOSPITAL, World, world

ANN = b'{"resourceType":"Patient","id":"ann","birthDate":"1980-02-29","identifier":[{"system":"urn:h","value":"1"}]}'
BEN = b'{"resourceType":"Patient","id":"ben","birthDate":"1990-01-01","identifier":[{"system":"urn:h","value":"2"}]}'
CAT = b'{"resourceType":"Patient","id":"cat","birthDate":"2001-01-01","identifier":[{"system":"urn:h","value":"3"}]}'
WARD = b'{"resourceType":"Location","id":"ward","name":"Ward 4"}'


def observation(of: str, name: str = "o", status: str = "final") -> bytes:
    text = (
        f'{{"resourceType":"Observation","id":"{name}","status":"{status}","subject":{{"reference":"Patient/{of}"}}}}'
    )
    return text.encode()


def write(*bodies: bytes, after: int | None = None) -> list[Write]:
    return [Write(parse(body), after) for body in bodies]


@pytest.fixture
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("world"), organisations=(HOSPITAL,), has_index=True) as made:
        yield made


@pytest.fixture
def node(hospital: World) -> Node:
    store(hospital.hospital, write(ANN, BEN))
    return hospital.hospital


def versions(stored: list[Stored]) -> list[tuple[int, bool]]:
    return [(each.found.version, each.is_new) for each in stored]


def test_a_patient_and_what_is_theirs_are_stored_together_under_one_pseudonym(hospital: World) -> None:
    node = hospital.hospital
    patient, result, ward = store(node, write(ANN, observation("ann"), WARD))
    assert patient.found.pseudonym == result.found.pseudonym != DIRECTORY == ward.found.pseudonym
    assert b"".join(node.vault.open(*result.found.key)) == observation("ann")
    assert list(check_node(node, hospital.folder / "rvj")) == []


def test_the_same_again_is_the_same_version_and_another_is_the_next(node: Node) -> None:
    assert versions(store(node, write(observation("ann")))) == [(1, True)]
    assert versions(store(node, write(observation("ann")))) == [(1, False)]
    assert versions(store(node, write(observation("ann", status="amended")))) == [(2, True)]
    found = resources.find(node, "Observation", "o")
    assert found is not None
    assert (found.version, found.is_deleted) == (2, False)


def test_a_deletion_is_a_version_and_a_write_brings_it_back(node: Node) -> None:
    store(node, write(observation("ann")))
    (gone,) = store(node, [Deletion("Observation", "o")])
    assert (gone.found.version, gone.found.is_deleted, gone.is_new) == (2, True, True)
    assert versions(store(node, [Deletion("Observation", "o")])) == [(2, False)]
    assert versions(store(node, write(observation("ann")))) == [(3, True)]


REFUSED: dict[str, tuple[Callable[[], list[Write | Deletion]], Fault | Refusal]] = {
    "an observation of nobody": (
        lambda: [*write(b'{"resourceType":"Observation","id":"n"}')],
        Fault.NO_PATIENT,
    ),
    "a document of nobody": (
        lambda: [*write(b'{"resourceType":"Binary","id":"n","contentType":"text/plain","data":"eA=="}')],
        Fault.NO_PATIENT,
    ),
    "one of somebody who is not here": (lambda: [*write(observation("zoe"))], Fault.WRONG_PATIENT),
    "a version about somebody else": (lambda: [*write(observation("ben", "known"))], Fault.WRONG_PATIENT),
    "an update of an older version": (
        lambda: [*write(observation("ann", "known", "amended"), after=7)],
        Refusal.VERSION_UNFIT,
    ),
    "a creation of what is there": (lambda: [*write(observation("ann", "known"), after=0)], Refusal.VERSION_UNFIT),
    "a deletion of what never was": (lambda: [Deletion("Observation", "never")], Refusal.RECORD_UNFIT),
    "another person with this number": (lambda: [*write(ANN.replace(b"1980", b"1981"))], Fault.WRONG_PATIENT),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_leaves_nothing_behind_nor_does_what_came_with_it(node: Node, name: str) -> None:
    store(node, write(observation("ann", "known")))
    make, fault = REFUSED[name]
    beside = write(observation("ben", "beside"), CAT)
    with pytest.raises((FhirRejected, Refused)) as caught:
        store(node, [*beside, *make()])
    said = caught.value.fault if isinstance(caught.value, FhirRejected) else caught.value.refusal  # type: ignore[union-attr]
    assert said is fault
    assert resources.find(node, "Observation", "beside") is None
    assert enrol.find(node, LocalNumber("urn:h", "3")) is None


def test_a_provenance_is_its_targets(node: Node) -> None:
    body = (
        b'{"resourceType":"Provenance","id":"p","target":[{"reference":"Observation/o"},{"reference":"Location/ward"}]}'
    )
    _, result, provenance = store(node, write(WARD, observation("ann"), body))
    assert provenance.found.pseudonym == result.found.pseudonym


@pytest.mark.promise("P5")
def test_an_erasure_takes_the_index_with_it(node: Node, hospital: World) -> None:
    (stored,) = store(node, write(observation("ann")))
    pseudonym: Pseudonym = stored.found.pseudonym
    erase.erase(node, pseudonym)
    assert resources.find(node, "Observation", "o") is None
    assert resources.find(node, "Patient", "ann") is None
    assert resources.find(node, "Patient", "ben") is not None


def test_an_index_is_made_again_from_the_vault(node: Node) -> None:
    stored = store(node, write(observation("ann"), WARD))
    store(node, write(observation("ann", status="amended")))
    with node.vault.database.writing() as connection:
        rows = [each.found.row for each in stored]
        resources.forget(connection, [*rows, *connection.scalars(select(schema.resources.c.row)).all()])
    assert resources.find(node, "Observation", "o") is None
    assert sum(reindex(node)) == 4
    found = [resources.find(node, kind, name) for kind, name in (("Observation", "o"), ("Location", "ward"))]
    assert [(each.version, each.is_deleted) for each in found if each is not None] == [(2, False), (1, False)]
    assert sum(reindex(node)) == 4
    assert resources.find(node, "Patient", "ann") is not None


def test_what_a_crash_left_staged_is_indexed_when_it_is_registered(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("salus.node.services.deposit.register", crash)
        with pytest.raises(KeyboardInterrupt):
            store(node, write(observation("ann")))
    assert resources.find(node, "Observation", "o") is None
    assert redrive(node) == 1
    found = resources.find(node, "Observation", "o")
    assert found is not None
    assert found.version == 1
