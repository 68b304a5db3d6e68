"""The functions of FHIRPath, by name; one file for each section of the specification.

A function takes the environment, the collection that it is called on, and its arguments: collections, or closures
where it is *lazy*, that is where an argument is evaluated for each item.
"""

from salus.clinical.fhir.fhirpath.functions.collections import COLLECTIONS
from salus.clinical.fhir.fhirpath.functions.conversions import CONVERSIONS
from salus.clinical.fhir.fhirpath.functions.fhir import FHIR
from salus.clinical.fhir.fhirpath.functions.function import Function
from salus.clinical.fhir.fhirpath.functions.numbers import NUMBERS
from salus.clinical.fhir.fhirpath.functions.strings import STRINGS
from salus.clinical.fhir.fhirpath.functions.walking import WALKING

FUNCTIONS = COLLECTIONS | CONVERSIONS | FHIR | NUMBERS | STRINGS | WALKING

__all__ = ["FUNCTIONS", "Function"]
