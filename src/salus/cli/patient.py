"""salus patient: a patient's own wallet, and relationships with custodians."""

from pathlib import Path

import click

from salus.cli.options import FILE, NEW_FILE, as_json_option, node_argument, patient_options
from salus.cli.output import Facts, show, table


def key_file_option(command: click.decorators.FC) -> click.decorators.FC:
    """`--key-file`."""
    text = "A file with the wallet's key, instead of a passphrase; `new` makes it when it is not there."
    return click.option("--key-file", type=NEW_FILE, help=text)(command)


@click.group(name="patient", short_help="A patient's own wallet, and relationships with custodians.")
def command() -> None:
    """A patient's own wallet, and relationships with custodians.

    A wallet holds one seed, from which a key for each custodian comes, and the choices made with it. Whoever loses
    wallet and passphrase can do nothing more with these keys; records stay with their custodians.

    \b
    Example:
      salus patient new ./eleanor.wallet
      salus patient enrol ./eleanor.wallet ./north/rz1 --nhs-number 9990000018 --born 1968-03-14
    """


@command.command()
@click.argument("wallet", type=NEW_FILE)
@key_file_option
@as_json_option
def new(wallet: Path, key_file: Path | None, as_json: bool) -> None:
    """Make a new WALLET, sealed under a passphrase or a key file.

    \b
    Example:
      salus patient new ./eleanor.wallet --key-file ./eleanor.key
    """
    from salus.cli import wallets
    from salus.sdk.wallet import new_wallet

    wallets.new(wallet, new_wallet(), key_file)
    show({"wallet": str(wallet)}, [f"new wallet: {wallet}"], as_json=as_json)


@command.command()
@node_argument
@patient_options
@click.option("--checked", required=True, help="What NODE has seen, such as `birth certificate seen`.")
@click.option("--name", required=True, help="The parent, as they are called.")
@click.option("--child", required=True, help="The child, as the parent reads whom they help.")
@click.option("--until-age", type=int, required=True, help="The age that ends it: 11, 13 or 16.")
@click.option("--may-share", is_flag=True, help="Let them decide for the child who else sees the record.")
@as_json_option
def parent(
    node: Path,
    nhs_number: str | None,
    born: str | None,
    pseudonym: str | None,
    checked: str,
    name: str,
    child: str,
    until_age: int,
    may_share: bool,
    as_json: bool,
) -> None:
    """Let somebody with parental responsibility act for a child whose key NODE holds; done at the desk, by papers.

    They get a code, and take it up as whoever they are here, or as somebody new. What they look at and decide has their
    name, and that NODE let them. It ends by itself when the child reaches the age.

    \b
    Example:
      salus patient parent ./north/rz1 --nhs-number 9990000018 --born 2020-03-14 --checked "birth certificate seen" \\
        --name "Ben Moss" --child "Ann Moss" --until-age 13
    """
    from salus.cli.failures import BAD_INPUT, Failure
    from salus.cli.persons import find_patient
    from salus.node.opening import open_node
    from salus.node.services.patient_helpers import CODE_S, Help, Helpers

    if not checked.strip():
        hint = 'add --checked "birth certificate seen"'
        raise Failure(BAD_INPUT, "expected --checked to say what was seen of who asks", hint)
    help_wanted = Help(name, "parent", may_share, until_age=until_age)
    with open_node(node) as desk:
        found = find_patient(desk, number=nhs_number, born=born, pseudonym=pseudonym)
        made = Helpers.of_node(desk).add_parent(found, help_wanted, patient=child, checked=checked)
    days = CODE_S // 86_400
    grouped = " ".join(made[start : start + 4] for start in range(0, len(made), 4))
    lines = [
        grouped,
        f"it is shown this once, and works once within {days} days, on the portal: start helping somebody",
    ]
    show({"code": made, "days": days, "until_age": until_age}, lines, as_json=as_json)


@command.command(name="list")
@click.argument("wallet", type=FILE)
@key_file_option
@as_json_option
def list_relationships(wallet: Path, key_file: Path | None, as_json: bool) -> None:
    """List the relationships in WALLET.

    \b
    Example:
      salus patient list ./eleanor.wallet
    """
    from salus.cli.wallets import OpenWallet

    found = OpenWallet(wallet, key_file).wallet.relationships
    facts: Facts = {
        "relationships": [
            {
                "chain": each.chain,
                "custodian": each.custodian,
                "pseudonym": each.pseudonym,
                "choices": sum(not choice.withdrawn_at_s for choice in each.choices),
            }
            for each in found
        ]
    }
    rows = [(each.custodian, each.chain, sum(not choice.withdrawn_at_s for choice in each.choices)) for each in found]
    lines = table(("custodian", "network", "choices in force"), rows) if rows else ["no relationship yet"]
    show(facts, lines, as_json=as_json)


