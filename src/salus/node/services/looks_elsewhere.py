"""Looks elsewhere: what came of a request at another custodian, out of the history that it gave the patient (L5, R5).

Promises: nothing is told of a receipt that the custodian has not signed, or whose fields are not under its root. The
whole of the proof is in the file, which the patient checks without this node's word.
"""

from collections import Counter

from salus.contracts import residuals
from salus.contracts.membership import KeyUse
from salus.contracts.record_metadata import record_of
from salus.contracts.residuals import ResidualInvalid
from salus.crypto.merkle import ProofInvalid
from salus.crypto.signing import SignatureInvalid
from salus.ledger import receipts
from salus.ledger.bundles import (
    BundleUnknown,
    HistoryBundle,
    OpenedReceipt,
    ReceiptBundle,
    decode_bundle,
    encode_bundle,
    receipts_of,
)
from salus.ledger.encoding import EncodingInvalid
from salus.ledger.entries import entry_hash
from salus.ledger.fields import CommittedFields
from salus.ledger.identifiers import OrganisationId
from salus.ledger.receipts import ReleasedField, WithheldField
from salus.node.assemble import Node
from salus.node.errors import Refusal, Refused
from salus.node.services.looks import Look, Opened, Person, person_of
from salus.node.services.own_history import ReceiptName


def opened(node: Node, look: Look, history: bytes) -> Opened:
    """Return a look at another custodian with what was given.

    Args:
        history: the file that the custodian gave the patient.

    Raises:
        Refused: RECEIPT_UNFIT for a file that is none, or a receipt that is not the custodian's.
    """
    found = _receipts(look, history)
    try:
        for each in found:
            _require_signed(node, OrganisationId(look.custodian), each.opened)
        fields = [receipts.decode_field(field.value) for each in found for field in each.opened.fields]
        classes = {
            bytes(entry_hash(record.placed.entry)): record_of(
                record.placed.entry.record, tuple(each.value for each in record.metadata)
            ).classes
            for each in found
            for record in each.opened.records
        }
        person = _person(found[0].opened) if found and not look.is_patient else Person()
    except (EncodingInvalid, ProofInvalid, ResidualInvalid, SignatureInvalid, IndexError) as error:
        raise Refused(Refusal.RECEIPT_UNFIT, f"the receipt of {look.custodian} does not hold: {error}") from error
    released = {each.entry for each in fields if isinstance(each, ReleasedField)}
    given = Counter(classes[each][0] for each in released if classes.get(each))
    withheld = len({each.entry for each in fields if isinstance(each, WithheldField)})
    names = tuple(ReceiptName(look.permit.hex(), each.opened.receipt.statement.part) for each in found)
    return Opened(look, person, tuple(sorted(given.items())), withheld, names)


def receipt_file(look: Look, history: bytes, part: int) -> bytes | None:
    """Return one receipt of a look as a file; None where there is none of that part. Raises as `opened`."""
    found = (each for each in _receipts(look, history) if each.opened.receipt.statement.part == part)
    return next((encode_bundle(each) for each in found), None)


def _receipts(look: Look, history: bytes) -> list[ReceiptBundle]:
    try:
        bundle = decode_bundle(history)
    except (BundleUnknown, EncodingInvalid) as error:
        raise Refused(Refusal.RECEIPT_UNFIT, f"expected a history of {look.custodian}: {error}") from error
    every = receipts_of(bundle) if isinstance(bundle, HistoryBundle) else []
    return [each for each in every if each.opened.receipt.statement.permit == look.permit]


def _require_signed(node: Node, custodian: OrganisationId, opened: OpenedReceipt) -> None:
    with node.engine.snapshot() as reader:
        receipts.verify_custodian(opened.receipt, node.key_of(reader, custodian, KeyUse.RECEIPT))
    for field in opened.fields:
        field.verify(opened.receipt.statement.root)


def _person(opened: OpenedReceipt) -> Person:
    """Who asked, by the request that the receipt opens; in continuity only the certificate is there."""
    if len(opened.request) == 1:
        return Person()
    values = tuple(each.value for each in opened.request)
    return person_of(residuals.request_residual(CommittedFields(secret=b"", values=values)))
