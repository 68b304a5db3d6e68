"""Two FHIR servers on one PostgreSQL: a node of ours with a ledger process, and HAPI as `peers/hapi` builds it."""

import os
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
from joserfc.jwk import ECKey

from bench.postgres import Postgres
from salus.api.smart.app import Smart
from salus.api.smart.settings import SmartSettings
from salus.cli.demonstration_places import free_ports
from salus.cli.running import NetworkProcesses
from salus.contracts.provisions import RoleClass
from salus.ledger.identifiers import OrganisationId
from salus.node import config
from salus.node.founding import Member, found
from salus.node.listen_settings import FhirListen, Listen
from salus.node.opening import ledger_client, open_node
from salus.node.people import certify_person
from salus.node.services.apps import AppKind, NewApp

HOSPITAL = OrganisationId("RVJ")
HAPI = Path(__file__).resolve().parent / "peers" / "hapi"
HAPI_START_S = 180


@dataclass(frozen=True)
class Server:
    """A running server: where it is, a token for it when one is needed, and what memory its processes take."""

    base: str
    token: Callable[[], str]
    memory_mb: Callable[[], float]


@contextmanager
def ours(postgres: Postgres, *, workers: int) -> Iterator[Server]:
    """Serve FHIR from a node on the embedded ledger, with an app for a clinical system registered."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "net"
        node_port, fhir_port = free_ports(2)
        begun_s = int(time.time()) - 60
        founded = found(folder, [Member(HOSPITAL, "hospital", "Bench", node_port)], chain="salus-bench", time_s=begun_s)
        place = founded.nodes[HOSPITAL]
        postgres.new_database("salus")
        base = f"https://127.0.0.1:{fhir_port}/FHIR/R4"
        config.change_node(
            place,
            database=f"postgresql+psycopg://bench@127.0.0.1:{postgres.port}/salus",
            listen=Listen(port=node_port, workers=workers),
            fhir=FhirListen(base, port=fhir_port),
        )
        processes = stack.enter_context(
            NetworkProcesses(folder, log=postgres.folder.parent / f"{postgres.folder.name}-salus.log")
        )
        engine = stack.enter_context(ledger_client(config.read_node(place), founded.genesis.chain))
        node = stack.enter_context(open_node(place, engine=engine))
        smart = stack.enter_context(closing(Smart(node, SmartSettings(base), lambda _pseudonym: "")))
        person = certify_person(node, name="EHR", role="EHR", registration="EHR", role_class=RoleClass.CLINICAL)
        account = smart.accounts.add_staff(person, RoleClass.CLINICAL, name="EHR")
        key = ECKey.generate_key("P-384", {"kid": "k", "use": "sig", "alg": "ES384"})
        jwks = msgspec.json.encode({"keys": [key.as_dict(private=False)]})
        scopes = ("system/*.cruds",)
        app = smart.apps.add(NewApp(AppKind.BACKEND, "EHR", jwks=jwks, account=account, scopes=scopes)).app
        yield Server(
            base.replace("https", "http"),
            lambda: smart.grants.for_backend(app, scopes).access,
            lambda: sum(map(_memory_mb, _family(list(processes.process_ids().values())))),
        )


@contextmanager
def hapi(postgres: Postgres, *, validates: bool, caches: bool = False) -> Iterator[Server]:
    """Serve FHIR from HAPI."""
    name = "hapi" + "_validating" * validates + "_caching" * caches
    postgres.new_database(name)
    (port,) = free_ports(1)
    where = {
        "HAPI_DB_URL": f"jdbc:postgresql://127.0.0.1:{postgres.port}/{name}",
        "HAPI_DB_USER": "bench",
        "HAPI_PORT": str(port),
        "HAPI_SEARCH_CACHE": "1" if caches else "",
    }
    command = [str(HAPI / "run"), *(["--validate"] if validates else [])]
    with (postgres.folder.parent / f"{postgres.folder.name}-{name}.log").open("w") as log:
        child = subprocess.Popen(command, env=os.environ | where, stdout=log, stderr=log)
    try:
        base = f"http://127.0.0.1:{port}/fhir"
        _wait(f"{base}/metadata", child)
        yield Server(base, lambda: "", lambda: sum(map(_memory_mb, _family([child.pid]))))
    finally:
        child.terminate()
        child.wait()


def build_hapi() -> None:
    """Build HAPI where it is not built yet; takes minutes the first time."""
    subprocess.run([str(HAPI / "run"), "--build"], check=True)


def _wait(url: str, child: subprocess.Popen[bytes]) -> None:
    until_s = time.monotonic() + HAPI_START_S
    while time.monotonic() < until_s and child.poll() is None:
        try:
            with urllib.request.urlopen(url):
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.5)
    raise RuntimeError(f"HAPI did not begin to answer at {url}: see its log")


def _family(roots: list[int]) -> list[int]:
    """These processes and all their descendants."""
    parents = {}
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = place.read_text().rpartition(")")[2].split()
        except FileNotFoundError:
            continue
        parents[int(place.parent.name)] = int(fields[1])
    family = set(roots)
    while more := {child for child, parent in parents.items() if parent in family} - family:
        family |= more
    return sorted(family)


def _memory_mb(process: int) -> float:
    """Proportional set size: what is shared is counted once."""
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:"))
