"""salus follow: keep a trust store up to date, so that proofs are checked through changes of the validators."""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from salus.cli.failures import BAD_INPUT, NO, Failure
from salus.cli.options import FILE, NEW_FILE, as_json_option
from salus.cli.output import Facts, note, show

if TYPE_CHECKING:
    from salus.ledger.verifier import Followed
ADDRESS = re.compile(r"http://([A-Za-z0-9.-]+|\[[0-9a-f:]+\]):[0-9]{1,5}")


class Place(click.Path):
    """A path that is there, or a member's address."""

    def convert(
        self, value: str | os.PathLike[str], param: click.Parameter | None, context: click.Context | None
    ) -> Path | str:
        """Return the address as text, a path as Path."""
        text = str(value)
        if not text.startswith("http://"):
            return Path(str(super().convert(value, param, context)))
        if not ADDRESS.fullmatch(text):
            self.fail(f"expected http://host:port, came {text}", param, context)
        return text


PLACE = Place(exists=True)


@click.command(name="follow", short_help="Keep a trust store up to date with the ledger.")
@click.argument("store", type=NEW_FILE)
@click.option("--trust", type=FILE, help="The trust file from somebody whom you trust: begins a new store.")
@click.option(
    "--source",
    type=PLACE,
    required=True,
    help="A proof, a trust store, a node's folder, its socket, or a member's http://host:port for headers.",
)
@click.option("--witness", type=PLACE, help="A second source, of somebody else, that has to agree.")
@click.option("--height", type=click.IntRange(min=1), default=None, help="The block to reach; else the newest.")
@as_json_option
def command(
    store: Path, trust: Path | None, source: Path | str, witness: Path | str | None, height: int | None, as_json: bool
) -> int:
    """Bring the trust store STORE to the newest header, checking every step; say who is trusted then.

    A node is its folder, its socket, or the address at which a member gives out headers. Source and witness are
    believed for nothing. Exit status 1: what the source shows does not follow from what is
    trusted, or the witness shows another header; then the store stays where it was and keeps both as evidence.

    \b
    Example:
      salus follow ./trust-store.json --trust ./trust.json --source ./north
      salus follow ./trust-store.json --source ./north --witness ./eleanor.salus-receipt
      salus follow ./trust-store.json --source http://10.0.0.1:26657 --witness http://10.0.0.2:26657
      salus verify ./eleanor.salus-receipt --trust ./trust-store.json
    """
    import time
    from contextlib import ExitStack

    from salus.cli.header_sources import open_source
    from salus.ledger.verifier import TrustStore
    from salus.sdk.following import bring_up_to_date, followed_lines
    from salus.sdk.trust_file import read_trust, write_store

    if trust is not None and store.exists():
        raise Failure(BAD_INPUT, f"{store} is there already", "leave --trust out, or name a new file")
    if trust is None and not store.exists():
        raise Failure(BAD_INPUT, f"there is no trust store at {store}", "begin one with --trust and a trust file")
    if witness is not None and _are_same(source, witness):
        raise Failure(BAD_INPUT, "expected a witness of somebody else, came the source", "name a second source")
    start = read_trust(trust or store)
    before = start.signed_header().header.height if isinstance(start, TrustStore) else 0
    with ExitStack() as opened:
        first = opened.enter_context(open_source(source))
        second = opened.enter_context(open_source(witness)) if witness is not None else None
        followed = bring_up_to_date(start, first, second, height=height or 0, now_s=int(time.time()))
    write_store(store, followed.store)
    show(_facts(followed, before), followed_lines(followed, before=before), as_json=as_json)
    if followed.conflict is not None:
        note(f"error: source and witness have different headers for block {followed.conflict.height}")
        note(f"hint: keep {store}, and show it to the members of the network")
        return NO
    return 0


def _are_same(source: Path | str, witness: Path | str) -> bool:
    return source.samefile(witness) if isinstance(source, Path) and isinstance(witness, Path) else source == witness


def _facts(followed: "Followed", before: int) -> Facts:
    store = followed.store
    header = store.signed_header().header
    return {
        "chain": store.chain,
        "height": header.height,
        "height_before": before,
        "time_s": header.time_ns // 10**9,
        "headers_checked": len(followed.heights),
        "validators": [
            {"organisation": store.organisation_of(each.public_key), "key": each.public_key, "power": each.power}
            for each in store.newest.validators
        ],
        "witness": store.witness,
        "conflict_height": followed.conflict.height if followed.conflict else None,
        "conflicts": len(store.conflicts),
    }
