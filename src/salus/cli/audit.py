"""salus audit: a patient's whole history, with the proof that it is whole."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from salus.cli.failures import BAD_INPUT, NO, Failure
from salus.cli.options import FILE, FOLDER, as_json_option, patient_options, wallet_options
from salus.cli.output import Facts, note, progress, show

if TYPE_CHECKING:
    from salus.cli.wallets import OpenWallet
    from salus.ledger.bundles import HistoryBundle
    from salus.ledger.verifier import Trust
    from salus.node.assemble import Node
    from salus.node.people import Person
    from salus.sdk.verified import VerifiedHistoryBundle


@dataclass(frozen=True)
class Audited:
    """A patient's history at one custodian: as it was given out, and as it was checked."""

    organisation: str
    bundle: "HistoryBundle"
    checked: "VerifiedHistoryBundle"


@click.command(name="audit", short_help="A patient's whole history, with the proof that it is whole.")
@click.argument("nodes", nargs=-1, required=True, type=FOLDER)
@patient_options
@wallet_options
@click.option("--staff", multiple=True, type=FILE, help="Staff file of a privacy officer of the node; one for each.")
@click.option("--trust", type=FILE, help="Check against this trust file, instead of the nodes' genesis document.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Write histories and receipts there.")
@as_json_option
def command(
    nodes: tuple[Path, ...],
    nhs_number: str | None,
    born: str | None,
    pseudonym: str | None,
    wallet: Path | None,
    key_file: Path | None,
    staff: tuple[Path, ...],
    trust: Path | None,
    out: Path | None,
    as_json: bool,
) -> int:
    """Show everything that happened to a patient's records at NODES: n of n events each, and summed.

    Each event is said in plain words, with every receipt; what is shown was checked as `salus verify` does. With --out
    the files go to the patient, who checks them without anybody's help. Exit status 1: somebody did wrong.

    Whoever has the patient's wallet may look; so may a privacy officer of the node, whom `salus staff certify
    --role-class officer` certified. An officer's look is in the patient's history before anything is shown.

    \b
    Example:
      salus audit ./north/rz1 ./north/z99001 --wallet ./eleanor.wallet --out ./mine
      salus audit ./north/rz1 --staff ./north/rz1/staff/sam-okoro.staff --nhs-number 9990000018 --born 1968-03-14
    """
    from salus.cli.persons import read_staff
    from salus.cli.wallets import OpenWallet

    if (wallet is None) == (not staff):
        words = "expected who looks, the patient or a privacy officer, came neither or both"
        raise Failure(BAD_INPUT, words, "add --wallet, or --staff with a file of salus staff certify")
    own = OpenWallet(wallet, key_file) if wallet is not None else None
    officers = [read_staff(each)[0] for each in staff]
    if pseudonym is not None and len(nodes) > 1:
        raise Failure(BAD_INPUT, "expected one node with --pseudonym: each has its own", "name the person instead")
    audited = [_audit(node, (nhs_number, born, pseudonym), own or officers, trust) for node in nodes]
    written = _write(out, audited) if out is not None else []
    for path in written:
        note(f"written: {path}")
    show(_facts(audited, written), list(_lines(audited)), as_json=as_json)
    return NO if any(_faults(each) for each in audited) else 0


def _audit(
    node: Path,
    person: tuple[str | None, str | None, str | None],
    looks: "OpenWallet | list[Person]",
    trust: Path | None,
) -> Audited:
    from salus.cli.wallets import OpenWallet
    from salus.node.opening import open_node
    from salus.sdk.history_check import check_history

    with open_node(node) as desk, progress(f"history at {desk.organisation}"):
        bundle = _of_patient(desk, looks) if isinstance(looks, OpenWallet) else _for_officer(desk, looks, person)
        checked = check_history(_trust(node, trust), bundle, now_s=desk.clock())
        return Audited(desk.organisation, bundle, checked)


