"""Choices: a sharing choice arrives signed, with its rules; both are kept, or neither. So does its withdrawal.

The ledger gets the gate and the commitment, this node the rules (DESIGN §5.1). A custodian that does not hold the
rules of a choice in force releases nothing to others for that pseudonym; its own staff's care goes on, marked.
"""

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from salus.contracts import consent, membership, patients, residuals, tickets
from salus.contracts.consent import FileConsent, WithdrawConsent
from salus.contracts.decision import ChoiceRules, Rules
from salus.contracts.provisions import Provision, ProvisionInvalid, day_of, gate
from salus.contracts.residuals import ResidualInvalid
from salus.crypto.sealing import new_key
from salus.ledger.encoding import EncodingInvalid, decoder, encode
from salus.ledger.fields import CommittedFields
from salus.ledger.identifiers import Digest, Pseudonym, PublicKey
from salus.ledger.outcomes import TransactionResult
from salus.ledger.state import Reader
from salus.ledger.transactions import NotATransaction
from salus.node import documents
from salus.node.assemble import Node
from salus.node.documents import Kind
from salus.node.errors import Refusal, Refused
from salus.node.members import read_time_s
from salus.node.services import delegations, deliveries, gathered_answers
from salus.node.services.enrol import custodian_held_key
from salus.vault.errors import Damaged

RESIDUAL = decoder(CommittedFields)


def take_choice(node: Node, raw: bytes, message: FileConsent, residual: CommittedFields) -> TransactionResult:
    """Keep a choice's rules and submit the transaction that files it.

    1. It is for a patient here, signed by a key that acts for them: a device needs no account to deliver a choice, and
       nobody else's fills the vault.
    2. The rules open the commitment, and their gate is the gate that was signed: the two can never disagree.
    3. Keep the rules, durably, before the ledger knows of them, and no longer if it says no.
    4. Submit what the patient signed; what others told before is shown to nobody from then on.

    Raises:
        Refused: CHOICE_UNFIT, or what the ledger says.
    """
    signers = _require_wanted(node, raw, message)  # 1
    _check_choice(message, residual)  # 2
    by = delegations.signed_by(node, message.pseudonym, message.commitment, signers)
    with deliveries.kept_before(node, message.pseudonym, Kind.CHOICE, message.commitment, residual, *by):  # 3
        result = node.submit_raw(raw)  # 4
    gathered_answers.forget(node, message.pseudonym)
    return result


def take_withdrawal(node: Node, raw: bytes, message: WithdrawConsent, residual: CommittedFields) -> TransactionResult:
    """Submit what withdraws a choice, and keep why.

    1. It is for a patient here, signed by a key that acts for them; the words open the commitment.
    2. Submit what the patient signed: a withdrawal waits for nothing (R3). What others told before is forgotten.
    3. Keep the words. Who hears that this failed sends the same again: it has one outcome.

    Raises:
        Refused: CHOICE_UNFIT, or what the ledger says.
    """
    _require_wanted(node, raw, message)  # 1
    deliveries.require_reason_behind(message.commitment, residual)
    result = node.submit_raw(raw)  # 2
    gathered_answers.forget(node, message.pseudonym)
    deliveries.keep(node, message.pseudonym, Kind.REASON, message.commitment, residual)  # 3
    return result


@dataclass(frozen=True)
class Taken:
    """A choice or a withdrawal that was taken, and what the ledger said."""

    message: FileConsent | WithdrawConsent
    result: TransactionResult


def take_signed(node: Node, raw: bytes, residual: CommittedFields, *, only: Pseudonym) -> Taken:
    """Take a choice or a withdrawal, whichever was signed.

    Args:
        only: the one relationship that it may be about.

    Raises:
        Refused: CHOICE_UNFIT, or what the ledger says.
    """
    try:
        messages = node.decode(raw).messages
    except NotATransaction as error:
        raise Refused(Refusal.CHOICE_UNFIT, str(error)) from error
    match messages:
        case (FileConsent() as message,) if message.pseudonym == only:
            return Taken(message, take_choice(node, raw, message, residual))
        case (WithdrawConsent() as message,) if message.pseudonym == only:
            return Taken(message, take_withdrawal(node, raw, message, residual))
    raise Refused(Refusal.CHOICE_UNFIT, "expected one FileConsent or WithdrawConsent, of the patient who is named")


def _require_wanted(node: Node, raw: bytes, message: FileConsent | WithdrawConsent) -> tuple[PublicKey, ...]:
    signers = deliveries.signers_of(node, raw)
    with node.engine.snapshot() as reader:
        relationship = deliveries.relationship_here(node, reader, message.pseudonym)
        time_s = read_time_s(reader, node.clock)
        keys = patients.acting_keys(relationship, time_s=time_s)
        in_force = [choice.commitment for choice in consent.choices(reader, message.pseudonym).choices]
        if message.commitment not in in_force:
            delegations.require_may_share(node, reader, message.pseudonym, signers, time_s=time_s)
    # A choice in force is wanted again after a restore, also when the key that signed it was replaced since.
    if message.commitment not in in_force and not any(key in signers for key in keys):
        raise Refused(Refusal.CHOICE_UNFIT, "expected the signature of a key that acts for the patient")
    return signers


def _check_choice(message: FileConsent, residual: CommittedFields) -> None:
    """Raise Refused unless a choice's rules fit what was signed."""
    if gate(deliveries.rules_behind(message.commitment, residual)) != message.gate:
        raise Refused(Refusal.CHOICE_UNFIT, "expected the gate of these rules: sign the gate that they have")


