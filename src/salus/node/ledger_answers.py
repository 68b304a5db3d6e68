"""What members without a ledger process ask of a validator, and how it is answered in bytes (docs/spec/own-proofs.md).

Promises: canonical MessagePack both ways; what is no question gets a refusal. Who asks was proved before.
"""

from typing import Any, Final

import msgspec

from salus.ledger.bundles import OutcomeBundle
from salus.ledger.encoding import Decoder, EncodingInvalid, decoder, encode
from salus.ledger.identifiers import CountField, DigestField, OrganisationId
from salus.ledger.outcomes import TransactionResult
from salus.ledger.proofs import LightBlock
from salus.node.assemble import Node
from salus.node.errors import Refusal, Refused
from salus.node.services import own_proofs

SUBMIT_PATH: Final = "/ledger/1/submit"
OUTCOME_PATH: Final = "/ledger/1/outcome"
PROOF_PATH: Final = "/ledger/1/proof"
HEADER_PATH: Final = "/ledger/1/header"
PATHS: Final = (SUBMIT_PATH, OUTCOME_PATH, PROOF_PATH, HEADER_PATH)


class Named(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Asks for the outcome of a transaction, or its proof, by its hash."""

    transaction: DigestField


class At(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Asks for a signed header; 0 is the newest."""

    height: CountField


RESULT: Final = decoder(TransactionResult)
PROOFS: Final = decoder(tuple[OutcomeBundle, ...])
BLOCK: Final = decoder(LightBlock)
_NAMED: Final = decoder(Named)
_AT: Final = decoder(At)


def answer_member(node: Node, member: OrganisationId, path: str, body: bytes) -> bytes:
    """Answer one request.

    Args:
        path: one of `PATHS`.
        body: of `SUBMIT_PATH` a transaction's bytes; else one question.

    Raises:
        Refused: MESSAGE_UNFIT for what is no question; NOT_A_VALIDATOR; NOT_YOURS.
        NotNow: the ledger is away, or has too much to do (Busy).
    """
    own_proofs.require_validator(node)
    if path == SUBMIT_PATH:
        return encode(own_proofs.submit(node, member, body))
    if path == HEADER_PATH:
        return encode(own_proofs.header(node, _read(_AT, body).height))
    name = _read(_NAMED, body).transaction
    return encode((own_proofs.outcome if path == OUTCOME_PATH else own_proofs.proofs)(node, member, name))


def _read(kind: Decoder, body: bytes) -> Any:
    try:
        return kind.decode(body)
    except EncodingInvalid as error:
        raise Refused(Refusal.MESSAGE_UNFIT, f"expected a question of docs/spec/own-proofs.md: {error}") from error
