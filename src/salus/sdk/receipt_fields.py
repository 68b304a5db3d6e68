"""Step 2 of the check of a receipt: its fields, opened for the patient."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from salus.crypto.merkle import ProofInvalid
from salus.ledger import receipts
from salus.ledger.bundles import OpenedReceipt
from salus.ledger.encoding import EncodingInvalid
from salus.ledger.fields import OpenedField
from salus.ledger.receipts import (
    ChoicesField,
    ConductField,
    Field,
    ReleasedField,
    ReleaseKeyField,
    RequestField,
    RulesField,
    ScopeField,
    WhoField,
    WithheldField,
)
from salus.ledger.state import Table
from salus.ledger.verifier.failure import Checklist, Steps

CHECK = Steps(Checklist.RECEIPT)
ASK_AGAIN = "ask for the receipt again"
_SINGLE = (RequestField, WhoField, ChoicesField, ScopeField, ConductField, ReleaseKeyField)
F = TypeVar("F", bound=msgspec.Struct)
V = TypeVar("V")
Named = ReleasedField | WithheldField


@dataclass(frozen=True)
class PatientView:
    """What a receipt says to the patient."""

    request: RequestField
    who: WhoField
    choices: ChoicesField
    scope: ScopeField
    conduct: ConductField
    released: tuple[ReleasedField, ...]
    withheld: tuple[WithheldField, ...]
    rules: RulesField

    def named(self) -> dict[bytes, Named]:
        """Return what is said of each record, by its entry, released first."""
        fields: tuple[Named, ...] = (*self.released, *self.withheld)
        return {each.entry: each for each in fields}


def open_fields(chain: str, opened: OpenedReceipt) -> PatientView:
    """Check that the fields are the receipt's, and are all of the patient's view. Raises VerificationFailed: step 2."""
    statement = opened.receipt.statement
    stated = (statement.format, statement.chain)
    CHECK.require(2, stated == (receipts.FORMAT, chain), f"expected a receipt of {chain}, came one of {stated[1]}")
    values = open_values(2, opened.fields, statement.root, what="the receipt")
    try:
        fields = [receipts.decode_field(value) for value in values]
    except EncodingInvalid as error:
        raise CHECK.fail(2, f"a field is of no known kind: {error}: use a newer release") from error
    view = _view(fields)
    CHECK.require(2, statement.part <= view.request.part_count, "the part is beyond the number of parts")
    return view


def open_values(step: int, fields: Sequence[OpenedField], root: bytes, *, what: str) -> list[bytes]:
    """Return the values of opened fields of one list, each once and in order. Raises VerificationFailed."""
    places = [each.index for each in fields]
    CHECK.require(step, places == sorted(set(places)), f"expected each field of {what} once, in order: {ASK_AGAIN}")
    for each in fields:
        try:
            each.verify(root)
        except ProofInvalid as error:
            raise CHECK.fail(step, f"field {each.index} of {what} is not what was committed: {ASK_AGAIN}") from error
    return [each.value for each in fields]


def decode_row(table: Table[Any, V], row: bytes) -> V:
    """Return a proved row. Raises VerificationFailed: step 7, for a form that is not known here."""
    try:
        return table.decode(row)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CHECK.fail(7, f"a row of {table.name} is of no known form: use a newer release") from error


def _view(fields: Sequence[Field]) -> PatientView:
    released = tuple(each for each in fields if isinstance(each, ReleasedField))
    withheld = tuple(each for each in fields if isinstance(each, WithheldField))
    rules = [each for each in fields if isinstance(each, RulesField)]
    expected = len(_SINGLE) + len(rules[:1]) + len(released) + len(withheld)
    CHECK.require(2, len(fields) == expected, f"expected no field beside the patient's view: {ASK_AGAIN}")
    _one(ReleaseKeyField, fields)
    view = PatientView(
        request=_one(RequestField, fields),
        who=_one(WhoField, fields),
        choices=_one(ChoicesField, fields),
        scope=_one(ScopeField, fields),
        conduct=_one(ConductField, fields),
        released=released,
        withheld=withheld,
        rules=rules[0] if rules else RulesField((), ()),
    )
    scope = view.scope
    counted = (len(released), len(withheld), len(released) + len(withheld))
    stated = (scope.released, scope.withheld, scope.in_scope)
    CHECK.require(2, stated == counted, f"expected {scope.in_scope} records in scope, came {counted[2]}: {ASK_AGAIN}")
    CHECK.require(2, len(view.named()) == counted[2], "expected each record once")
    return view


def _one(kind: type[F], fields: Sequence[Field]) -> F:
    found = [each for each in fields if isinstance(each, kind)]
    CHECK.require(2, len(found) == 1, f"expected one {kind.__name__}, came {len(found)}: {ASK_AGAIN}")
    return found[0]