@command.command()
@click.argument("wallet", type=FILE)
@node_argument
@patient_options
@key_file_option
@as_json_option
def enrol(
    wallet: Path,
    node: Path,
    nhs_number: str | None,
    born: str | None,
    pseudonym: str | None,
    key_file: Path | None,
    as_json: bool,
) -> None:
    """Begin a relationship at NODE with a key from WALLET; done at the custodian's desk.

    \b
    Example:
      salus patient enrol ./eleanor.wallet ./north/rz1 --nhs-number 9990000018 --born 1968-03-14
    """
    from salus.cli.persons import read_born, read_number
    from salus.cli.wallets import OpenWallet
    from salus.node.opening import open_node
    from salus.node.services import enrol as enrolling
    from salus.sdk.wallet import signing_key

    if pseudonym is not None or nhs_number is None:
        raise click.UsageError("expected --nhs-number and --born of the person, whose pseudonym is drawn by the wallet")
    number, date_of_birth = read_number(nhs_number), read_born(born)
    opened = OpenWallet(wallet, key_file)
    with open_node(node) as desk:
        mine = opened.begin(chain=desk.chain, custodian=desk.organisation)
        key = signing_key(opened.wallet, mine)
        enrolling.enrol(desk, number, date_of_birth, key=key, pseudonym=mine.pseudonym)
    facts: Facts = {"custodian": desk.organisation, "pseudonym": mine.pseudonym, "holder": "patient"}
    show(facts, [f"enrolled at {desk.organisation}; the key is in {wallet}"], as_json=as_json)


@command.command()
@click.argument("wallet", type=FILE)
@node_argument
@patient_options
@key_file_option
@as_json_option
def takeover(
    wallet: Path,
    node: Path,
    nhs_number: str | None,
    born: str | None,
    pseudonym: str | None,
    key_file: Path | None,
    as_json: bool,
) -> None:
    """Take over, with a key from WALLET, a relationship whose key NODE holds. It cannot be undone.

    \b
    Example:
      salus patient takeover ./eleanor.wallet ./north/rz1 --nhs-number 9990000018 --born 1968-03-14
    """
    from salus.cli.persons import find_patient
    from salus.cli.wallets import OpenWallet
    from salus.node.opening import open_node
    from salus.node.services.take_over import take_over
    from salus.sdk.wallet import adopt_choices, signing_key

    opened = OpenWallet(wallet, key_file)
    with open_node(node) as desk:
        name = find_patient(desk, number=nhs_number, born=born, pseudonym=pseudonym)
        mine = opened.begin(chain=desk.chain, custodian=desk.organisation, pseudonym=name)
        handed = take_over(desk, name, signing_key(opened.wallet, mine))
        opened.put(adopt_choices(opened.wallet, mine, handed))
    facts: Facts = {"custodian": desk.organisation, "pseudonym": name, "choices": len(handed), "holder": "patient"}
    words = f"{len(handed)} choice{'' if len(handed) == 1 else 's'} in force with their rules"
    show(facts, [f"taken over from {desk.organisation}: the key is in {wallet}, with {words}"], as_json=as_json)


@command.command()
@node_argument
@patient_options
@click.option("--checked", required=True, help="How NODE has seen who asks, such as `passport seen`.")
@as_json_option
def code(
    node: Path, nhs_number: str | None, born: str | None, pseudonym: str | None, checked: str, as_json: bool
) -> None:
    """Make a code by which a patient's own device, set up elsewhere, takes over the key that NODE holds.

    Whoever has the code decides over the record: check who asks, and give it to nobody else. It works once, for seven
    days; a newer one for the same patient ends it.

    \b
    Example:
      salus patient code ./north/rz1 --nhs-number 9990000018 --born 1968-03-14 --checked "passport seen"
    """
    from salus.cli.failures import BAD_INPUT, Failure
    from salus.cli.persons import find_patient
    from salus.node.opening import open_node
    from salus.node.services import take_over_codes

    if not checked.strip():
        raise Failure(
            BAD_INPUT, "expected --checked to say how it was checked who asks", 'add --checked "passport seen"'
        )
    with open_node(node) as desk:
        name = find_patient(desk, number=nhs_number, born=born, pseudonym=pseudonym)
        made = take_over_codes.make(desk, name, checked=checked)
    days = take_over_codes.CODE_S // 86_400
    grouped = " ".join(made[start : start + 4] for start in range(0, len(made), 4))
    lines = [grouped, f"it is shown this once, and works once within {days} days, where the patient's device is"]
    show({"custodian": desk.organisation, "code": made, "days": days}, lines, as_json=as_json)
