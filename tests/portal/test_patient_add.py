"""What a patient adds: it is theirs, marked so for everybody, within bounds, and does nothing in anybody's browser."""

from __future__ import annotations

import io
import json
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import delete, select

from salus.clinical.fhir.contributed import READINGS, is_contributed
from salus.clinical.fhir.validation import base_validator
from salus.clinical.file_types import file_type
from salus.clinical.labels import OBSERVATION_VALUE, PATIENT_ASSERTED
from salus.contracts.provisions import EARLIEST_S, LATEST_S
from salus.ledger.identifiers import OrganisationId
from salus.node import schema
from salus.node.errors import Refusal, Refused
from salus.node.services.contributions import MOST, add_file
from salus.node.shapes.companions import VersionFacts, provenance
from salus.node.tallies import Tally
from salus.portal.pages.patient.add import READING_NAMES
from salus.portal.pages.patient.add_reading import PARTS
from tests.portal.patient_charts import EVIL, SCRIPT, somebody_else
from tests.portal.portal_world import ORIGIN, Browser, Hospital, portal
from tests.portal.test_clinician_find import NUMBER, WHY
from tests.portal.test_clinician_view import BORN


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def archive() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("a.txt", "a")
    return file.getvalue()


MARK = f"{OBSERVATION_VALUE}|{PATIENT_ASSERTED}"
IHDR = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
PNG = b"\x89PNG\r\n\x1a\n" + IHDR + chunk(b"IDAT", zlib.compress(b"\0\0")) + chunk(b"IEND", b"")
JPEG = b"\xff\xd8\xff\xe0" + b"\0" * 40 + b"\xff\xd9"
PDF = b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n%%EOF\n"
TEXT = b"Dear Eleanor,\n\nall is well: 3 < 4.\n"

FILES = [
    ("a PDF", PDF, "application/pdf"),
    ("a JPEG", JPEG, "image/jpeg"),
    ("a PNG", PNG, "image/png"),
    ("text", TEXT, "text/plain"),
    ("text with a mark of its order of bytes", b"\xef\xbb\xbfDear", "text/plain"),
    ("nothing", b"", ""),
    ("blanks", b" \n", ""),
    ("a page", b"<!DOCTYPE html><p>a</p>", ""),
    ("a page without a head", b"<p>a</p>", ""),
    ("a page after words", b"Dear Eleanor, <script>alert(1)</script>", ""),
    ("a page in capitals", b"Dear <HTML>", ""),
    ("a frame", b"a <iframe src=x>", ""),
    ("a drawing", b"<svg onload='alert(1)'/>", ""),
    ("a drawing after words", b"a <svg onload='alert(1)'/>", ""),
    ("XML", b"<?xml version='1.0'?><a/>", ""),
    ("text with a NUL", b"a\0b", ""),
    ("text with a sign of a terminal", b"a\x1b[2J", ""),
    ("text that is not UTF-8", b"caf\xe9", ""),
    ("RTF", b"{\\rtf1 a}", ""),
    ("an archive", archive(), ""),
    ("a program", b"MZ\x90\0", ""),
    ("a GIF", b"GIF89a" + b"\0" * 20, ""),
    ("a PDF that does not begin at once", b"a\n" + PDF, ""),
    ("a PDF without an end", b"%PDF-1.7\n" + b"a" * 2000, ""),
    ("a PDF and an archive", PDF + archive(), ""),
    ("a PDF and a page", b"%PDF-1.7\n<script>alert(1)</script>\n%%EOF", ""),
    ("a JPEG and an archive", JPEG + archive() + b"\xff\xd9", ""),
    ("a JPEG and words", JPEG + b"a", ""),
    ("a JPEG and a page", b"\xff\xd8\xff\xfe\0\x20<script>alert(1)</script>\xff\xd9", ""),
    ("a PNG and more", PNG + b"a", ""),
    ("a PNG twice", PNG + PNG, ""),
    ("a PNG that is broken", PNG.replace(b"IDAT", b"IDAU"), ""),
    ("a PNG that is cut", PNG[:-4], ""),
    ("a PNG with two ends", PNG + chunk(b"IEND", b""), ""),
    ("a PNG without its head", PNG.replace(IHDR, b""), ""),
    ("a PNG and an archive", PNG[:-12] + chunk(b"tEXt", archive()) + chunk(b"IEND", b""), ""),
    ("a PNG and a page", PNG[:-12] + chunk(b"tEXt", b"a\0<script>a") + chunk(b"IEND", b""), ""),
]


