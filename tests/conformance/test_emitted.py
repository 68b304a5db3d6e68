"""Whatever the server says is valid FHIR, as HL7's own validator sees it, with the profiles of UK Core named."""

import json
import shutil
import subprocess
from collections.abc import Iterator, Sequence, Set
from itertools import groupby
from pathlib import Path

import pytest

from tests.api.fhir.fhir_world import BASE, hospital
from tests.conformance.emitted import by_dependence, walk
from tests.conftest import ROOT, absent

VALIDATOR = ROOT / "bench" / "peers" / "validator" / "run"
PROFILES = "https://fhir.hl7.org.uk/StructureDefinition/UKCore-"
TIMEOUT_S = 3000


@pytest.mark.long
@pytest.mark.services
def test_hl7s_validator_finds_no_error_in_what_the_server_says(
    tmp_path: Path, shared_data: Path, request: pytest.FixtureRequest
) -> None:
    folder = tmp_path / "emitted"
    folder.mkdir()
    with hospital(tmp_path / "hospital") as here:
        stored, kept = walk(here, shared_data / "fhir" / "uk-core", folder)
    examples, definitions = (shared_data / "fhir" / name for name in ("uk-core", "uk-core-definitions"))
    alone = validated(definitions, examples, in_bundles(examples, tmp_path / "bundles"))
    known = {told(each) for opinion in alone for each in opinion["errors"]}
    opinions = validated(definitions, folder)
    faults = {Path(each["file"]).name: found for each in opinions if (found := [*new_faults(each, known)])}
    if page := request.config.getoption("--conformance-page", default=None):
        Path(page).write_text("\n".join(lines(stored, opinions, known)) + "\n", encoding="utf-8")
    assert len(opinions) == kept
    assert faults == {}


def validated(definitions: Path, *folders: Path) -> list[dict]:
    """What the validator says of each file."""
    for needed in ("java", "mvn"):
        if shutil.which(needed) is None:
            absent(f"no {needed} on this machine: the validator is built with Maven and runs on Java")
    command = [VALIDATOR, "--definitions", definitions, "--profile-base", PROFILES, *folders]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S)
    assert done.stdout, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def in_bundles(examples: Path, folder: Path) -> Path:
    """Put each example into a bundle of its own, where the validator looks at references as well."""
    folder.mkdir()
    for each in by_dependence(examples):
        at = f"{BASE}/{each.kind}/{each.id}"
        content = each.body.decode("utf-8-sig").partition("?>")[2] or each.body.decode("utf-8-sig")
        entry = f'<entry><fullUrl value="{at}"/><resource>{content}</resource></entry>'
        bundle = f'<Bundle xmlns="http://hl7.org/fhir"><type value="collection"/>{entry}</Bundle>'
        (folder / f"{each.kind}-{each.id}.xml").write_text(bundle, encoding="utf-8")
    return folder


def told(error: str) -> str:
    """What an error says, without the place: an example is in bundles as well."""
    return error.partition(": ")[2]


def new_faults(opinion: dict, known: Set[str]) -> Iterator[str]:
    """The errors of an answer that the examples in it do not have by themselves."""
    return (each for each in opinion["errors"] if told(each) not in known)


def lines(stored: int, opinions: Sequence[dict], known: Set[str]) -> Iterator[str]:
    """The page."""
    yield "# HL7's validator over what the FHIR server says\n"
    yield f"One walk over every interaction (`tests/conformance/emitted.py`), with {stored} examples of UK Core stored."
    yield "Each answer, in JSON and in XML, went through HAPI's build of the HL7 validator (`bench/peers/validator`),"
    yield "by the profile of UK Core for its type where there is one. Run again: `make conformance`.\n"
    faults = sum(len([*new_faults(each, known)]) for each in opinions)
    yield f"Answers: {len(opinions)}; errors: {faults}. What the validator holds against the examples themselves, as UK"
    yield f"Core publishes them, alone and each in a bundle, is not counted ({len(known)} messages):\n"
    yield from (f"- {each}" for each in sorted(known))
    yield "\n| by the profile | answers | errors | warnings |"
    yield "|---|---|---|---|"
    ordered = sorted(opinions, key=profile_of)
    for profile, group in groupby(ordered, key=profile_of):
        some = list(group)
        errors = sum(len([*new_faults(each, known)]) for each in some)
        warnings = sum(len(each["warnings"]) for each in some)
        yield f"| {profile} | {len(some)} | {errors} | {warnings} |"


def profile_of(opinion: dict) -> str:
    """What a resource was validated by, in short."""
    return str(opinion.get("profile", "FHIR R4 alone")).rpartition("/")[2]
