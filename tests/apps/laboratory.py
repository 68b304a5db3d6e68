"""A laboratory beside a served node: it looks for orders over FHIR, reports on each, and says that it is done."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import requests

from tests.api.fhir.served import Served, fields

LOOKS_EACH_S = 0.5
TIMEOUT_S = 60
RESULT = {"coding": [{"system": "http://loinc.org", "code": "718-7"}]}


@contextmanager
def laboratory(here: Served) -> Iterator[None]:
    """Answer orders until the block ends."""
    is_over = threading.Event()
    thread = threading.Thread(target=_work, args=(here, is_over), name="laboratory", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def _work(here: Served, is_over: threading.Event) -> None:
    with requests.Session() as session:
        session.trust_env, session.verify = False, str(here.certificate)
        session.headers.update(fields(here.token(here.clinical)))
        while not is_over.wait(LOOKS_EACH_S):
            found = session.get(f"{here.base}/Task?status=requested", timeout=TIMEOUT_S).json()
            for entry in found.get("entry", []):
                _fulfil(session, here.base, entry["resource"])


def _fulfil(session: requests.Session, base: str, task: dict) -> None:
    about = {"subject": task["for"], "basedOn": [task["focus"]], "status": "final"}
    result = {"resourceType": "Observation", "code": RESULT, "valueQuantity": {"value": 141, "unit": "g/L"}} | about
    made = session.post(f"{base}/Observation", json=result, timeout=TIMEOUT_S).json()
    report = {"resourceType": "DiagnosticReport", "code": {"text": "Blood count"}} | about
    report["result"] = [{"reference": f"Observation/{made['id']}"}]
    session.post(f"{base}/DiagnosticReport", json=report, timeout=TIMEOUT_S).raise_for_status()
    session.put(f"{base}/Task/{task['id']}", json=task | {"status": "completed"}, timeout=TIMEOUT_S).raise_for_status()
