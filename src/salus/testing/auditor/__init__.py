"""The auditor: a second implementation of the ledger's rules, plain and slow, written from docs/spec alone.

It decodes bytes by itself, keeps rows as lists in one dictionary, and never imports `contracts` or the machine.
Where the two implementations differ, one of them is wrong, or the specification is.
"""

from salus.testing.auditor.ledger import Audited, Auditor, Verdict

__all__ = ["Audited", "Auditor", "Verdict"]
