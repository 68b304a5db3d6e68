"""Published faults at the release itself, each tried in full by a modified node and harmless here."""

import dataclasses
import secrets
from collections.abc import Callable, Iterator

import msgspec
import pytest

from salus.contracts import CONTRACTS
from salus.contracts.access import AccessPermitted, End, ReleasesCommitted
from salus.contracts.membership import KeyUse
from salus.crypto.hashing import EMPTY_ROOT, leaf_hash
from salus.crypto.hpke import seal_to
from salus.crypto.seal_format import Header
from salus.crypto.sealing import SealBroken, key_commitment, one_shot_key, open_sealed, wrap
from salus.crypto.signing import SigningKey
from salus.ledger.bundles import anchor_root
from salus.ledger.identifiers import OrganisationId
from salus.ledger.machine import HISTORY, NO_HISTORY, history_positions, next_history, outcome_decoder, read_leaf
from salus.ledger.outcomes import Outcome, decode_leaf
from salus.ledger.receipts import anchored_leaf, sign_as_requester
from salus.node.answer import answer, answer_stream
from salus.node.assemble import Node
from salus.node.errors import Refusal, Refused
from salus.node.exchange import Answer, Ask, PartAccept, PartAsk, PartOffer, RefusedAnswer, Slots, StreamAsk
from salus.node.local_peers import LocalPeers, raised
from salus.node.services import anchor, release
from salus.node.services.receive import keep_copy, receive
from salus.node.services.release import release_key_info, slot_associated
from salus.testing.world import HOSPITAL, PRACTICE
from tests.attacks.attackers import CHART, OUTSIDER, Scene, digest, part_ask
from tests.crypto.test_two_texts import two_way_ciphertext

OUTCOMES = outcome_decoder(CONTRACTS)


def trail(on: Scene) -> list[Outcome]:
    """Ann's history as everybody can read it, oldest first."""
    with on.world.engine.snapshot() as reader:
        leaves = [read_leaf(reader, at) for at in history_positions(reader, on.pseudonym)]
    return [OUTCOMES.decode(decode_leaf(leaf).data) for leaf in leaves if leaf is not None]


def anchors(on: Scene, permit: bytes) -> dict[End, bytes]:
    """The last root that each end anchored under a permit."""
    found = [each for each in trail(on) if isinstance(each, ReleasesCommitted) and each.permit == permit]
    return {each.end: each.root for each in found}


class Modified(LocalPeers):
    """The way to the other nodes, past a custodian that changes its answers."""

    def __init__(self, on: Scene, change: Callable[[Answer], Answer], *, custodian: Node | None = None) -> None:
        nodes = on.world.nodes | ({HOSPITAL: custodian} if custodian else {})
        super().__init__(PRACTICE, nodes)
        self._change = change

    def ask(self, organisation: OrganisationId, ask: Ask) -> Answer:
        return self._change(super().ask(organisation, ask))


class NoJournal:
    """A release journal that forgets: what a custodian runs that wants to leave no trace."""

    def line(self, _key: object) -> None:
        return None

    def kept(self, _key: object) -> bytes:
        return b""

    def intent(self, *_: object, **__: object) -> None:
        """Forget."""

    log = note = intent


@pytest.mark.promise("R5")
def test_a_release_without_receipt_by_a_dishonest_custodian(on: Scene) -> None:
    """A record keeper that hands out records off the record: the log is written by whoever has a reason not to.

    The common fault of access logs kept by the releasing server alone. The hospital's modified node keeps no journal
    and never anchors. The practice is honest: its anchor shows the receipt with the hospital's signature, and nothing
    of the hospital's stands beside it, which the patient sees.
    """
    granted = on.granted()
    silent = dataclasses.replace(on.hospital, custodian_journal=NoJournal())  # type: ignore[arg-type]
    peers = Modified(on, lambda came: came, custodian=silent)
    assert sorted(on.opened(granted, peers)) == sorted(CHART)
    anchor.anchor(on.practice)
    found = anchors(on, granted.permit)
    assert found[End.REQUESTER] != EMPTY_ROOT
    assert End.CUSTODIAN not in found
    (leaf,) = anchor.anchored(on.practice, granted.permit, End.REQUESTER)
    assert anchor_root([anchored_leaf(leaf)]) == found[End.REQUESTER]


