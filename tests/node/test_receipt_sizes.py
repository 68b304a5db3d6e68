"""What a requester sees of a receipt does not depend on how many records were withheld (R2, P7)."""

import json
from pathlib import Path

import pytest

from salus.clinical.fhir.resources import parse
from salus.contracts.provisions import Provision, ProvisionType
from salus.ledger.encoding import encode
from salus.ledger.receipts import FIELDS_SIZES, HEAD_FIELDS_MAX, ROOM_MAX, PaddingField, commit_receipt
from salus.node.exchange import PartOffer
from salus.node.services.choices import file_by_custodian
from salus.node.services.deposit import deposit
from salus.node.services.release import part_document
from salus.testing.world import PRACTICE, world
from tests.node.one_day import stage

pytestmark = pytest.mark.promise("R2", "P7")

NO_LETTERS = Provision(type=ProvisionType.DENY, organisations=(PRACTICE,), classes=("DocumentReference",))


def resource(kind: str, number: int) -> bytes:
    return json.dumps({"resourceType": kind, "id": f"{number:04}", "status": "final"}).encode()


def offer_of(folder: Path, *, released: int, withheld: int) -> tuple[PartOffer, int]:
    """What the practice is offered of a patient whose records came in one batch; and the size of the receipt's tree."""
    folder.mkdir()
    with world(folder) as made:
        day = stage(made)
        bodies = [resource("Observation", number) for number in range(released)]
        bodies += [resource("DocumentReference", number) for number in range(withheld)]
        deposit(day.hospital, day.ann, [parse(body) for body in bodies])
        file_by_custodian(day.hospital, day.ann, NO_LETTERS)
        granted = day.granted()
        offer = day.offer(granted)
        kept = part_document(day.hospital, granted.permit, 1)
        assert kept is not None
        return offer, len(kept.fields.values)


@pytest.mark.parametrize(
    ("released", "few", "many", "size"),
    [(3, 2, 13, 23), (4, 13, 60, 71), (1, 16, 63, 71)],
    ids=["within a batch of 16", "within a batch of 64", "one of up to 64"],
)
def test_two_releases_that_differ_in_what_is_withheld_look_alike(
    tmp_path: Path, released: int, few: int, many: int, size: int
) -> None:
    seen = []
    for name, withheld in (("few", few), ("many", many)):
        offer, count = offer_of(tmp_path / name, released=released, withheld=withheld)
        assert len(offer.records) == released, "letters are withheld, the rest is not"
        assert count == size
        seen.append(
            (
                len(encode(offer)),
                [(each.index, each.size, len(each.path), len(encode(each))) for each in offer.fields],
                [len(encode(each)) for each in offer.records],
                offer.part_count,
            )
        )
    assert seen[0] == seen[1]


@pytest.mark.parametrize(
    ("fields", "room", "size"),
    [
        (7, 1, 16),
        (16, 9, 16),
        (7, 10, 17),
        (17, 10, 17),
        (7, 1024, 1031),
        (1031, 1024, 1031),
        (7, 4096, 1031),
        (1031, 4096, 1031),
        (1032, 4096, 4096),
        (17, 0, 64),
    ],
)
def test_the_size_of_a_tree(fields: int, room: int, size: int) -> None:
    """The room decides; the number of fields does only above 1,024 records, or where a writer gave too little room."""
    committed = commit_receipt([PaddingField()] * fields, room=room, secret=bytes(32))
    assert len(committed.values) == size
    assert FIELDS_SIZES[0] <= size
    assert size >= fields
    assert HEAD_FIELDS_MAX + ROOM_MAX == 1031
