"""A hospital with records, people who sign in, and an app in a browser that asks to be let in."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec

from salus.api.smart.app import Smart
from salus.api.smart.settings import SmartSettings
from salus.clinical.nhs_number import NhsNumber
from salus.contracts.provisions import RoleClass
from salus.ledger.identifiers import Pseudonym
from salus.node.people import certify_person
from salus.node.services import enrol
from salus.node.services.accounts import AccountId
from salus.node.services.apps import App, AppKind, NewApp
from tests.api.fhir.fhir_world import observation
from tests.api.fhir.served import Served, served

HERE = Path(__file__).parent
NUMBER, BORN = "9990000018", "1980-02-29"
PASSWORD = "correct horse battery"
WEIGHTS = ["70.5 kg", "71 kg", "72.25 kg"]
LIBRARY = HERE / "node_modules" / "fhirclient" / "build" / "fhir-client.pure.min.js"
KINDS = {".html": "text/html", ".js": "text/javascript"}


@dataclass(frozen=True)
class Clinic:
    """Everything that a test of an app in a browser needs."""

    here: Served
    smart: Smart
    app: App
    home: str
    nurse: AccountId
    patient: AccountId
    pseudonym: Pseudonym

    @property
    def manage(self) -> str:
        """The page on which people end an app's access."""
        return self.here.base.removesuffix("/FHIR/R4") + "/oauth/apps"


@contextmanager
def clinic(folder: Path) -> Iterator[Clinic]:
    """Serve records, and an app from an address of its own."""
    with served(folder) as here, serving(files := {}) as home:
        put_records(here)
        smart = Smart(here.node, SmartSettings(here.base), lambda _pseudonym: "")
        pseudonym = enrol.match(here.node, NhsNumber(NUMBER), BORN)
        assert pseudonym is not None
        person = certify_person(
            here.node, name="Nurse N", role="Nurse", registration="NMC 1", role_class=RoleClass.CLINICAL
        )
        nurse = smart.accounts.add_staff(person, RoleClass.CLINICAL, name="Nurse N")
        patient = smart.accounts.add_patient(pseudonym, name="Eleanor Moss")
        smart.accounts.set_password(nurse, signs_in_as="nurse", password=PASSWORD)
        smart.accounts.set_password(patient, signs_in_as="eleanor", password=PASSWORD)
        new = NewApp(AppKind.PUBLIC, "Weights", [f"{home}/index.html"], launch_uri=f"{home}/launch.html")
        app = smart.apps.add(new).app
        files |= {each.name: each.read_bytes() for each in (HERE / "smart_app").iterdir()}
        settings = msgspec.json.encode({"clientId": app.id, "iss": here.base})
        files |= {"fhir-client.js": LIBRARY.read_bytes(), "settings.js": b"const settings = " + settings}
        yield Clinic(here, smart, app, home, nurse, patient, pseudonym)
        smart.close()


def put_records(here: Served) -> None:
    """A patient of whom three weights are known."""
    number = {"system": "https://fhir.nhs.uk/Id/nhs-number", "value": NUMBER}
    here.put({"resourceType": "Patient", "id": "eleanor", "birthDate": BORN, "identifier": [number]})
    for at, text in enumerate(WEIGHTS):
        value, unit = text.split()
        quantity = {"value": float(value), "unit": unit}
        here.put(observation(of="eleanor", id=f"w{at}", valueQuantity=quantity))


@contextmanager
def serving(files: dict[str, bytes]) -> Iterator[str]:
    """Serve files on loopback; yields the address."""

    class Files(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.partition("?")[0].removeprefix("/")
            self.send_response(200 if name in files else 404)
            self.send_header("content-type", KINDS.get(Path(name).suffix, "text/plain"))
            self.end_headers()
            self.wfile.write(files.get(name, b""))

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Files) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()
