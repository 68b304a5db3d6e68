"""Recover: the custodian vouches, with its signature, that it saw who asks for a second recovery (DESIGN §5.2, U3).

It adds one signature to what guardians and a new device have signed, and can make none of these: alone it does nothing.
"""

from collections.abc import Sequence

from salus.contracts.membership import KeyUse
from salus.contracts.patients import StartRecovery
from salus.ledger import transactions
from salus.ledger.fields import CommittedFields
from salus.ledger.identifiers import PublicKey
from salus.ledger.outcomes import TransactionResult
from salus.node.assemble import Node
from salus.node.documents import Kind
from salus.node.errors import Refusal, Refused
from salus.node.services import deliveries

OWN_PLACE = 1
"""Of the custodian among three signers: after the second recovery key, before the new one."""


def vouch(node: Node, body: bytes, signatures: Sequence[bytes], residual: CommittedFields) -> TransactionResult:
    """Sign and submit a second recovery, once somebody here has seen who asks.

    1. It is one StartRecovery for a patient here, with this organisation as the second of three signers.
    2. The words open the commitment; keep them: how it was checked is evidence.
    3. Sign, and submit.

    Args:
        signatures: of the second recovery key and of the new key.

    Raises:
        Refused: CHOICE_UNFIT, or what the ledger says.
    """
    own = node.keys.signing(KeyUse.TRANSACTION)
    own_signature = transactions.sign_body(body, own)
    raw = transactions.assemble(body, (*signatures[:OWN_PLACE], own_signature, *signatures[OWN_PLACE:]))
    message = _require_start(node, raw, PublicKey(own.public))  # 1
    deliveries.require_reason_behind(message.commitment, residual)  # 2
    deliveries.keep(node, message.pseudonym, Kind.REASON, message.commitment, residual)
    return node.submit_raw(raw)  # 3


def _require_start(node: Node, raw: bytes, own: PublicKey) -> StartRecovery:
    signers = deliveries.signers_of(node, raw)
    match node.decode(raw).messages:
        case (StartRecovery() as message,) if len(signers) == 3 and signers[OWN_PLACE] == own:
            with node.engine.snapshot() as reader:
                deliveries.relationship_here(node, reader, message.pseudonym)
            return message
    raise Refused(
        Refusal.CHOICE_UNFIT, "expected one StartRecovery, signed by this organisation as the second of three"
    )
