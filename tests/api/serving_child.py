"""A process that serves one organisation's exchange beside a ledger process; the tests start it and end it badly."""

import gc
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from salus.api.exchange.serve import listen, serve_on
from salus.api.exchange.settings import ExchangeSettings
from salus.engines.client import LedgerClient
from salus.ledger.identifiers import OrganisationId
from salus.node.assemble import Node
from salus.node.journal import Journal, State
from salus.node.keys import read_keys
from salus.node.line_keys import LineKeys
from salus.testing.world import CHAIN, open_vault, unix_now_s


@contextmanager
def open_node(folder: Path, organisation: OrganisationId) -> Iterator[Node]:
    place = folder / organisation.lower()
    vault = open_vault(place, unix_now_s)
    line_keys = LineKeys(vault, CHAIN)
    with (
        closing(vault.database),
        closing(LedgerClient(folder / "socket", folder / "ledger", chain=CHAIN)) as engine,
        closing(
            Journal(place / "released", line_keys, unfinished=State.POSSIBLY_RELEASED, now_s=unix_now_s())
        ) as released,
        closing(_journal(place / "received", line_keys, State.SLOT_MISSING)) as received,
    ):
        yield Node(
            organisation=organisation,
            chain=CHAIN,
            keys=read_keys(folder / f"{organisation}.keys"),
            engine=engine,
            vault=vault,
            custodian_journal=released,
            requester_journal=received,
            clock=unix_now_s,
        )


def _journal(folder: Path, keys: LineKeys, unfinished: State) -> Journal:
    return Journal(folder, keys, unfinished=unfinished, now_s=unix_now_s())


def main(folder: Path, organisation: OrganisationId, port: int, workers: int) -> int:
    settings = ExchangeSettings(folder=folder / organisation.lower(), match_step_ms=20)

    @contextmanager
    def noting(_node: Node, _on_failure: Callable[[], None]) -> Iterator[None]:
        yield
        (folder / f"{os.getpid()}.frozen").write_text(str(gc.get_freeze_count()))

    with listen("127.0.0.1", port) as listener:
        return serve_on(
            listener, lambda: open_node(folder, organisation), workers=workers, settings=settings, beside=noting
        )


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), OrganisationId(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])))
