"""salus fhir validate: what is wrong with FHIR files."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from salus.cli.failures import BAD_INPUT, NO, Failure
from salus.cli.options import FILE, FOLDER, as_json_option
from salus.cli.output import Facts, progress, show, table

if TYPE_CHECKING:
    from salus.clinical.fhir.validation import Issue
    from salus.node.profiles import Conformance

NDJSON = (".ndjson", ".jsonl")
XML = ".xml"
UNREADABLE = "-"


@dataclass(frozen=True)
class Checked:
    """What was found of one resource.

    Args:
        place: the file, and the line where there are many; type: UNREADABLE for what is no resource.
    """

    place: str
    type: str
    issues: "tuple[Issue, ...]"

    @property
    def counts(self) -> tuple[int, int]:
        """How many errors and warnings there are."""
        severities = [each.severity for each in self.issues]
        return severities.count("error"), severities.count("warning")


@click.command(short_help="Tell what is wrong with FHIR files.")
@click.argument("files", nargs=-1, required=True, type=FILE)
@click.option("--profiles", type=FOLDER, help="A folder with profiles, extensions and value sets.")
@click.option("--profile", "urls", multiple=True, metavar="URL", help="A profile that every resource must conform to.")
@as_json_option
def validate(files: tuple[Path, ...], profiles: Path | None, urls: tuple[str, ...], as_json: bool) -> int:
    """Validate FILES (.json, .xml, .ndjson with a resource a line) as a node validates what is written to it.

    Nothing is sent anywhere. The exit status is 1 when there is an error; what is printed names places and rules, and
    repeats nothing of the resources.

    \b
    Example:
      salus fhir validate ./patient.json ./export/*.ndjson
      salus fhir validate ./patient.xml --profiles ./uk-core --profile https://profiles.example/UKCore-Patient
    """
    from salus.node.profiles import conformance

    with _log_beside():
        asked = conformance(str(profiles) if profiles else "")
    _require_known(asked, urls)
    found: list[Checked] = []
    with progress("files", len(files)) as done:
        for number, path in enumerate(files, start=1):
            found += _check(path, asked, urls)
            done(number)
    errors = sum(each.counts[0] for each in found)
    show(_facts(found, errors), _lines(found), as_json=as_json)
    return NO if errors else 0


@contextmanager
def _log_beside() -> Iterator[None]:
    """What is logged, of files that are no definitions, goes to standard error."""
    import structlog

    before = structlog.get_config()["logger_factory"]
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    try:
        yield
    finally:
        structlog.configure(logger_factory=before)


def _require_known(asked: "Conformance", urls: Sequence[str]) -> None:
    for url in urls:
        if asked.definitions.structure(url) is None:
            raise Failure(BAD_INPUT, f"expected a profile as {url}, there is none", "name its folder with --profiles")


def _check(path: Path, asked: "Conformance", urls: Sequence[str]) -> Iterator[Checked]:
    from salus.clinical.fhir.faults import FhirRejected
    from salus.clinical.fhir.validation import Issue

    for place, read in _resources(path):
        try:
            content = read()
        except FhirRejected as fault:
            yield Checked(place, UNREADABLE, (Issue("error", "structure", "", str(fault), fault.fault.name.lower()),))
            continue
        yield Checked(place, str(content.get("resourceType", UNREADABLE)), asked.issues(content, urls))


def _resources(path: Path) -> "Iterator[tuple[str, Any]]":
    """Each resource of a file, by its place, as what reads it."""
    from functools import partial

    from salus.clinical.fhir.strict_json import read_object
    from salus.clinical.fhir.xml import read_xml

    if path.suffix not in NDJSON:
        read = partial(read_xml, in_order=True) if path.suffix == XML else read_object
        yield path.name, partial(read, path.read_bytes())
        return
    with path.open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            if line.strip():
                yield f"{path.name} line {number}", partial(read_object, line.rstrip(b"\r\n"))


def _facts(found: Sequence[Checked], errors: int) -> Facts:
    return {
        "resources": len(found),
        "errors": errors,
        "warnings": sum(each.counts[1] for each in found),
        "issues": [{"place": each.place, **_told(issue)} for each in found for issue in each.issues],
    }


def _told(issue: "Issue") -> Mapping[str, str]:
    said = {"severity": issue.severity, "rule": issue.rule, "expression": issue.expression, "message": issue.message}
    return {name: str(value) for name, value in said.items()}


def _lines(found: Sequence[Checked]) -> list[str]:
    rows = table(("resource", "type", "errors", "warnings"), [(each.place, each.type, *each.counts) for each in found])
    issues = [
        f"{each.place}: {issue.severity}: {issue.expression or each.type}: {issue.message} ({issue.rule})"
        for each in found
        for issue in each.issues
    ]
    return [*rows, *([""] if issues else []), *issues]
