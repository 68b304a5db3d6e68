"""salus recovery: guardians, and what they are for: a lost key is replaced."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from salus.cli.options import FILE, NEW_FILE, as_json_option, node_argument, patient_options
from salus.cli.output import show
from salus.cli.patient import key_file_option

if TYPE_CHECKING:
    from salus.ledger.identifiers import OrganisationId
    from salus.sdk.guardians import Shares


def share_option(command: click.decorators.FC) -> click.decorators.FC:
    """`--share`."""
    text = "A file with one guardian's words; repeated, as many as are needed."
    return click.option("--share", "shares", type=FILE, multiple=True, required=True, help=text)(command)


def member_option(command: click.decorators.FC) -> click.decorators.FC:
    """`--member`."""
    text = "The code of a member that keeps a share; twice, of two members."
    return click.option("--member", "members", multiple=True, required=True, metavar="CODE", help=text)(command)


@click.group(name="recovery", short_help="Guardians, and a lost key that they replace.")
def command() -> None:
    """Guardians, and a lost key that they replace.

    Each guardian keeps some words; so many of them together replace a lost key, 72 hours after they began. Whoever has
    the key can cancel that once; the second time it takes the second circle, and NODE to have seen who asks.

    \b
    Example:
      salus recovery guardians ./eleanor.wallet ./north/rz1 --into ./words --needed 2 --of 3
      salus recovery start ./new.wallet ./north/rz1 --nhs-number 9990000018 --born 1968-03-14 \\
        --share ./tom.words --share ./ida.words
    """


@command.command()
@click.argument("wallet", type=FILE)
@node_argument
@click.option("--needed", type=int, required=True, help="How many guardians are needed.")
@click.option("--of", "count", type=int, required=True, help="How many guardians there are.")
@click.option("--second-needed", type=int, help="How many of the second circle are needed; more than of the first.")
@click.option("--second-of", "second_count", type=int, help="How many guardians the second circle has.")
@click.option("--into", type=NEW_FILE, required=True, help="A new folder for the words, a file for each guardian.")
@key_file_option
@as_json_option
def guardians(
    wallet: Path,
    node: Path,
    needed: int,
    count: int,
    second_needed: int | None,
    second_count: int | None,
    into: Path,
    key_file: Path | None,
    as_json: bool,
) -> None:
    """Choose the first guardians at NODE; give each the words in one file, and keep none.

    \b
    Example:
      salus recovery guardians ./eleanor.wallet ./north/rz1 --into ./words --needed 2 --of 3 \\
        --second-needed 3 --second-of 5
    """
    from salus.cli.wallets import OpenWallet
    from salus.node.opening import open_node
    from salus.sdk.guardians import Circle, choose, sign_first_keys
    from salus.sdk.wallet import relationship

    if (second_needed is None) != (second_count is None):
        raise click.UsageError("expected --second-needed and --second-of together")
    second = Circle(second_needed, second_count) if second_needed and second_count else None
    first_shares, second_shares = choose(Circle(needed, count), second)
    opened = OpenWallet(wallet, key_file).wallet
    with open_node(node) as desk:
        mine = relationship(opened, chain=desk.chain, custodian=desk.organisation)
        files = _written(into, first_shares, second_shares)  # before the ledger knows the keys: lost words help nobody
        seed = None if second_shares is None else second_shares.seed
        desk.submit_raw(sign_first_keys(opened, mine, first_shares.seed, seed, time_s=desk.clock()))
    words = f"{needed} of {count} guardians can replace your key at {desk.organisation}: give each one file of {into}"
    show({"custodian": desk.organisation, "files": [str(each) for each in files]}, [words], as_json=as_json)


@command.command()
@click.argument("wallet", type=FILE)
@node_argument
@patient_options
@share_option
@click.option("--checked", default="", help="How NODE has seen who asks, for the second circle.")
@key_file_option
@as_json_option
def start(
    wallet: Path,
    node: Path,
    nhs_number: str | None,
    born: str | None,
    pseudonym: str | None,
    shares: tuple[Path, ...],
    checked: str,
    key_file: Path | None,
    as_json: bool,
) -> None:
    """Begin to replace a lost key by one from a new WALLET, with the words of enough guardians.

    \b
    Example:
      salus recovery start ./new.wallet ./north/rz1 --nhs-number 9990000018 --born 1968-03-14 \\
        --share ./tom.words --share ./ida.words
    """
    from salus.cli.persons import find_patient
    from salus.cli.wallets import OpenWallet
    from salus.contracts.membership import KeyUse
    from salus.contracts.patients import TIME_LOCK_S
    from salus.ledger.identifiers import PublicKey
    from salus.node.opening import open_node
    from salus.node.services.recover import vouch
    from salus.sdk.guardians import half_start, sign_start

    opened, seed = OpenWallet(wallet, key_file), _combined(shares)
    with open_node(node) as desk:
        name = find_patient(desk, number=nhs_number, born=born, pseudonym=pseudonym)
        mine = opened.begin(chain=desk.chain, custodian=desk.organisation, pseudonym=name)
        now_s = desk.clock()
        if checked:
            own = PublicKey(desk.keys.signing(KeyUse.TRANSACTION).public)
            half = half_start(opened.wallet, mine, seed, custodian=own, checked=checked, time_s=now_s)
            vouch(desk, half.body, half.signatures, half.residual)
        else:
            desk.submit_raw(sign_start(opened.wallet, mine, seed, time_s=now_s))
    hours = TIME_LOCK_S // 3600
    facts = {"custodian": desk.organisation, "pseudonym": name, "hours": hours}
    show(facts, [f"begun: finish it in {hours} hours, with the same words and {wallet}"], as_json=as_json)


@command.command()
@click.argument("wallet", type=FILE)
@node_argument
@share_option
@key_file_option
@as_json_option
def finish(wallet: Path, node: Path, shares: tuple[Path, ...], key_file: Path | None, as_json: bool) -> None:
    """Replace the lost key, once the 72 hours are over.

    \b
    Example:
      salus recovery finish ./new.wallet ./north/rz1 --share ./tom.words --share ./ida.words
    """
    from salus.cli.wallets import OpenWallet
    from salus.node.opening import open_node
    from salus.sdk.guardians import sign_finish
    from salus.sdk.wallet import relationship

    opened, seed = OpenWallet(wallet, key_file).wallet, _combined(shares)
    with open_node(node) as desk:
        mine = relationship(opened, chain=desk.chain, custodian=desk.organisation)
        desk.submit_raw(sign_finish(mine, seed, time_s=desk.clock()))
    words = f"recovered: the key at {desk.organisation} is in {wallet}; devices and delegates of the lost one are gone"
    show({"custodian": desk.organisation, "pseudonym": mine.pseudonym}, [words], as_json=as_json)


@command.command()
@click.argument("wallet", type=FILE)
@node_argument
@key_file_option
@as_json_option
def cancel(wallet: Path, node: Path, key_file: Path | None, as_json: bool) -> None:
    """Stop a recovery that somebody began, since nothing was lost. It can be done once.

    \b
    Example:
      salus recovery cancel ./eleanor.wallet ./north/rz1
    """
    from salus.cli.wallets import OpenWallet
    from salus.node.opening import open_node
    from salus.sdk.guardians import sign_cancel
    from salus.sdk.wallet import relationship

    opened = OpenWallet(wallet, key_file).wallet
    with open_node(node) as desk:
        mine = relationship(opened, chain=desk.chain, custodian=desk.organisation)
        desk.submit_raw(sign_cancel(opened, mine, time_s=desk.clock()))
    words = "cancelled; the next recovery takes the second circle of guardians: choose others if these were not right"
    show({"custodian": desk.organisation, "pseudonym": mine.pseudonym}, [words], as_json=as_json)


@command.command()
@click.argument("wallet", type=FILE)
@node_argument
@share_option
@click.option("--second-share", "second_shares", type=FILE, multiple=True, help="The same of the second circle.")
@member_option
@key_file_option
@as_json_option
def protect(
    wallet: Path,
    node: Path,
    shares: tuple[Path, ...],
    second_shares: tuple[Path, ...],
    members: tuple[str, ...],
    key_file: Path | None,
    as_json: bool,
) -> None:
    """Have two members keep what brings back, with guardians, what was sealed to a lost WALLET.

    Do it when guardians were chosen, before they have their words: enough of each circle's are needed.

    \b
    Example:
      salus recovery protect ./eleanor.wallet ./north/rz1 --member RZ1 --member Z99001 \\
        --share ./words/guardian-1.words --share ./words/guardian-2.words
    """
    from salus.cli.reading_secrets import keep_shares
    from salus.cli.wallets import OpenWallet
    from salus.node.opening import open_node
    from salus.sdk.wallet import relationship

    circles = [each for each in (shares, second_shares) if each]
    opened, seeds = OpenWallet(wallet, key_file).wallet, [_combined(each) for each in circles]
    with open_node(node) as desk:
        mine = relationship(opened, chain=desk.chain, custodian=desk.organisation)
        keep_shares(desk, opened, mine, seeds, _two(members))
    words = (
        f"{' and '.join(_two(members))} keep a share each: with guardians' words they open what is sealed to {wallet}"
    )
    show({"custodian": desk.organisation, "members": list(_two(members))}, [words], as_json=as_json)


@command.command()
@click.argument("wallet", type=FILE)
@node_argument
@share_option
@member_option
@click.option("--into", type=NEW_FILE, required=True, help="A new file for the lost key's reading key.")
@key_file_option
@as_json_option
def reopen(
    wallet: Path,
    node: Path,
    shares: tuple[Path, ...],
    members: tuple[str, ...],
    into: Path,
    key_file: Path | None,
    as_json: bool,
) -> None:
    """Get back what opens that which was sealed to the lost key, once WALLET has taken its place at NODE.

    \b
    Example:
      salus recovery reopen ./new.wallet ./north/rz1 --member RZ1 --member Z99001 \\
        --share ./tom.words --share ./ida.words --into ./eleanor.reading
    """
    from salus.cli.reading_secrets import ask_shares, write_key
    from salus.cli.wallets import OpenWallet
    from salus.node.opening import open_node
    from salus.sdk.reading_secrets import recover
    from salus.sdk.wallet import relationship

    opened, seed = OpenWallet(wallet, key_file).wallet, _combined(shares)
    with open_node(node) as desk:
        mine = relationship(opened, chain=desk.chain, custodian=desk.organisation)
        key = recover(mine, seed, ask_shares(desk, opened, mine, _two(members)))
    write_key(into, key)
    words = f"what was sealed to the lost key at {desk.organisation} opens with {into}: keep it as you keep the wallet"
    show({"custodian": desk.organisation, "file": str(into)}, [words], as_json=as_json)


def _two(members: tuple[str, ...]) -> "tuple[OrganisationId, OrganisationId]":
    from salus.ledger.identifiers import OrganisationId

    if len(members) != 2:
        raise click.UsageError("expected --member twice: two members keep a share each, since neither may have both")
    one, other = (OrganisationId(each.upper()) for each in members)
    return one, other


def _combined(shares: tuple[Path, ...]) -> bytes:
    from salus.sdk.guardians import combine

    return combine([" ".join(each.read_text(encoding="utf-8").split()) for each in shares])


def _written(into: Path, first: "Shares", second: "Shares | None") -> list[Path]:
    into.mkdir(mode=0o700)
    circles = {"guardian": first.words, "second": () if second is None else second.words}
    files = []
    for name, words in circles.items():
        for number, share in enumerate(words, start=1):
            files.append(into / f"{name}-{number}.words")
            files[-1].write_text(f"{share}\n", encoding="utf-8")
            files[-1].chmod(0o600)
    return files
