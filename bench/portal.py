"""How long the portal's pages take at the server, for a patient of whom there are a thousand resources."""

import itertools
import json
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.cookies import SimpleCookie
from pathlib import Path

from starlette.responses import Response
from starlette.testclient import TestClient

from bench.measure import Line, latencies
from salus.clinical.fhir.resources import parse
from salus.clinical.nhs_number import NhsNumber
from salus.node.services.deposit import deposit
from salus.node.services.enrol import enrol
from salus.portal.app import Portal
from salus.portal.assets import assets
from salus.portal.sessions import COOKIE
from salus.portal.settings import PortalSettings
from salus.testing.world import HOSPITAL, World, world

ORIGIN = "https://portal.example"
PAGES = ("/record", "/record/results", "/record/letters", "/record/results/718-7", "/sharing", "/looked", "/devices")
RESOURCES = 1_000
COUNT = 40
PAGE_MS, VIEW_KB = 100, 150
TESTS = (("718-7", "Haemoglobin", "g/L"), ("2951-2", "Sodium", "mmol/L"), ("2823-3", "Potassium", "mmol/L"))


def run() -> list[Line]:
    """Ask for each page a number of times, as one patient who is signed in."""
    lines = []
    with (
        tempfile.TemporaryDirectory() as folder,
        world(Path(folder), organisations=(HOSPITAL,), has_index=True) as made,
        signed_in(made) as client,
    ):
        for path in PAGES:
            assert client.get(path).status_code == 200, path
            took = latencies(lambda path=path: client.get(path), count=COUNT)  # type: ignore[misc]
            p95 = took.percentile(95)
            said = f"p95 {p95:.0f} ms, median {took.median:.0f} ms"
            raw = {"ms": took.raw(), "p95_ms": p95}
            lines.append(Line(f"portal {path}, {RESOURCES:,} resources", "p95 ≤ 100 ms", said, p95 <= PAGE_MS, raw))
        view_kb = first_view_kb(client)
    lines.append(
        Line("portal, first view", "≤ 150 kB", f"{view_kb:.0f} kB transferred", view_kb <= VIEW_KB, {"kb": view_kb})
    )
    return lines


@contextmanager
def signed_in(made: World) -> Iterator[TestClient]:
    """A browser of a patient with a long chart."""
    node = made.hospital
    pseudonym = enrol(node, NhsNumber("9990000018"), "1968-03-14")
    deposit(node, pseudonym, [parse(each) for each in chart()])
    with closing(Portal(node, PortalSettings(ORIGIN), peers=made.peers(HOSPITAL))) as portal:
        account = portal.accounts.add_patient(pseudonym, name="Eleanor Hughes")
        known, response = portal.accounts.find(account), Response()
        assert known is not None, "it was just made"
        portal.sign_in(response, account, known, None, way="bench")
        client = TestClient(portal.app(), base_url=ORIGIN, follow_redirects=False)
        client.cookies.set(COOKIE, SimpleCookie(response.headers["set-cookie"])[COOKIE].value, domain="portal.example")
        yield client


def chart() -> Iterator[bytes]:
    """A Patient, and results of some years with a letter after each twentieth."""
    yield json.dumps({"resourceType": "Patient", "id": "p", "birthDate": "1968-03-14"}).encode()
    subject = {"reference": "Patient/p"}
    for number, (code, name, unit) in zip(range(1, RESOURCES), itertools.cycle(TESTS)):
        day = f"{2010 + number % 15}-{number % 12 + 1:02}-{number % 28 + 1:02}"
        if number % 20 == 0:
            letter = {"attachment": {"contentType": "text/plain", "data": "TGV0dGVy", "creation": day}}
            yield json.dumps(
                {
                    "resourceType": "DocumentReference",
                    "id": f"d-{number}",
                    "status": "current",
                    "type": {"text": "Clinic letter"},
                    "date": f"{day}T09:00:00Z",
                    "content": [letter],
                    "subject": subject,
                }
            ).encode()
            continue
        yield json.dumps(
            {
                "resourceType": "Observation",
                "id": f"o-{number}",
                "status": "final",
                "category": [
                    {
                        "coding": [
                            {
                                "system": "http://terminology.hl7.org/CodeSystem/observation-category",
                                "code": "laboratory",
                            }
                        ]
                    }
                ],
                "code": {"coding": [{"system": "http://loinc.org", "code": code, "display": name}], "text": name},
                "effectiveDateTime": day,
                "valueQuantity": {"value": 100 + number % 40, "unit": unit},
                "subject": subject,
            }
        ).encode()


def first_view_kb(client: TestClient) -> float:
    """What comes with the first page: its text as it is, and all files that every page names, compressed."""
    names = (
        "nhsuk-frontend.css",
        "portal.css",
        "supported.js",
        "htmx.js",
        "portal.js",
        "nhsuk-frontend.js",
        "icon.svg",
    )
    files = sum(len(assets().files[name].compressed) for name in names)
    return (len(client.get("/record").content) + files) / 1000
