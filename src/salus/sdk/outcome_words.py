"""Each event of a history in plain words, one sentence: what happened, never a key or a hash (U1, U2)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from salus.clinical.uk_time import uk_time
from salus.contracts import access, consent, patients, records, tickets
from salus.contracts.access import DenialReason, End, Verdict
from salus.contracts.patients import Actor, Holder, KeyKind
from salus.contracts.provisions import LATEST_S
from salus.crypto.hashing import EMPTY_ROOT
from salus.ledger.identifiers import PermitId
from salus.ledger.outcomes import Outcome
from salus.sdk.choice_words import PURPOSES, ROLE_CLASSES, VERBS

REASONS = {
    DenialReason.REQUESTER_SUSPENDED: "it is suspended",
    DenialReason.CUSTODIAN_SUSPENDED: "the custodian is suspended",
    DenialReason.RELATIONSHIP_CLOSED: "the relationship is closed",
    DenialReason.RELATIONSHIP_ERASED: "the relationship was erased",
    DenialReason.ROLE_NOT_HELD: "it does not hold that role",
    DenialReason.NETWORK_POLICY_FORBIDS: "the network’s policy forbids it",
    DenialReason.CUSTODIAN_POLICY_FORBIDS: "the custodian’s policy forbids it",
    DenialReason.EMERGENCY_NOT_CLINICAL: "only clinicians may break the glass",
    DenialReason.EMERGENCIES_UNREVIEWED: "too many of its emergencies wait for review",
    DenialReason.PATIENT_DENIES: "your sharing choice forbids it",
    DenialReason.NOTHING_PERMITS: "nothing permits it",
}
ACTORS = {Actor.PATIENT: "You", Actor.CUSTODIAN: "The custodian, on your behalf,", Actor.DELEGATE: "Your delegate"}
VERDICTS = {Verdict.JUSTIFIED: "justified", Verdict.NOT_JUSTIFIED: "not justified"}
HOLDERS = {Holder.PATIENT: "you hold the key", Holder.CUSTODIAN: "the custodian holds the key for you"}
KEY_KINDS = {KeyKind.DEVICE: "a device of yours", KeyKind.DELEGATE: "a delegate of yours"}


@dataclass(frozen=True)
class Permits:
    """The permits of a history, by their ids: the number of the event, and both ends."""

    numbers: Mapping[PermitId, int]
    ends: Mapping[PermitId, tuple[str, str]]
    custodian: str

    def named(self, permit: PermitId) -> str:
        """Return how an event refers to the permit of another."""
        return f"event {self.numbers[permit]}" if permit in self.numbers else "an event that is not in this history"

    def end(self, permit: PermitId, end: End) -> str:
        """Return which organisation is an end of a permit."""
        custodian, requester = self.ends.get(permit, (self.custodian, "the requester"))
        return custodian if end is End.CUSTODIAN else requester


def outcome_words(outcome: Outcome, permits: Permits) -> str:
    """Return one sentence for an outcome."""
    return WORDS[type(outcome)](outcome, permits)


def _permitted(outcome: access.AccessPermitted, _permits: Permits) -> str:
    return f"{_asked(outcome)} It was permitted until {uk_time(outcome.until_s)}."


def _denied(outcome: access.AccessDenied, _permits: Permits) -> str:
    return f"{_asked(outcome)} It was refused: {REASONS[outcome.reason]}."


def _asked(outcome: access.AccessPermitted | access.AccessDenied) -> str:
    who = f"{outcome.requester} ({ROLE_CLASSES[outcome.role_class]})"
    return f"{who} asked {outcome.custodian} to {VERBS[outcome.verb]} your records, for {PURPOSES[outcome.purpose]}."


def _releases(outcome: access.ReleasesCommitted, permits: Permits) -> str:
    if not outcome.permit:
        return f"{permits.custodian} noted a question whether it has records of you, or care while the ledger was away."
    who, permit = permits.end(outcome.permit, outcome.end), permits.named(outcome.permit)
    did = "released or received nothing" if outcome.root == EMPTY_ROOT else "committed its receipts"
    closing = ", and closed it" if outcome.is_closed else ""
    return f"{who} {did} under the permit of {permit}{closing}."


def _filed(outcome: consent.ConsentFiled, _permits: Permits) -> str:
    return f"{ACTORS[outcome.actor]} made or changed a sharing choice; your choices are now version {outcome.version}."


def _withdrawn(outcome: consent.ConsentWithdrawn, _permits: Permits) -> str:
    return f"{ACTORS[outcome.actor]} withdrew a sharing choice; your choices are now version {outcome.version}."


def _key_added(outcome: patients.KeyAdded, _permits: Permits) -> str:
    end = f" until {uk_time(outcome.expires_at_s)}" if 0 < outcome.expires_at_s <= LATEST_S else ""
    return f"{KEY_KINDS[outcome.kind].capitalize()} may act for you{end}."


def _recovery_started(outcome: patients.RecoveryStarted, permits: Permits) -> str:
    if outcome.is_second:
        who = f"Your guardians began to replace your key here, and {permits.custodian} checked who asked"
        return f"{who}; from {uk_time(outcome.ready_at_s)} on it can be finished, and nobody can stop it."
    ready = f"from {uk_time(outcome.ready_at_s)} on it can be finished"
    return f"Your guardians began to replace your key here; {ready}. If you lost nothing, stop it before."


def _recovery_key_changed(outcome: patients.RecoveryKeyChanged, _permits: Permits) -> str:
    return f"Your guardians’ key was changed, in force from {uk_time(outcome.in_force_at_s)} on unless it is undone."


WORDS: Mapping[type[Outcome], Callable[[Any, Permits], str]] = {
    patients.Enrolled: lambda each, _: f"You were enrolled at {each.custodian}; {HOLDERS[each.holder]}.",
    patients.PseudonymKeyRotated: lambda each, _: f"Your key here was replaced; {HOLDERS[each.holder]}.",
    patients.KeyTakenOver: lambda _each, _: "You took your key over from the custodian.",
    patients.KeyAdded: _key_added,
    patients.KeyRemoved: lambda each, _: f"{ACTORS[each.actor]} removed the key of a device or a delegate.",
    patients.RelationshipClosed: lambda each, _: f"{ACTORS[each.actor]} closed the relationship.",
    patients.RecoveryStarted: _recovery_started,
    patients.RecoveryFinished: lambda _each, _: (
        "Your lost key here was replaced, and all devices and delegates that it let act for you are removed."
    ),
    patients.RecoveryKeyChanged: _recovery_key_changed,
    patients.RecoveryKeyUndone: lambda _each, _: "The change of your guardians’ key was undone.",
    patients.RecoveryCancelled: lambda _each, _: (
        "You stopped a recovery; the next one needs more guardians, and the custodian to check who asks."
    ),
    records.BatchRegistered: lambda each, _: f"{each.custodian} registered records of yours.",
    records.Verified: lambda _each, _: "The custodian vouched for a record that you contributed.",
    records.Superseded: lambda _each, _: "A record of yours got a newer version.",
    records.ErasureMarked: lambda _each, _: "A record of yours was erased.",
    records.RelationshipErased: lambda each, _: f"Everything of yours at {each.custodian} was erased.",
    consent.ConsentFiled: _filed,
    consent.ConsentWithdrawn: _withdrawn,
    tickets.TicketIssued: lambda each, _: f"{ACTORS[each.issuer]} issued a ticket for {each.uses_max} uses.",
    tickets.TicketRevoked: lambda each, _: f"{ACTORS[each.actor]} ended a ticket.",
    tickets.TicketUsed: lambda each, _: f"A ticket was used; {each.uses_left} uses are left.",
    tickets.TicketAttenuated: lambda each, _: f"A narrower ticket was made from one, for {each.uses_max} uses.",
    access.AccessPermitted: _permitted,
    access.AccessDenied: _denied,
    access.ReleasesCommitted: _releases,
    access.EmergencyReviewed: lambda each, permits: (
        f"The emergency of {permits.named(each.permit)} was reviewed and found {VERDICTS[each.verdict]}."
    ),
    access.Challenged: lambda each, permits: f"{ACTORS[each.actor]} questioned {permits.named(each.permit)}.",
}
"""Every outcome that can be in a history; a test compares it with the contracts."""
