"""What resources must be like at one node: FHIR's own definitions, and those that its operator lays beside them.

A file that is no definition of FHIR R4 is passed over and said so in the log: one of a publisher's hundreds keeps no
node from starting. A profile that the operator demands and that is not there does.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import structlog

from salus.clinical.fhir import FhirRejected
from salus.clinical.fhir.definitions import Definitions, Library, r4
from salus.clinical.fhir.strict_json import read_object
from salus.clinical.fhir.validation import Issue, Validator, base_validator
from salus.clinical.fhir.xml import read_xml
from salus.node.config import SettingsUnfit

READERS: Final = {".json": read_object, ".xml": read_xml}
DEFINED: Final = ("StructureDefinition", "ValueSet", "CodeSystem")

log = structlog.get_logger("salus.profiles")


@dataclass(frozen=True)
class Conformance:
    """What is asked of a resource.

    Args:
        definitions: FHIR's own, or a library with others beside them.
        demanded: by type, the profiles that each resource of it must conform to, whether it claims them or not.
    """

    definitions: Definitions
    validator: Validator
    demanded: Mapping[str, tuple[str, ...]]

    def issues(self, content: Mapping[str, Any], profiles: Sequence[str] = ()) -> tuple[Issue, ...]:
        """Everything that is wrong with a resource, by its type, what it claims, what is demanded, and `profiles`."""
        kind = content.get("resourceType")
        demanded = self.demanded.get(kind, ()) if isinstance(kind, str) else ()
        return self.validator.validate(content, (*demanded, *profiles))


@lru_cache(maxsize=1)
def by_fhir_alone() -> Conformance:
    """What FHIR R4 itself asks. Raises DefinitionsMissing."""
    return Conformance(r4(), base_validator(), {})


def conformance(folder: str, demanded: Sequence[str] = ()) -> Conformance:
    """Read what an operator lays out.

    Args:
        folder: StructureDefinitions, ValueSets and CodeSystems as JSON or XML, in folders of any depth; empty for none.
        demanded: addresses of profiles of types, each of which must be there.

    Raises:
        SettingsUnfit: there is no such folder, or a profile that is demanded is not there, or is of no type.
        DefinitionsMissing: FHIR's own are not compiled.
    """
    if not folder and not demanded:
        return by_fhir_alone()
    if folder and not Path(folder).is_dir():
        raise SettingsUnfit(f"expected a folder of profiles at {folder}, there is none: correct profiles under [fhir]")
    library = Library(r4(), _definitions(Path(folder)) if folder else ())
    of_types: dict[str, tuple[str, ...]] = {}
    for url in demanded:
        structure = library.structure(url)
        if structure is None or not structure.is_profile or structure.type not in library.resource_types:
            words = f"expected a profile of a type of resource as {url} among the profiles, there is none"
            raise SettingsUnfit(f"{words}: put its file into the folder, or correct demanded_profiles under [fhir]")
        of_types[structure.type] = (*of_types.get(structure.type, ()), url)
    return Conformance(library, Validator(library), of_types)


def _definitions(folder: Path) -> Iterator[dict[str, Any]]:
    """The definitions in a folder, in the order of their paths; of two of one address the later one stands."""
    loaded, skipped = 0, 0
    for path in sorted(each for each in folder.rglob("*") if each.suffix in READERS and each.is_file()):
        try:
            content = dict(READERS[path.suffix](path.read_bytes()))
        except (FhirRejected, OSError) as error:
            skipped += 1
            log.warning("profiles.skipped", file=str(path.relative_to(folder)), reason=str(error))
            continue
        if content.get("resourceType") not in DEFINED:
            continue
        wrong = next((each for each in base_validator().validate(content) if each.severity == "error"), None)
        if wrong is not None or not content.get("url"):
            skipped += 1
            reason = f"{wrong.expression}: {wrong.message}" if wrong is not None else "expected a url, came none"
            log.warning("profiles.skipped", file=str(path.relative_to(folder)), reason=reason)
            continue
        loaded += 1
        yield content
    log.info("profiles.loaded", folder=str(folder), loaded=loaded, skipped=skipped)
