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
from salus.node.services.sharing import Wanted
from salus.node.services.signer_answers import Signed
from salus.node.services.signer_requests import FileChoice, WithdrawChoice


def to_file(node: Node, pseudonym: Pseudonym, wanted: Wanted) -> FileChoice:
    """Return what a device is asked to file. Raises Refused (CHOICE_UNFIT), as `sharing.tree_of`."""
    return FileChoice(node.organisation, pseudonym, sharing.tree_of(wanted))


def to_withdraw(node: Node, pseudonym: Pseudonym, choice: bytes) -> WithdrawChoice:
    """Return what a device is asked to withdraw. Raises Refused: it is not in force, or its rules are not held here."""
    with node.engine.snapshot() as reader:
        in_force = {each.choice: each.commitment for each in consent.choices(reader, pseudonym).choices}
    commitment = in_force.get(choice)
    tree = None if commitment is None else choices.choice_trees(node, [commitment]).get(commitment)
    if commitment is None or tree is None:
        raise Refused(Refusal.RULES_MISSING, "we cannot read this choice: send it again from your own device")
    voucher = documents.find(node.vault, Kind.VOUCHER, commitment) or b""
    return WithdrawChoice(node.organisation, pseudonym, choice, tree, voucher)


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
