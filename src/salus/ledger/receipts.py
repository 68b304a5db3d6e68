"""Release receipts: a tree of salted fields, signed by both ends, with a view for each who may look (R5, DESIGN §6).

A receipt covers one part of one release: what crossed, what was withheld and by which rule, on which permit. The ledger
anchors a root over a permit's receipts; a receipt itself, and every field of it, stays with those it concerns.
"""

from enum import IntEnum, IntFlag
from typing import Annotated

import msgspec
from msgspec import Meta

from salus.crypto.hashing import leaf_hash
from salus.crypto.signing import SigningKey, verify_tagged
from salus.ledger.encoding import decoder, encode
from salus.ledger.fields import CommittedFields, OpenedField
from salus.ledger.identifiers import Digest, DigestField, PermitIdField, SignatureField

FORMAT = 1
CUSTODIAN_TAG = "salus/receipt/custodian/1"
REQUESTER_TAG = "salus/receipt/requester/1"
FIELDS_SIZES = (16, 64, 256, 1024, 4096, 16_384, 65_536)
"""Sizes to which a receipt's tree is padded that has more fields than there is room for."""
HEAD_FIELDS_MAX = 7
"""Fields of a receipt beside those of its records."""
ROOM_MAX = 1024
"""For how many records there is room in a receipt's tree at most; a tree of more costs more than a release may."""


class FieldKind(IntEnum):
    """What a field of a receipt says."""

    REQUEST = 1
    WHO = 2
    CHOICES = 3
    SCOPE = 4
    CONDUCT = 5
    RELEASE_KEY = 6
    RELEASED = 7
    WITHHELD = 8
    PADDING = 9
    RULES = 10


class View(IntFlag):
    """Who may have a field opened."""

    PATIENT = 1
    REQUESTER = 2
    OFFICER = 4


VIEWS = {
    FieldKind.REQUEST: View.PATIENT | View.REQUESTER | View.OFFICER,
    FieldKind.WHO: View.PATIENT | View.REQUESTER | View.OFFICER,
    FieldKind.CHOICES: View.PATIENT | View.OFFICER,
    FieldKind.SCOPE: View.PATIENT | View.OFFICER,
    FieldKind.CONDUCT: View.PATIENT | View.REQUESTER | View.OFFICER,
    FieldKind.RELEASE_KEY: View.PATIENT | View.REQUESTER | View.OFFICER,
    FieldKind.RELEASED: View.PATIENT | View.REQUESTER | View.OFFICER,
    FieldKind.WITHHELD: View.PATIENT | View.OFFICER,
    FieldKind.PADDING: View(0),
    FieldKind.RULES: View.PATIENT | View.OFFICER,
}


class Authentication(IntEnum):
    """How it is known who asked (DESIGN §5.1)."""

    PERSON_SIGNED = 1
    ORGANISATION_ASSERTED = 2
    DELEGATE = 3
    ASSISTED = 4


class Standing(IntEnum):
    """On what a release rested when it happened."""

    LEDGER = 1
    CONTINUITY = 2


class Delivery(IntEnum):
    """How the bytes left."""

    SEALED = 1
    TLS = 2


class StoreKind(IntEnum):
    """Where the bytes were kept."""

    SALUS = 1
    OUTSIDE = 2


class RequestField(msgspec.Struct, frozen=True, array_like=True, tag=int(FieldKind.REQUEST)):
    """Which request this answers: its id, 16 bytes, chosen by the requester, and the hash of its residual's scope."""

    request: bytes
    part_count: int


class WhoField(msgspec.Struct, frozen=True, array_like=True, tag=int(FieldKind.WHO)):
    """Who asked, as authenticated: certificate id of the person, or the pseudonym's key for the patient."""

    authentication: Authentication
    certificate: bytes


class ChoicesField(msgspec.Struct, frozen=True, array_like=True, tag=int(FieldKind.CHOICES)):
    """The rules that were applied: commitments of the choices in force, and versions of the policies."""

    choices_version: int
    choices: tuple[bytes, ...]
    network_policy_version: int
    custodian_policy_version: int


class ScopeField(msgspec.Struct, frozen=True, array_like=True, tag=int(FieldKind.SCOPE)):
    """How much was in scope at a moment of the ledger: released + withheld = in scope (DESIGN §6). Time in seconds."""

    as_of_s: int
    in_scope: int
    released: int
    withheld: int


class ConductField(msgspec.Struct, frozen=True, array_like=True, tag=int(FieldKind.CONDUCT)):
    """How it was done; `at_s` is the custodian's clock, `day` the day on which the rules were applied."""

    standing: Standing
    delivery: Delivery
    store: StoreKind
    at_s: int
    day: int


class ReleaseKeyField(msgspec.Struct, frozen=True, array_like=True, tag=int(FieldKind.RELEASE_KEY)):
    """Commitment to the release key, by which the receiver knows the slot for the right one."""

    commitment: bytes


