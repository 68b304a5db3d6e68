"""Take over: a patient's own key replaces the one that the custodian held, for good (DESIGN §5.2, U3).

The custodian signs once more, with the key that it held, and then destroys it; there is no message that undoes it.
"""

from salus.contracts import consent, residuals
from salus.contracts.patients import TakeOverKey
from salus.crypto.sealing import new_key
from salus.crypto.signing import SigningKey
from salus.ledger.encoding import encode
from salus.ledger.fields import CommittedFields
from salus.ledger.identifiers import Digest, Pseudonym, PublicKey
from salus.node import documents
from salus.node.assemble import Node
from salus.node.documents import Kind
from salus.node.services.choices import RESIDUAL
from salus.node.services.enrol import custodian_held_key


def take_over(node: Node, pseudonym: Pseudonym, key: SigningKey) -> list[tuple[bytes, CommittedFields, int]]:
    """Hand a relationship to its patient.

    1. Sign with the key held here, then with the patient's; from the commit on only the patient acts.
    2. Destroy the key held here.
    3. Hand out what belongs to the patient: the choices in force with their rules.

    Args:
        key: the pseudonym's key in the patient's wallet.

    Raises:
        Refused: the patient holds the key already, or what the ledger says.

    Returns:
        (choice, its rules, when it was filed in seconds) of each choice in force.
    """
    held = custodian_held_key(node, pseudonym)
    why = residuals.reason("taken over by the patient", new_key())
    documents.keep(node.vault, node.chain, pseudonym, Kind.REASON, why.root(), encode(why))
    message = TakeOverKey(
        pseudonym=pseudonym, key=PublicKey(key.public), recovery_key=Digest(b""), commitment=why.root()
    )
    node.submit_signed((message,), (held, key))  # 1
    node.vault.erase_record(documents.document_id(Kind.PSEUDONYM_KEY, pseudonym))  # 2
    return _choices(node, pseudonym)  # 3


def _choices(node: Node, pseudonym: Pseudonym) -> list[tuple[bytes, CommittedFields, int]]:
    with node.engine.snapshot() as reader:
        current = consent.choices(reader, pseudonym).choices
    handed = []
    for choice in current:
        kept = documents.find(node.vault, Kind.CHOICE, choice.commitment)
        if kept is not None:
            handed.append((choice.choice, RESIDUAL.decode(kept), choice.filed_at_s))
    return handed
