"""How long the portal's pages take at the server, for a patient with a thousand resources, at whom many have looked."""

import itertools
import json
import secrets
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from http.cookies import SimpleCookie
from pathlib import Path

from starlette.responses import Response
from starlette.testclient import TestClient

from bench.measure import Line, latencies
from salus.clinical.fhir.resources import parse
from salus.clinical.nhs_number import NhsNumber
from salus.contracts.access import RequestAccess
from salus.contracts.evidence import permit_of
from salus.contracts.membership import KeyUse
from salus.contracts.provisions import Purpose, RoleClass, Verb
from salus.contracts.residuals import RequestResidual, Scope, commit_request
from salus.crypto.sealing import new_key
from salus.ledger.encoding import encode
from salus.ledger.fields import CommittedFields
from salus.ledger.identifiers import Digest, PermitId, Pseudonym
from salus.ledger.outcomes import decode_leaf
from salus.node.assemble import Node
from salus.node.documents import Document, Kind, keep_many
from salus.node.people import OpenSession, certify_person, open_session
from salus.node.services import looks
from salus.node.services.deposit import deposit
from salus.node.services.enrol import enrol, find
from salus.portal.app import Portal
from salus.portal.assets import assets
from salus.portal.sessions import COOKIE
from salus.portal.settings import PortalSettings
from salus.testing.world import HOSPITAL, World, world

ORIGIN = "https://portal.example"
PAGES = ("/record", "/record/results", "/record/letters", "/record/results/718-7", "/sharing", "/looked", "/devices")
RESOURCES = 1_000
COUNT = 40
PAGE_MS, VIEW_KB, LOOKED_MS = 100, 150, 200
LOOKS, PEOPLE = 10_000, 200
DAYS = "from-day=1&from-month=1&from-year=2026"
LOOKED = ("/looked", "/looked?own=yes", "/looked?page=10", f"/looked?only=refused&{DAYS}")
NUMBER, BORN = NhsNumber("9990000018"), "1968-03-14"
TESTS = (("718-7", "Haemoglobin", "g/L"), ("2951-2", "Sodium", "mmol/L"), ("2823-3", "Potassium", "mmol/L"))


def run() -> list[Line]:
    """Ask for each page a number of times, as one patient who is signed in."""
    lines = []
    with (
        tempfile.TemporaryDirectory() as folder,
        world(Path(folder), organisations=(HOSPITAL,), has_index=True) as made,
        signed_in(made) as client,
    ):
        lines += [line_of(client, path, f"{RESOURCES:,} resources", most_ms=PAGE_MS) for path in PAGES]
        view_kb = first_view_kb(client)
        look(made.hospital)
        lines += [line_of(client, path, f"{LOOKS:,} looks", most_ms=LOOKED_MS) for path in LOOKED]
    lines.append(
        Line("portal, first view", "≤ 150 kB", f"{view_kb:.0f} kB transferred", view_kb <= VIEW_KB, {"kb": view_kb})
    )
    return lines


def line_of(client: TestClient, path: str, of: str, *, most_ms: int) -> Line:
    """Ask for a page a number of times."""
    assert client.get(path).status_code == 200, path
    took = latencies(lambda: client.get(path), count=COUNT)
    p95 = took.percentile(95)
    said = f"p95 {p95:.0f} ms, median {took.median:.0f} ms"
    raw: dict[str, object] = {"ms": took.raw(), "p95_ms": p95}
    return Line(f"portal {path}, {of}", f"p95 ≤ {most_ms} ms", said, p95 <= most_ms, raw)


def look(node: Node) -> None:
    """Have many clinicians ask for the patient, and upkeep note it, as it does every few seconds."""
    pseudonym = find(node, NUMBER)
    assert pseudonym is not None, "the patient is signed in"
    for number in range(PEOPLE):
        person = certify_person(
            node, name=f"Dr {number}", role="GP", registration=f"{number}", role_class=RoleClass.CLINICAL
        )
        session = open_session(person.key, person.certificate, custodian=node.organisation, from_s=node.clock())
        _ask(node, session, pseudonym, count=LOOKS // PEOPLE)
        looks.keep_up(node)


def _ask(node: Node, session: OpenSession, pseudonym: Pseudonym, *, count: int) -> None:
    said = [_residual(session) for _ in range(count)]
    ask(node, session, pseudonym, said, custodian=node, purpose=Purpose.TREAT, duration_s=900)


def ask(
    node: Node,
    session: OpenSession,
    pseudonym: Pseudonym,
    said: Sequence[CommittedFields],
    *,
    custodian: Node,
    purpose: Purpose,
    duration_s: int,
) -> list[PermitId]:
    """Ask in one transaction, which costs the ledger less than one for each, and keep at the custodian what was said.

    Args:
        said: the residual of each request.
    """
    asked = [
        RequestAccess(
            pseudonym=pseudonym,
            custodian=custodian.organisation,
            requester=node.organisation,
            role_class=RoleClass.CLINICAL,
            purpose=purpose,
            verb=Verb.READ,
            duration_s=duration_s,
            session=0,
            reader_key=Digest(secrets.token_bytes(32)),
            ticket=Digest(b""),
            residual=each.root(),
        )
        for each in said
    ]
    result = node.submit_signed(tuple(asked), (session.key, node.signing(KeyUse.TRANSACTION)))
    permits = [PermitId(permit_of(decode_leaf(each))) for each in result.leaves]
    kept = [Document(Kind.REQUEST, permit, encode(each)) for permit, each in zip(permits, said, strict=True)]
    keep_many(custodian.vault, custodian.chain, pseudonym, kept)
    return permits


def _residual(session: OpenSession) -> CommittedFields:
    asked = RequestResidual(secrets.token_bytes(16), Scope(), session.certificate, session.certified, "For the clinic")
    return commit_request(asked, secret=new_key())


@contextmanager
def signed_in(made: World) -> Iterator[TestClient]:
    """A browser of a patient with a long chart."""
    node = made.hospital
    pseudonym = enrol(node, NUMBER, BORN)
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