class ReleasedField(msgspec.Struct, frozen=True, array_like=True, tag=int(FieldKind.RELEASED)):
    """A record that crossed: its entry, its batch, its sealed root, its sealed size in bytes."""

    entry: bytes
    batch_root: bytes
    sealed_root: bytes
    size_bytes: int


class WithheldField(msgspec.Struct, frozen=True, array_like=True, tag=int(FieldKind.WITHHELD)):
    """A record that stayed, and the rule that kept it.

    Args:
        source: who made the rule: 1 network policy, 2 custodian's policy, 3 the patient's choice, 4 no rule permits.
        rule: commitment of the choice, or the policy's tree number as 1 byte; empty when no rule permits.
        path: the provision within the tree, as `1.2.1`.
    """

    entry: bytes
    source: int
    rule: bytes
    path: str


class PaddingField(msgspec.Struct, frozen=True, array_like=True, tag=int(FieldKind.PADDING)):
    """Nothing; it hides how many fields there are."""


class RulesField(msgspec.Struct, frozen=True, array_like=True, tag=int(FieldKind.RULES)):
    """Which rules were not held, and those of the permit's ticket; a receipt that has neither lacks it (ADR 0009).

    Args:
        missing: commitments of the choices and tickets whose rules the custodian did not hold.
        ticket: commitments of the permit's ticket and then of those that it was made from, the newest first.
    """

    missing: tuple[bytes, ...]
    ticket: tuple[bytes, ...]


Field = (
    RequestField
    | WhoField
    | ChoicesField
    | ScopeField
    | ConductField
    | ReleaseKeyField
    | ReleasedField
    | WithheldField
    | PaddingField
    | RulesField
)


class Statement(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What both ends sign: this part of this permit's releases has these fields.

    Args:
        part: 1 for the first part of the permit's releases.
        root: root of the receipt's fields.
    """

    format: int
    chain: Annotated[str, Meta(min_length=1, max_length=50)]
    permit: PermitIdField
    part: Annotated[int, Meta(ge=1, lt=1 << 32)]
    root: DigestField


class Receipt(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A statement with the signatures of its ends; `requester` is empty on a one-sided receipt."""

    statement: Statement
    custodian: SignatureField
    requester: Annotated[bytes, Meta(max_length=64)]


class Conclusion(IntEnum):
    """What an end says became of a part, when it anchors the receipt."""

    SLOT_SENT = 1
    POSSIBLY_RELEASED = 2
    OPENED = 3
    SLOT_MISSING = 4


class Anchored(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A leaf of the tree whose root CommitReleases anchors."""

    receipt: Receipt
    conclusion: Conclusion


_FIELD = decoder(Field)
_RECEIPT = decoder(Receipt)


def commit_receipt(fields: list[Field], *, room: int, secret: bytes) -> CommittedFields:
    """Return the receipt's committed fields, padded so that their number tells nothing of what was withheld.

    Args:
        room: for how many records, a number that whoever sees the size may know and that no rule changes.
    """
    least = max(FIELDS_SIZES[0], HEAD_FIELDS_MAX + min(room, ROOM_MAX))
    size = next(size for size in (least, *FIELDS_SIZES) if size >= len(fields))
    padded: list[Field] = [*fields, *(PaddingField() for _ in range(size - len(fields)))]
    return CommittedFields(secret=secret, values=tuple(encode(field) for field in padded))


def decode_field(value: bytes) -> Field:
    """Parse a field. Raises EncodingInvalid."""
    field: Field = _FIELD.decode(value)
    return field


def decode_receipt(data: bytes) -> Receipt:
    """Parse a receipt. Raises EncodingInvalid."""
    receipt: Receipt = _RECEIPT.decode(data)
    return receipt


def open_view(fields: CommittedFields, view: View) -> tuple[OpenedField, ...]:
    """Open every field that this view may have."""
    kinds = [FieldKind(type(decode_field(value)).__struct_config__.tag) for value in fields.values]  # type: ignore[arg-type]
    return fields.open_many([index for index, kind in enumerate(kinds) if VIEWS[kind] & view])


def sign_as_custodian(statement: Statement, key: SigningKey) -> bytes:
    """Return the custodian's signature: *these fields are what I release*."""
    return key.sign_tagged(CUSTODIAN_TAG, encode(statement))


def sign_as_requester(statement: Statement, key: SigningKey) -> bytes:
    """Return the requester's signature: *sealed bytes received*."""
    return key.sign_tagged(REQUESTER_TAG, encode(statement))


def verify_custodian(receipt: Receipt, key: bytes) -> None:
    """Check the custodian's signature. Raises SignatureInvalid."""
    verify_tagged(key, CUSTODIAN_TAG, encode(receipt.statement), receipt.custodian)


def verify_requester(receipt: Receipt, key: bytes) -> None:
    """Check the requester's signature. Raises SignatureInvalid."""
    verify_tagged(key, REQUESTER_TAG, encode(receipt.statement), receipt.requester)


def anchored_leaf(anchored: Anchored) -> Digest:
    """Return the leaf hash under which a receipt is in an anchor's tree."""
    return Digest(leaf_hash(encode(anchored)))
