"""The cases of proposals, votes, suspension and validators: see outcome_cases.py."""

from dataclasses import dataclass
from typing import Any

from salus.contracts import membership
from salus.contracts.membership import (
    Accusation,
    Keys,
    KeyUse,
    LedgerAccess,
    Organisation,
    Owner,
    Policy,
    Proposal,
    RetiredKey,
    SetPolicy,
    Upgrade,
    Validator,
    ValidatorsBefore,
)
from salus.contracts.provisions import RoleClass, gate
from salus.crypto.hashing import sha256
from salus.ledger.identifiers import OrganisationId
from salus.ledger.outcomes import Outcome
from salus.ledger.state import Table
from tests.contracts.network import BEGIN_S, digest, organisation, public
from tests.contracts.steps import hpke_key
from tests.contracts.trees import TREES

HOSPITAL, PRACTICE, DENTIST = organisation("hospital"), organisation("practice"), organisation("dentist")
C = digest("what stays off the ledger")


@dataclass(frozen=True)
class Case:
    """A step after others, and what comes of it.

    Args:
        rows: (table, key, row) of what the step writes; None for a row that goes.
        steps: how many steps its transaction takes (L6).
    """

    before: tuple[str, ...]
    step: str
    outcome: Outcome
    rows: tuple[tuple[Table[Any, Any], Any, Any], ...]
    steps: int


def member(**fields: Any) -> Organisation:
    plain = {
        "name": "Practice", "role_classes": (RoleClass.CLINICAL, RoleClass.ADMINISTRATIVE, RoleClass.OFFICER),
        "access": LedgerAccess.OBSERVER, "endpoint": "https://practice.example", "joined_at_s": BEGIN_S,
        "suspended_until_s": 0,
    }  # fmt: skip
    return Organisation(**(plain | fields))


def before_last(*text: str, by: tuple[str, ...] = ("practice", "pharmacy", "insurer")) -> tuple[str, ...]:
    """Steps, of which the last proposes v1, and the votes for it but the last."""
    *first, proposal = text
    return (*first, f"{proposal}, as v1 -> waits", *(f"{each} votes for v1 -> waits" for each in by))


NO_INSURERS = SetPolicy(OrganisationId(""), (TREES["no-insurers"],))
WEEK_S = 7 * 86_400
SEATED = ("practice takes the consensus key c-2 -> done", "hospital proposes practice as validator, power 3")
CARRIED = membership.VoteCast(organisation("institute"), "v1", is_in_favour=True, is_carried=True)
LAST_VOTE = "institute votes for v1"
ACCUSED = ("hospital accuses practice -> accused", "pharmacy accuses practice -> accused")