def _of_patient(desk: "Node", wallet: "OpenWallet") -> "HistoryBundle":
    from salus.ledger.bundles import HistoryBundle, decode_bundle
    from salus.node.exchange import HistoryAsk
    from salus.node.services.audit import answer_history
    from salus.sdk.wallet import open_session, relationship

    mine = relationship(wallet.wallet, chain=desk.chain, custodian=desk.organisation)
    _, session = open_session(wallet.wallet, mine, time_s=desk.clock())
    bundle = decode_bundle(answer_history(desk, HistoryAsk(mine.pseudonym, session)).bundle)
    assert isinstance(bundle, HistoryBundle)
    return bundle


def _for_officer(
    desk: "Node", officers: "list[Person]", person: tuple[str | None, str | None, str | None]
) -> "HistoryBundle":
    from salus.cli.persons import find_patient
    from salus.contracts.residuals import person_certificate
    from salus.node.people import open_session
    from salus.node.services.audit import read_for_officer

    here = [each for each in officers if person_certificate(each.certificate).organisation == desk.organisation]
    if not here:
        words = f"expected the staff file of an officer of {desk.organisation}, came none"
        raise Failure(BAD_INPUT, words, "add --staff with a file of salus staff certify --role-class officer")
    session = open_session(here[0].key, here[0].certificate, custodian=desk.organisation, from_s=desk.clock())
    number, born, pseudonym = person
    return read_for_officer(desk, session, find_patient(desk, number=number, born=born, pseudonym=pseudonym))


def _trust(node: Path, trust: Path | None) -> "Trust":
    from salus.node import config
    from salus.node.founding import trust_root
    from salus.sdk.trust_file import read_trust

    if trust is not None:
        return read_trust(trust)
    return trust_root(config.read_genesis(Path(config.read_node(node).genesis)))


def _write(folder: Path, audited: Sequence[Audited]) -> list[Path]:
    from salus.ledger.bundles import FORMAT, HISTORY_SUFFIX, RECEIPT_SUFFIX, ReceiptBundle, encode_bundle

    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    written = []
    for each in audited:
        files = {f"{each.organisation}{HISTORY_SUFFIX}": encode_bundle(each.bundle)}
        for opened in each.bundle.receipts:
            statement = opened.receipt.statement
            name = f"{each.organisation}-{statement.permit.hex()[:16]}-{statement.part}{RECEIPT_SUFFIX}"
            files[name] = encode_bundle(ReceiptBundle(FORMAT, each.bundle.signed, opened))
        for name, data in files.items():
            (folder / name).write_bytes(data)
            written.append(folder / name)
    return written


def _facts(audited: Sequence[Audited], written: Sequence[Path]) -> Facts:
    return {
        "relationships": [
            {
                "custodian": each.organisation,
                "pseudonym": each.checked.pseudonym,
                "events": [
                    {"number": event.number, "at_s": event.at_s, "words": event.words} for event in each.checked.events
                ],
                "receipts": len(each.checked.receipts),
                "faults": _faults(each),
                "notes": each.checked.notes,
            }
            for each in audited
        ],
        "events": sum(len(each.checked.events) for each in audited),
        "complete": True,
        "written": [str(path) for path in written],
    }


def _lines(audited: Sequence[Audited]) -> Iterator[str]:
    from salus.sdk.history_check import history_lines, sum_line
    from salus.sdk.receipt_words import receipt_lines

    for each in audited:
        yield f"At {each.organisation}:"
        yield from (f"  {line}" for line in history_lines(each.checked))
        for number, receipt in enumerate(each.checked.receipts, start=1):
            yield f"  Receipt {number} of {len(each.checked.receipts)}:"
            yield from (f"    {line}" for line in receipt_lines(receipt)[:-2])
    yield sum_line([each.checked for each in audited])


def _faults(audited: Audited) -> list[str]:
    return [*audited.checked.faults, *(fault for receipt in audited.checked.receipts for fault in receipt.faults)]
