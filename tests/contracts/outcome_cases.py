"""A case for each outcome: a step of the tables, the whole outcome, the rows that it writes, the steps it takes."""

from typing import Any

from salus.contracts import access, consent, membership, patients, records, tickets
from salus.contracts.access import Basis, DenialReason, End, Permit, Verdict
from salus.contracts.membership import (
    CertificateKind,
    KeyUse,
    Owner,
    RetiredKey,
)
from salus.contracts.patients import (
    CHANGE_S,
    TIME_LOCK_S,
    Actor,
    Holder,
    KeyChange,
    KeyKind,
    PatientKey,
    Recovery,
    Relationship,
    Started,
)
from salus.contracts.provisions import Purpose, RoleClass, Verb, gate
from salus.contracts.tickets import Ticket
from salus.crypto.hashing import sha256
from tests.contracts.governance_cases import GOVERNANCE, Case
from tests.contracts.network import BEGIN_S, digest, organisation, pseudonym, public
from tests.contracts.trees import TREES

ANN, HOSPITAL, PRACTICE = pseudonym("ann"), organisation("hospital"), organisation("practice")
C = digest("what stays off the ledger")
DAY = BEGIN_S // 86_400
PRACTICE_GATE = gate(TREES["practice"])
(ANY_TREATMENT,) = gate(TREES["any-treatment"]).may_permit
(READ_ONLY,) = gate(TREES["read-only"]).may_permit


ENROLLED = "hospital enrols ann, recovery ann-recovery -> done"
ENROLLED_TWICE = (
    "hospital enrols ann -> done",
    "ann changes recovery to ann-recovery, second ann-second, by ann -> done",
)
CUSTODIAN_HELD = "hospital enrols ann, held by custodian -> done"
FILED = "ann files c1 as practice -> done"
TICKET = "ann issues the ticket t1 of ann as any-treatment, uses 3, until +1h -> done"
USED = "okafor uses the ticket t1 of ann"
ASKED = "okafor of practice asks for ann: clinical TREAT read, as p1"
BROKEN_GLASS = "okafor of practice asks for ann: clinical BTG read, for +1h, as p1 -> permitted: Emergency"


def relationship(**fields: Any) -> Relationship:
    plain = {
        "custodian": HOSPITAL, "key": public("ann"), "holder": Holder.PATIENT, "recovery_key": public("ann-recovery"),
        "keys": (), "closed_at_s": 0,
    }  # fmt: skip
    return Relationship(**(plain | fields))


def recovery(**fields: Any) -> Recovery:
    plain = {"second_key": b"", "is_spent": False, "started": (), "change": ()}
    return Recovery(**(plain | fields))


def started(signer: bytes, *, is_second: bool) -> Started:
    return Started(public("ann-2"), signer, is_second, BEGIN_S + TIME_LOCK_S)


def key_change(*, is_by_second: bool) -> KeyChange:
    return KeyChange(public("ann-recovery-2"), public("ann-second"), is_by_second, BEGIN_S + CHANGE_S)


def ticket(**fields: Any) -> Ticket:
    plain = {
        "pseudonym": ANN, "issuer": Actor.PATIENT, "conditions": (ANY_TREATMENT,), "ancestors": (), "uses_max": 3,
        "used": 0, "expires_at_s": BEGIN_S + 3600, "is_revoked": False, "commitment": C, "used_for": b"",
    }  # fmt: skip
    return Ticket(**(plain | fields))


def permit(**fields: Any) -> Permit:
    plain = {
        "pseudonym": ANN, "custodian": HOSPITAL, "requester": PRACTICE, "role_class": RoleClass.CLINICAL,
        "purpose": Purpose.TREAT, "verb": Verb.READ, "from_s": BEGIN_S, "until_s": BEGIN_S + 900,
        "session_key": public("okafor"), "reader_key": digest("reader key"), "basis": Basis.CHOICE, "ticket": b"",
        "choices_version": 1, "network_policy_version": 0, "custodian_policy_version": 0, "residual": C, "closed": 0,
    }  # fmt: skip
    return Permit(**(plain | fields))


def choice(actor: Actor = Actor.PATIENT) -> consent.Choice:
    return consent.Choice(digest("c1")[:16], PRACTICE_GATE, digest("rules practice"), actor, BEGIN_S)