def file_by_custodian(
    node: Node, pseudonym: Pseudonym, tree: Provision, *, choice: bytes = b"", evidence_on_day: int = 0
) -> bytes:
    """File a choice with the key that the custodian holds, visibly so; return its id.

    Args:
        choice: the one in whose place it is put, 16 bytes; empty for a new one.
        evidence_on_day: whole day UTC since 1970-01-01 of the patient's evidence; 0 for today.
    """
    key = custodian_held_key(node, pseudonym)
    residual = residuals.commit_choice(tree, secret=new_key())
    message = FileConsent(
        pseudonym=pseudonym,
        choice=choice or secrets.token_bytes(16),
        gate=gate(tree),
        commitment=residual.root(),
        evidence_on_day=evidence_on_day or day_of(node.clock()),
    )
    documents.keep(node.vault, node.chain, pseudonym, Kind.CHOICE, message.commitment, encode(residual))
    node.submit_signed((message,), (key,))
    gathered_answers.forget(node, pseudonym)
    return message.choice


def withdraw_by_custodian(node: Node, pseudonym: Pseudonym, choice: bytes, *, evidence_on_day: int = 0) -> None:
    """Withdraw a choice with the key that the custodian holds; `evidence_on_day` as for `file_by_custodian`."""
    key = custodian_held_key(node, pseudonym)
    why = residuals.reason("withdrawn at the custodian", new_key())
    day = evidence_on_day or day_of(node.clock())
    message = WithdrawConsent(pseudonym=pseudonym, choice=choice, commitment=why.root(), evidence_on_day=day)
    documents.keep(node.vault, node.chain, pseudonym, Kind.REASON, message.commitment, encode(why))
    node.submit_signed((message,), (key,))
    gathered_answers.forget(node, pseudonym)


@dataclass(frozen=True)
class HeldRules:
    """The rules that apply to a pseudonym's records now, as far as they are held here.

    Args:
        missing: commitments of those that are not held, or whose copy does not open them.
        ticket: commitments of the permit's ticket, then of those that it was made from; empty without one.
    """

    rules: Rules
    missing: tuple[Digest, ...]
    ticket: tuple[Digest, ...]


def rules_for(node: Node, reader: Reader, pseudonym: Pseudonym, *, ticket: Digest) -> HeldRules:
    """Return the rules that apply to a pseudonym's records now, and which of them are missing.

    Args:
        ticket: key of the live permit's ticket; empty without one.
    """
    commitments = [choice.commitment for choice in consent.choices(reader, pseudonym).choices]
    of_ticket = tickets.commitments(reader, PublicKey(ticket)) if ticket else ()
    wanted = [*((Kind.CHOICE, each) for each in commitments), *((Kind.TICKET, each) for each in of_ticket)]
    held = _held_trees(node, wanted)
    rules = Rules(
        network=membership.policy(reader).provisions,
        custodian=membership.policy(reader, node.organisation).provisions,
        choices=tuple(ChoiceRules(each, held[each]) for each in commitments if each in held),
        ticket=tuple(held[each] for each in of_ticket) if set(of_ticket) <= held.keys() else (),
    )
    return HeldRules(rules, tuple(each for _, each in wanted if each not in held), of_ticket)


def choice_trees(node: Node, commitments: Sequence[Digest]) -> dict[Digest, Provision]:
    """Return the rules of choices, in force or not, by commitment, as far as they are held here."""
    return _held_trees(node, [(Kind.CHOICE, each) for each in commitments])


def kept_rules(node: Node, commitments: Sequence[Digest]) -> tuple[CommittedFields, ...]:
    """Return what opens the commitments of choices to rules, as far as it is held here."""
    kept = zip(commitments, _find(node, [(Kind.CHOICE, each) for each in commitments]), strict=True)
    whole = [each for commitment, each in kept if each is not None and _opened_tree(commitment, each) is not None]
    return tuple(map(RESIDUAL.decode, whole))


def opened_trees(commitments: Sequence[Digest], kept: Iterable[bytes]) -> dict[Digest, Provision]:
    """Return the rules of choices by commitment, as far as copies that somebody else kept open them."""
    roots = {root: each for each in kept if (root := _root_of(each)) is not None}
    trees = {each: _opened_tree(each, roots[each]) for each in commitments if each in roots}
    return {each: tree for each, tree in trees.items() if tree is not None}


def _root_of(kept: bytes) -> Digest | None:
    try:
        residual: CommittedFields = RESIDUAL.decode(kept)
    except EncodingInvalid:
        return None
    return residual.root()


def _held_trees(node: Node, wanted: Sequence[tuple[Kind, Digest]]) -> dict[Digest, Provision]:
    trees = {}
    for (_, commitment), kept in zip(wanted, _find(node, wanted), strict=True):
        tree = None if kept is None else _opened_tree(commitment, kept)
        if tree is not None:
            trees[commitment] = tree
    return trees


def _find(node: Node, wanted: Sequence[tuple[Kind, Digest]]) -> list[bytes | None]:
    try:
        return documents.find_many(node.vault, wanted)
    except Damaged:  # a damaged copy is a missing one, and no reason to lose sight of the others
        return [None] if len(wanted) == 1 else [_find(node, [each])[0] for each in wanted]


def _opened_tree(commitment: Digest, kept: bytes) -> Provision | None:
    """Return the rules that a kept copy opens; None when it does not open the commitment to rules."""
    try:
        residual: CommittedFields = RESIDUAL.decode(kept)
        return residuals.choice_tree(residual) if residual.root() == commitment else None
    except (EncodingInvalid, ProvisionInvalid, ResidualInvalid):
        return None
