"""The network of the receipt tests: a hospital, a practice, their keys by name, a chart, choices and a policy."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from salus.contracts import CONTRACTS
from salus.contracts.access import AccessPermitted, End
from salus.contracts.genesis import (
    DEFAULT_NETWORK,
    FirstPolicy,
    FirstValidator,
    Founder,
    FounderKey,
    Genesis,
    check,
    genesis_rows,
)
from salus.contracts.membership import KeyUse, LedgerAccess
from salus.contracts.provisions import (
    Provision,
    ProvisionType,
    Purpose,
    RoleClass,
)
from salus.contracts.record_metadata import Facts
from salus.crypto.hashing import sha256
from salus.crypto.signing import SigningKey
from salus.ledger.entries import PlacedEntry
from salus.ledger.fields import CommittedFields
from salus.ledger.identifiers import OrganisationId, PermitId, Pseudonym, PublicKey
from salus.ledger.receipts import Conclusion, Delivery, Field, Receipt, Standing
from tests.ledger.proof_world import START_S, Ledger, ledger

CHAIN = "salus-receipts"
HOSPITAL, PRACTICE = OrganisationId("RVJ"), OrganisationId("A81001")
ROLES = (RoleClass.CLINICAL, RoleClass.ADMINISTRATIVE, RoleClass.PATIENT_SIDE)
ANN = Pseudonym(sha256(b"ann")[:16])
PSY = "http://terminology.hl7.org/CodeSystem/v3-ActCode|PSY"
HIV = "http://terminology.hl7.org/CodeSystem/v3-ActCode|HIV"
CHART = (
    Facts(("Observation",), codes=("http://loinc.org|718-7",), title="Haemoglobin"),
    Facts(("AllergyIntolerance",), title="Allergy to penicillin"),
    Facts(("DocumentReference",), labels=(PSY,), title="Letter from psychiatry"),
    Facts(("Observation",), labels=(HIV,), title="HIV test"),
)
SHARE = Provision(
    type=ProvisionType.PERMIT,
    organisations=(PRACTICE,),
    role_classes=(RoleClass.CLINICAL,),
    purposes=(Purpose.TREAT,),
    provisions=(Provision(type=ProvisionType.DENY, labels=(PSY,)),),
)
REFUSE_RESEARCH = Provision(type=ProvisionType.DENY, purposes=(Purpose.HRESCH,))
POLICY = Provision(
    type=ProvisionType.DENY,
    purposes=(Purpose.TREAT, Purpose.BTG),
    labels=(HIV,),
)


def secret(name: str) -> bytes:
    """32 bytes that look random."""
    return sha256(f"secret {name}".encode())


def key(name: str) -> SigningKey:
    """A signing key by its name."""
    return SigningKey.from_seed(secret(f"key {name}"))


def receipt_key(organisation: str, number: int = 0) -> SigningKey:
    """An organisation's receipt key, and those that come after it."""
    return key(f"{organisation} receipt {number}")


def transaction_key(organisation: str) -> SigningKey:
    """An organisation's transaction key."""
    return key(f"{organisation} transaction")


@dataclass
class Stored:
    """A record at the hospital."""

    placed: PlacedEntry
    metadata: CommittedFields


@dataclass
class Released:
    """One part, as the hospital keeps it."""

    receipt: Receipt
    fields: CommittedFields
    request: CommittedFields
    transaction: bytes
    permit: PermitId
    conclusions: dict[End, Conclusion] = field(default_factory=dict)


@dataclass(frozen=True)
class Changes:
    """How a release departs from what a conforming custodian does.

    Args:
        let_go, keep_back: numbers of records that go or stay whatever the rules say.
        room: for how many records there is room in the receipt's tree; conforming is the number that are registered.
    """

    let_go: tuple[int, ...] = ()
    keep_back: tuple[int, ...] = ()
    wrong_rule: bool = False
    custodian_key: SigningKey | None = None
    requester_key: SigningKey | None = None
    standing: Standing = Standing.LEDGER
    delivery: Delivery = Delivery.SEALED
    room: int = 0
    rewrite: Callable[[list[Field]], list[Field]] = lambda fields: fields


def terms_are_of_staff(outcome: AccessPermitted) -> bool:
    """Not the patient's own request."""
    return outcome.purpose is not Purpose.PATRQT


def begin_ledger(*, validators: int = 1, policies: Sequence[FirstPolicy] = ()) -> Ledger:
    """Found the network: hospital and practice."""
    founders = tuple(
        Founder(
            organisation=organisation,
            name=name,
            role_classes=ROLES,
            access=LedgerAccess.VALIDATOR,
            endpoint="",
            keys=(
                FounderKey(KeyUse.TRANSACTION, transaction_key(organisation).public),
                FounderKey(KeyUse.RECEIPT, receipt_key(organisation).public),
                FounderKey(KeyUse.CONSENSUS, key(f"{organisation} consensus").public),
            ),
        )
        for organisation, name in ((HOSPITAL, "St Mary's Hospital"), (PRACTICE, "Dr Jones's Surgery"))
    )
    seat = FirstValidator(HOSPITAL, PublicKey(key(f"{HOSPITAL} consensus").public), 1)
    genesis = Genesis(1, CHAIN, START_S, DEFAULT_NETWORK, founders, tuple(policies), (seat,))
    check(genesis)
    return ledger(CONTRACTS, tuple(genesis_rows(genesis)), validators=validators, chain=CHAIN)
