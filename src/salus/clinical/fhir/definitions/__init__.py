"""FHIR R4's own definitions as frozen values, from a table compiled at build time (`make setup`).

Promises: what the recorded package has of 4.0.1, looked up by address or type; nothing is read from the network.
Never holds anybody's profiles but HL7's own: those of a country or an organisation are loaded by whoever runs the node.
"""

from salus.clinical.fhir.definitions.expansion import Codes, Expander
from salus.clinical.fhir.definitions.library import Library
from salus.clinical.fhir.definitions.table import Definitions, DefinitionsMissing, r4
from salus.clinical.fhir.definitions.terminology import CodeSystem, Concept, Filter, Include, ValueSet
from salus.clinical.fhir.definitions.values import (
    UNBOUNDED,
    Binding,
    Compartment,
    Component,
    Context,
    Discriminator,
    Element,
    ElementType,
    Invariant,
    SearchParameter,
    Slicing,
    Structure,
)

__all__ = [
    "UNBOUNDED",
    "Binding",
    "CodeSystem",
    "Codes",
    "Compartment",
    "Component",
    "Concept",
    "Context",
    "Definitions",
    "DefinitionsMissing",
    "Discriminator",
    "Element",
    "ElementType",
    "Expander",
    "Filter",
    "Include",
    "Invariant",
    "Library",
    "SearchParameter",
    "Slicing",
    "Structure",
    "ValueSet",
    "r4",
]
