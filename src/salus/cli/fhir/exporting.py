"""salus fhir export: a bulk export from a FHIR server into a folder, as a backend service."""

import base64
import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import click

from salus.cli.failures import BAD_INPUT, NO, TRY_LATER, Failure
from salus.cli.options import FILE, as_json_option
from salus.cli.output import Facts, progress, show, table

if TYPE_CHECKING:
    from salus.sdk.client import Client
    from salus.sdk.client.fhir import ExportFile
    from salus.sdk.client.plans import Plan

BEGUN: Final = "export.json"
"""In the folder while an export goes on: where its status is, and of which server."""
PART: Final = ".part"
NDJSON: Final = "application/fhir+ndjson"
WAIT_S_MAX: Final = 60
TRIES_MAX: Final = 8
"""How often a server that is away is asked again, before the rest is left to the same command later."""
T = TypeVar("T")
NEW_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command(short_help="Take a bulk export from a FHIR server.")
@click.option("--base", required=True, help="The server's address, such as https://host/FHIR/R4.")
@click.option("--client", "client_id", required=True, help="The client_id under which the server knows this program.")
@click.option(
    "--key", required=True, type=FILE, help="The private key, a JWK with a kid, in a file of its owner's only."
)
@click.option("--out", required=True, type=NEW_FOLDER, help="The folder for the files; one that was begun goes on.")
@click.option("--group", default="", metavar="ID", help="Export a group's patients only.")
@click.option("--system", "is_system", is_flag=True, help="Export the whole server, with what is about nobody.")
@click.option("--type", "types", multiple=True, metavar="TYPE", help="Export this type only; may be given again.")
@click.option("--since", default="", metavar="INSTANT", help="Export what has changed since, 2026-01-31T00:00:00Z.")
@click.option("--scope", default="", help="What is asked for at sign-in; else all that the client was registered with.")
@click.option("--ca", type=FILE, help="Certificates that are trusted, in PEM.")
@as_json_option
def export(
    *,
    base: str,
    client_id: str,
    key: Path,
    out: Path,
    group: str,
    is_system: bool,
    types: tuple[str, ...],
    since: str,
    scope: str,
    ca: Path | None,
    as_json: bool,
) -> None:
    """Export the records of all patients, of a group or of a whole server as NDJSON, by FHIR Bulk Data.

    Each file is checked against the checksum that the server sends. When the command is cut off, the same command goes
    on: what lies in the folder is not fetched again, and the server goes on where it was. At the end the server forgets
    the export.

    \b
    Example:
      salus fhir export --base https://fhir.example/FHIR/R4 --client ID --key ./client.jwk --out ./export --type Patient
      salus fhir export --base https://fhir.example/FHIR/R4 --client ID --key ./client.jwk --out ./export --group asthma
    """
    import ssl

    from salus.sdk.client import BackendService, Client, Rejected, Unavailable, fhir

    if group and is_system:
        raise click.UsageError("expected --group or --system, came both")
    path = f"/Group/{group}" if group else "" if is_system else "/Patient"
    asked = {name: value for name, value in (("_type", ",".join(types)), ("_since", since)) if value}
    out.mkdir(parents=True, exist_ok=True)
    tls = ssl.create_default_context(cafile=str(ca)) if ca is not None else None
    try:
        with Client(base, BackendService(client_id, _read_key(key), scope), tls=tls) as client:
            status = _begun(client, out, base, fhir.begin_export(path, asked))
            names = _fetch(client, out, _complete(client, status))
            (out / BEGUN).unlink()
            with suppress(Rejected, Unavailable):  # it ends by itself, too
                client.run(fhir.end_export(status))
    except Rejected as error:
        raise Failure(NO, f"the server says no: {error.words}", _hint(out, error.status)) from error
    except Unavailable as error:
        raise Failure(TRY_LATER, str(error), "run the same command again: it goes on where it stopped") from error
    facts: Facts = {"files": [{"name": name, "resources": count} for name, count in names], "out": str(out)}
    show(facts, table(("file", "resources"), names), as_json=as_json)


