"""Changing a resource by a patch: JSON Patch (RFC 6902) and FHIRPath Patch.

Promises: all operations are done or none; what no operation touches keeps its value to the last decimal and its order;
the type and the id stay; a patch of any size does a bounded amount of work. XML Patch is not offered.
"""

from salus.clinical.fhir.patch.fhirpath_patch import apply_fhirpath_patch
from salus.clinical.fhir.patch.json_patch import apply_json_patch

__all__ = ["apply_fhirpath_patch", "apply_json_patch"]
