"""A patient downloads their record: whole, checkable, nothing that is withheld, one receipt."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator

import pytest

from salus.clinical import labels
from salus.contracts.provisions import Provision, ProvisionType, RoleClass
from salus.ledger.bundles import HistoryBundle, decode_bundle
from salus.node.services.choices import file_by_custodian, withdraw_by_custodian
from tests.portal.patient_charts import EVIL, add, chart, letter
from tests.portal.portal_world import Hospital, portal


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    folder = tmp_path_factory.mktemp("portal")
    with portal(folder) as made:
        odd = {"resourceType": "Procedure", "id": "odd", "status": "completed", "code": {"text": f"Tŷ ŵyr {EVIL}"}}
        add(made, folder, [odd, *letter("odd", content_type="text/html", content=b"<b>", title="../../../etc/passwd")])
        yield made


def _downloaded(here: Hospital, wanted: str) -> bytes:
    came = here.signed_in("eleanor").post("/record/download", {"format": wanted})
    assert came.status_code == 200
    assert came.headers["content-disposition"].startswith('attachment; filename="my-record-')
    assert came.headers["cache-control"] == "no-store"
    return bytes(came.content)


def test_the_record_for_programs_has_every_record_as_it_was_written(here: Hospital) -> None:
    bundle = json.loads(_downloaded(here, "fhir"))
    ids = {each["resource"]["id"] for each in bundle["entry"]}
    assert {each["id"] for each in chart()} | {"odd"} <= ids
    assert b'"value":4.0' in _downloaded(here, "fhir")  # a reference range, to its last digit


def test_the_record_on_paper_is_made_of_whatever_a_record_says(here: Hospital) -> None:
    assert _downloaded(here, "pdf").startswith(b"%PDF-")


def test_the_folder_has_all_of_it_and_a_list_that_it_is_checked_by(here: Hospital) -> None:
    with zipfile.ZipFile(io.BytesIO(_downloaded(here, "zip"))) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    listed = {each["name"]: each["sha256"] for each in json.loads(contents["manifest.json"])["files"]}
    assert listed == {
        name: hashlib.sha256(content).hexdigest() for name, content in contents.items() if name != "manifest.json"
    }
    letters = sorted(name for name in contents if name.startswith("letters/"))
    assert letters == ["letters/001.bin", "letters/002.pdf", "letters/003.pdf", "letters/004.pdf"]
    assert not any(".." in name or name.startswith("/") for name in contents)
    history = decode_bundle(contents["history.salus"])
    assert isinstance(history, HistoryBundle)


@pytest.mark.promise("R5")
def test_a_download_leaves_one_receipt(here: Hospital) -> None:
    def parts() -> int:
        journal = here.node.custodian_journal
        journal.refresh()
        return sum(len(journal.permit_lines(each)) for each in journal.permits_of(here.patient))

    _downloaded(here, "pdf")
    before = parts()
    _downloaded(here, "pdf")
    assert parts() == before + 1


@pytest.mark.promise("R4")
def test_what_is_withheld_is_in_no_download(here: Hospital) -> None:
    tree = Provision(type=ProvisionType.DENY, labels=(labels.label("PSY"),), role_classes=(RoleClass.PATIENT_SIDE,))
    choice = file_by_custodian(here.node, here.patient, tree)
    found = _downloaded(here, "fhir")
    withdraw_by_custodian(here.node, here.patient, choice)
    assert b"psychiatry" not in found
    assert b"psychiatry" in _downloaded(here, "fhir")


def test_what_to_download_has_to_be_chosen(here: Hospital) -> None:
    came = here.signed_in("eleanor").post("/record/download", {"format": "exe"})
    assert came.status_code == 400
    assert came.text.count("Choose what you want to download") == 2


def test_a_form_of_another_page_downloads_nothing(here: Hospital) -> None:
    browser = here.signed_in("eleanor")
    assert browser.client.post("/record/download", data={"format": "fhir"}).status_code == 403
    assert here.signed_in("rao").client.get("/record/download").status_code == 404
