"""Recoveries: how things stand with a patient's guardians, and what their own device signs about them (DESIGN §5.2).

The ledger decides all of it. Here is kept why, and the new wallet, before or as soon as the ledger has said yes; a
guardian's words never come here.
"""

from dataclasses import dataclass, replace

from salus.contracts import patients
from salus.contracts.patients import ChangeRecoveryKey, FinishRecovery, Holder, StartRecovery, UndoRecoveryKey
from salus.ledger.encoding import encode
from salus.ledger.fields import CommittedFields
from salus.ledger.identifiers import Pseudonym
from salus.ledger.outcomes import TransactionResult
from salus.node import documents
from salus.node.assemble import Node
from salus.node.documents import Kind
from salus.node.members import read_time_s
from salus.node.services import deliveries
from salus.node.services.accounts import AccountId
from salus.node.services.signer_answers import NewBlob, Signed
from salus.node.services.signer_devices import DeviceKey, SignerDevices
from salus.node.services.signer_requests import BeginRecovery, ChooseGuardians, EndRecovery


@dataclass(frozen=True)
class Standing:
    """How things stand with recovery.

    Args:
        holds_key: whether the patient's own device signs; in assisted mode there are no guardians.
        has_guardians, has_second: whether there is a first recovery key, and one for after it was cancelled.
        is_spent: whether a recovery was cancelled, so that the next takes the second circle and the custodian.
        started: the key that is to take the place of the lost one; empty where no recovery runs.
        is_final: whether nobody can cancel it.
        ready_at_s: when it can be finished, Unix seconds; 0 where none runs.
        is_ready: whether that is now.
    """

    holds_key: bool
    has_guardians: bool
    has_second: bool
    is_spent: bool
    started: bytes = b""
    is_final: bool = False
    ready_at_s: int = 0
    is_ready: bool = False


NONE = Standing(holds_key=False, has_guardians=False, has_second=False, is_spent=False)


def standing(node: Node, pseudonym: Pseudonym) -> Standing:
    """Return how things stand at this moment; NONE where there is no relationship any more."""
    with node.engine.snapshot() as reader:
        found = patients.relationship_of(reader, pseudonym)
        if found is None:
            return NONE
        now_s = read_time_s(reader, node.clock)
        row, recovery = patients.with_recovery(reader, pseudonym, found, time_s=now_s)
    plain = Standing(row.holder is Holder.PATIENT, bool(row.recovery_key), bool(recovery.second_key), recovery.is_spent)
    if not recovery.started:
        return plain
    (started,) = recovery.started
    ready_at_s = started.ready_at_s
    return replace(
        plain,
        started=started.key,
        is_final=started.is_second,
        ready_at_s=ready_at_s,
        is_ready=now_s >= ready_at_s,
    )


def to_choose(node: Node, pseudonym: Pseudonym, guardians: tuple[str, ...], *, threshold: int) -> ChooseGuardians:
    """Return what the patient's own device is asked: after a recovery that was cancelled it takes one guardian more."""
    second = threshold + 1 if threshold < len(guardians) else 0
    return ChooseGuardians(node.organisation, pseudonym, threshold, second, guardians)


def to_begin(node: Node, pseudonym: Pseudonym) -> BeginRecovery:
    """Return what a new device is asked, with the words of guardians."""
    return BeginRecovery(node.organisation, pseudonym)


def to_end(node: Node, pseudonym: Pseudonym) -> EndRecovery:
    """Return what a new device is asked once the time lock has run."""
    return EndRecovery(node.organisation, pseudonym)


def begin(node: Node, devices: SignerDevices, account: AccountId, signed: Signed, new: NewBlob) -> None:
    """Begin a recovery by what a new device and guardians signed; its old wallet comes back if the ledger says no.

    Raises:
        Refused: NOT_YOURS, CHOICE_UNFIT, or what the ledger says.
        NotNow: the ledger is away; both wallets stay.
    """
    assert isinstance(signed.message, StartRecovery), "what was asked for"
    key = DeviceKey(node.organisation, signed.message.pseudonym, signed.message.key)
    with devices.trying(account, new, key):
        take(node, signed.raw, signed.message, signed.residual)


def take(
    node: Node,
    raw: bytes,
    message: ChangeRecoveryKey | UndoRecoveryKey | StartRecovery | FinishRecovery,
    residual: CommittedFields,
) -> TransactionResult:
    """Submit what was signed about recovery, and keep why: nobody fills the vault with what the ledger does not take.

    Raises:
        Refused: CHOICE_UNFIT, or what the ledger says.
        NotNow: the ledger is away.
    """
    with node.engine.snapshot() as reader:
        deliveries.relationship_here(node, reader, message.pseudonym)
    deliveries.require_reason_behind(message.commitment, residual)
    result = node.submit_raw(raw)
    documents.keep(node.vault, node.chain, message.pseudonym, Kind.REASON, message.commitment, encode(residual))
    return result
