"""The states that rows of proved tables pass through, and which message takes them from one to the next.

A state is what matters to the rules of a row, not its content. The scenario tables must show every transition that is
listed here and none that is not.
"""

from collections.abc import Callable
from typing import Any

from salus.contracts.access import End, Permit, Unreviewed
from salus.contracts.consent import Choices
from salus.contracts.membership import Keys
from salus.contracts.patients import Holder, Recovery, Relationship
from salus.contracts.records import EntryMark
from salus.contracts.tickets import Ticket

ABSENT = "absent"

LISTED = """
membership.organisations: absent -> a member: Vote
membership.organisations: a member -> a member: Vote
membership.organisations: a member -> suspended: Suspend, Vote
membership.organisations: suspended -> suspended: Vote
membership.organisations: suspended -> a member: Vote
membership.organisations: a member -> absent: Vote
membership.certificates: absent -> in force: Certify
membership.certificates: in force -> absent: RevokeCertificate
membership.keys: absent -> current: RotateKey, RotateConsensusKey, Vote
membership.keys: current -> replaced: RotateKey, RotateConsensusKey
membership.keys: replaced -> replaced: RotateConsensusKey
membership.keys: current -> none: Vote
membership.keys: none -> replaced: Vote
membership.owners: absent -> there: RotateKey, RotateConsensusKey, Vote
membership.files: absent -> there: PublishFile
membership.files: there -> there: PublishFile
membership.policies: absent -> there: Vote
membership.policies: there -> there: Vote
membership.proposals: absent -> waiting: Propose
membership.proposals: waiting -> waiting: Vote
membership.proposals: waiting -> absent: Vote
membership.accusations: absent -> open: Suspend
membership.accusations: open -> spent: Suspend
membership.accusations: absent -> spent: Suspend
membership.accusations: spent -> open: Suspend
membership.accusations: open -> absent: Vote
membership.accusations: spent -> absent: Vote
membership.validators: absent -> there: Vote
membership.validators: there -> there: Vote, RotateConsensusKey
membership.validators: there -> absent: Vote
membership.before: absent -> there: Vote
membership.before: there -> there: Vote, RotateConsensusKey
membership.upgrades: absent -> there: Vote
membership.upgrades: there -> there: Vote
patients.relationships: absent -> the patient's: Enrol
patients.relationships: absent -> with the custodian: Enrol
patients.relationships: the patient's -> the patient's: RotatePseudonymKey, AddKey, RemoveKey
patients.relationships: the patient's -> the patient's: StartRecovery, FinishRecovery, ChangeRecoveryKey
patients.relationships: the patient's -> with the custodian: RotatePseudonymKey
patients.relationships: with the custodian -> with the custodian: RotatePseudonymKey, AddKey, RemoveKey
patients.relationships: with the custodian -> the patient's: TakeOverKey, FinishRecovery
patients.relationships: the patient's -> closed: CloseRelationship
patients.relationships: with the custodian -> closed: CloseRelationship
patients.recoveries: absent -> quiet: ChangeRecoveryKey
patients.recoveries: absent -> changing: ChangeRecoveryKey
patients.recoveries: absent -> started: StartRecovery
patients.recoveries: quiet -> changing: ChangeRecoveryKey
patients.recoveries: quiet -> started: StartRecovery
patients.recoveries: quiet -> started by the second: StartRecovery
patients.recoveries: changing -> changing: ChangeRecoveryKey
patients.recoveries: changing -> quiet: UndoRecoveryKey
patients.recoveries: changing -> started: StartRecovery
patients.recoveries: changing -> started by the second: StartRecovery
patients.recoveries: started -> started: StartRecovery
patients.recoveries: started -> started by the second: StartRecovery
patients.recoveries: started -> quiet: FinishRecovery
patients.recoveries: started -> spent: CancelRecovery
patients.recoveries: started -> changing: CancelRecovery
patients.recoveries: started by the second -> started by the second: StartRecovery
patients.recoveries: started by the second -> quiet: FinishRecovery
patients.recoveries: spent -> changing: ChangeRecoveryKey
patients.recoveries: spent -> started by the second: StartRecovery
records.marks: absent -> verified: Verify
records.marks: absent -> superseded: Supersede
records.marks: absent -> erased: MarkErased
records.marks: verified -> verified: Verify
records.marks: verified -> superseded: Supersede
records.marks: verified -> erased: MarkErased
records.marks: superseded -> superseded: Verify
records.marks: superseded -> erased: MarkErased
records.erasures: absent -> there: EraseRelationship
consent.choices: absent -> some: FileConsent
consent.choices: some -> some: FileConsent, WithdrawConsent
consent.choices: some -> none left: WithdrawConsent
consent.choices: none left -> some: FileConsent
tickets.tickets: absent -> unused: IssueTicket, AttenuateTicket
tickets.tickets: unused -> used in part: UseTicket, AttenuateTicket
tickets.tickets: unused -> used up: UseTicket, AttenuateTicket
tickets.tickets: used in part -> used in part: UseTicket, AttenuateTicket
tickets.tickets: used in part -> used up: UseTicket, AttenuateTicket
tickets.tickets: unused -> revoked: RevokeTicket
tickets.tickets: used in part -> revoked: RevokeTicket
tickets.tickets: used up -> revoked: RevokeTicket
access.permits: absent -> open: RequestAccess
access.permits: open -> closed by custodian: CommitReleases
access.permits: open -> closed by requester: CommitReleases
access.permits: open -> absent: CommitReleases
access.permits: closed by custodian -> absent: CommitReleases
access.permits: closed by requester -> absent: CommitReleases
access.permits: open -> open: ReviewEmergency
access.permits: closed by custodian -> closed by custodian: ReviewEmergency
access.permits: closed by requester -> closed by requester: ReviewEmergency
access.emergencies: absent -> there: RequestAccess
access.emergencies: there -> absent: ReviewEmergency
access.unreviewed: absent -> one: RequestAccess
access.unreviewed: one -> several: RequestAccess
access.unreviewed: several -> several: RequestAccess, ReviewEmergency
access.unreviewed: several -> one: ReviewEmergency
access.unreviewed: one -> absent: ReviewEmergency
"""


