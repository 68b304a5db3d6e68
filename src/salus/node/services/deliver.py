"""Deliver: what a patient's own device signed goes to the custodian that it is about, wherever it was signed.

Promises: a custodian takes it by what signatures and ledger say, whoever brings it, and keeps nothing of who may not
act for the patient (`deliveries`); the same once more has one outcome. Of several custodians none waits for another,
and what one says that it has done counts once this node's own ledger has it.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from salus.contracts import patients
from salus.contracts.access import Challenge
from salus.contracts.consent import FileConsent, WithdrawConsent
from salus.contracts.patients import (
    AddKey,
    CancelRecovery,
    ChangeRecoveryKey,
    FinishRecovery,
    RemoveKey,
    StartRecovery,
    UndoRecoveryKey,
)
from salus.contracts.tickets import AttenuateTicket, IssueTicket, RevokeTicket
from salus.crypto.hashing import sha256
from salus.ledger.fields import CommittedFields
from salus.ledger.identifiers import Digest, OrganisationId, Pseudonym
from salus.ledger.machine import stored_result
from salus.ledger.outcomes import TransactionResult
from salus.ledger.state import Reader
from salus.ledger.transactions import NotATransaction
from salus.node.assemble import Node, require_accepted
from salus.node.errors import NotNow, Refusal, Refused
from salus.node.exchange import Delivery, Done, Peers
from salus.node.services import challenges, choices, device_keys, recoveries, tickets

SEEN_S: Final = 5.0
"""How far this node's ledger may be behind a custodian's."""
_PAUSE_S: Final = 0.05
AT_ONCE: Final = 8
"""How many custodians are asked at one moment."""


@dataclass(frozen=True)
class ToDeliver:
    """What a device signed about one relationship."""

    pseudonym: Pseudonym = field(repr=False)
    raw: bytes = field(repr=False)
    residual: CommittedFields = field(repr=False)


def deliver(node: Node, peers: Peers, pseudonym: Pseudonym, raw: bytes, residual: CommittedFields) -> None:
    """Give what a device signed to the custodian of the relationship that it is about: this one, or another.

    Raises:
        Refused: PATIENT_UNKNOWN: the ledger has no such relationship; or what that custodian says.
        NotNow: ledger or custodian is away, or nobody knows what became of it, or the ledger here does not have what
            the custodian says; send the same again.
    """
    with node.engine.snapshot() as reader:
        found = patients.relationship_of(reader, pseudonym)
    if found is None:
        raise Refused(Refusal.PATIENT_UNKNOWN, "expected a relationship that the ledger has: open your record again")
    if found.custodian == node.organisation:
        take(node, raw, residual)
        return
    if not isinstance(peers.ask(found.custodian, Delivery(raw, residual)), Done):
        raise NotNow(f"{found.custodian} answered something else than what became of it: send the same again")
    name = Digest(sha256(node.decode(raw).body_bytes))
    require_seen(node, found.custodian, lambda reader: _is_accepted(reader, name))


def deliver_at_once(node: Node, peers: Peers, signed: Sequence[ToDeliver]) -> list[Refused | NotNow | None]:
    """Give several to their custodians at the same moment; return what each raised as `deliver`, None for nothing.

    A custodian that hangs holds up nothing at the others: who has lost a device has it stopped there.
    """
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="delivering") as threads:
        return list(threads.map(lambda each: _tried(node, peers, each), signed))


def require_seen(node: Node, custodian: OrganisationId, is_there: Callable[[Reader], bool]) -> None:
    """Wait, for as long as SEEN_S, until this node's ledger has what a custodian says that it has. Raises NotNow."""
    until_s = time.monotonic() + SEEN_S
    while True:
        with node.engine.snapshot() as reader:
            if is_there(reader):
                return
        if time.monotonic() > until_s:
            raise NotNow(f"the ledger here does not have what {custodian} says that it has done: look again later")
        time.sleep(_PAUSE_S)


def take(node: Node, raw: bytes, residual: CommittedFields) -> TransactionResult:
    """Take what a device signed about a relationship here.

    Raises:
        Refused: CHOICE_UNFIT: nothing that a patient's device signs alone, not this custodian's patient, or not signed
            by who may; or what the ledger says.
        NotNow: the ledger is away.
    """
    try:
        messages = node.decode(raw).messages
    except NotATransaction as error:
        raise Refused(Refusal.CHOICE_UNFIT, str(error)) from error
    match messages:
        case (FileConsent() as message,):
            return choices.take_choice(node, raw, message, residual)
        case (WithdrawConsent() as message,):
            return choices.take_withdrawal(node, raw, message, residual)
        case (IssueTicket() | AttenuateTicket() as message,):
            return tickets.take_ticket(node, raw, message, residual)
        case (RevokeTicket() as message,):
            return tickets.take_revocation(node, raw, message, residual)
        case (AddKey() | RemoveKey() | CancelRecovery() as message,):
            return device_keys.take(node, raw, message, residual)
        case (ChangeRecoveryKey() | UndoRecoveryKey() | StartRecovery() | FinishRecovery() as message,):
            return recoveries.take(node, raw, message, residual)
        case (Challenge() as message,):
            return challenges.take(node, raw, message, residual)
    raise Refused(Refusal.CHOICE_UNFIT, "expected one message that a patient's device signs: send each alone")


def _tried(node: Node, peers: Peers, each: ToDeliver) -> Refused | NotNow | None:
    try:
        deliver(node, peers, each.pseudonym, each.raw, each.residual)
    except (Refused, NotNow) as error:
        return error
    return None


def _is_accepted(reader: Reader, name: Digest) -> bool:
    """Tell whether the ledger has a transaction. Raises Refused (LEDGER_REJECTED): it has it, and has said no."""
    result = stored_result(reader, name)
    if result is not None:
        require_accepted(result)
    return result is not None
