"""salus account: who may sign in to a node's interfaces."""

from pathlib import Path

import click

from salus.cli.options import FILE, as_json_option, node_argument, patient_options
from salus.cli.output import Facts, show, table


@click.group(name="account", short_help="Who may sign in to a node's interfaces.")
def command() -> None:
    """Who may sign in to a node's interfaces: certified staff, and patients.

    \b
    Example:
      salus account add ./north/rz1 --name "Dr Anita Rao" --staff ./north/rz1/staff/dr-anita-rao.staff
      salus account password ./north/rz1 ID --name rao < ./password
    """


@command.command()
@node_argument
@click.option("--name", required=True, help="As its owner reads it when signed in.")
@click.option("--staff", type=FILE, help="The file of a certified person, whose key NODE keeps sealed from then on.")
@click.option("--operator", is_flag=True, help="For somebody who keeps NODE running, in the portal.")
@patient_options
@as_json_option
def add(
    node: Path,
    name: str,
    staff: Path | None,
    operator: bool,
    nhs_number: str | None,
    born: str | None,
    pseudonym: str | None,
    as_json: bool,
) -> None:
    """Make an account for a member of staff, for a patient, or for an operator.

    A patient's account acts by the key that NODE holds for them, and each receipt says so; where the patient holds the
    key, a session that their own device certified has to be brought.

    \b
    Example:
      salus account add ./north/rz1 --name "Dr Anita Rao" --staff ./north/rz1/staff/dr-anita-rao.staff
      salus account add ./north/rz1 --name "Eleanor Moss" --nhs-number 9990000018 --born 1968-03-14
    """
    from salus.cli.persons import find_patient, read_staff
    from salus.node.opening import open_node
    from salus.node.services.accounts import Accounts

    is_patient = nhs_number is not None or pseudonym is not None
    if [staff is not None, operator, is_patient].count(True) != 1:
        raise click.UsageError("expected either --staff, or --operator, or which patient is meant")
    with open_node(node) as opened:
        accounts = Accounts.of(opened)
        if staff is not None:
            person, role_class = read_staff(staff)
            account, kind = accounts.add_staff(person, role_class, name=name), role_class.name.lower()
        elif operator:
            account, kind = accounts.add_operator(name=name), "operator"
        else:
            patient = find_patient(opened, number=nhs_number, born=born, pseudonym=pseudonym)
            account, kind = accounts.add_patient(patient, name=name), "patient"
    show({"account": account, "kind": kind}, [f"account {account.hex()}, {kind}"], as_json=as_json)


@command.command()
@node_argument
@click.argument("account")
@click.option("--name", required=True, help="What its owner signs in with.")
@as_json_option
def password(node: Path, account: str, name: str, as_json: bool) -> None:
    """Let ACCOUNT sign in by a name and a password, which is asked for, or read from standard input.

    \b
    Example:
      salus account password ./north/rz1 ID --name rao < ./password
    """
    from salus.cli.accounts import read_account, read_password
    from salus.node.opening import open_node
    from salus.node.services.accounts import Accounts

    found, entered = read_account(account), read_password()
    with open_node(node) as opened:
        accounts = Accounts.of(opened)
        accounts.set_password(found, signs_in_as=name, password=entered)
    show({"account": found, "signs_in": True}, ["it can sign in by this name now"], as_json=as_json)


@command.command()
@node_argument
@click.argument("account")
@click.option("--issuer", required=True, metavar="URL", help="The OpenID Connect provider, as its tokens name it.")
@click.option("--subject", required=True, help="What the provider calls the person.")
@as_json_option
def link(node: Path, account: str, issuer: str, subject: str, as_json: bool) -> None:
    """Let ACCOUNT sign in at an outside provider, such as CIS2 or NHS login.

    \b
    Example:
      salus account link ./north/rz1 ID --issuer https://am.example/openam --subject 910000000001
    """
    from salus.cli.accounts import read_account
    from salus.node.opening import open_node
    from salus.node.services.accounts import Accounts

    found = read_account(account)
    with open_node(node) as opened:
        Accounts.of(opened).link(found, issuer=issuer, subject=subject)
    show({"account": found, "issuer": issuer}, [f"it can sign in at {issuer} now"], as_json=as_json)


@command.command(name="list")
@node_argument
@as_json_option
def list_accounts(node: Path, as_json: bool) -> None:
    """List the accounts of NODE.

    \b
    Example:
      salus account list ./north/rz1
    """
    from salus.node.opening import open_node
    from salus.node.services.accounts import Accounts

    with open_node(node) as opened:
        found = Accounts.of(opened).all()
    facts: Facts = {
        "accounts": [
            {
                "account": each.id,
                "name": each.account.name,
                "kind": each.account.kind,
                "signs_in_as": each.account.signs_in_as,
                "issuers": [issuer for issuer, _ in each.account.providers],
            }
            for each in found
        ]
    }
    rows = [(each.account.name, each.account.kind, each.id.hex()) for each in found]
    show(facts, table(("name", "role class", "account"), rows) if rows else ["no account yet"], as_json=as_json)


@command.command()
@node_argument
@click.argument("account")
@as_json_option
def remove(node: Path, account: str, as_json: bool) -> None:
    """Forget ACCOUNT; whatever it let apps do ends at once.

    \b
    Example:
      salus account remove ./north/rz1 ID
    """
    from salus.cli.accounts import read_account
    from salus.node.opening import open_node
    from salus.node.services.accounts import Accounts

    found = read_account(account)
    with open_node(node) as opened:
        Accounts.of(opened).remove(found)
    show({"account": found, "removed": True}, ["removed: what it let apps do has ended"], as_json=as_json)
