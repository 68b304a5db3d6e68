"""Recovery shares: what this member keeps for patients, and gives out to a proved recovery alone (DESIGN §5.2, U3).

A share is half of the members' part of what a patient's reading secret is encrypted under; guardians have the other
part. Promises: nothing is kept that the pseudonym's own key did not sign, and an older one never takes a newer's place;
nothing is given but to the key that the ledger's newest FinishRecovery of this pseudonym made its own, for one ask,
sealed to that ask's key. What proves a recovery is this member's own ledger, at the height that who asks names.
"""

from typing import Final

from sqlalchemy import select, update
from sqlalchemy.dialects import postgresql, sqlite

from salus.contracts import patients, records
from salus.contracts.gathering import read_trail
from salus.contracts.patients import Holder, RecoveryFinished, Relationship
from salus.crypto.hpke import seal_to
from salus.crypto.signing import KeyInvalid, SignatureInvalid
from salus.ledger.encoding import encode
from salus.ledger.identifiers import Pseudonym, PublicKey
from salus.ledger.recovery_shares import AskedShare, KeptShare, given_info, verify_asked, verify_kept
from salus.ledger.state import Reader
from salus.node import schema
from salus.node.assemble import Node
from salus.node.errors import Refusal, Refused
from salus.node.exchange import Done, GiveShareAsk, KeepShareAsk, ShareAnswer
from salus.node.sealed_rows import SealedRows, row_decoder
from salus.node.services.judge import wait_for_height

LATE_S: Final = 300
"""How far the time in an ask may be from this node's clock."""
_TABLE: Final = "recovery-share"
_NOT_YET: Final = "expected the key that a finished recovery of this relationship put in the lost one's place"


def keep(node: Node, ask: KeepShareAsk) -> Done:
    """Keep a share.

    1. It is for this member, of now, and of an open relationship whose key the patient holds.
    2. The pseudonym's key signed it.
    3. It is newer than what is kept; the same again is the same.

    Raises:
        Refused: MESSAGE_UNFIT, PATIENT_UNKNOWN, SIGNATURE_UNFIT, REPLAYED.
    """
    kept = ask.kept
    _require_fit(node, kept)  # 1
    with node.engine.snapshot() as reader:
        row = _relationship(reader, kept.pseudonym)
    if row.holder is not Holder.PATIENT:
        raise Refused(Refusal.PATIENT_UNKNOWN, "expected a relationship whose key the patient holds")
    try:
        verify_kept(kept, row.key, ask.signature)  # 2
    except SignatureInvalid as error:
        raise Refused(Refusal.SIGNATURE_UNFIT, "expected the signature of the pseudonym's key") from error
    _put(node, kept)  # 3
    return Done(0)


def give(node: Node, ask: GiveShareAsk) -> ShareAnswer:
    """Give out a share.

    1. It is asked of this member, now; wait until its own state has the height.
    2. The newest recovery of this pseudonym that was finished put a key in place, which still is the pseudonym's.
    3. That key signed the ask.
    4. Seal what is kept to the ask's key, bound to this ask.

    Raises:
        Refused: MESSAGE_UNFIT, PATIENT_UNKNOWN, SHARE_UNFIT, SIGNATURE_UNFIT.
        NotNow: this node does not have the height yet.
    """
    asked = ask.asked
    _require_fit(node, asked)  # 1
    wait_for_height(node, asked.height)
    with node.engine.snapshot() as reader:
        key = _recovered_key(reader, asked.pseudonym)  # 2
    try:
        verify_asked(asked, key, ask.signature)  # 3
        return ShareAnswer(seal_to(asked.reader, encode(_kept(node, asked.pseudonym)), info=given_info(asked)))  # 4
    except SignatureInvalid as error:
        raise Refused(Refusal.SIGNATURE_UNFIT, _NOT_YET) from error
    except KeyInvalid as error:
        raise Refused(Refusal.MESSAGE_UNFIT, "expected a key to which the answer can be sealed") from error


def _require_fit(node: Node, said: KeptShare | AskedShare) -> None:
    if (said.chain, said.member) != (node.chain, node.organisation):
        raise Refused(Refusal.MESSAGE_UNFIT, f"expected a message for {node.organisation} on {node.chain}")
    if abs(said.at_s - node.clock()) > LATE_S:
        raise Refused(Refusal.MESSAGE_UNFIT, f"made at {said.at_s}, now {node.clock()}: sign it anew")


def _relationship(reader: Reader, pseudonym: Pseudonym) -> Relationship:
    row = patients.relationship_of(reader, pseudonym)
    if row is None or row.closed_at_s or records.is_erased(reader, pseudonym):
        raise Refused(Refusal.PATIENT_UNKNOWN, "expected a relationship that is open")
    return row


def _recovered_key(reader: Reader, pseudonym: Pseudonym) -> PublicKey:
    row = _relationship(reader, pseudonym)
    finished = [each.outcome for each in read_trail(reader, pseudonym) if isinstance(each.outcome, RecoveryFinished)]
    if not finished or finished[-1].key != row.key:
        raise Refused(Refusal.SHARE_UNFIT, _NOT_YET)
    return row.key


def _put(node: Node, kept: KeptShare) -> None:
    """Keep it unless a newer one is; of two that come at one moment, the newer stays, whichever was first."""
    rows, table = _rows(node), schema.recovery_shares
    lookup = rows.lookup(_TABLE, kept.pseudonym)
    row = {"pseudonym": kept.pseudonym, "at_s": kept.at_s, "sealed": rows.seal(_TABLE, lookup, kept)}
    is_older = (table.c.lookup == lookup) & (table.c.at_s < kept.at_s)
    with node.vault.database.writing() as connection:
        dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
        first = dialect.insert(table).values(lookup=lookup, **row).on_conflict_do_nothing().returning(table.c.lookup)
        if connection.scalar(first) is not None:
            return
        if connection.execute(update(table).where(is_older).values(row)).rowcount:
            return
    if kept != _kept(node, kept.pseudonym):
        raise Refused(Refusal.REPLAYED, "a newer share is kept: sign one of now")


def _kept(node: Node, pseudonym: Pseudonym) -> KeptShare:
    rows, table = _rows(node), schema.recovery_shares
    lookup = rows.lookup(_TABLE, pseudonym)
    with node.vault.database.reading() as connection:
        sealed = connection.scalar(select(table.c.sealed).where(table.c.lookup == lookup))
    if sealed is None:
        raise Refused(Refusal.SHARE_UNFIT, "nothing is kept here for this relationship: ask the members that keep it")
    kept: KeptShare = rows.open(_TABLE, lookup, sealed, row_decoder(KeptShare).decode)
    return kept


def _rows(node: Node) -> SealedRows:
    return SealedRows(node.vault, node.chain).branch("recovery-shares")
