"""salus leaks: which paths of a FHIR server tell of records that somebody may not see."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from salus.cli.failures import BAD_INPUT, NO, TRY_LATER, Failure
from salus.cli.options import as_json_option
from salus.cli.output import Facts, progress, show

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import httpx2

    from salus.testing.leaks import Answer, Finding

EXISTING_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
TIMEOUT_S = 30.0


@click.command(name="leaks", short_help="Which paths of a FHIR server tell of what somebody may not see.")
@click.option("--base", required=True, help="The server's address, such as https://host/FHIR/R4.")
@click.option("--writer", required=True, type=EXISTING_FILE, help="A file with the access token of who stores.")
@click.option("--reader", required=True, type=EXISTING_FILE, help="A file with the access token of who may not see.")
@click.option("--ca", type=EXISTING_FILE, help="Certificates that are trusted, in PEM.")
@click.option("--wait", is_flag=True, help="Wait after the records are stored, so that they can be withheld.")
@as_json_option
def command(base: str, writer: Path, reader: Path, ca: Path | None, wait: bool, as_json: bool) -> int:
    """Store two invented patients at a FHIR server, one with a secret, and ask for the secret in every way.

    The reader may see both patients but nothing with the label PSY: arrange that beforehand, or with --wait once the
    patients are there. Whatever differs between them in an answer is a leak. It works on any FHIR R4 server.

    \b
    Example:
      salus leaks --base https://fhir.example/FHIR/R4 --writer ./feed.token --reader ./nurse.token --wait
    """
    import ssl

    import httpx2

    from salus.testing.leaks import PATHS, run, set_up

    trust = ssl.create_default_context(cafile=str(ca)) if ca is not None else True
    with httpx2.Client(timeout=TIMEOUT_S, verify=trust) as client:
        try:
            subjects = set_up(lambda name, resource: _store(client, base, writer, name, resource))
            if wait:
                patients = " and ".join(
                    f"Patient/{each.names['patient']}" for each in (subjects.with_secret, subjects.without)
                )
                click.prompt(f"withhold what has the label PSY of {patients}; then Enter", default="", err=True)
            findings = []
            with progress("asking", len(PATHS)) as bar:
                for finding in run(lambda *asked: _ask(client, base, reader, *asked), subjects, PATHS):
                    findings.append(finding)
                    bar(len(findings))
        except httpx2.TransportError as error:
            raise Failure(TRY_LATER, f"{base} does not answer", "start it, or correct the address") from error
    leaks = [each for each in findings if each.leak]
    facts: Facts = {"paths": len(findings), "leaks": [{"path": each.path.name, "leak": each.leak} for each in leaks]}
    show(facts, _lines(findings, leaks), as_json=as_json)
    return NO if leaks else 0


def _lines(findings: "Sequence[Finding]", leaks: "Sequence[Finding]") -> list[str]:
    rows = [
        f"{'LEAK' if each.leak else 'ok':5}{each.path.name}{': ' + each.leak if each.leak else ''}" for each in findings
    ]
    return [*rows, f"{len(leaks)} of {len(findings)} paths leak"]


def _store(client: "httpx2.Client", base: str, token: Path, name: str, resource: dict[str, object]) -> None:
    answer = client.put(
        f"{base}/{name}", json=resource, headers=_fields(token, {"content-type": "application/fhir+json"})
    )
    if answer.status_code not in (200, 201):
        words = f"expected the writer to store {name.partition('/')[0]}, the server says {answer.status_code}"
        raise Failure(BAD_INPUT, words, "give a token of somebody who may")


def _ask(
    client: "httpx2.Client", base: str, token: Path, method: str, url: str, fields: "Mapping[str, str]", body: str
) -> "Answer":
    from salus.testing.leaks import Answer

    address = url if url.startswith(base) else f"{base}/{url}".rstrip("/")
    answer = client.request(method, address, content=body.encode() or None, headers=_fields(token, fields))
    return Answer(answer.status_code, {name.lower(): value for name, value in answer.headers.items()}, answer.text)


def _fields(token: Path, fields: "Mapping[str, str]") -> dict[str, str]:
    return {"authorization": f"Bearer {token.read_text(encoding='ascii').strip()}", "x-request-id": "leaks", **fields}
