"""The rules of the network, one file each, lowest first; a contract asks only those below it.

`provisions` beside them is the language in which choices and policies are written; `genesis` the first state.
"""

from salus.contracts import access, consent, membership, patients, records, tickets

CONTRACTS = (
    membership.CONTRACT,
    patients.CONTRACT,
    records.CONTRACT,
    consent.CONTRACT,
    tickets.CONTRACT,
    access.CONTRACT,
)
"""Every contract, lowest first: what a machine of Salus runs."""