@pytest.mark.promise("R1", "R5", "R6")
def test_a_custodian_that_will_not_sign_is_not_believed(on: Scene) -> None:
    """The same custodian tries to get its bytes accepted without a receipt that could be held against it."""
    thief = SigningKey.generate()

    def unsigned(came: Answer) -> Answer:
        return msgspec.structs.replace(came, signature=bytes(64)) if isinstance(came, PartOffer) else came

    def signed_by_another(came: Answer) -> Answer:
        if not isinstance(came, PartOffer):
            return came
        return msgspec.structs.replace(came, signature=thief.sign(came.statement.root))

    def of_another_permit(came: Answer) -> Answer:
        if not isinstance(came, PartOffer):
            return came
        return msgspec.structs.replace(came, statement=msgspec.structs.replace(came.statement, permit=bytes(16)))

    def fewer_fields(came: Answer) -> Answer:
        return msgspec.structs.replace(came, fields=came.fields[:-1]) if isinstance(came, PartOffer) else came

    def one_record_more(came: Answer) -> Answer:
        if not isinstance(came, PartOffer):
            return came
        return msgspec.structs.replace(came, records=(*came.records, came.records[0]))

    for change in (unsigned, signed_by_another, of_another_permit, fewer_fields, one_record_more):
        granted = on.granted()
        with pytest.raises(Refused) as refused:
            on.opened(granted, Modified(on, change))
        assert refused.value.refusal is Refusal.RECEIPT_UNFIT, change.__name__
        assert on.practice.requester_journal.permit_lines(granted.permit) == []


@pytest.mark.promise("R5", "R6")
def test_a_release_without_receipt_by_a_dishonest_requester(on: Scene) -> None:
    """A requester that takes the records and denies it: it never signs, signs something else, or never anchors.

    Until it signs it has sealed bytes that nobody can open. When it has signed, the custodian's anchor shows the
    receipt with the requester's signature, whatever the requester does.
    """
    granted = on.granted()
    offer = answer(on.hospital, PRACTICE, part_ask(granted))
    assert isinstance(offer, PartOffer)
    sealed = b"".join(each.inline for each in offer.records)
    assert not any(body[20:] in sealed for body in CHART)
    thief = SigningKey.generate()
    for signature in (bytes(64), sign_as_requester(offer.statement, thief), offer.signature):
        came = answer(on.hospital, PRACTICE, PartAccept(granted.permit, 1, signature))
        assert isinstance(came, RefusedAnswer)
        assert came.refusal is Refusal.RECEIPT_UNFIT
    anchor.anchor(on.hospital)
    assert anchor.anchored(on.hospital, granted.permit, End.CUSTODIAN) == []
    own = on.practice.signing(KeyUse.RECEIPT)
    taken = answer(on.hospital, PRACTICE, PartAccept(granted.permit, 1, sign_as_requester(offer.statement, own)))
    assert isinstance(taken, Slots)
    anchor.anchor(on.hospital)
    (leaf,) = anchor.anchored(on.hospital, granted.permit, End.CUSTODIAN)
    assert anchors(on, granted.permit)[End.CUSTODIAN] == anchor_root([anchored_leaf(leaf)])
    assert leaf.receipt.requester == sign_as_requester(offer.statement, own)


@pytest.mark.promise("R5")
def test_a_custodian_that_withholds_the_key_is_shown_by_the_requester(on: Scene) -> None:
    """It has the requester's signature and sends no slot, or a wrong one: the requester anchors *slot missing*."""

    def another_key(came: Answer) -> Answer:
        if not isinstance(came, Slots):
            return came
        info = release_key_info(on.hospital.chain, granted.permit, granted.reader_key.public)
        return msgspec.structs.replace(
            came, release_key=seal_to(granted.reader_key.public, secrets.token_bytes(32), info=info)
        )

    def garbage(came: Answer) -> Answer:
        return msgspec.structs.replace(came, release_key=bytes(80)) if isinstance(came, Slots) else came

    def too_few(came: Answer) -> Answer:
        return msgspec.structs.replace(came, slots=came.slots[:-1]) if isinstance(came, Slots) else came

    for change in (another_key, garbage, too_few):
        granted = on.granted()
        with pytest.raises(Refused):
            on.opened(granted, Modified(on, change))
        (leaf,) = anchor.anchored(on.practice, granted.permit, End.REQUESTER)
        assert leaf.conclusion.name == "SLOT_MISSING"


@pytest.mark.promise("R2", "L5")
def test_an_access_hidden_from_the_patients_history(on: Scene) -> None:
    """An access happened and the patient's list does not have it: left out, or never written.

    Published of logs that the operator filters, and of events that nothing commits to. Without an event there is no
    permit, and without a permit no release; and whoever leaves an event out of a history cannot make the rest add up.
    """
    granted = on.granted()
    assert sorted(on.opened(granted)) == sorted(CHART)
    permitted = [each for each in trail(on) if isinstance(each, AccessPermitted)]
    assert permitted[-1].requester == PRACTICE
    with on.world.engine.snapshot() as reader:
        proved = HISTORY.get(reader, on.pseudonym) or NO_HISTORY
        leaves = [read_leaf(reader, at) or b"" for at in history_positions(reader, on.pseudonym)]
    assert chained(leaves) == proved
    for hidden in range(len(leaves)):
        assert chained(leaves[:hidden] + leaves[hidden + 1 :]) != proved
    swapped = [*leaves[:-2], leaves[-1], leaves[-2]]
    assert chained(swapped) != proved
    unasked = PartAsk(digest()[:16], granted.height, 1, granted.residual, granted.reader_key.public)  # type: ignore[arg-type]
    came = answer(on.hospital, PRACTICE, unasked)
    assert isinstance(came, RefusedAnswer)
    assert came.refusal is Refusal.PERMIT_DEAD


