"""A fuzzer for a FHIR server that knows FHIR: it breaks what would have been right, in every interaction.

Bodies, addresses, queries and header fields are made from resources that the server takes and from the search
parameters of their types, then spoilt; an answer has to be a refusal that says why, or what was asked for. The same
seed makes the same requests. Part of the shipped test kit.
"""

from salus.testing.fuzz.checking import Answer, Finding, Known, faults_of
from salus.testing.fuzz.requests import Asked, requests
from salus.testing.fuzz.running import Report, fuzz

__all__ = ["Answer", "Asked", "Finding", "Known", "Report", "faults_of", "fuzz", "requests"]
