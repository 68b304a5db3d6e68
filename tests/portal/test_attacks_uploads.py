"""Files that are two things at once, and what a browser is told of them: as added, to a clinician, as saved."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from sqlalchemy import delete

from salus.clinical.file_types import file_type
from salus.node import schema
from salus.node.tallies import Tally
from salus.portal.files import SAVED, SHOWN
from tests.portal.patient_charts import add, letter
from tests.portal.portal_world import ORIGIN, Browser, Hospital, portal
from tests.portal.test_clinician_find import NUMBER, WHY
from tests.portal.test_clinician_view import BORN
from tests.portal.test_patient_add import JPEG, PDF, PNG, TEXT, archive, chunk, newest_file, upload

SCRIPT = b"<script>alert(1)</script>"
IMAGE = b"<img src=x onerror=alert(1)>"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><script>alert(1)</script></svg>'
HTML = b"<!DOCTYPE html><title>a</title>" + SCRIPT
END = PNG[-12:]


def jpeg(comment: bytes) -> bytes:
    """A JPEG with a comment (ITU-T T.81 B.2.4.5)."""
    return b"\xff\xd8\xff\xfe" + (len(comment) + 2).to_bytes(2) + comment + JPEG[2:]


def pdf(*objects: bytes) -> bytes:
    """A PDF with more in it."""
    return b"%PDF-1.7\n" + b"".join(b"%d 0 obj\n%s\nendobj\n" % each for each in enumerate(objects, 1)) + b"%%EOF\n"


ACTION = b"<</Type/Catalog/OpenAction<</S/JavaScript/JS(app.alert(1))>>>>"
EMBEDDED = b"<</Type/EmbeddedFile/Length 2>>stream\nMZ\nendstream"

REFUSED = {
    "a PDF that is a page": pdf(HTML),
    "a PDF that is a drawing": pdf(SVG),
    "a PDF that is an archive": PDF + archive(),
    "an archive that is a PDF": archive() + PDF,
    "a PDF behind a mark of its order of bytes": b"\xef\xbb\xbf" + PDF,
    "a PDF behind a blank": b" " + PDF,
    "a JPEG with a script in its comment": jpeg(SCRIPT),
    "a JPEG with PHP in its comment": jpeg(b"<?php system(1);"),
    "a JPEG that is a JavaScript": b"\xff\xd8\xff\xe0/*" + bytes(40) + b"*/=alert(1)//",
    "a JPEG and an archive": JPEG[:-2] + archive() + b"\xff\xd9",
    "a PNG and an archive": PNG + archive(),
    "a PNG with an archive in it": PNG[:-12] + chunk(b"tEXt", archive()) + END,
    "a PNG with a page in it": PNG[:-12] + chunk(b"iTXt", b"a\0\0\0\0\0" + HTML) + END,
    "a GIF and an archive": b"GIF89a" + bytes(20) + b";" + archive(),
    "a GIF that is a JavaScript": b"GIF89a=0;alert(1)",
    "a BMP that is a JavaScript": b"BM/*" + bytes(20) + b"*/=1;alert(1)",
    "a drawing": SVG,
    "a drawing behind words": b"Dear Eleanor,\n" + SVG,
    "a drawing behind a mark of its order of bytes": b"\xef\xbb\xbf" + SVG,
    "a packed drawing": b"\x1f\x8b\x08" + bytes(20),
    "a page behind a mark of its order of bytes": b"\xef\xbb\xbf" + HTML,
    "a page behind blanks": b"\n\t  " + IMAGE,
    "a page in UTF-16": HTML.decode().encode("utf-16"),
    "a page in UTF-16 without a mark": HTML.decode().encode("utf-16-le"),
    "a page in UTF-32": HTML.decode().encode("utf-32"),
    "a page in EBCDIC": HTML.decode().encode("cp037"),
    "a page in ISO-2022-JP": b"\x1b$B" + HTML,
    "words in UTF-16": TEXT.decode().encode("utf-16"),
    "a mail that is a page": b"MIME-Version: 1.0\nContent-Type: text/html\n\n" + HTML,
    "PostScript": b"%!PS-Adobe-3.0\n",
    "a program for a shell with a NUL": b"#!/bin/sh\n\0",
}
"""Of what could be taken for two things nothing is taken."""
TAKEN = {
    "a PDF with a script and a file in it": (pdf(ACTION, EMBEDDED), "application/pdf"),
    "a PDF with an element that runs": (pdf(IMAGE), "application/pdf"),
    "a JPEG with an element that runs": (jpeg(IMAGE), "image/jpeg"),
    "a PNG with an element that runs": (PNG[:-12] + chunk(b"tEXt", b"a\0" + IMAGE) + END, "image/png"),
    "words with an element that runs": (b"Dear Eleanor, " + IMAGE, "text/plain"),
    "words that are a page to old browsers": (b"a<plaintext><body onload=alert(1)><a href=javascript:1>", "text/plain"),
    "a page in UTF-7": (b"+ADw-script+AD4-alert(1)+ADw-/script+AD4-", "text/plain"),
    "a JavaScript": (b"alert(document.cookie)//", "text/plain"),
    "a style sheet": (b"*{background:url(//evil.example)}", "text/plain"),
    "a list for a spreadsheet": (b'=HYPERLINK("https://evil.example")', "text/plain"),
    "a mail": (b"MIME-Version: 1.0\nContent-Type: text/x\n\na", "text/plain"),
}
"""What can be read as something else by a program that guesses: no browser may guess."""
FED = {
    **{f"{name}, called {kind}": (content, kind) for kind in SHOWN for name, content in (("HTML", HTML), ("SVG", SVG))},
    **{
        f"called {kind}": (HTML, kind)
        for kind in (
            *("text/html", "TEXT/HTML", "text/html;charset=utf-7", "image/svg+xml", "application/xhtml+xml"),
            *("text/xml", "application/xml", "text/javascript", "text/css", "multipart/x-mixed-replace"),
            *("message/rfc822", "application/x-shockwave-flash", "text/plain, text/html", "*/*", "x"),
            "text/plain\r\nset-cookie: a=b",
        )
    },
    "text/plain in UTF-7": (b"+ADw-script+AD4-", "text/plain; charset=utf-7"),
    "text/plain in UTF-16": (HTML.decode().encode("utf-16"), "text/plain; charset=utf-16"),
    "a PDF with a type of two": (PDF, "application/pdf;a=text/html"),
}
"""What a feeding system deposits is looked at by nobody: its type is whatever it says."""
NAMES = {
    "above its folder": "../../../etc/passwd",
    "above its folder for Windows": "..\\..\\windows\\system32\\a.dll",
    "with a drive": "C:\\autoexec.bat",
    "the other way round": "a\u202efdp.exe",
    "with a quote": 'a"; filename="b.html',
    "with a backslash before the quote": 'a\\"; filename=b.html; x="',
    "with lines of a header": "a\r\nset-cookie: a=b\r\n\r\n<html>",
    "with a line break of Unicode": "a\u2028b\u2029c\x85d",
    "of nothing to see": "\u200b\u200d\ufeff",
    "of dots": "...",
    "hidden": ".htaccess",
    "of a page": "invoice.html",
    "of two kinds": "invoice.pdf.exe",
    "long": "\U00010300" * 300,
    "encoded": "%2e%2e%2f%0d%0a",
    "of a folder": "a/b/",
    "with a semicolon and a star": "a; filename*=UTF-8''b.html",
}

KINDS = {*SHOWN, "text/plain; charset=utf-8", SAVED} - {"text/plain"}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    folder = tmp_path_factory.mktemp("portal")
    with portal(folder) as made:
        letters = [(f"f{at}", each, "A letter") for at, each in enumerate(FED.values())]
        letters += [(f"n{at}", (HTML, "text/html"), each) for at, each in enumerate(NAMES.values())]
        add(
            made,
            folder,
            [
                each
                for name, (content, kind), title in letters
                for each in letter(name, content_type=kind, content=content, title=title)
            ],
        )
        yield made


@pytest.fixture
def eleanor(here: Hospital) -> Browser:
    """She has added nothing in the last hour."""
    with here.node.vault.database.writing() as connection:
        connection.execute(delete(schema.tallies).where(schema.tallies.c.tally == Tally.CONTRIBUTION))
    return here.signed_in("eleanor")


@pytest.fixture(scope="module")
def doctor(here: Hospital) -> Browser:
    browser = here.signed_in("rao")
    browser.post("/patients", WHY | NUMBER | BORN)
    return browser


def require_tame(came: Any) -> None:
    """A browser runs nothing of it, guesses nothing, and is given one name to save it by."""
    head = came.headers
    assert came.status_code == 200
    assert head["x-content-type-options"] == "nosniff"
    assert head["cache-control"] == "no-store"
    assert head["cross-origin-resource-policy"] == "same-origin"
    rules = [each.strip().partition(" ") for each in head["content-security-policy"].split(";")]
    policy = {name: rest for name, _, rest in rules}
    assert policy["sandbox"] == ""  # no scripts, no forms, no origin of ours
    assert policy["default-src"] == "'none'"
    assert "script-src" not in policy
    kind = head["content-type"]
    assert kind in KINDS
    disposition, names = named(head["content-disposition"])
    assert disposition == ("attachment" if kind == SAVED else "inline")
    assert "set-cookie" not in head
    for each in names:
        require_plain(each, kind)


def named(field: str) -> tuple[str, list[str]]:
    """What a browser makes of a Content-Disposition: how it is shown, and both of its names (RFC 6266, 4.3)."""
    found = re.fullmatch(r'(inline|attachment); filename="([^"\\\r\n]*)"; filename\*=UTF-8\'\'([\w%.~-]+)', field, re.A)
    assert found is not None, field
    return found[1], [found[2], unquote(found[3])]


def require_plain(name: str, kind: str) -> None:
    assert name == name.strip(" .")
    assert re.fullmatch(r"[\w .,()-]+", name)
    assert len(name.encode()) <= 255  # as file systems have it
    ending = SHOWN.get(kind.partition(";")[0], "")
    assert name.endswith(ending)


def files_of(browser: Browser, home: str) -> list[str]:
    """Where every file of every letter is, on the pages of whoever reads them."""
    pages = [browser.get(f"{home}?page={number}").text for number in range(1, 5)]
    letters = {each for text in pages for each in re.findall(r'href="(/[a-z]+/letters/[^"/?]+)["?]', text)}
    found = []
    for each in letters:
        text = browser.get(each).text
        assert "<x-" not in text
        assert b"<script>alert".decode() not in text
        found += re.findall(rf'(?:href|src|data)="({each}/[^"?]+)["?]', text)
    return sorted(set(found))


@pytest.mark.parametrize("content", REFUSED.values(), ids=REFUSED)
def test_what_can_be_taken_for_two_things_is_not_taken(content: bytes) -> None:
    assert file_type(content) == ""


@pytest.mark.parametrize(("content", "kind"), TAKEN.values(), ids=TAKEN)
def test_what_is_taken_is_given_back_as_that_and_nothing_else(eleanor: Browser, content: bytes, kind: str) -> None:
    assert upload(eleanor, "invoice.html", content).status_code == 303
    came = eleanor.get(newest_file(eleanor))
    require_tame(came)
    assert (came.content, came.headers["content-type"].partition(";")[0]) == (content, kind)


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_name_is_one_harmless_name_when_the_file_is_saved(eleanor: Browser, name: str) -> None:
    assert upload(eleanor, name, TEXT, f"a{name}"[:100]).status_code == 303
    require_tame(eleanor.get(newest_file(eleanor)))


def test_what_a_feed_calls_its_files_runs_nowhere(here: Hospital, doctor: Browser) -> None:
    """The same bytes with every type, and every name, to the patient and to a clinician."""
    for browser, home in ((here.signed_in("eleanor"), "/record/letters"), (doctor, "/patient/all/letters")):
        found = files_of(browser, home)
        assert len(found) >= len(FED) + len(NAMES), home
        for each in found:
            require_tame(browser.get(each))


def test_no_file_of_the_download_leaves_its_folder(here: Hospital, eleanor: Browser, tmp_path: Path) -> None:
    """Zip slip, the other way round: what we write can be unpacked by a program that looks at nothing."""
    came = eleanor.post("/record/download", {"format": "zip"})
    with zipfile.ZipFile(io.BytesIO(came.content)) as made:
        names = made.namelist()
        assert len(names) == len(set(names)) > len(FED) + len(NAMES)
        for each in made.infolist():
            assert re.fullmatch(r"letters/\d{3,}\.(pdf|jpg|png|txt|bin)|[a-z]+\.(json|pdf|salus)", each.filename)
            assert each.external_attr >> 28 in (0, 0o10)  # a file, and no link to one
            assert not each.flag_bits & 1
        made.extractall(tmp_path)
    assert {str(each.relative_to(tmp_path)) for each in tmp_path.rglob("*") if each.is_file()} == set(names)


BODIES = {
    "no boundary": ("multipart/form-data", b""),
    "an empty boundary": ("multipart/form-data; boundary=", b"--\r\n\r\n----"),
    "a boundary without an end": ("multipart/form-data; boundary=" + "b" * 5000, b"--b"),
    "no end": ("multipart/form-data; boundary=b", b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\na'),
    "no name": ("multipart/form-data; boundary=b", b"--b\r\nContent-Disposition: form-data\r\n\r\na\r\n--b--"),
    "no head": ("multipart/form-data; boundary=b", b"--b\r\n\r\na\r\n--b--"),
    "a head that is none": ("multipart/form-data; boundary=b", b"--b\r\n\xe4: b\r\n\r\na\r\n--b--"),
    "another way to encode it": ("multipart/mixed; boundary=b", b"--b--"),
    **{
        f"in {codec}": (
            f"multipart/form-data; charset={codec}; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="\xff-"\r\n\r\n\xff-\r\n--b--',
        )
        for codec in ("undefined", "punycode", "idna", "rot13", "zip", "utf-7", "unicode_escape", "nothing")
    },
    "300 fields": (
        "multipart/form-data; boundary=b",
        b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\na\r\n' * 300 + b"--b--",
    ),
    "20 files": (
        "multipart/form-data; boundary=b",
        b'--b\r\nContent-Disposition: form-data; name="a"; filename="a"\r\n\r\na\r\n' * 20 + b"--b--",
    ),
}


@pytest.mark.parametrize(("kind", "body"), BODIES.values(), ids=BODIES)
def test_a_form_that_cannot_be_read_is_refused_in_words(eleanor: Browser, kind: str, body: bytes) -> None:
    came = eleanor.client.post("/add/file", content=body, headers={"content-type": kind, "origin": ORIGIN})
    assert came.status_code in (400, 403)
    assert "There is a problem" in came.text