def chained(leaves: list[bytes]) -> object:
    history = NO_HISTORY
    for leaf in leaves:
        history = next_history(history, leaf_hash(leaf))
    return history


@pytest.mark.promise("R6")
def test_one_ciphertext_that_opens_to_two_texts(on: Scene) -> None:
    """A sealed record that is one thing to the patient and another to the doctor, under two keys.

    AES-GCM alone allows it (Dodis, Grubbs, Ristenpart, Woodage, CRYPTO 2018, "invisible salamanders"). The custodian
    deposits such an object with a right index entry, and gives the practice a slot with the second key.
    """
    data_key, other_key, associated = secrets.token_bytes(32), secrets.token_bytes(32), b"chain record version"
    head = Header(suite=1, commitment=key_commitment(data_key), size_bytes=48).encode()
    body = two_way_ciphertext(one_shot_key(data_key), one_shot_key(other_key), bytes(12), head + associated)
    assert open_sealed(data_key, head + bytes(12) + body, associated)
    with pytest.raises(SealBroken):
        open_sealed(other_key, head + bytes(12) + body, associated)
    granted = on.granted()
    with pytest.raises(Refused) as refused:
        on.opened(granted, Modified(on, another_data_key(on, granted.permit)))
    assert refused.value.refusal is Refusal.BYTES_UNFIT
    (leaf,) = anchor.anchored(on.practice, granted.permit, End.REQUESTER)
    assert leaf.conclusion.name == "SLOT_MISSING"


def another_data_key(on: Scene, permit: bytes) -> Callable[[Answer], Answer]:
    """A custodian that wraps another data key into the first slot, under the right release key."""

    def change(came: Answer) -> Answer:
        if not isinstance(came, Slots):
            return came
        kept = release.part_document(on.hospital, permit, 1)  # type: ignore[arg-type]
        assert kept is not None
        forged = wrap(kept.release_key, secrets.token_bytes(32), slot_associated(kept.records[0]))
        return msgspec.structs.replace(came, slots=(forged, *came.slots[1:]))

    return change


@pytest.mark.promise("R6")
@pytest.mark.parametrize("place", [0, 1, -1])
def test_bytes_that_are_not_those_of_the_index(on: Scene, place: int) -> None:
    """Another record under the name of the right one, or one flipped bit: noticed before anything is signed for."""

    def flipped(came: Answer) -> Answer:
        if not isinstance(came, PartOffer):
            return came
        records = list(came.records)
        inline = bytearray(records[place].inline)
        inline[len(inline) // 2] ^= 1
        records[place] = msgspec.structs.replace(records[place], inline=bytes(inline))
        return msgspec.structs.replace(came, records=tuple(records))

    granted = on.granted()
    with pytest.raises(Refused) as refused:
        on.opened(granted, Modified(on, flipped))
    assert refused.value.refusal is Refusal.BYTES_UNFIT
    assert on.practice.requester_journal.permit_lines(granted.permit) == []


@pytest.mark.promise("R6")
def test_a_custodian_that_streams_without_end(on: Scene) -> None:
    """A body of no size: the receiver's memory is the limit (CWE-770). It stops at the size that was announced."""
    sent = 0

    class Endless(LocalPeers):
        def ask(self, organisation: OrganisationId, ask: Ask) -> Answer:
            came = raised(answer(on.hospital, PRACTICE, ask))
            if isinstance(came, PartOffer):
                records = tuple(msgspec.structs.replace(each, inline=b"") for each in came.records)
                return msgspec.structs.replace(came, records=records)
            return came

        def stream(self, organisation: OrganisationId, ask: StreamAsk) -> Iterator[bytes]:
            nonlocal sent
            while sent < 64 << 20:
                sent += 1 << 20
                yield bytes(1 << 20)

    with pytest.raises(Refused) as refused:
        list(receive(on.practice, Endless(PRACTICE, on.world.nodes), on.granted()))
    assert refused.value.refusal is Refusal.BYTES_UNFIT
    assert sent <= 2 << 20


@pytest.mark.promise("R1", "R4")
def test_what_one_member_received_is_not_released_to_the_next(on: Scene) -> None:
    """Records that leak in a chain of honest servers: what was shared once is shared on by whoever holds a copy."""
    granted = on.granted()
    for received in receive(on.practice, on.world.peers(PRACTICE), granted):
        keep_copy(on.practice, granted, received)
    for permit in (granted.permit,):
        ask = PartAsk(permit, granted.height, 1, granted.residual, granted.reader_key.public)
        for asker in (OUTSIDER, HOSPITAL, PRACTICE):
            came = answer(on.practice, asker, ask)
            assert isinstance(came, RefusedAnswer)
            assert came.refusal in (Refusal.NOT_THE_REQUESTER, Refusal.NOT_THE_CUSTODIAN)
            with pytest.raises(Refused):
                list(answer_stream(on.practice, asker, StreamAsk(permit, 1, 0)))