@pytest.mark.parametrize(("content", "kind"), [each[1:] for each in FILES], ids=[each[0] for each in FILES])
def test_a_file_is_what_its_bytes_are(content: bytes, kind: str) -> None:
    assert file_type(content) == kind


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    folder = tmp_path_factory.mktemp("portal")
    with portal(folder) as made:
        somebody_else(made, folder, [])
        yield made


@pytest.fixture
def eleanor(here: Hospital) -> Browser:
    """She has added nothing in the last hour."""
    with here.node.vault.database.writing() as connection:
        connection.execute(delete(schema.tallies).where(schema.tallies.c.tally == Tally.CONTRIBUTION))
    return here.signed_in("eleanor")


def upload(browser: Browser, name: str, content: bytes, title: str = "A letter") -> Any:
    files = {"file": (name, content, "text/html")}
    return browser.post("/add/file", {"title": title}, files=files)


def added(here: Hospital, kind: str) -> list[dict[str, Any]]:
    """What patients added of one kind, the latest last."""
    columns = schema.resources.c
    with here.node.vault.database.reading() as connection:
        wanted = select(columns.record_id, columns.version).where(columns.type == kind).order_by(columns.row)
        keys = [(each.record_id, each.version) for each in connection.execute(wanted)]
    found = here.node.vault.open_small(keys)
    return [body for body in (json.loads(found[each]) for each in keys) if is_contributed(body)]


def newest_file(browser: Browser) -> str:
    """Where the file of the first letter of the list is."""
    letters = re.findall(r'href="(/record/letters/[^"/]+)"', browser.get("/record/letters").text)
    return re.findall(r'href="(/record/letters/[^"/]+/file/[^"]+)"', browser.get(letters[0]).text)[0]


def measure(browser: Browser, kind: str, values: list[str], **when: str) -> Any:
    """Answer the questions of one reading, up to the first that is not taken."""
    came = browser.post(f"/add/reading/{kind}", {f"value-{place}": each for place, each in enumerate(values)})
    if came.status_code == 303:
        came = browser.post("/add/when", {"day-day": "1", "day-month": "10", "day-year": "2026", "time": "8:30"} | when)
    return browser.post("/add/check", {}) if came.status_code == 303 else came


def test_every_reading_has_its_words() -> None:
    assert READING_NAMES.keys() == READINGS.keys()
    assert PARTS.keys() == {part.codes[0][0] for each in READINGS.values() for part in each.parts}


def test_a_reading_is_the_patients_in_fhir_and_on_both_pages(here: Hospital, eleanor: Browser) -> None:
    assert measure(eleanor, "blood-pressure", ["152", "91"]).headers["location"] == "/add/done"
    (kept,) = added(here, "Observation")
    reference = {"reference": kept["subject"]["reference"]}
    assert kept["performer"] == [reference]
    assert kept["effectiveDateTime"] == "2026-10-01T08:30:00+01:00"
    assert [each["valueQuantity"]["value"] for each in kept["component"]] == [152, 91]
    assert base_validator().validate(kept) == ()
    page = eleanor.get("/record/results/85354-9").text
    assert "1 October 2026" in page
    assert "You added this yourself" in eleanor.get("/record/results").text
    doctor = here.signed_in("rao")
    doctor.post("/patients", WHY | NUMBER | BORN)
    assert ", added by the patient" in doctor.get("/patient/results/85354-9").text
    assert "85354-9" not in doctor.get("/patient/tests").text


def test_a_value_keeps_its_digits(here: Hospital, eleanor: Browser) -> None:
    assert measure(eleanor, "temperature", ["37,0"], time="").status_code == 303
    (kept,) = [each for each in added(here, "Observation") if "valueQuantity" in each]
    assert kept["effectiveDateTime"] == "2026-10-01"
    assert "37.0 °C" in eleanor.get("/record/results").text


