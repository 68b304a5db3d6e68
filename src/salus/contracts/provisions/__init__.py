"""The language of sharing choices and policies: trees, their evaluation, and the gate that the ledger sees.

It is for two readers of one choice: a contract, which holds only its gate, and a custodian's node, which holds the
whole tree and applies it to every record. It promises that the two never contradict each other (laws of DESIGN §5.1).
It never sees a clock, a random number, a patient or the bytes of a record.

Specification: docs/spec/provisions.md.
"""

from salus.contracts.provisions.evaluation import Effect, Record, Request, combine, explain, outcome
from salus.contracts.provisions.gates import (
    Condition,
    Gate,
    SureDenial,
    check_gate,
    gate,
    may_permit,
    steps,
    surely_denies,
)
from salus.contracts.provisions.tree import (
    EARLIEST_S,
    FIRST_DAY,
    LAST_DAY,
    LATEST_S,
    DataMeaning,
    DataReference,
    Provision,
    ProvisionInvalid,
    ProvisionType,
    Purpose,
    RoleClass,
    Verb,
    as_set,
    check,
    day_of,
    decode_tree,
    encode_tree,
)

__all__ = [
    "EARLIEST_S",
    "FIRST_DAY",
    "LAST_DAY",
    "LATEST_S",
    "Condition",
    "DataMeaning",
    "DataReference",
    "Effect",
    "Gate",
    "Provision",
    "ProvisionInvalid",
    "ProvisionType",
    "Purpose",
    "Record",
    "Request",
    "RoleClass",
    "SureDenial",
    "Verb",
    "as_set",
    "check",
    "check_gate",
    "combine",
    "day_of",
    "decode_tree",
    "encode_tree",
    "explain",
    "gate",
    "may_permit",
    "outcome",
    "steps",
    "surely_denies",
]
