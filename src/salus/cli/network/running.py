"""salus network start: a member's ledger process, CometBFT and node, until they are stopped or the member has left."""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from salus.cli.failures import BAD_INPUT, TRY_LATER, Failure
from salus.cli.network.places import peer_count, require_genesis
from salus.cli.options import FOLDER, as_json_option
from salus.cli.output import Facts, note, show

if TYPE_CHECKING:
    from salus.cli.running import NetworkProcesses
    from salus.engines.client import LedgerClient
    from salus.node.network.folder import MemberFolder
    from salus.node.network.standing import Standing

LOOK_S = 2.0


@click.command(name="start", short_help="Run a member's ledger process and node.")
@click.argument("folder", type=FOLDER)
@as_json_option
def start(folder: Path, as_json: bool) -> int:
    """Run FOLDER's ledger process with CometBFT beside it, and its node, until Ctrl-C or SIGTERM.

    Waits as long as it takes: for the other founders, or for a snapshot when this member joins; says what it waits for.
    The line that begins with `ready` comes when the node answers. Takes changes of salus network peers while it runs,
    says when this member is suspended, and ends by itself once the member was removed and the others go on without it.

    \b
    Example:
      salus network start ./rz1
    """
    from salus.cli.running import NetworkProcesses, wait_for_stop
    from salus.cli.serve import endpoint_of, log_to_standard_error
    from salus.engines.cometbft.installing import installed
    from salus.node import config
    from salus.node.network.folder import open_folder
    from salus.node.opening import ledger_client

    log_to_standard_error()
    require_genesis(folder)
    member = open_folder(folder)
    _require_agreed(member)
    installed()
    with ledger_client(config.read_node(member.node), member.genesis().chain) as client:
        watch = _Watch(member, client)
        with NetworkProcesses(folder, has_begun=watch.has_begun) as processes:
            facts: Facts = {"ready": True, "organisation": member.organisation, "processes": processes.process_ids()}
            show(facts, [f"ready: {endpoint_of(member.node)}; Ctrl-C ends"], as_json=as_json)
            if not wait_for_stop(processes, look=watch.looking_at(processes)):
                raise Failure(
                    TRY_LATER, f"{processes.ended()} has ended by itself", "see its messages, then start again"
                )
    if watch.has_left:
        note(f"{member.organisation} has left {member.genesis().chain}: its processes are stopped")
    return 0


def first_height(member: "MemberFolder") -> int:
    """Return the height of the network's first block."""
    from salus.node.opening import founding

    return founding(member.genesis()).first_height


def _require_agreed(member: "MemberFolder") -> None:
    from salus.node.network.adoption import missing_agreements

    if missing := missing_agreements(member):
        words = f"expected the agreement of every founder, {', '.join(missing)} is missing"
        raise Failure(BAD_INPUT, words, f"salus network agree {member.path} with it")


class _Watch:
    """What the operator hears while the processes run, each thing once."""

    def __init__(self, member: "MemberFolder", client: "LedgerClient") -> None:
        self._member = member
        self._client = client
        self._said = ""
        self._next_s = 0.0
        self._settings = self._settings_time()
        self._first_height = first_height(member)
        self.has_left = False

    def has_begun(self) -> bool:
        """Tell whether the ledger has a block and knows this member; say what is waited for."""
        standing = self._standing()
        if standing is not None and standing.height >= self._first_height:
            return True
        if self._is_time():
            self._say(f"waiting for {self._waits_for()}")
        return False

    def looking_at(self, processes: "NetworkProcesses") -> Callable[[], bool]:
        """Return what looks twice a second, and says True once this member has left."""

        def look() -> bool:
            if not self._is_time():
                return False
            if self._settings_time() != self._settings:
                self._settings = self._settings_time()
                note("the peers have changed: starting the ledger process again")
                processes.restart_ledger()
            standing = self._standing()
            if standing is not None:
                self._say(standing.words(time_s=int(time.time())))
                if standing.access is None:
                    self.has_left = standing.has_left(time_s=int(time.time()), peers=peer_count(self._member))
            return self.has_left

        return look

    def _standing(self) -> "Standing | None":
        from salus.engines.base import Unavailable
        from salus.node.network.standing import read_standing

        with suppress(Unavailable), self._client.snapshot() as snapshot:
            return read_standing(snapshot, self._member.organisation)
        return None

    def _waits_for(self) -> str:
        connected, known = peer_count(self._member), len(self._member.members()) - 1
        what = "the ledger's beginning, by a snapshot" if self._member.comet().sync else "the ledger's first blocks"
        return f"{what}: {connected} of {known} peers are connected"

    def _settings_time(self) -> int:
        from salus.node.config import LEDGER_FILE

        return (self._member.ledger / LEDGER_FILE).stat().st_mtime_ns

    def _is_time(self) -> bool:
        is_time = time.monotonic() >= self._next_s
        if is_time:
            self._next_s = time.monotonic() + LOOK_S
        return is_time

    def _say(self, words: str) -> None:
        if words and words != self._said:
            note(words)
        self._said = words