CASES = GOVERNANCE | {
    "Certify": Case(
        (), "hospital certifies okafor as clinical and officer, until +1h, kind device",
        membership.Certified(
            HOSPITAL, digest("certificate of okafor"), CertificateKind.DEVICE, (RoleClass.CLINICAL, RoleClass.OFFICER),
            BEGIN_S + 3600,
        ),
        (
            (membership.CERTIFICATES, (HOSPITAL, digest("certificate of okafor")), membership.Certificate(
                CertificateKind.DEVICE, (RoleClass.CLINICAL, RoleClass.OFFICER), BEGIN_S + 3600)),
        ),
        7,
    ),
    "RevokeCertificate": Case(
        ("hospital certifies okafor as clinical -> done",), "hospital revokes the certificate of okafor",
        membership.CertificateRevoked(HOSPITAL, digest("certificate of okafor")),
        ((membership.CERTIFICATES, (HOSPITAL, digest("certificate of okafor")), None),),
        7,
    ),
    "RotateKey": Case(
        ("later +5s",), "hospital rotates its http key to http-2",
        membership.KeyRotated(HOSPITAL, KeyUse.HTTP, public("http-2")),
        (
            (membership.KEYS, (HOSPITAL, KeyUse.HTTP), membership.Keys(
                public("http-2"), (RetiredKey(public("hospital/http"), BEGIN_S + 5),))),
            (membership.OWNERS, sha256(public("http-2")), Owner(HOSPITAL, KeyUse.HTTP)),
            (membership.OWNERS, sha256(public("hospital/http")), Owner(HOSPITAL, KeyUse.HTTP)),
        ),
        28,
    ),
    "RotateKey of a use that had no key": Case(
        (), "hospital rotates its receipt key to receipt-1",
        membership.KeyRotated(HOSPITAL, KeyUse.RECEIPT, public("receipt-1")),
        ((membership.KEYS, (HOSPITAL, KeyUse.RECEIPT), membership.Keys(public("receipt-1"), ())),),
        28,
    ),
    "PublishFile": Case(
        (), "hospital publishes signer-page as a-digest",
        membership.FilePublished(HOSPITAL, "signer-page", digest("a-digest")),
        ((membership.FILES, (HOSPITAL, "signer-page"), digest("a-digest")),),
        4,
    ),
    "Enrol": Case(
        (), "hospital enrols ann, recovery ann-recovery",
        patients.Enrolled(ANN, HOSPITAL, public("ann"), Holder.PATIENT, public("ann-recovery"), C),
        ((patients.RELATIONSHIPS, ANN, relationship()),),
        48,
    ),
    "RotatePseudonymKey": Case(
        (ENROLLED,), "ann rotates the key to ann-2, held by custodian",
        patients.PseudonymKeyRotated(ANN, public("ann-2"), Holder.CUSTODIAN, C),
        ((patients.RELATIONSHIPS, ANN, relationship(key=public("ann-2"), holder=Holder.CUSTODIAN)),),
        25,
    ),
    "TakeOverKey": Case(
        (CUSTODIAN_HELD, "ann adds the device hospital-tablet -> done"),
        "ann takes the key over with ann-2, recovery ann-recovery",
        patients.KeyTakenOver(ANN, public("ann-2"), public("ann-recovery"), C),
        ((patients.RELATIONSHIPS, ANN, relationship(key=public("ann-2"))),),
        46,
    ),
    "TakeOverKey without recovery": Case(
        (ENROLLED, "ann rotates the key to c, held by custodian -> done"),
        "ann takes the key over with ann-2, by c",
        patients.KeyTakenOver(ANN, public("ann-2"), b"", C),
        ((patients.RELATIONSHIPS, ANN, relationship(key=public("ann-2"))),),
        25,
    ),
    "AddKey": Case(
        (ENROLLED,), "ann adds the delegate mum, until +1h",
        patients.KeyAdded(ANN, public("mum"), KeyKind.DELEGATE, Holder.PATIENT, BEGIN_S + 3600, C),
        ((patients.RELATIONSHIPS, ANN, relationship(
            keys=(PatientKey(public("mum"), KeyKind.DELEGATE, Holder.PATIENT, BEGIN_S + 3600),))),),
        25,
    ),
    "AddKey by custodian": Case(
        (CUSTODIAN_HELD,), "ann adds the device tablet",
        patients.KeyAdded(ANN, public("tablet"), KeyKind.DEVICE, Holder.CUSTODIAN, 0, C),
        ((patients.RELATIONSHIPS, ANN, relationship(
            holder=Holder.CUSTODIAN, recovery_key=b"",
            keys=(PatientKey(public("tablet"), KeyKind.DEVICE, Holder.CUSTODIAN, 0),))),),
        25,
    ),
    "AddKey drops what has expired": Case(
        (ENROLLED, "ann adds the device old, until +1h -> done", "later +1h"), "ann adds the device new",
        patients.KeyAdded(ANN, public("new"), KeyKind.DEVICE, Holder.PATIENT, 0, C),
        ((patients.RELATIONSHIPS, ANN, relationship(
            keys=(PatientKey(public("new"), KeyKind.DEVICE, Holder.PATIENT, 0),))),),
        25,
    ),
    "RemoveKey": Case(
        (ENROLLED, "ann adds the device phone -> done", "ann adds the delegate mum -> done"),
        "ann removes mum, by phone",
        patients.KeyRemoved(ANN, public("mum"), Actor.PATIENT, C),
        ((patients.RELATIONSHIPS, ANN, relationship(
            keys=(PatientKey(public("phone"), KeyKind.DEVICE, Holder.PATIENT, 0),))),),
        4,
    ),
    "RemoveKey by custodian": Case(
        (CUSTODIAN_HELD, "ann adds the device tablet -> done"), "ann removes tablet",
        patients.KeyRemoved(ANN, public("tablet"), Actor.CUSTODIAN, C),
        ((patients.RELATIONSHIPS, ANN, relationship(holder=Holder.CUSTODIAN, recovery_key=b"")),),
        4,
    ),
    "CloseRelationship": Case(
        (ENROLLED, "later +5s"), "ann closes the relationship",
        patients.RelationshipClosed(ANN, Actor.PATIENT, C),
        ((patients.RELATIONSHIPS, ANN, relationship(closed_at_s=BEGIN_S + 5)),),
        3,
    ),
    "CloseRelationship by custodian": Case(
        (CUSTODIAN_HELD,), "ann closes the relationship",
        patients.RelationshipClosed(ANN, Actor.CUSTODIAN, C), (), 3,
    ),
    "StartRecovery": Case(
        (ENROLLED,), "ann starts recovery with ann-2",
        patients.RecoveryStarted(ANN, public("ann-2"), is_second=False, ready_at_s=BEGIN_S + TIME_LOCK_S, commitment=C),
        ((patients.RELATIONSHIPS, ANN, relationship()), (patients.RECOVERIES, ANN, recovery(
            started=(started(public("ann-recovery"), is_second=False),)))),
        27,
    ),
    "StartRecovery by the second key": Case(
        ENROLLED_TWICE, "ann starts recovery with ann-2, by ann-second, checked by hospital",
        patients.RecoveryStarted(ANN, public("ann-2"), is_second=True, ready_at_s=BEGIN_S + TIME_LOCK_S, commitment=C),
        ((patients.RECOVERIES, ANN, recovery(
            second_key=public("ann-second"),
            started=(started(public("ann-second"), is_second=True),))),),
        30,
    ),
    "FinishRecovery": Case(
        (ENROLLED, "ann adds the device phone -> done", "ann rotates the key to c, held by custodian -> done",
         "ann starts recovery with ann-2 -> done", "later +72h"),
        "ann finishes recovery",
        patients.RecoveryFinished(ANN, public("ann-2"), is_second=False, commitment=C),
        ((patients.RELATIONSHIPS, ANN, relationship(key=public("ann-2"))), (patients.RECOVERIES, ANN, recovery())),
        5,
    ),
    "ChangeRecoveryKey": Case(
        (ENROLLED,), "ann changes recovery to ann-recovery-2, second ann-second",
        patients.RecoveryKeyChanged(ANN, public("ann-recovery-2"), public("ann-second"), BEGIN_S + CHANGE_S, C),
        ((patients.RELATIONSHIPS, ANN, relationship()), (patients.RECOVERIES, ANN, recovery(
            change=(key_change(is_by_second=False),)))),
        47,
    ),
    "ChangeRecoveryKey by the second key": Case(
        ENROLLED_TWICE, "ann changes recovery to ann-recovery-2, second ann-second, by ann-second",
        patients.RecoveryKeyChanged(ANN, public("ann-recovery-2"), public("ann-second"), BEGIN_S + CHANGE_S, C),
        ((patients.RECOVERIES, ANN, recovery(
            second_key=public("ann-second"),
            change=(key_change(is_by_second=True),))),),
        47,
    ),
    "ChangeRecoveryKey for the first time": Case(
        ("hospital enrols ann -> done",), "ann changes recovery to ann-recovery, second ann-second, by ann",
        patients.RecoveryKeyChanged(ANN, public("ann-recovery"), public("ann-second"), BEGIN_S, C),
        ((patients.RELATIONSHIPS, ANN, relationship()),
         (patients.RECOVERIES, ANN, recovery(second_key=public("ann-second")))),
        47,
    ),
    "UndoRecoveryKey": Case(
        (*ENROLLED_TWICE, "ann changes recovery to thief, second ann-second -> done"),
        "ann undoes the change of recovery",
        patients.RecoveryKeyUndone(ANN, C),
        ((patients.RECOVERIES, ANN, recovery(second_key=public("ann-second"))),),
        6,
    ),
    "CancelRecovery": Case(
        (*ENROLLED_TWICE, "ann starts recovery with thief -> done"), "ann cancels the recovery",
        patients.RecoveryCancelled(ANN, C),
        ((patients.RECOVERIES, ANN, recovery(second_key=public("ann-second"), is_spent=True)),),
        5,
    ),
    "CancelRecovery after a change has come in force": Case(
        (ENROLLED, "ann changes recovery to ann-recovery-2 -> done", "ann starts recovery with thief -> done",
         "later +7d"),
        "ann cancels the recovery",
        patients.RecoveryCancelled(ANN, C),
        ((patients.RELATIONSHIPS, ANN, relationship(recovery_key=public("ann-recovery-2"))),
         (patients.RECOVERIES, ANN, recovery(is_spent=True))),
        5,
    ),
    "RegisterBatch": Case(
        (ENROLLED,), "hospital registers the batch b1 of 4 for ann",
        records.BatchRegistered(ANN, HOSPITAL, digest("b1"), 4), (), 5,
    ),
    "Verify": Case(
        (ENROLLED, "later +5s"), "hospital verifies e1 of ann",
        records.Verified(ANN, digest("e1"), C),
        ((records.MARKS, (ANN, digest("e1")), records.EntryMark(BEGIN_S + 5, 0, b"")),),
        6,
    ),
    "Supersede": Case(
        (ENROLLED,), "hospital supersedes e1 of ann by e2",
        records.Superseded(ANN, digest("e1"), digest("e2"), C),
        ((records.MARKS, (ANN, digest("e1")), records.EntryMark(0, 0, digest("e2"))),),
        7,
    ),
    "MarkErased": Case(
        (ENROLLED, "hospital verifies e1 of ann -> done", "later +5s"), "hospital erases e1 of ann",
        records.ErasureMarked(ANN, digest("e1"), C),
        ((records.MARKS, (ANN, digest("e1")), records.EntryMark(BEGIN_S, BEGIN_S + 5, b"")),),
        6,
    ),
    "EraseRelationship": Case(
        (ENROLLED, "later +5s"), "hospital erases ann",
        records.RelationshipErased(ANN, HOSPITAL, C),
        ((records.ERASURES, ANN, records.Erasure(BEGIN_S + 5)),),
        5,
    ),
    "FileConsent": Case(
        (ENROLLED,), "ann files c1 as practice",
        consent.ConsentFiled(ANN, digest("c1")[:16], 1, PRACTICE_GATE, digest("rules practice"), Actor.PATIENT, 0),
        ((consent.CHOICES, ANN, consent.Choices(1, (choice(),))),),
        5,
    ),
    "FileConsent by a delegate": Case(
        (ENROLLED, "ann adds the delegate mum -> done"), "ann files c1 as practice, by mum",
        consent.ConsentFiled(ANN, digest("c1")[:16], 1, PRACTICE_GATE, digest("rules practice"), Actor.DELEGATE, 0),
        ((consent.CHOICES, ANN, consent.Choices(1, (choice(Actor.DELEGATE),))),),
        6,
    ),
    "FileConsent by a device": Case(
        (ENROLLED, "ann adds the device phone -> done"), "ann files c1 as practice, by phone",
        consent.ConsentFiled(ANN, digest("c1")[:16], 1, PRACTICE_GATE, digest("rules practice"), Actor.PATIENT, 0),
        (), 6,
    ),
    "FileConsent by custodian": Case(
        (CUSTODIAN_HELD,), "ann files c1 as practice, evidence yesterday",
        consent.ConsentFiled(
            ANN, digest("c1")[:16], 1, PRACTICE_GATE, digest("rules practice"), Actor.CUSTODIAN, DAY - 1
        ),
        ((consent.CHOICES, ANN, consent.Choices(1, (choice(Actor.CUSTODIAN),))),),
        5,
    ),
    "WithdrawConsent": Case(
        (ENROLLED, FILED), "ann withdraws c1",
        consent.ConsentWithdrawn(ANN, digest("c1")[:16], 2, C, Actor.PATIENT, 0),
        ((consent.CHOICES, ANN, consent.Choices(2, ())),),
        4,
    ),
    "WithdrawConsent by custodian": Case(
        (CUSTODIAN_HELD, "ann files c1 as practice, evidence today -> done"), "ann withdraws c1, evidence today",
        consent.ConsentWithdrawn(ANN, digest("c1")[:16], 2, C, Actor.CUSTODIAN, DAY), (), 4,
    ),
    "IssueTicket": Case(
        (ENROLLED,), "ann issues the ticket t1 of ann as any-treatment, uses 3, until +1h",
        tickets.TicketIssued(ANN, public("t1"), Actor.PATIENT, ANY_TREATMENT, 3, BEGIN_S + 3600, C),
        ((tickets.TICKETS, public("t1"), ticket()),),
        29,
    ),
    "IssueTicket by custodian": Case(
        (ENROLLED,), "hospital issues the ticket t1 of ann as any-treatment, uses 3, until +1h",
        tickets.TicketIssued(ANN, public("t1"), Actor.CUSTODIAN, ANY_TREATMENT, 3, BEGIN_S + 3600, C),
        ((tickets.TICKETS, public("t1"), ticket(issuer=Actor.CUSTODIAN)),),
        30,
    ),
    "RevokeTicket": Case(
        (ENROLLED, TICKET), "ann revokes the ticket t1 of ann",
        tickets.TicketRevoked(ANN, public("t1"), Actor.PATIENT, C),
        ((tickets.TICKETS, public("t1"), ticket(is_revoked=True)),),
        7,
    ),
    "RevokeTicket by custodian": Case(
        (ENROLLED, TICKET), "hospital revokes the ticket t1 of ann",
        tickets.TicketRevoked(ANN, public("t1"), Actor.CUSTODIAN, C), (), 8,
    ),
    "UseTicket": Case(
        (ENROLLED, TICKET, f"{USED} -> done"), USED,
        tickets.TicketUsed(ANN, public("t1"), 1), (), 8,
    ),
    "AttenuateTicket": Case(
        (ENROLLED, TICKET),
        "the ticket t1 of ann is narrowed to t2 as read-only, uses 2, until +30m, commitment narrower",
        tickets.TicketAttenuated(ANN, public("t1"), public("t2"), READ_ONLY, 2, BEGIN_S + 1800, digest("narrower")),
        (
            (tickets.TICKETS, public("t1"), ticket(used=2)),
            (tickets.TICKETS, public("t2"), ticket(
                conditions=(ANY_TREATMENT, READ_ONLY), ancestors=(public("t1"),), uses_max=2,
                expires_at_s=BEGIN_S + 1800, commitment=digest("narrower"))),
        ),
        33,
    ),
    "RequestAccess permitted": Case(
        (ENROLLED, FILED), ASKED,
        access.AccessPermitted(
            ANN, HOSPITAL, PRACTICE, RoleClass.CLINICAL, Purpose.TREAT, Verb.READ, BEGIN_S + 900, Basis.CHOICE,
            b"", 1, 0, 0, C,
        ),
        ((access.PERMITS, "p1", permit()),),
        20,
    ),
    "RequestAccess permitted by ticket": Case(
        (ENROLLED, TICKET), f"{USED} + {ASKED}, ticket t1",
        access.AccessPermitted(
            ANN, HOSPITAL, PRACTICE, RoleClass.CLINICAL, Purpose.TREAT, Verb.READ, BEGIN_S + 900, Basis.TICKET,
            public("t1"), 0, 0, 0, C,
        ),
        ((access.PERMITS, "p1", permit(basis=Basis.TICKET, ticket=public("t1"), choices_version=0)),),
        29,
    ),
    "RequestAccess under policies": Case(
        ("given the network policy hidden", "given the policy of hospital no-insurers", ENROLLED, FILED), ASKED,
        access.AccessPermitted(
            ANN, HOSPITAL, PRACTICE, RoleClass.CLINICAL, Purpose.TREAT, Verb.READ, BEGIN_S + 900, Basis.CHOICE,
            b"", 1, 1, 1, C,
        ),
        ((access.PERMITS, "p1", permit(network_policy_version=1, custodian_policy_version=1)),),
        22,
    ),
    "RequestAccess in an emergency": Case(
        (ENROLLED,), BROKEN_GLASS.partition(" ->")[0],
        access.AccessPermitted(
            ANN, HOSPITAL, PRACTICE, RoleClass.CLINICAL, Purpose.BTG, Verb.READ, BEGIN_S + 3600, Basis.EMERGENCY,
            b"", 0, 0, 0, C,
        ),
        (
            (access.PERMITS, "p1", permit(
                purpose=Purpose.BTG, until_s=BEGIN_S + 3600, basis=Basis.EMERGENCY, choices_version=0)),
            (access.EMERGENCIES, "p1", access.Emergency(ANN, HOSPITAL, PRACTICE, public("okafor"), BEGIN_S)),
            (access.UNREVIEWED, public("okafor"), access.Unreviewed(1)),
            (access.UNREVIEWED, PRACTICE, access.Unreviewed(1)),
        ),
        26,
    ),
    "RequestAccess denied": Case(
        (ENROLLED,), "lee of insurer asks for ann: insurer HPAYMT search",
        access.AccessDenied(
            ANN, HOSPITAL, organisation("insurer"), RoleClass.INSURER, Purpose.HPAYMT, Verb.SEARCH,
            DenialReason.NOTHING_PERMITS, 0, 0, 0, C,
        ),
        (), 18,
    ),
    "CommitReleases": Case(
        (ENROLLED, FILED, f"{ASKED} -> permitted: Choice"), "practice anchors p1 of ann as requester, closed",
        access.ReleasesCommitted(ANN, "p1", End.REQUESTER, digest("receipts"), is_closed=True),
        ((access.PERMITS, "p1", permit(closed=2)),),
        7,
    ),
    "CommitReleases that leaves it open": Case(
        (ENROLLED, FILED, f"{ASKED} -> permitted: Choice"), "hospital anchors p1 of ann as custodian",
        access.ReleasesCommitted(ANN, "p1", End.CUSTODIAN, digest("receipts"), is_closed=False),
        ((access.PERMITS, "p1", permit()),),
        3,
    ),
    "CommitReleases of a match": Case(
        (ENROLLED,), "hospital anchors a-match of ann as custodian",
        access.ReleasesCommitted(ANN, b"", End.CUSTODIAN, digest("receipts"), is_closed=False), (), 3,
    ),
    "ReviewEmergency": Case(
        (ENROLLED, BROKEN_GLASS), "grey of hospital finds p1 of ann justified",
        access.EmergencyReviewed(ANN, "p1", Verdict.JUSTIFIED, C),
        (
            (access.EMERGENCIES, "p1", None),
            (access.UNREVIEWED, public("okafor"), None),
            (access.UNREVIEWED, PRACTICE, None),
            (access.PERMITS, "p1", permit(
                purpose=Purpose.BTG, until_s=BEGIN_S + 3600, basis=Basis.EMERGENCY, choices_version=0)),
        ),
        10,
    ),
    "ReviewEmergency of what was not justified": Case(
        (ENROLLED, BROKEN_GLASS, "later +5m"), "grey of hospital finds p1 of ann not justified",
        access.EmergencyReviewed(ANN, "p1", Verdict.NOT_JUSTIFIED, C),
        ((access.PERMITS, "p1", permit(
            purpose=Purpose.BTG, until_s=BEGIN_S + 300, basis=Basis.EMERGENCY, choices_version=0)),),
        15,
    ),
    "Challenge": Case(
        (ENROLLED, "ann adds the delegate mum -> done"), "ann challenges p0, by mum",
        access.Challenged(ANN, digest("p0")[:16], Actor.DELEGATE, C), (), 3,
    ),
}  # fmt: skip
