"""What an operator lays out beside FHIR's definitions: read, skipped with the reason, demanded of every resource."""

import json
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from salus.clinical.fhir.validation import has_errors
from salus.node.config import NODE_FILE, NodeSettings, SettingsUnfit, node_toml, read_node
from salus.node.profiles import by_fhir_alone, conformance

BORN = "https://example.org/StructureDefinition/Born"
PATIENT = {"resourceType": "Patient", "gender": "female"}


def profile(url: str = BORN, of: str = "Patient", **more: object) -> dict:
    """A profile in which a patient has a date of birth."""
    return {
        "resourceType": "StructureDefinition",
        "url": url,
        "name": "Born",
        "status": "active",
        "kind": "resource",
        "abstract": False,
        "type": of,
        "baseDefinition": f"http://hl7.org/fhir/StructureDefinition/{of}",
        "derivation": "constraint",
        "differential": {"element": [element(of), element(f"{of}.birthDate", min=1)]},
    } | more


def element(path: str, **more: object) -> dict:
    """An element of a differential."""
    return {"id": path, "path": path} | more


def laid_out(folder: Path, **files: object) -> str:
    """Write files of these names; a value that is no text is JSON."""
    for name, content in files.items():
        path = folder / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(folder)


def test_what_is_claimed_is_asked_and_what_is_not_is_not(tmp_path: Path) -> None:
    asked = conformance(laid_out(tmp_path, born_json=profile()))
    assert asked.issues(PATIENT) == ()
    (issue,) = asked.issues(PATIENT | {"meta": {"profile": [BORN]}})
    assert (issue.severity, issue.expression, issue.rule) == ("error", "Patient", "min")
    assert [each.rule for each in asked.issues(PATIENT, [BORN])] == ["min"]
    assert [each.rule for each in by_fhir_alone().issues(PATIENT, [BORN])] == ["profile-unknown"]


def test_what_is_demanded_is_asked_of_every_resource_of_its_type(tmp_path: Path) -> None:
    asked = conformance(laid_out(tmp_path, born_json=profile()), [BORN])
    assert has_errors(asked.issues(PATIENT))
    assert asked.issues(PATIENT | {"birthDate": "1980"}) == ()
    assert asked.issues({"resourceType": "Basic", "code": {"text": "x"}}) == ()


NO_DEFINITIONS = {
    "no JSON": ("a_json", "{", "expected"),
    "no XML": ("a_xml", "<StructureDefinition", "expected"),
    "a document type": ("a_xml", '<!DOCTYPE x><Patient xmlns="http://hl7.org/fhir"/>', "expected"),
    "a profile without a name": ("a_json", {**profile(), "name": None}, "null"),
    "a profile of no kind": ("a_json", {**profile(), "kind": "thing"}, "StructureDefinition.kind"),
    "a value set without an address": ("a_json", {"resourceType": "ValueSet", "status": "active"}, "expected a url"),
}


@pytest.mark.parametrize(("name", "content", "reason"), NO_DEFINITIONS.values(), ids=NO_DEFINITIONS)
def test_a_file_that_is_no_definition_is_skipped_and_said_so(
    tmp_path: Path, name: str, content: object, reason: str
) -> None:
    folder = laid_out(tmp_path, **{f"deep__{name}": content, "born_json": profile(), "README_md": "x"})
    with capture_logs() as lines:
        asked = conformance(folder, [BORN])
    assert has_errors(asked.issues(PATIENT))
    skipped, loaded = lines
    assert (skipped["event"], skipped["log_level"]) == ("profiles.skipped", "warning")
    assert skipped["file"].startswith("deep/a.")
    assert reason in skipped["reason"]
    assert (loaded["event"], loaded["loaded"], loaded["skipped"]) == ("profiles.loaded", 1, 1)


def test_what_is_no_definition_at_all_is_passed_over(tmp_path: Path) -> None:
    with capture_logs() as lines:
        conformance(laid_out(tmp_path, package_json={"name": "x"}, ann_json=PATIENT, born_json=profile()))
    assert [(each["loaded"], each["skipped"]) for each in lines] == [(1, 0)]


UNFIT = {
    "that is not there": (["https://example.org/none"], "expected a profile of a type"),
    "of an extension": ([profile()["url"] + "-ext"], "expected a profile of a type"),
    "that is the type itself": (["http://hl7.org/fhir/StructureDefinition/Patient"], "expected a profile of a type"),
}


@pytest.mark.parametrize(("demanded", "words"), UNFIT.values(), ids=UNFIT)
def test_no_node_starts_with_a_demanded_profile(tmp_path: Path, demanded: list[str], words: str) -> None:
    extension = profile(
        f"{BORN}-ext", "Extension", differential={"element": [{"id": "Extension", "path": "Extension"}]}
    )
    with pytest.raises(SettingsUnfit, match=words):
        conformance(
            laid_out(tmp_path, born_json=profile(), extension_json=extension | {"kind": "complex-type"}), demanded
        )


def test_no_node_starts_without_the_folder(tmp_path: Path) -> None:
    with pytest.raises(SettingsUnfit, match="expected a folder of profiles"):
        conformance(str(tmp_path / "none"))


def test_the_settings_of_a_node_name_folder_and_profiles(tmp_path: Path) -> None:
    own = NodeSettings("RA1", "genesis", "keys", "ledger", "socket", ("a", "b"))
    said = f'[fhir]\nbase = "https://x/FHIR/R4"\nprofiles = "uk"\ndemanded_profiles = ["{BORN}"]\nentries_max = 9\n'
    (tmp_path / NODE_FILE).write_text(node_toml(own) + said)
    fhir = read_node(tmp_path).fhir
    assert fhir is not None
    assert (fhir.profiles, fhir.demanded_profiles, fhir.entries_max) == (str(tmp_path / "uk"), (BORN,), 9)


def test_uk_core_is_loaded_but_for_one_file(shared_data: Path) -> None:
    with capture_logs() as lines:
        asked = conformance(str(shared_data / "fhir" / "uk-core-definitions"))
    assert [each.get("file", "").rpartition("/")[2] for each in lines] == [
        "CodeSystem-UKCore-EthnicCategoryScotland.xml",
        "",
    ]
    assert lines[-1]["loaded"] > 300
    assert has_errors(asked.issues(PATIENT, ["https://fhir.hl7.org.uk/StructureDefinition/UKCore-Observation"]))
