"""Who may have which field of a receipt opened: the table of docs/spec/receipts.md, field by field (R2, P7)."""

import pytest

from salus.ledger import receipts
from salus.ledger.receipts import (
    ChoicesField,
    ConductField,
    Delivery,
    Field,
    PaddingField,
    ReleasedField,
    ReleaseKeyField,
    RequestField,
    RulesField,
    ScopeField,
    Standing,
    StoreKind,
    View,
    WhoField,
    WithheldField,
)

pytestmark = pytest.mark.promise("R2", "P7")

FIELDS: list[Field] = [
    RequestField(bytes(16), 1),
    WhoField(receipts.Authentication.PERSON_SIGNED, bytes(32)),
    ChoicesField(1, (bytes(32),), 1, 1),
    ScopeField(0, 2, 1, 1),
    ConductField(Standing.LEDGER, Delivery.SEALED, StoreKind.SALUS, 0, 0),
    ReleaseKeyField(bytes(32)),
    ReleasedField(bytes(32), bytes(32), bytes(32), 1),
    WithheldField(bytes(32), 3, bytes(32), "1.1"),
    RulesField((bytes(32),), ()),
]
OPENED = {
    View.PATIENT: "Request Who Choices Scope Conduct ReleaseKey Released Withheld Rules",
    View.REQUESTER: "Request Who Conduct ReleaseKey Released",
    View.OFFICER: "Request Who Choices Scope Conduct ReleaseKey Released Withheld Rules",
}


def test_every_kind_of_field_is_here() -> None:
    tags = {type(each).__struct_config__.tag for each in [*FIELDS, PaddingField()]}
    assert tags == set(receipts.FieldKind)


@pytest.mark.parametrize("view", OPENED, ids=lambda view: view.name.lower())
def test_a_view_opens_what_the_table_says(view: View) -> None:
    committed = receipts.commit_receipt(FIELDS, room=2, secret=bytes(32))
    opened = receipts.open_view(committed, view)
    names = [type(receipts.decode_field(each.value)).__name__.removesuffix("Field") for each in opened]
    assert " ".join(names) == OPENED[view]
