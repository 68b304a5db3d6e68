"""FHIR XML to the values that FHIR JSON has, and back, guided by the definitions; nothing is lost but comments.

Promises: decimals keep how they are written, narrative keeps its characters, ids and extensions of primitives stay with
them. No document type, entity or processing instruction is ever followed; depth and size are bounded before memory is.
Never validates values: what cannot be a number or a truth value in JSON stays text, and validation says so.
"""

from salus.clinical.fhir.xml.reading import XML_BYTES_MAX, read_xml
from salus.clinical.fhir.xml.writing import write_xml

__all__ = ["XML_BYTES_MAX", "read_xml", "write_xml"]
