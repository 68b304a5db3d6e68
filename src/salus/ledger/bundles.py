"""Bundles: files that hold a claim with everything that is needed to check it offline, and nothing else.

One format for all of them, told apart by the first number: a verifier needs to know nothing of where a file came from.
An opened receipt is what a patient needs to check one release alone; a history, that nothing is missing.
"""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Annotated

import msgspec
from msgspec import Meta

from salus.crypto import merkle
from salus.ledger.encoding import EncodingInvalid, decoder, encode
from salus.ledger.entries import PlacedEntry
from salus.ledger.fields import CommittedFields, OpenedField
from salus.ledger.identifiers import Digest, DigestField
from salus.ledger.proofs import ConsistencyProof, HistoryProof, OutcomeProof, SignedState, StateProof
from salus.ledger.receipts import Anchored, Conclusion, Receipt, anchored_leaf
from salus.ledger.transactions import SIZE_BYTES_MAX

FORMAT = 1
RECEIPT_SUFFIX = ".salus-receipt"
HISTORY_SUFFIX = ".salus-history"
PROOF_SUFFIX = ".salus-proof"
BUNDLE_BYTES_MAX = 256 << 20
GUESSES_MAX = 4096
"""How many sets of conclusions `find_anchored` tries before it gives up."""


class OpenedRecord(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A record that a receipt names: its entry with the path to its batch, and its metadata opened field by field.

    Args:
        metadata: what rules read, in the order of the fields; the title comes last and may be left out.
    """

    placed: PlacedEntry
    metadata: tuple[OpenedField, ...]


class Anchor(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """That one end anchored a receipt.

    Args:
        outcome: of the CommitReleases whose root is over `leaves`.
        conclusion: what this end said became of the part.
        leaves: the hash of each receipt under the root with its conclusion (`anchored_leaf`), in the parts' order.
    """

    outcome: OutcomeProof
    conclusion: Conclusion
    leaves: tuple[DigestField, ...]


class OpenedReceipt(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A receipt with all that shows what it says; every proof holds under the state of the bundle that it is in.

    Args:
        fields: the receipt's fields in one view, by their index.
        permitted: the outcome that gave the permit; absent in continuity, when the ledger was out of reach.
        transaction: the bytes that asked for it; empty where they are kept no longer.
        request: what the request kept off the ledger, each field opened; in continuity the person's certificate alone.
        anchors: of the ends that anchored it, the custodian's first; an end that is not here did not, or is not shown.
        choices: every change of the patient's choices up to the version that the permit names, oldest first; then what
            put the permit's ticket in force and those that it was made from, newest first, where the receipt names it.
        rules: of each choice that was in force and then of each ticket, in their order, its rules; those that the
            receipt says were missing are left out.
        rows: of the proved tables, in the order of docs/spec/receipts.md.
        batches: registrations of the batches that the records are in, in the order of first mention.
        records: released first, then withheld, each in the order of the fields; what was erased since can no longer be
            opened, and is left out.
    """

    receipt: Receipt
    fields: tuple[OpenedField, ...]
    permitted: Annotated[tuple[OutcomeProof, ...], Meta(max_length=1)]
    transaction: Annotated[bytes, Meta(max_length=SIZE_BYTES_MAX)]
    request: tuple[OpenedField, ...]
    anchors: Annotated[tuple[Anchor, ...], Meta(max_length=2)]
    choices: tuple[OutcomeProof, ...]
    rules: tuple[OpenedField, ...]
    rows: tuple[StateProof, ...]
    batches: tuple[OutcomeProof, ...]
    records: tuple[OpenedRecord, ...]


class OutcomeBundle(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=1):
    """One outcome."""

    format: int
    signed: SignedState
    outcome: OutcomeProof


class RowBundle(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=2):
    """One row of the proved tables, or its absence."""

    format: int
    signed: SignedState
    row: StateProof


class ConsistencyBundle(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=3):
    """That a newer log begins with all of an older one."""

    format: int
    consistency: ConsistencyProof


class ReceiptBundle(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=4):
    """One release, for the patient to check alone."""

    format: int
    signed: SignedState
    opened: OpenedReceipt


class HistoryBundle(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=5):
    """All events of one pseudonym, and what stands behind them as far as the node has it.

    Args:
        receipts: of the releases in it.
        matches: the notes whose roots were anchored when somebody asked whether there are records of this person,
            or when an officer of the custodian read this history.
    """

    format: int
    signed: SignedState
    history: HistoryProof
    receipts: tuple[OpenedReceipt, ...]
    matches: tuple[CommittedFields, ...]


Bundle = OutcomeBundle | RowBundle | ConsistencyBundle | ReceiptBundle | HistoryBundle


class _Stamp(msgspec.Struct, frozen=True, array_like=True):
    kind: int
    format: int  # what follows depends on both


_BUNDLE = decoder(Bundle)
_STAMP = msgspec.msgpack.Decoder(_Stamp)


class BundleUnknown(Exception):
    """Bytes that are no bundle of this format; the message says what was expected, what came, what to do."""


def encode_bundle(bundle: Bundle) -> bytes:
    """Return a bundle's file."""
    return encode(bundle)


def decode_bundle(data: bytes) -> Bundle:
    """Parse a bundle's file; nothing in it is checked yet.

    Raises:
        BundleUnknown: no bundle, not canonical, too long, or of a newer format.
    """
    if len(data) > BUNDLE_BYTES_MAX:
        raise BundleUnknown(f"expected at most {BUNDLE_BYTES_MAX} bytes, came {len(data)}: export fewer receipts")
    try:
        stated = _STAMP.decode(data).format
        if stated != FORMAT:
            raise BundleUnknown(f"expected bundle format {FORMAT}, came {stated}: use the release that wrote it")
        bundle: Bundle = _BUNDLE.decode(data)
    except (msgspec.DecodeError, EncodingInvalid) as error:
        raise BundleUnknown(
            f"expected a receipt, a history or a proof, whole and unchanged ({error}): fetch the file again"
        ) from error
    return bundle


def receipts_of(history: HistoryBundle) -> list[ReceiptBundle]:
    """Return each receipt of a history as a file of its own, under the same state."""
    return [ReceiptBundle(FORMAT, history.signed, opened) for opened in history.receipts]


def anchor_root(leaves: Sequence[Digest]) -> Digest:
    """Return the root that CommitReleases anchors: RFC 9162, over the receipts' leaves in the parts' order."""
    return Digest(merkle.root(leaves))


def show_anchor(outcome: OutcomeProof, anchored: Sequence[Anchored], place: int) -> Anchor:
    """Show one of the receipts that an end anchored under one root.

    Args:
        anchored: all that are under the root, in the parts' order.
        place: which of them, from 0.
    """
    leaves = tuple(anchored_leaf(each) for each in anchored)
    return Anchor(outcome, anchored[place].conclusion, leaves)


def find_anchored(root: Digest, receipts: Sequence[Receipt], conclusions: Sequence[Conclusion]) -> list[Anchored]:
    """Find out what the other end anchored: both ends hold the same receipts, only their conclusions differ.

    Args:
        root: what the other end anchored.
        receipts: of the permit, in the parts' order; the other end may have had only the first of them.
        conclusions: those that the other end can come to, the likeliest first.

    Returns:
        All receipts under the root with the other end's conclusions; none when no set of them gives this root, or
        more than `GUESSES_MAX` would have to be tried: then only the other end can show it.
    """
    said = [[_said(receipt, each) for each in conclusions] for receipt in receipts]
    for count in range(len(receipts), 0, -1):
        for guess in _guesses(said[:count], len(conclusions)):
            if anchor_root([leaf for leaf, _ in guess]) == root:
                return [anchored for _, anchored in guess]
    return []


_Said = tuple[Digest, Anchored]


def _said(receipt: Receipt, conclusion: Conclusion) -> _Said:
    anchored = Anchored(receipt, conclusion)
    return anchored_leaf(anchored), anchored


def _guesses(said: Sequence[Sequence[_Said]], conclusions: int) -> Iterator[Sequence[_Said]]:
    if conclusions ** len(said) > GUESSES_MAX:
        yield from zip(*said, strict=True)  # the same conclusion for every part
    else:
        yield from product(*said)
