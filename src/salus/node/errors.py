"""How a node says no, and how it says not now.

A refusal carries a permanent number, which other nodes and programs may act on, and words for people: what was
expected, what came, what to do. Neither carries anything about a person (P4).
"""

from enum import IntEnum


class Refusal(IntEnum):
    """Why a node refuses. Numbers are permanent."""

    MESSAGE_UNFIT = 1
    SENDER_UNKNOWN = 2
    SIGNATURE_UNFIT = 3
    REPLAYED = 4
    PERMIT_DEAD = 5
    NOT_THE_REQUESTER = 6
    NOT_THE_CUSTODIAN = 7
    RESIDUAL_UNFIT = 8
    PERSON_UNFIT = 9
    SESSION_UNFIT = 10
    READER_KEY_UNFIT = 11
    PART_UNKNOWN = 12
    RECEIPT_UNFIT = 13
    RULES_MISSING = 14
    PATIENT_UNKNOWN = 15
    RECORD_UNFIT = 16
    CHOICE_UNFIT = 17
    TOO_MANY = 18
    LEDGER_REJECTED = 19
    ALREADY_ENROLLED = 20
    BYTES_UNFIT = 21
    NOT_ERASED = 22
    STATEMENT_UNFIT = 23
    VERSION_UNFIT = 24
    SIGN_IN_UNFIT = 25
    GRANT_UNFIT = 26
    APP_UNFIT = 27
    ACCOUNT_UNFIT = 28
    SCOPE_UNFIT = 29
    NOT_A_VALIDATOR = 30
    NOT_YOURS = 31
    FORM_UNFIT = 32
    DELEGATE_UNFIT = 33
    SHARE_UNFIT = 34


class Refused(Exception):
    """A node's rules say no; asking the same again changes nothing.

    Args:
        refusal: the permanent number.
        words: what was expected, what came, what to do; never about a person.
        number: the ledger's own permanent number, where the ledger says no; else 0.
    """

    def __init__(self, refusal: Refusal, words: str, *, number: int = 0) -> None:
        super().__init__(words)
        self.refusal = refusal
        self.words = words
        self.number = number


class NotNow(Exception):
    """Something that this node needs has failed or is out of date: try later, with the same request id."""


class Busy(NotNow):
    """A queue is full, here or before the ledger: a moment is enough."""