UNFIT = [
    ("a word", "weight", ["heavy"], {}, "Your weight: enter a number from 1 to 400"),
    ("nothing", "weight", [""], {}, "Your weight: enter"),
    ("a negative", "weight", ["-70"], {}, "Your weight: enter"),
    ("below what can be", "temperature", ["29.9"], {}, "Your temperature: enter"),
    ("above what can be", "oxygen", ["101"], {}, "Oxygen: enter"),
    ("another unit", "blood-sugar", ["99"], {}, "Your blood sugar: enter"),
    ("too many digits", "temperature", ["36.66"], {}, "Your temperature: enter"),
    ("digits of another script", "pulse", ["٧٠"], {}, "Your pulse: enter"),
    ("an exponent", "pulse", ["7e1"], {}, "Your pulse: enter"),
    ("upside down", "blood-pressure", ["80", "120"], {}, "The upper number must be more"),
    ("a day to come", "weight", ["70"], {"day-year": "2099"}, "Enter a day that has been"),
    ("a day of long ago", "weight", ["70"], {"day-year": "1234"}, "Enter a day that has been"),
    ("no day", "weight", ["70"], {"day-day": "32"}, "Enter a day that has been"),
    ("no time", "weight", ["70"], {"time": "25:00"}, "Enter a time that has been"),
]


@pytest.mark.parametrize(("kind", "values", "when", "said"), [each[1:] for each in UNFIT], ids=[x[0] for x in UNFIT])
def test_a_value_that_cannot_be_is_not_taken(
    eleanor: Browser, kind: str, values: list[str], when: dict[str, str], said: str
) -> None:
    came = measure(eleanor, kind, values, **when)
    assert came.status_code == 400
    assert said in came.text


@pytest.mark.parametrize("path", ["/add/check", "/add/when"])
def test_no_answer_is_added_before_all_are_there(here: Hospital, path: str) -> None:
    browser, before = here.signed_in("eleanor"), len(added(here, "Observation"))
    assert browser.get(path).headers["location"] == "/add"
    assert browser.post("/add/check", {}, page="/add").headers["location"] == "/add"
    assert len(added(here, "Observation")) == before


def test_a_document_is_the_patients_in_fhir_and_on_both_pages(here: Hospital, eleanor: Browser) -> None:
    assert upload(eleanor, "C:\\letters\\physio.pdf", PDF, "From my physio").headers["location"] == "/add/done"
    document, binary = added(here, "DocumentReference")[-1], added(here, "Binary")[-1]
    assert document["author"] == [document["subject"]] == [binary["securityContext"]]
    attachment = document["content"][0]["attachment"]
    assert (attachment["title"], attachment["contentType"]) == ("physio.pdf", "application/pdf")
    assert attachment["url"] == f"Binary/{binary['id']}"
    assert [base_validator().validate(each) for each in (document, binary)] == [(), ()]
    letters = eleanor.get("/record/letters").text
    assert "From my physio" in letters
    assert "You added this yourself" in letters
    file = eleanor.get(newest_file(eleanor))
    assert (file.content, file.headers["content-type"]) == (PDF, "application/pdf")
    doctor = here.signed_in("rao")
    doctor.post("/patients", WHY | NUMBER | BORN)
    page = doctor.get("/patient").text
    assert "From my physio" in page
    assert ", added by the patient" in page


REFUSED_FILES = [each for each in FILES if not each[2] and each[1]]


@pytest.mark.parametrize("content", [each[1] for each in REFUSED_FILES], ids=[each[0] for each in REFUSED_FILES])
def test_a_file_of_another_kind_is_refused_whatever_it_is_called(
    here: Hospital, eleanor: Browser, content: bytes
) -> None:
    before = len(added(here, "Binary"))
    came = upload(eleanor, "photo.jpg", content)
    assert came.status_code == 400
    assert "The file must be a PDF" in came.text
    assert len(added(here, "Binary")) == before


@pytest.mark.parametrize(
    ("name", "title"),
    [
        (f"{EVIL}.pdf", EVIL),
        ('a"; filename=b.html', 'a" onload="alert(1)'),
        ("a\r\nset-cookie: a=b.pdf", "a\r\nset-cookie: b"),
        ("../../../etc/passwd", "..\\..\\a"),
        ("a\u202efdp.exe", "a\u202egpj.exe"),
        ("a" * 3000, "a" * 100),
    ],
)
def test_a_name_does_nothing(here: Hospital, eleanor: Browser, name: str, title: str) -> None:
    assert upload(eleanor, name, TEXT, title).status_code == 303
    attachment = added(here, "DocumentReference")[-1]["content"][0]["attachment"]
    kept = (attachment["title"], added(here, "DocumentReference")[-1]["description"])
    assert not any(sign in each for each in kept for sign in "\r\n\u202e")
    assert "/" not in kept[0]
    page = eleanor.get("/record/letters").text
    assert SCRIPT not in page
    assert 'onload="' not in page
    file = eleanor.get(newest_file(eleanor))
    assert file.headers["content-type"] == "text/plain; charset=utf-8"
    assert "set-cookie" not in file.headers