def listed() -> set[str]:
    """Each transition as one line: table, from, to, message."""
    found = set()
    for line in LISTED.strip().splitlines():
        table, move, messages = line.split(": ")
        found |= {f"{table}: {move}: {message}" for message in messages.split(", ")}
    return found


def state_of(table: str, value: Any) -> str:
    """The state of a row; of no row, absent."""
    if value is None:
        return ABSENT
    return STATES.get(table, lambda _: "there")(value)


def _relationship(row: Relationship) -> str:
    if row.closed_at_s:
        return "closed"
    return "the patient's" if row.holder is Holder.PATIENT else "with the custodian"


def _recovery(row: Recovery) -> str:
    if row.started:
        return "started by the second" if row.started[0].is_second else "started"
    if row.change:
        return "changing"
    return "spent" if row.is_spent else "quiet"


def _mark(row: EntryMark) -> str:
    if row.erased_at_s:
        return "erased"
    return "superseded" if row.superseded_by else "verified"


def _choices(row: Choices) -> str:
    return "some" if row.choices else "none left"


def _ticket(row: Ticket) -> str:
    if row.is_revoked:
        return "revoked"
    if not row.used:
        return "unused"
    return "used up" if row.used == row.uses_max else "used in part"


def _permit(row: Permit) -> str:
    return {0: "open", End.CUSTODIAN: "closed by custodian", End.REQUESTER: "closed by requester"}[row.closed]


def _unreviewed(row: Unreviewed) -> str:
    return "one" if row.count == 1 else "several"


def _keys(row: Keys) -> str:
    if not row.current:
        return "none"
    return "replaced" if row.retired else "current"


STATES: dict[str, Callable[[Any], str]] = {
    "membership.organisations": lambda row: "suspended" if row.suspended_until_s else "a member",
    "membership.proposals": lambda _: "waiting",
    "membership.accusations": lambda row: "spent" if row.is_spent else "open",
    "membership.certificates": lambda _: "in force",
    "membership.keys": _keys,
    "patients.relationships": _relationship,
    "patients.recoveries": _recovery,
    "records.marks": _mark,
    "consent.choices": _choices,
    "tickets.tickets": _ticket,
    "access.permits": _permit,
    "access.unreviewed": _unreviewed,
}
