"""One item of each kind, as a portal asks for it, and the keys that sign what comes of it."""

from __future__ import annotations

from typing import Any

from salus.contracts import residuals
from salus.contracts.patients import AddKey, KeyKind
from salus.contracts.ticket_bearers import Resources
from salus.crypto.derive import branch
from salus.crypto.signing import SigningKey
from salus.ledger import transactions
from salus.ledger.identifiers import Digest, OrganisationId, PermitId, Pseudonym, PublicKey
from salus.ledger.transactions import Message
from salus.node.services.signer_requests import (
    AcceptKey,
    BeginEnrolment,
    BeginRecovery,
    BeginTakeOver,
    CertifySession,
    ChangeGuardians,
    ChooseGuardians,
    DeviceKept,
    EndedChoice,
    EndRecovery,
    EndTicket,
    FileChoice,
    Item,
    KeepGuardians,
    Kind,
    LetAct,
    NewChallenge,
    NewKey,
    NewTicket,
    SigningRequest,
    StopActing,
    StopRecovery,
    WithdrawChoice,
)
from salus.sdk.choice_presets import refuse, share
from salus.sdk.guardians import recovery_key
from tests.contracts.network import BEGIN_S, CHAIN, key

HOSPITAL, PRACTICE = OrganisationId("RX1"), OrganisationId("A81001")
PSEUDONYM, OTHER, NEW = Pseudonym(bytes(16)), Pseudonym(bytes([1]) * 16), Pseudonym(bytes([2]) * 16)
SEED = bytes(range(32))
OWN = SigningKey.from_seed(branch(SEED, "signing", PSEUDONYM.hex(), "0"))
THEIRS, STRANGER = SigningKey.from_seed(bytes(32)), SigningKey.from_seed(bytes([9]) * 32)
TREE, CLOSED = share([PRACTICE], except_labels=["PSY"]), refuse([PRACTICE])
CHOICE = bytes([7]) * 16
AT: dict[str, Any] = {"custodian": HOSPITAL, "pseudonym": PSEUDONYM}
RESOURCES = (Resources("*", ("read",)),)
AUDIENCE = "https://riverside.example/FHIR/R4"
TERMS = residuals.DelegateTerms("Bob", residuals.Relation.CARER, (residuals.Band(0, (residuals.Ability.READ,)),))

RECOVERY = bytes(range(32, 64)), bytes(range(64, 96)), bytes(range(96, 128))
"""What guardians' words make, and the seeds of the first and the second circle that are new."""
GIVEN, MASTER, SECOND = (recovery_key(each, PSEUDONYM) for each in RECOVERY)
PRESENT = PublicKey(GIVEN.public)


def unsigned(*messages: Message, **other: Any) -> bytes:
    """A body that the hospital's key and the patient's are to sign."""
    terms: dict[str, Any] = {"chain": CHAIN, "signers": [PublicKey(OWN.public), PublicKey(THEIRS.public)]}
    return transactions.unsigned(messages, **terms | {"expires_at_s": BEGIN_S + 300, "nonce": bytes(16)} | other)


ADDED = AddKey(PSEUDONYM, PublicKey(OWN.public), KeyKind.DEVICE, 0, Digest(bytes(32)))
TO_ACCEPT = unsigned(ADDED, signers=[PublicKey(THEIRS.public), PublicKey(OWN.public)])
ITEMS: dict[Kind, Item] = {
    Kind.CREATE: NewKey(HOSPITAL, NEW),
    Kind.NEW_KEY: NewKey(HOSPITAL, NEW),
    Kind.ENROL: BeginEnrolment(HOSPITAL, PublicKey(key("hospital").public)),
    Kind.TAKE_OVER: BeginTakeOver(PRACTICE, NEW, PublicKey(THEIRS.public)),
    Kind.SESSION: CertifySession(**AT, key=PublicKey(THEIRS.public), from_s=BEGIN_S, until_s=BEGIN_S + 3600),
    Kind.FILE_CONSENT: FileChoice(**AT, tree=TREE, replaces=EndedChoice(CHOICE, CLOSED)),
    Kind.WITHDRAW_CONSENT: WithdrawChoice(**AT, choice=CHOICE, tree=TREE),
    Kind.ISSUE_TICKET: NewTicket(
        **AT, tree=TREE, audience=AUDIENCE, resources=RESOURCES, uses_max=2, expires_at_s=BEGIN_S + 60
    ),
    Kind.FILE_CHALLENGE: NewChallenge(**AT, permit=PermitId(CHOICE), words="Nobody asked me"),
    Kind.REVOKE_TICKET: EndTicket(**AT, ticket=PublicKey(THEIRS.public)),
    Kind.ADD_KEY: LetAct(
        **AT, key=PublicKey(THEIRS.public), key_kind=KeyKind.DELEGATE, expires_at_s=0, name="Bob", terms=TERMS
    ),
    Kind.ACCEPT_KEY: AcceptKey(HOSPITAL, TO_ACCEPT),
    Kind.REMOVE_KEY: StopActing(**AT, key=PublicKey(THEIRS.public), name="Bob"),
    Kind.CANCEL_RECOVERY: StopRecovery(**AT),
    Kind.SET_RECOVERY: ChooseGuardians(**AT, threshold=2, second=3, guardians=("Tom", "Ida", "Dr Rao")),
    Kind.CHANGE_RECOVERY: ChangeGuardians(
        **AT, recovery=PRESENT, threshold=2, second=3, guardians=("Tom", "Ida", "Dr Rao")
    ),
    Kind.UNDO_RECOVERY: KeepGuardians(**AT, recovery=PRESENT),
    Kind.START_RECOVERY: BeginRecovery(**AT),
    Kind.FINISH_RECOVERY: EndRecovery(**AT),
}
CHANGES_BLOB = {Kind.CREATE, Kind.NEW_KEY, Kind.ENROL, Kind.TAKE_OVER, Kind.START_RECOVERY}


def request_of(kind: Kind) -> SigningRequest:
    """A request for one item of a kind."""
    kept = (
        DeviceKept(bytes(16), bytes(32)) if kind is Kind.CREATE else DeviceKept(bytes(16), bytes(32), b"x", bytes(99))
    )
    person = "Mary Green" if kind is Kind.CREATE else ""
    return SigningRequest(kind, CHAIN, bytes(16), BEGIN_S, (kept,), (ITEMS[kind],), person=person)
