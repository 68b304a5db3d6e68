"""Recoveries: how things stand with a patient's guardians, and what their own devices sign about them (DESIGN §5.2).

The ledger decides all of it. Here is kept why, and the new wallet, before or as soon as the ledger has said yes; a
guardian's words never come here. What is signed for several custodians at once holds with each that takes it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from salus.contracts import patients
from salus.contracts.gathering import read_trail
from salus.contracts.patients import (
    ChangeRecoveryKey,
    FinishRecovery,
    Holder,
    RecoveryFinished,
    RecoveryKeyChanged,
    RecoveryKeyUndone,
    StartRecovery,
    UndoRecoveryKey,
)
from salus.ledger.fields import CommittedFields
from salus.ledger.identifiers import OrganisationId, Pseudonym, PublicKey
from salus.ledger.outcomes import TransactionResult
from salus.node.assemble import Node
from salus.node.documents import Kind
from salus.node.members import read_time_s
from salus.node.services import deliveries
from salus.node.services.accounts import AccountId
from salus.node.services.signer_devices import Device, SignerDevices
from salus.node.services.signer_requests import (
    BeginRecovery,
    ChangeGuardians,
    ChooseGuardians,
    EndRecovery,
    KeepGuardians,
    StopRecovery,
)


@dataclass(frozen=True)
class Standing:
    """How things stand with recovery.

    Args:
        holds_key: whether the patient's own device signs; in assisted mode there are no guardians.
        first_key, second_key: of the guardians, and of those for after a recovery that was cancelled; empty for none.
        is_spent: whether a recovery was cancelled, so that the next takes the second circle and the custodian.
        started: the key that is to take the place of the lost one; empty where no recovery runs.
        is_final: whether nobody can cancel it.
        ready_at_s: when it can be finished, Unix seconds; 0 where none runs.
        is_ready: whether that is now.
        changes_at_s: when other guardians take the place of these, Unix seconds; 0 where none do.
        is_changed_by_second: whether the second circle chose them, so that it alone undoes it.
    """

    holds_key: bool
    first_key: bytes = b""
    second_key: bytes = b""
    is_spent: bool = False
    started: bytes = b""
    is_final: bool = False
    ready_at_s: int = 0
    is_ready: bool = False
    changes_at_s: int = 0
    is_changed_by_second: bool = False

    @property
    def has_guardians(self) -> bool:
        """Whether anybody can let the patient back in."""
        return bool(self.first_key)

    @property
    def has_second(self) -> bool:
        """Whether somebody can once a recovery was cancelled."""
        return bool(self.second_key)

    @property
    def may_choose(self) -> bool:
        """Whether the patient's first device chooses the first guardians; others take the words of those before."""
        return self.holds_key and not self.has_guardians and not self.started

    @property
    def may_change(self) -> bool:
        """Whether guardians can be replaced by others."""
        return self.holds_key and self.has_guardians and not self.started and not self.changes_at_s

    @property
    def may_begin(self) -> bool:
        """Whether guardians alone can begin a recovery, also in the place of one that runs."""
        return self.holds_key and self.has_guardians and not self.is_spent and not self.is_final

    @property
    def may_cancel(self) -> bool:
        """Whether a recovery runs that the patient can stop."""
        return self.holds_key and bool(self.started) and not self.is_final

    @property
    def changer(self) -> PublicKey:
        """The recovery key that replaces both: the second one, where there is one."""
        return PublicKey(self.second_key or self.first_key)

    @property
    def undoer(self) -> PublicKey:
        """The recovery key that undoes a change: the second one if it made it, else the first, of fewer people."""
        return PublicKey(self.second_key if self.is_changed_by_second else self.first_key)


NONE = Standing(holds_key=False)


@dataclass(frozen=True)
class StandingAt:
    """How things stand at one custodian."""

    custodian: OrganisationId
    pseudonym: Pseudonym = field(repr=False)
    now: Standing


def standing(node: Node, pseudonym: Pseudonym) -> Standing:
    """Return how things stand at this moment; NONE where there is no relationship any more."""
    with node.engine.snapshot() as reader:
        found = patients.relationship_of(reader, pseudonym)
        if found is None or found.closed_at_s:
            return NONE
        now_s = read_time_s(reader, node.clock)
        row, recovery = patients.with_recovery(reader, pseudonym, found, time_s=now_s)
    now = Standing(row.holder is Holder.PATIENT, row.recovery_key, recovery.second_key, recovery.is_spent)
    for change in recovery.change:
        now = replace(now, changes_at_s=change.in_force_at_s, is_changed_by_second=change.is_by_second)
    for started in recovery.started:
        ready_at_s, is_final = started.ready_at_s, started.is_second
        now = replace(now, started=started.key, is_final=is_final, ready_at_s=ready_at_s, is_ready=now_s >= ready_at_s)
    return now


