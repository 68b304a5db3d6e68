"""What a check has shown, as values: a receipt, a history. `receipt_words` and `outcome_words` put them into words."""

from dataclasses import dataclass, field
from enum import StrEnum

from salus.contracts.access import Basis, End
from salus.contracts.provisions import Purpose, RoleClass, Verb
from salus.ledger.identifiers import OrganisationId, PermitId, Pseudonym
from salus.ledger.receipts import Authentication, Conclusion, Delivery, Standing
from salus.ledger.verifier import VerifiedState


@dataclass(frozen=True)
class Party:
    """An end of a release, with the name that the ledger has for it now."""

    organisation: OrganisationId
    name: str


@dataclass(frozen=True)
class Asker:
    """Who asked.

    Args:
        key_or_certificate: the id of the person's certificate; for the patient's own request the key that asked.
        name: of the person by the certificate; empty for the patient's own request.
    """

    authentication: Authentication
    key_or_certificate: bytes
    name: str = field(repr=False)
    role: str
    registration: str = field(repr=False)


@dataclass(frozen=True)
class Terms:
    """What was asked and permitted, as the ledger has it; times of blocks in seconds since 1970."""

    purpose: Purpose
    role_class: RoleClass
    verb: Verb
    basis: Basis
    from_s: int
    until_s: int
    justification: str = field(repr=False)


@dataclass(frozen=True)
class ReleasedRecord:
    """A record that crossed. `title` and `classes` are empty for one that can no longer be opened."""

    title: str = field(repr=False)
    classes: tuple[str, ...]
    size_bytes: int
    is_opened: bool


@dataclass(frozen=True)
class WithheldRecord:
    """A record that stayed, and the rule that kept it, in words."""

    title: str = field(repr=False)
    classes: tuple[str, ...]
    rule: str
    is_opened: bool


@dataclass(frozen=True)
class ShownAnchor:
    """That an end anchored the receipt: in which block's second, and what it said became of it."""

    end: End
    at_s: int
    conclusion: Conclusion


class Rerun(StrEnum):
    """What came of running the rules again."""

    SAME = "same"
    OTHER = "other"
    IN_PART = "in part"
    NOT_RUN = "not run"


@dataclass(frozen=True)
class VerifiedReceipt:
    """A receipt that holds, and what it says.

    Args:
        terms: None in continuity, when the ledger was out of reach and gave no permit.
        rerun: of the rules, on each record that could be opened; `rerun_words` says why not, where it is not SAME.
        faults: what somebody did wrong, each proved by this receipt.
        notes: what this receipt alone cannot show.
    """

    state: VerifiedState
    pseudonym: Pseudonym
    permit: PermitId
    part: int
    part_count: int
    custodian: Party
    requester: Party
    asker: Asker
    terms: Terms | None
    standing: Standing
    delivery: Delivery
    at_s: int
    released: tuple[ReleasedRecord, ...] = field(repr=False)
    withheld: tuple[WithheldRecord, ...] = field(repr=False)
    anchors: tuple[ShownAnchor, ...]
    rerun: Rerun
    rerun_words: str
    faults: tuple[str, ...] = field(repr=False)
    notes: tuple[str, ...]


@dataclass(frozen=True)
class ShownEvent:
    """One event of a history in plain words; block time in seconds since 1970."""

    number: int
    at_s: int
    words: str


@dataclass(frozen=True)
class VerifiedHistoryBundle:
    """A history that is complete: n of n events, and the receipts that came with it."""

    state: VerifiedState
    pseudonym: Pseudonym
    events: tuple[ShownEvent, ...]
    receipts: tuple[VerifiedReceipt, ...]
    faults: tuple[str, ...]
    notes: tuple[str, ...]
