"""salus signer: the page in which patients' keys open: serve it, say its hash, check a page that somebody serves."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from salus.cli.failures import BAD_INPUT, NO, TRY_LATER, Failure
from salus.cli.options import FILE, F, as_json_option
from salus.cli.output import Facts, show

if TYPE_CHECKING:
    import httpx2

    from salus.portal.signer import PageFile, Signer

FILES_MAX = 100
FILE_BYTES_MAX = 1 << 20
TIMEOUT_S = 30.0


@click.group(name="signer", short_help="The page in which patients' keys open.")
def command() -> None:
    """The static page in which patients' keys open, on an origin of its own.

    \b
    Example:
      salus signer serve --portal https://records.example --chain north --port 8443
      salus signer check https://keys.example
    """


def page_options(command: F) -> F:
    """`--portal`, `--chain`: what the page is made for."""
    command = click.option("--chain", required=True, help="The ledger for which the page signs.")(command)
    return click.option("--portal", required=True, metavar="ORIGIN", help="The portal that it serves.")(command)


@command.command(name="hash")
@page_options
@as_json_option
def say_hash(portal: str, chain: str, as_json: bool) -> None:
    """Say the hash of the page for one portal, which its organisation publishes on the ledger.

    \b
    Example:
      salus signer hash --portal https://records.example --chain north
    """
    page = _page(portal, chain)
    facts: Facts = {"hash": page.hash(), "files": [each.path for each in page.files], "policy": page.policy}
    show(facts, page.manifest().splitlines(), as_json=as_json)


@command.command()
@click.argument("url")
@click.option("--digest", metavar="HEX", help="What the ledger has; without it the hash is only said.")
@click.option("--ca", type=FILE, help="Certificates that are trusted, in PEM.")
@as_json_option
def check(url: str, digest: str | None, ca: Path | None, as_json: bool) -> int:
    """Fetch the page at URL as a browser would, and compare what came with the hash that the ledger has.

    Nothing that the server says of itself is believed but the list of its files, and a list that leaves one out has
    another hash. It shows what was served here and now: a server can serve somebody else something else.

    \b
    Example:
      salus signer check https://keys.example --digest 3f0c…
    """
    import ssl

    import httpx2

    trust = ssl.create_default_context(cafile=str(ca)) if ca is not None else True
    with httpx2.Client(timeout=TIMEOUT_S, verify=trust) as client:
        try:
            found = _served(client, url.rstrip("/")).hash()
        except httpx2.TransportError as error:
            raise Failure(TRY_LATER, f"{url} does not answer", "correct the address, or try later") from error
    is_same = None if digest is None else digest.lower() == found.hex()
    words = {None: "served", True: "the same as on the ledger", False: "ANOTHER than on the ledger"}[is_same]
    show({"hash": found, "is_same": is_same}, [f"{found.hex()}  {words}"], as_json=as_json)
    return NO if is_same is False else 0


@command.command()
@page_options
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option("--port", type=int, required=True, help="On which port; an origin of its own, not the portal's.")
@click.option("--certificate", type=FILE, help="For TLS, in PEM; without it something in front speaks TLS.")
@click.option("--key", type=FILE, help="The certificate's key, in PEM.")
@as_json_option
def serve(
    portal: str, chain: str, host: str, port: int, certificate: Path | None, key: Path | None, as_json: bool
) -> None:
    """Serve the page until it is told to stop. It needs no node, no key and no ledger, and writes down nothing.

    \b
    Example:
      salus signer serve --portal https://records.example --chain north --port 8443
    """
    import uvicorn

    from salus.api.exchange.serve import listen, uvicorn_config
    from salus.portal.signer.app import signer_app

    page = _page(portal, chain)
    files = [str(each or "") for each in (certificate, key)]
    config = uvicorn_config(signer_app(page), date_header=True, certificate=files[0], key=files[1])
    with listen(host, port) as listener:
        facts: Facts = {"ready": True, "host": host, "port": port, "hash": page.hash()}
        show(facts, [f"ready: the signer page of {portal} on {host}:{port}, hash {page.hash().hex()}"], as_json=as_json)
        uvicorn.Server(config).run([listener])


def _page(portal: str, chain: str) -> "Signer":
    from salus.portal.signer import signer_page

    try:
        return signer_page(portal=portal, chain=chain)
    except ValueError as error:
        raise Failure(BAD_INPUT, str(error), "salus signer hash --help") from error


def _served(client: "httpx2.Client", base: str) -> "Signer":
    """What a server gives out under the paths of its manifest, with the policy of its first page."""
    from salus.portal.signer import Signer

    listed = _fetched(client, base, "manifest.txt").content.decode("utf-8", "replace").splitlines()[:-2]
    paths = [line.partition("  ")[2] for line in listed]
    if "index.html" not in paths or len(paths) > FILES_MAX or paths != sorted(set(paths)):
        raise Failure(NO, f"{base} has no list of files", "it is no signer page, or an altered one")
    policy = client.get(f"{base}/").headers.get("content-security-policy", "")
    return Signer(tuple(_fetched(client, base, path) for path in paths), policy)


def _fetched(client: "httpx2.Client", base: str, path: str) -> "PageFile":
    from salus.portal.signer import PageFile

    address = f"{base}/" if path == "index.html" else f"{base}/{path}"  # what people come to, not a copy of it
    with client.stream("GET", address) as answer:
        content = b""
        for chunk in answer.iter_bytes():
            content += chunk
            if len(content) > FILE_BYTES_MAX:
                raise Failure(NO, f"{path} is larger than a file of the page", "it is an altered page")
        if answer.status_code != 200:
            raise Failure(NO, f"{base} has no {path}", "it is no signer page, or an altered one")
        return PageFile(path, answer.headers.get("content-type", ""), content)
