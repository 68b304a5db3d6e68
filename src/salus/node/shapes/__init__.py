"""Shapes: what the ledger and the sealed rules say, as FHIR resources; one module for each type.

Nothing here asks who wants to know, and nothing is kept: a shape is made from values whenever somebody may see it.
"""

from typing import Final

DERIVED: Final = frozenset({"Consent", "AuditEvent"})
"""Types of which nothing is stored: a record of one would say something else than the ledger."""
BESIDE: Final = frozenset({"DocumentReference", "Provenance", "RelatedPerson"})
"""Types of which some resources are made and others stored; what is made has an id and a tag of its own."""
APART: Final = DERIVED | {"Subscription"}
"""Types that are no records: those, and what clients ask to be told, which is theirs alone."""