def standings(node: Node, devices: SignerDevices, account: AccountId, pseudonym: Pseudonym) -> list[StandingAt]:
    """Return how things stand for each relationship for which a device of the account's has a key, the one here first.

    That of somebody who was recovered is among them, also where only the lost device acted.
    """
    custodians = {each.pseudonym: each.custodian for device in devices.of(account) for each in device.keys}
    custodians[pseudonym] = node.organisation
    found = [
        StandingAt(OrganisationId(custodian), Pseudonym(each), standing(node, Pseudonym(each)))
        for each, custodian in custodians.items()
    ]
    known = [each for each in found if each.now != NONE or each.pseudonym == pseudonym]
    return sorted(known, key=lambda each: (each.pseudonym != pseudonym, each.custodian))


def most_at_once(
    devices: Sequence[Device], places: Sequence[StandingAt], able: Callable[[Device, StandingAt], bool]
) -> tuple[list[Device], list[StandingAt]]:
    """Return as much as one device can do in one go, and the devices that can do all of it; the rest comes after.

    Args:
        able: whether a device can do it at a place.
    """
    reach = [(device, [each for each in places if able(device, each)]) for device in devices]
    most: list[StandingAt] = max((found for _, found in reach), key=len, default=[])
    return [device for device, found in reach if most and found == most], most


def changed_at_s(node: Node, pseudonym: Pseudonym) -> int:
    """Return since when guardians count that took the place of others, Unix seconds; 0 where none ever did."""
    with node.engine.snapshot() as reader:
        trail, now_s = read_trail(reader, pseudonym), read_time_s(reader, node.clock)
    waits_until_s, in_force_s = 0, 0
    for event in trail:
        if waits_until_s and waits_until_s <= event.leaf.time_s:
            waits_until_s, in_force_s = 0, waits_until_s
        match event.outcome:
            case RecoveryKeyChanged() as changed if changed.in_force_at_s > event.leaf.time_s:
                waits_until_s = changed.in_force_at_s
            case RecoveryKeyUndone() | RecoveryFinished():
                waits_until_s = 0
    return waits_until_s if 0 < waits_until_s <= now_s else in_force_s


def to_choose(
    places: Sequence[StandingAt], guardians: tuple[str, ...], *, threshold: int
) -> tuple[ChooseGuardians, ...]:
    """Return what the first device is asked: after a recovery that was cancelled it takes one guardian more."""
    second = _second(threshold, guardians)
    return tuple(ChooseGuardians(each.custodian, each.pseudonym, threshold, second, guardians) for each in places)


def to_change(
    places: Sequence[StandingAt], guardians: tuple[str, ...], *, threshold: int
) -> tuple[ChangeGuardians, ...]:
    """Return what is asked, with the words of those of now, for others to take their place."""
    second = _second(threshold, guardians)
    return tuple(
        ChangeGuardians(each.custodian, each.pseudonym, each.now.changer, threshold, second, guardians)
        for each in places
    )


def to_undo(places: Sequence[StandingAt]) -> tuple[KeepGuardians, ...]:
    """Return what is asked, with the words of those of now, so that others do not take their place."""
    return tuple(KeepGuardians(each.custodian, each.pseudonym, each.now.undoer) for each in places)


def to_cancel(places: Sequence[StandingAt]) -> tuple[StopRecovery, ...]:
    """Return what the first device is asked that was not lost."""
    return tuple(StopRecovery(each.custodian, each.pseudonym) for each in places)


def to_begin(places: Sequence[StandingAt]) -> tuple[BeginRecovery, ...]:
    """Return what a new device is asked, with the words of guardians."""
    return tuple(BeginRecovery(each.custodian, each.pseudonym) for each in places)


def to_end(places: Sequence[StandingAt]) -> tuple[EndRecovery, ...]:
    """Return what a new device is asked once the time lock has run."""
    return tuple(EndRecovery(each.custodian, each.pseudonym) for each in places)


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
    deliveries.keep(node, message.pseudonym, Kind.REASON, message.commitment, residual)
    return result


def _second(threshold: int, guardians: tuple[str, ...]) -> int:
    return threshold + 1 if threshold < len(guardians) else 0
