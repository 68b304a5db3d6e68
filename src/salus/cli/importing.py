"""salus import: FHIR bundles and NDJSON into a node."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import click

from salus.cli.failures import BAD_INPUT, TRY_LATER
from salus.cli.options import as_json_option, node_argument
from salus.cli.output import Facts, note, progress, show, table

if TYPE_CHECKING:
    from salus.clinical.fhir import FhirRejected
    from salus.importers import Chart
    from salus.node.assemble import Node

NDJSON = (".ndjson", ".jsonl")
BUNDLE = (".json",)


@dataclass
class FileResult:
    """What became of one bundle, or of the NDJSON files together."""

    name: str
    patients: int = 0
    enrolled: int = 0
    new: int = 0
    known: int = 0
    left_out: int = 0
    faults: list[str] = field(default_factory=list)
    pseudonyms: list[bytes] = field(default_factory=list)

    @property
    def state(self) -> str:
        """In one word for the table."""
        if self.faults:
            return f"{len(self.faults)} refused"
        return "loaded" if self.new else "nothing new"


@click.command(name="import", short_help="Load FHIR bundles and NDJSON into a node.")
@node_argument
@click.argument("sources", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@as_json_option
def command(node: Path, sources: tuple[Path, ...], as_json: bool) -> int:
    """Load SOURCES (files or folders of .json bundles and .ndjson) into NODE.

    A bundle holds one patient, at most 50 MB; NDJSON has no limit, and all NDJSON files of one command are read as one,
    so that a bulk export may be split by type. A chart is loaded whole or not at all. The same file again adds nothing:
    after an interruption, run the same command again. Whoever is not enrolled is enrolled with a key that NODE holds.

    \b
    Example:
      salus import ./north/rz1 ./bundles ./export/*.ndjson
    """
    from salus.node.opening import open_node

    paths = _files(sources)
    with open_node(node) as opened:
        results = list(_load(opened, paths))
    for result in results:
        for fault in result.faults:
            note(f"refused: {fault}")
    show(_facts(results), _lines(results), as_json=as_json)
    return BAD_INPUT if any(result.faults for result in results) else 0


def _files(sources: Sequence[Path]) -> list[Path]:
    from salus.cli.failures import Failure

    found: list[Path] = []
    for source in sources:
        inside = sorted(source.iterdir()) if source.is_dir() else [source]
        found += [path for path in inside if path.suffix in (*NDJSON, *BUNDLE) or path == source]
    wrong = [path for path in found if path.suffix not in (*NDJSON, *BUNDLE)]
    if wrong:
        raise Failure(BAD_INPUT, f"expected .json or .ndjson files, came {wrong[0].name}", "name FHIR files")
    if not found:
        raise Failure(BAD_INPUT, "expected .json or .ndjson files, there are none", "name files, or a folder of them")
    return found


def _load(node: "Node", paths: Sequence[Path]) -> Iterator[FileResult]:
    bundles = [path for path in paths if path.suffix in BUNDLE]
    ndjson = [path for path in paths if path.suffix in NDJSON]
    with progress("bundles", len(bundles)) as done:
        for number, path in enumerate(bundles, start=1):
            yield _load_bundle(node, path)
            done(number)
    if ndjson:
        yield _load_ndjson(node, ndjson)


def _load_bundle(node: "Node", path: Path) -> FileResult:
    from salus.clinical.fhir import FhirRejected
    from salus.importers import read_bundle_file

    result = FileResult(path.name)
    try:
        _file(node, read_bundle_file(path), result)
    except FhirRejected as fault:
        result.faults.append(str(fault))
    return result


def _load_ndjson(node: "Node", paths: Sequence[Path]) -> FileResult:
    from salus.clinical.fhir import FhirRejected
    from salus.importers import NdjsonFiles

    files = NdjsonFiles(paths)
    result = FileResult(paths[0].name if len(paths) == 1 else f"{len(paths)} NDJSON files")
    result.faults += [str(fault) for fault in files.rejected]
    result.left_out = files.shared_count
    with progress("patients", len(files)) as done:
        for number, chart in enumerate(files.charts(), start=1):
            try:
                _file(node, _require_chart(chart), result)
            except FhirRejected as fault:
                result.faults.append(str(fault))
            done(number)
    return result


def _require_chart(chart: "Chart | FhirRejected") -> "Chart":
    from salus.clinical.fhir import FhirRejected

    if isinstance(chart, FhirRejected):
        raise chart
    return chart


def _file(node: "Node", chart: "Chart", result: FileResult) -> None:
    from salus.cli.failures import Failure
    from salus.importers import file_chart
    from salus.node.errors import NotNow

    try:
        filed = file_chart(node, chart)
    except NotNow as error:
        done = f"{result.patients} patients of {result.name} were loaded before"
        raise Failure(
            TRY_LATER, f"{error} ({done})", "run the same command again: it goes on where it stopped"
        ) from error
    result.patients += 1
    result.enrolled += filed.is_enrolled_now
    result.new += filed.new_count
    result.known += filed.known_count
    result.pseudonyms.append(filed.pseudonym)


def _facts(results: Sequence[FileResult]) -> Facts:
    return {
        "files": [
            {
                "name": each.name,
                "patients": each.patients,
                "enrolled": each.enrolled,
                "new": each.new,
                "known": each.known,
                "about_nobody": each.left_out,
                "refused": each.faults,
                "pseudonyms": each.pseudonyms,
            }
            for each in results
        ],
        "new": sum(each.new for each in results),
        "refused": sum(len(each.faults) for each in results),
    }


def _lines(results: Sequence[FileResult]) -> list[str]:
    heading = ("file", "patients", "enrolled", "new", "known", "about nobody", "")
    rows = [(each.name, *_counts(each), each.state) for each in results]
    if len(results) == 1:
        return table(heading, rows)
    total = [sum(column) for column in zip(*map(_counts, results), strict=True)]
    return table(heading, [*rows, ("all", *total, "")])


def _counts(result: FileResult) -> tuple[int, ...]:
    return result.patients, result.enrolled, result.new, result.known, result.left_out
