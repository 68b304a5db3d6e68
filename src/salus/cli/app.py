"""salus app: the programs of others that may use a node's interfaces."""

from pathlib import Path

import click

from salus.cli.options import FILE, as_json_option, node_argument
from salus.cli.output import Facts, show, table

KINDS = ("public", "confidential", "backend")


@click.group(name="app", short_help="The programs of others that may use a node's interfaces.")
def command() -> None:
    """The programs of others that may use a node's interfaces, by SMART App Launch.

    \b
    Example:
      salus app add ./north/rz1 --name "Growth chart" --redirect https://growth.example/back
      salus app list ./north/rz1
    """


@command.command()
@node_argument
@click.option("--name", required=True, help="As people will read it when it asks to be let in.")
@click.option("--kind", default="public", show_default=True, type=click.Choice(KINDS), help="How it shows itself.")
@click.option("--redirect", "redirects", multiple=True, metavar="URI", help="Where people go back to; may be repeated.")
@click.option("--launch", default="", metavar="URI", help="Where a launch from a program of yours begins.")
@click.option("--jwks", type=FILE, help="Its public keys, a JWK Set; for a backend service, or instead of a secret.")
@click.option("--account", default="", metavar="ID", help="As whom a backend service acts.")
@click.option("--scope", "scopes", multiple=True, help="What it may be given at most; may be repeated.")
@as_json_option
def add(
    node: Path,
    name: str,
    kind: str,
    redirects: tuple[str, ...],
    launch: str,
    jwks: Path | None,
    account: str,
    scopes: tuple[str, ...],
    as_json: bool,
) -> None:
    """Register an app; its secret, where it has one, is shown this once.

    \b
    Example:
      salus app add ./north/rz1 --name "Growth chart" --redirect https://growth.example/back
      salus app add ./north/rz1 --name Registry --kind backend --jwks ./registry.json --account ID
    """
    from salus.cli.accounts import read_account
    from salus.node.opening import open_node
    from salus.node.services.apps import AppKind, Apps, NewApp

    new = NewApp(
        kind=AppKind[kind.upper()],
        name=name,
        redirect_uris=redirects,
        jwks=jwks.read_bytes() if jwks is not None else b"",
        launch_uri=launch,
        account=read_account(account) if account else b"",
        scopes=scopes,
    )
    with open_node(node) as opened:
        registered = Apps.of(opened).add(new)
    facts: Facts = {"app": registered.app.id, "kind": kind, "secret": registered.secret}
    lines = [f"registered {name}: its client_id is {registered.app.id}"]
    if registered.secret:
        lines.append(f"its secret, shown this once: {registered.secret}")
    show(facts, lines, as_json=as_json)


@command.command(name="list")
@node_argument
@as_json_option
def list_apps(node: Path, as_json: bool) -> None:
    """List the apps that NODE lets ask.

    \b
    Example:
      salus app list ./north/rz1
    """
    from salus.node.opening import open_node
    from salus.node.services.apps import Apps

    with open_node(node) as opened:
        found = Apps.of(opened).all()
    facts: Facts = {
        "apps": [
            {
                "app": each.id,
                "name": each.name,
                "kind": each.kind.name.lower(),
                "redirect_uris": each.redirect_uris,
                "scopes": each.scopes,
            }
            for each in found
        ]
    }
    rows = [(each.name, each.kind.name.lower(), each.id) for each in found]
    show(facts, table(("name", "kind", "client_id"), rows) if rows else ["no app is registered"], as_json=as_json)


@command.command()
@node_argument
@click.argument("app")
@as_json_option
def remove(node: Path, app: str, as_json: bool) -> None:
    """Forget APP, by its client_id; every token that it has ends at once.

    \b
    Example:
      salus app remove ./north/rz1 CLIENT_ID
    """
    from salus.node.opening import open_node
    from salus.node.services.apps import Apps

    with open_node(node) as opened:
        Apps.of(opened).remove(app)
    show({"app": app, "removed": True}, [f"removed {app}: what it had has ended"], as_json=as_json)