def _read_key(path: Path) -> dict[str, object]:
    from salus.node.config import read_secret

    try:
        key = json.loads(read_secret(path))
    except json.JSONDecodeError as error:
        raise Failure(BAD_INPUT, f"expected a private JWK in {path}, came no JSON", "write it there") from error
    if not isinstance(key, dict) or not {"kty", "kid", "d"} <= key.keys():
        raise Failure(BAD_INPUT, f"expected a private JWK with a kid in {path}", "use the key that was registered")
    return key


def _hint(out: Path, status: int) -> str:
    if status == 404 and (out / BEGUN).exists():
        return f"the export may be over: remove {out / BEGUN} and run the same command again"
    return "see what was registered for this client, and what is asked for"


def _begun(client: "Client", out: Path, base: str, begin: "Plan[str]") -> str:
    """Return where the status is of the export of this folder, begun now if there is none."""
    known = out / BEGUN
    if known.exists():
        said = json.loads(known.read_text(encoding="utf-8"))
        if said.get("base") != base:
            raise Failure(BAD_INPUT, f"expected an export of {base} in {out}, it is of another server", "name another")
        return str(said["status"])
    if any(out.iterdir()):
        raise Failure(BAD_INPUT, f"expected a new folder as {out}, there is something in it", "name another")
    status = client.run(begin)
    _write(known, json.dumps({"base": base, "status": status}).encode())
    return status


def _complete(client: "Client", status: str) -> "list[ExportFile]":
    """Ask how far the export is until it is complete; return its files."""
    from salus.sdk.client import fhir

    with progress("the server gathers, in percent", 100) as bar:
        while True:
            found = _patiently(client, lambda: fhir.export_status(status))
            if not isinstance(found, fhir.ExportRunning):
                return [*found.files, *found.errors]
            percent = re.search(r"(\d{1,3}) ?%", found.progress)
            bar(int(percent[1]) if percent else 0)
            time.sleep(min(found.retry_after_s, WAIT_S_MAX))


def _fetch(client: "Client", out: Path, files: "Sequence[ExportFile]") -> list[tuple[str, int]]:
    """Fetch what is not in the folder yet; return each file's name and how many resources it has."""
    names = []
    with progress("files", len(files)) as bar:
        for number, file in enumerate(files, start=1):
            path = out / f"{number:05}.{file.type}.ndjson"
            if not path.exists():
                _write(path, _patiently(client, partial(_checked, file.url)))
            with path.open("rb") as stream:
                names.append((path.name, sum(1 for line in stream if line.strip())))
            bar(number)
    return names


def _checked(url: str) -> "Plan[bytes]":
    """Fetch a file; it is what the server has, to the last byte, where the server sends a checksum (RFC 9530)."""
    from salus.sdk.client import Unavailable
    from salus.sdk.client.plans import Ask, asked

    came = yield from asked(Ask("GET", url, headers={"accept": NDJSON}), 200)
    digest = f"sha-256=:{base64.b64encode(hashlib.sha256(came.body).digest()).decode()}:"
    if came.headers.get("repr-digest", digest) != digest:
        raise Unavailable("a file came damaged: its checksum is another")
    return came.body


def _patiently(client: "Client", plan: "Callable[[], Plan[T]]") -> "T":
    """Carry a plan out; begin it anew, after a while, when the server is away."""
    from salus.sdk.client import Unavailable

    for tried in range(TRIES_MAX):
        try:
            return client.run(plan())
        except Unavailable as error:
            if tried == TRIES_MAX - 1:
                raise
            time.sleep(min(error.retry_after_s or 2**tried, WAIT_S_MAX))
    raise AssertionError("the last try returns or raises")


def _write(path: Path, content: bytes) -> None:
    """Write a file that is there whole or not at all, for its owner only."""
    part = path.with_suffix(path.suffix + PART)
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    part.rename(path)
