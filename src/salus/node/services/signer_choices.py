"""Choices that a patient's own device signs: what it is asked for, and what is done with what it signed.

They may be about records here or at another custodian. With each its voucher is kept, by which the device knows again
what it filed (docs/spec/signer.md); of one elsewhere under a keyed name: its commitment, which every member sees, would
join the patient's relationships for whoever reads the database (P7).
"""

import hmac

from salus.contracts.consent import FileConsent, WithdrawConsent
from salus.ledger.encoding import encode
from salus.ledger.identifiers import Pseudonym
from salus.node import documents
from salus.node.assemble import Node
from salus.node.documents import Kind
from salus.node.errors import NotNow, Refusal, Refused
from salus.node.exchange import Peers
from salus.node.services import deliver, sharing
from salus.node.services.choices_elsewhere import Place
from salus.node.services.sharing import InForce, Wanted
from salus.node.services.signer_answers import Signed
from salus.node.services.signer_requests import EndedChoice, FileChoice, WithdrawChoice


def to_file(node: Node, place: Place, wanted: Wanted, *, replaces: InForce | None = None) -> FileChoice:
    """Return what a device is asked to file.

    Args:
        replaces: the choice in whose place it is put.

    Raises:
        Refused: CHOICE_UNFIT, as `sharing.tree_of`; RULES_MISSING: what it replaces cannot be read.
    """
    ended = None if replaces is None else _ended(node, place, replaces)
    return FileChoice(place.custodian, place.pseudonym, sharing.tree_of(wanted), ended)


def to_withdraw(node: Node, place: Place, choice: InForce) -> WithdrawChoice:
    """Return what a device is asked to withdraw. Raises Refused (RULES_MISSING): its rules are not known."""
    ended = _ended(node, place, choice)
    return WithdrawChoice(place.custodian, place.pseudonym, ended.choice, ended.tree, ended.voucher)


def file(node: Node, peers: Peers, own: Pseudonym, signed: Signed) -> bool:
    """Give a choice that a device signed to the custodian that it is about, and keep its voucher.

    Args:
        own: the patient's relationship here, with which the voucher is kept.

    Raises:
        Refused: as `deliver.deliver`.

    Returns:
        Whether it holds. A custodian that did not answer may have taken it: then the ledger has it.
    """
    message = signed.message
    assert isinstance(message, FileConsent), "what was asked for"
    try:
        deliver.deliver(node, peers, message.pseudonym, signed.raw, signed.residual)
    except NotNow:
        if not sharing.is_in_force(node, message.pseudonym, message.choice, message.commitment):
            return False
    name = _voucher_name(node, message.commitment, is_here=message.pseudonym == own)
    documents.keep(node.vault, node.chain, own, Kind.VOUCHER, name, signed.voucher)
    return True


def withdraw(node: Node, peers: Peers, signed: Signed) -> bool:
    """Give a withdrawal that a device signed to the custodian whose records the choice is about.

    Raises:
        Refused: as `deliver.deliver`.

    Returns:
        Whether the choice has ended. A custodian that did not answer may have taken it: then the ledger has it.
    """
    message = signed.message
    assert isinstance(message, WithdrawConsent), "what was asked for"
    try:
        deliver.deliver(node, peers, message.pseudonym, signed.raw, signed.residual)
    except NotNow:
        return not sharing.is_in_force(node, message.pseudonym, message.choice)
    return True


def _ended(node: Node, place: Place, choice: InForce) -> EndedChoice:
    if choice.tree is None:
        raise Refused(Refusal.RULES_MISSING, "we cannot read this choice: send it again from your own device")
    name = _voucher_name(node, choice.commitment, is_here=place.custodian == node.organisation)
    return EndedChoice(choice.choice, choice.tree, documents.find(node.vault, Kind.VOUCHER, name) or b"")


def _voucher_name(node: Node, commitment: bytes, *, is_here: bool) -> bytes:
    return commitment if is_here else hmac.digest(node.keys.lookup, encode(("voucher", commitment)), "sha256")