@pytest.mark.parametrize(
    ("fields", "file", "said"),
    [
        ({"title": ""}, PDF, "Say in a few words what it is"),
        ({"title": "\u200b \u202e"}, PDF, "Say in a few words what it is"),
        ({"title": "a" * 101}, PDF, "Say in a few words what it is"),
        ({"title": "a"}, b"", "Choose a file"),
        ({"title": "a"}, PDF + b"a" * 10_000_000, "Choose a file of at most 10 MB"),
    ],
    ids=["no title", "a title that is not seen", "a long title", "no file", "a large file"],
)
def test_a_form_that_lacks_something_says_so(eleanor: Browser, fields: dict[str, str], file: bytes, said: str) -> None:
    came = eleanor.post("/add/file", fields, files={"file": ("a.pdf", file, "application/pdf")})
    assert came.status_code == 400
    assert said in came.text


def test_more_than_the_bound_is_not_even_read(here: Hospital, eleanor: Browser) -> None:
    before = len(added(here, "Binary"))
    came = upload(eleanor, "a.txt", b"a" * 11_000_000)
    assert came.status_code == 400
    assert "Add a document" not in came.text  # not the form again: nothing of it was taken apart
    assert len(added(here, "Binary")) == before


def test_only_so_many_come_within_an_hour(here: Hospital, eleanor: Browser) -> None:
    before = len(added(here, "Binary"))
    statuses = [upload(eleanor, "a.txt", TEXT).status_code for _ in range(MOST + 1)]
    assert statuses == [303] * MOST + [429]
    assert measure(eleanor, "weight", ["70"]).status_code == 429
    assert len(added(here, "Binary")) == before + MOST


def test_a_form_of_elsewhere_adds_nothing(here: Hospital, eleanor: Browser) -> None:
    """CSRF."""
    eleanor.get("/add/file")
    before = len(added(here, "Binary"))
    files, data = {"file": ("a.txt", TEXT, "text/plain")}, {"title": "a", "form": eleanor.form}
    came = eleanor.client.post("/add/file", data=data, files=files, headers={"origin": "https://evil.example"})
    assert came.status_code == 403
    other = here.signed_in("other")
    other.get("/add/file")
    stolen = eleanor.client.post("/add/file", data=data | {"form": other.form}, files=files, headers={"origin": ORIGIN})
    assert stolen.status_code == 403
    assert len(added(here, "Binary")) == before


def test_nothing_is_added_to_anybody_else(here: Hospital, eleanor: Browser) -> None:
    fields = {"title": "mine", "patient": "somebody-else", "subject": "Patient/somebody-else"}
    files = {"file": ("a.txt", b"only mine", "text/plain")}
    assert eleanor.post("/add/file", fields, files=files).status_code == 303
    assert added(here, "DocumentReference")[-1]["subject"]["reference"] != "Patient/somebody-else"
    assert "mine" not in here.signed_in("other").get("/record/letters").text


def test_a_ticket_or_a_doctor_adds_nothing(here: Hospital) -> None:
    account = here.portal.accounts.find(here.accounts["rao"])
    assert account is not None
    login = here.portal.accounts.login_of(account, here.portal.accounts.hold(account)[0])
    with pytest.raises(Refused) as refused:
        add_file(here.node, login, here.patient, title="a", name="a", content=TEXT)
    assert refused.value.refusal is Refusal.PERSON_UNFIT


@pytest.mark.parametrize(("labels", "roles"), [((MARK,), ["author", "custodian"]), ((), ["custodian"])])
def test_a_provenance_names_the_patient_of_what_they_added(labels: tuple[str, ...], roles: list[str]) -> None:
    name, nobody = "Observation/1/_history/1", OrganisationId("RXX01")
    facts = VersionFacts(
        "Observation", name, "7", nobody, 0, EARLIEST_S, LATEST_S, labels, is_first=True, is_current=True
    )
    agents = json.loads(provenance(facts, "1", batch=b""))["agent"]
    assert [each["type"]["coding"][0]["code"] for each in agents] == roles
    assert [each["who"].get("reference") for each in agents if "reference" in each["who"]] == ["Patient/7"] * len(
        labels
    )