GOVERNANCE = {
    "Propose": Case(
        (),
        "hospital proposes the policy no-insurers for the-network, as v1",
        membership.Proposed(HOSPITAL, "v1", NO_INSURERS, BEGIN_S + WEEK_S, is_carried=False),
        ((membership.PROPOSALS, "v1", Proposal(HOSPITAL, NO_INSURERS, BEGIN_S + WEEK_S, (HOSPITAL,))),),
        14,
    ),
    "Vote": Case(
        ("hospital proposes the policy no-insurers for the-network, as v1 -> waits", "later +5s"),
        "practice votes for v1",
        membership.VoteCast(PRACTICE, "v1", is_in_favour=True, is_carried=False),
        ((membership.PROPOSALS, "v1", Proposal(HOSPITAL, NO_INSURERS, BEGIN_S + WEEK_S, (PRACTICE, HOSPITAL))),),
        15,
    ),
    "Vote against": Case(
        ("hospital proposes the policy no-insurers for the-network, as v1 -> waits",),
        "hospital votes against v1",
        membership.VoteCast(HOSPITAL, "v1", is_in_favour=False, is_carried=False),
        ((membership.PROPOSALS, "v1", Proposal(HOSPITAL, NO_INSURERS, BEGIN_S + WEEK_S, ())),),
        8,
    ),
    "Vote that carries an admission": Case(
        before_last("hospital proposes to admit dentist as clinical, access own proofs, keys transaction and hpke"),
        LAST_VOTE,
        CARRIED,
        (
            (membership.PROPOSALS, "v1", None),
            (
                membership.ORGANISATIONS,
                DENTIST,
                Organisation(
                    "Dentist", (RoleClass.CLINICAL,), LedgerAccess.OWN_PROOFS, "https://dentist.example", BEGIN_S, 0
                ),
            ),
            (membership.KEYS, (DENTIST, KeyUse.TRANSACTION), Keys(public("dentist"), ())),
            (membership.KEYS, (DENTIST, KeyUse.HPKE), Keys(hpke_key("dentist/hpke"), ())),
            (membership.OWNERS, sha256(public("dentist")), Owner(DENTIST, KeyUse.TRANSACTION)),
        ),
        64,
    ),
    "Vote that carries a removal": Case(
        (
            "practice accuses pharmacy -> accused",
            *ACCUSED[:1],
            *before_last("hospital proposes to remove practice", by=("pharmacy", "insurer", "portal")),
        ),
        LAST_VOTE,
        CARRIED,
        (
            (membership.ORGANISATIONS, PRACTICE, None),
            (membership.KEYS, (PRACTICE, KeyUse.TRANSACTION), Keys(b"", (RetiredKey(public("practice"), BEGIN_S),))),
            (membership.OWNERS, sha256(public("practice")), Owner(PRACTICE, KeyUse.TRANSACTION)),
            (membership.ACCUSATIONS, PRACTICE, None),
            (membership.ACCUSATIONS, HOSPITAL, None),
        ),
        49,
    ),
    "Vote that carries a policy": Case(
        (
            "given the network policy no-break-glass",
            *before_last("hospital proposes the policy no-insurers for the-network"),
        ),
        LAST_VOTE,
        CARRIED,
        ((membership.POLICIES, "", Policy(2, NO_INSURERS.provisions, (gate(TREES["no-insurers"]),))),),
        17,
    ),
    "Vote that carries rules": Case(
        before_last("hospital proposes the rules 2, height 1000"),
        LAST_VOTE,
        CARRIED,
        ((membership.UPGRADES, 0, Upgrade(2, 1000)),),
        18,
    ),
    "Vote that carries a seat": Case(
        before_last(*SEATED),
        LAST_VOTE,
        CARRIED,
        (
            (membership.VALIDATORS, PRACTICE, Validator(public("c-2"), 3)),
            (membership.ORGANISATIONS, PRACTICE, member(access=LedgerAccess.VALIDATOR)),
            (membership.BEFORE, 0, ValidatorsBefore(6, (Validator(public("hospital/consensus"), 10),))),
        ),
        32,
    ),
    "Vote that carries a suspension": Case(
        (*ACCUSED, *before_last("hospital proposes the suspension of practice +1h")),
        LAST_VOTE,
        CARRIED,
        (
            (membership.ORGANISATIONS, PRACTICE, member(suspended_until_s=BEGIN_S + 3600)),
            (membership.ACCUSATIONS, HOSPITAL, None),
        ),
        36,
    ),
    "Suspend": Case(
        (),
        "hospital accuses practice",
        membership.Accused(HOSPITAL, PRACTICE, 0, C),
        ((membership.ACCUSATIONS, HOSPITAL, Accusation(PRACTICE, BEGIN_S + 259_200, is_spent=False)),),
        21,
    ),
    "Suspend with enough others": Case(
        (*ACCUSED, "later +5s"),
        "insurer accuses practice",
        membership.Accused(organisation("insurer"), PRACTICE, BEGIN_S + 259_205, C),
        (
            (membership.ORGANISATIONS, PRACTICE, member(suspended_until_s=BEGIN_S + 259_205)),
            (membership.ACCUSATIONS, HOSPITAL, Accusation(PRACTICE, BEGIN_S + 2_592_005, is_spent=True)),
            (membership.ACCUSATIONS, organisation("insurer"), Accusation(PRACTICE, BEGIN_S + 2_592_005, is_spent=True)),
        ),
        35,
    ),
    "RotateConsensusKey": Case(
        (),
        "practice takes the consensus key c-2",
        membership.ConsensusKeyRotated(PRACTICE, public("c-2")),
        (
            (membership.KEYS, (PRACTICE, KeyUse.CONSENSUS), Keys(public("c-2"), ())),
            (membership.OWNERS, sha256(public("c-2")), Owner(PRACTICE, KeyUse.CONSENSUS)),
            (membership.VALIDATORS, PRACTICE, None),
        ),
        31,
    ),
    "RotateConsensusKey of a validator": Case(
        (*before_last(*SEATED), f"{LAST_VOTE} -> carried", "later +5s"),
        "practice takes the consensus key c-3",
        membership.ConsensusKeyRotated(PRACTICE, public("c-3")),
        (
            (membership.VALIDATORS, PRACTICE, Validator(public("c-3"), 3)),
            (
                membership.KEYS,
                (PRACTICE, KeyUse.CONSENSUS),
                Keys(public("c-3"), (RetiredKey(public("c-2"), BEGIN_S + 5),)),
            ),
            (
                membership.BEFORE,
                0,
                ValidatorsBefore(7, (Validator(public("hospital/consensus"), 10), Validator(public("c-2"), 3))),
            ),
        ),
        44,
    ),
}
