"""One flipped byte: in the store, in transit, in the receipt, in the ledger; each is caught, and named."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
from sqlalchemy import select, update

from salus.engines.base import Snapshot
from salus.engines.fsck import check, fsck
from salus.engines.store import ENGINE_SPACES, LmdbStore
from salus.ledger.bundles import BundleUnknown, ReceiptBundle, decode_bundle
from salus.ledger.identifiers import OrganisationId
from salus.ledger.state import LEAVES, SPACES, Changes
from salus.ledger.verifier import VerificationFailed
from salus.node.errors import NotNow, Refused
from salus.node.exchange import Answer, Ask, PartOffer, Peers, StreamAsk
from salus.node.services.receive import receive
from salus.node.services.request import Granted
from salus.sdk.receipt_check import check_receipt
from salus.testing.story.sharing import PSYCHIATRY, ask, file_choice
from salus.testing.story.stage import Stage, Told, require
from salus.vault import schema
from salus.vault.errors import Damaged


def flipped(data: bytes, place: int) -> bytes:
    """Return the bytes with the lowest bit of one of them changed."""
    changed = bytearray(data)
    changed[place] ^= 1
    return bytes(changed)


def in_store(stage: Stage) -> Told:
    """A byte of a sealed record at the hospital."""
    record = next(each for each in stage.hospital.vault.records(stage.pseudonym) if each.size_bytes > 400)
    _flip_stored(stage, record.record_id)
    try:
        b"".join(stage.hospital.vault.open(record.record_id, record.version))
        words = ""
    except Damaged as error:
        words = str(error)
    _flip_stored(stage, record.record_id)
    require(bool(words), "the damaged record to be refused", "its content")
    opened = b"".join(stage.hospital.vault.open(record.record_id, record.version))
    require(len(opened) == record.size_bytes, "the record whole again", len(opened))
    return Told("One byte flipped in the store", (f"caught: {words}",), {"caught": words})


def in_transit(stage: Stage) -> Told:
    """A byte on the way between the two nodes, and one that the other node itself sends wrongly."""
    stage.choice = file_choice(stage, except_label=PSYCHIATRY)
    granted = ask(stage)
    assert isinstance(granted, Granted), "she shares again"
    caught = {}
    for where, peers in (*stage.peers_in_bad_weather, ("by the custodian", WrongBytes(stage.peers))):
        try:
            list(receive(stage.practice, peers, granted))
        except (Refused, NotNow) as error:
            caught[where] = str(error)
        require(where in caught, f"a byte flipped {where} to be caught", "records")
    clean = list(receive(stage.practice, stage.peers, granted))
    require(len(clean) == len(stage.received), "the same records over a good line", len(clean))
    lines = tuple(f"{where}: caught: {words}" for where, words in caught.items())
    return Told("One byte flipped in transit", (*lines, "Asked again over a good line: whole."), {"caught": caught})


def in_receipt(stage: Stage) -> Told:
    """Any byte of the exported receipt."""
    assert stage.receipt_file is not None
    data = stage.receipt_file.read_bytes()
    words = [_refused(stage, flipped(data, place)) for place in range(0, len(data), max(1, len(data) // 40))]
    accepted = words.count("")
    require(accepted == 0, "every changed receipt to be refused", f"{accepted} accepted")
    shown = sorted(set(words), key=words.index)[-3:]
    return Told(
        "One byte flipped in the receipt",
        (f"{len(words)} receipts, each with another byte flipped: all refused, for instance:", *shown),
        {"tried": len(words), "refused": len(words), "caught": shown[0]},
    )


def in_ledger(stage: Stage) -> Told:
    """A byte of a copy of the ledger."""
    copy = stage.folder / "ledger-with-one-byte-flipped"
    with stage.hospital.engine.snapshot() as snapshot:
        _copy_flipped(snapshot, copy)
        clean = check(snapshot, stage.founding)
    findings = [str(each) for each in fsck(copy, stage.founding)]
    require(bool(findings), "the changed ledger to be found out", "nothing")
    require(not clean, "the ledger itself to be clean", clean)
    return Told(
        "One byte flipped in the ledger",
        (f"in a copy, in one event: caught: {findings[0]}", "The ledger itself, executed again from genesis: clean."),
        {"caught": findings[0], "findings": len(findings)},
    )


class WrongBytes:
    """Peers that carry everything well but the first sealed byte of the first record."""

    def __init__(self, peers: Peers) -> None:
        self._peers = peers

    def ask(self, organisation: OrganisationId, ask: Ask) -> Answer:
        """Ask, and spoil the answer."""
        answer = self._peers.ask(organisation, ask)
        return _spoiled(answer) if isinstance(answer, PartOffer) else answer

    def stream(self, organisation: OrganisationId, ask: StreamAsk) -> Iterator[bytes]:
        """Stream, untouched."""
        return self._peers.stream(organisation, ask)


def _spoiled(offer: PartOffer) -> PartOffer:
    first, *others = offer.records
    wrong = msgspec.structs.replace(first, inline=flipped(first.inline, len(first.inline) // 2))
    return msgspec.structs.replace(offer, records=(wrong, *others))


def _flip_stored(stage: Stage, record: bytes) -> None:
    with stage.hospital.vault.database.writing() as connection:
        name = connection.scalar(select(schema.records.c.object_name).where(schema.records.c.record_id == record))
        sealed = connection.scalar(select(schema.objects.c.sealed).where(schema.objects.c.name == name))
        assert sealed is not None, "a small record is a row"
        connection.execute(
            update(schema.objects).where(schema.objects.c.name == name).values(sealed=flipped(sealed, len(sealed) // 2))
        )


def _refused(stage: Stage, data: bytes) -> str:
    try:
        bundle = decode_bundle(data)
        assert isinstance(bundle, ReceiptBundle)
        check_receipt(stage.trust, bundle, now_s=stage.hospital.clock())
    except (VerificationFailed, BundleUnknown) as error:
        return str(error)
    return ""


def _copy_flipped(snapshot: Snapshot, copy: Path) -> None:
    rows: Changes = {space: dict(snapshot.items(space)) for space in (*SPACES, *ENGINE_SPACES)}
    newest = max(rows[LEAVES])
    leaf = rows[LEAVES][newest]
    assert leaf is not None, "the log has leaves"
    rows[LEAVES][newest] = flipped(leaf, len(leaf) // 2)
    store = LmdbStore(copy)
    store.write(rows)
    store.close()
