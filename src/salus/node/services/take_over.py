"""Take over: a patient's own key replaces the one that the custodian held, for good (DESIGN §5.2, U3).

The custodian signs once more, with the key that it held, and then destroys it; there is no message that undoes it.
What is begun is noted first, so that a key is destroyed also when whoever began is gone.
"""

from collections.abc import Sequence

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite

from salus.contracts import consent, patients, residuals
from salus.contracts.patients import Holder, TakeOverKey
from salus.crypto.sealing import new_key
from salus.crypto.signing import SigningKey
from salus.ledger.encoding import encode
from salus.ledger.fields import CommittedFields
from salus.ledger.identifiers import Digest, Pseudonym, PublicKey
from salus.node import documents, schema
from salus.node.assemble import Node
from salus.node.documents import Kind
from salus.node.services import deliveries
from salus.node.services.choices import RESIDUAL
from salus.node.services.enrol import custodian_held_key
from salus.node.services.signer_answers import HalfSigned, co_sign


def take_over(node: Node, pseudonym: Pseudonym, key: SigningKey) -> list[tuple[bytes, CommittedFields, int]]:
    """Hand a relationship to its patient.

    1. Note that it is begun; keep the reason.
    2. Sign with the key held here, then with the patient's; from the commit on only the patient acts.
    3. Destroy the key held here.
    4. Hand out what belongs to the patient: the choices in force with their rules.

    Args:
        key: the pseudonym's key in the patient's wallet.

    Raises:
        Refused: the patient holds the key already, or what the ledger says.
        NotNow: the ledger is away. If it has the message after all, `finish_take_overs` destroys the key.

    Returns:
        (choice, its rules, when it was filed in seconds) of each choice in force.
    """
    held = custodian_held_key(node, pseudonym)
    _note(node, pseudonym)  # 1
    why = residuals.reason("taken over by the patient", new_key())
    documents.keep(node.vault, node.chain, pseudonym, Kind.REASON, why.root(), encode(why))
    message = TakeOverKey(
        pseudonym=pseudonym, key=PublicKey(key.public), recovery_key=Digest(b""), commitment=why.root()
    )
    node.submit_signed((message,), (held, key))  # 2
    finish_take_overs(node)  # 3
    return _choices(node, pseudonym)  # 4


def take_over_signed(node: Node, half: HalfSigned) -> None:
    """Hand a relationship to a patient whose device signed for it; what is done is what `take_over` does.

    Raises:
        Refused: the patient holds the key already, the reason is another relationship's, or what the ledger says.
        NotNow: as `take_over`.
    """
    pseudonym = half.message.pseudonym
    raw = co_sign(half, custodian_held_key(node, pseudonym))
    with deliveries.kept_before(node, pseudonym, Kind.REASON, half.message.commitment, half.residual):
        _note(node, pseudonym)
        node.submit_raw(raw)
    finish_take_overs(node)


def finish_take_overs(node: Node) -> int:
    """Destroy the keys of relationships that were handed over here; return how many there still were.

    A note whose message never reached the ledger stays: it may still be on its way, and costs a look at a row.
    """
    with node.vault.database.reading() as connection:
        noted = connection.scalars(select(schema.take_overs.c.pseudonym)).all()
    return destroy_outdated_keys(node, [Pseudonym(each) for each in noted])


def destroy_outdated_keys(node: Node, pseudonyms: Sequence[Pseudonym]) -> int:
    """Destroy those keys held here that the ledger no longer has for these relationships; return how many.

    A restore calls it for all: a backup may be older than a take-over.
    """
    outdated = [each for each in pseudonyms if _is_outdated(node, each)]
    for pseudonym in outdated:
        node.vault.erase_record(documents.document_id(Kind.PSEUDONYM_KEY, pseudonym))
        _forget(node, pseudonym)
    return len(outdated)


def _is_outdated(node: Node, pseudonym: Pseudonym) -> bool:
    """Whether the key held here is not the relationship's, or is gone and only the note is left."""
    with node.engine.snapshot() as reader:
        relationship = patients.relationship_of(reader, pseudonym)
    if relationship is None:  # its enrolment has not reached the ledger
        return False
    seed = documents.find(node.vault, Kind.PSEUDONYM_KEY, pseudonym)
    if seed is None:
        return relationship.holder is Holder.PATIENT
    return SigningKey.from_seed(seed).public != relationship.key


def _note(node: Node, pseudonym: Pseudonym) -> None:
    table = schema.take_overs
    with node.vault.database.writing() as connection:
        dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
        connection.execute(dialect.insert(table).values(pseudonym=pseudonym).on_conflict_do_nothing())


def _forget(node: Node, pseudonym: Pseudonym) -> None:
    with node.vault.database.writing() as connection:
        connection.execute(delete(schema.take_overs).where(schema.take_overs.c.pseudonym == pseudonym))


def _choices(node: Node, pseudonym: Pseudonym) -> list[tuple[bytes, CommittedFields, int]]:
    with node.engine.snapshot() as reader:
        current = consent.choices(reader, pseudonym).choices
    handed = []
    for choice in current:
        kept = documents.find(node.vault, Kind.CHOICE, choice.commitment)
        if kept is not None:
            handed.append((choice.choice, RESIDUAL.decode(kept), choice.filed_at_s))
    return handed
