"""Choices that a patient's own device signs: what it is asked for, and what is done with what it signed.

With each choice its voucher is kept, by which the device knows again what it filed (docs/spec/signer.md).
"""

from salus.contracts import consent
from salus.contracts.consent import FileConsent
from salus.ledger.identifiers import Pseudonym
from salus.node import documents
from salus.node.assemble import Node
from salus.node.documents import Kind
from salus.node.errors import Refusal, Refused
from salus.node.services import choices, sharing
from salus.node.services.sharing import InForce, Wanted
from salus.node.services.signer_answers import Signed
from salus.node.services.signer_requests import EndedChoice, FileChoice, WithdrawChoice


def to_file(node: Node, pseudonym: Pseudonym, wanted: Wanted, *, replaces: InForce | None = None) -> FileChoice:
    """Return what a device is asked to file.

    Args:
        replaces: the choice in whose place it is put; its rules are known.

    Raises:
        Refused: CHOICE_UNFIT, as `sharing.tree_of`.
    """
    ended = None
    if replaces is not None:
        assert replaces.tree is not None, "what cannot be read is not changed"
        ended = EndedChoice(replaces.choice, replaces.tree, _voucher(node, replaces.commitment))
    return FileChoice(node.organisation, pseudonym, sharing.tree_of(wanted), ended)


def to_withdraw(node: Node, pseudonym: Pseudonym, choice: bytes) -> WithdrawChoice:
    """Return what a device is asked to withdraw. Raises Refused: it is not in force, or its rules are not held here."""
    with node.engine.snapshot() as reader:
        in_force = {each.choice: each.commitment for each in consent.choices(reader, pseudonym).choices}
    commitment = in_force.get(choice)
    tree = None if commitment is None else choices.choice_trees(node, [commitment]).get(commitment)
    if commitment is None or tree is None:
        raise Refused(Refusal.RULES_MISSING, "we cannot read this choice: send it again from your own device")
    return WithdrawChoice(node.organisation, pseudonym, choice, tree, _voucher(node, commitment))


def take(node: Node, pseudonym: Pseudonym, signed: Signed) -> None:
    """File or withdraw what a patient's device signed, and keep the voucher of what was filed.

    Raises:
        Refused: CHOICE_UNFIT, or what the ledger says.
        NotNow: the ledger is away.
    """
    choices.take_signed(node, signed.raw, signed.residual, only=pseudonym)
    if isinstance(signed.message, FileConsent):
        name = signed.message.commitment
        documents.keep(node.vault, node.chain, pseudonym, Kind.VOUCHER, name, signed.voucher)


def _voucher(node: Node, commitment: bytes) -> bytes:
    return documents.find(node.vault, Kind.VOUCHER, commitment) or b""
