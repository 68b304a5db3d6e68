"""What the demo needs around the story: a network in a temporary folder, its processes, patients, a stage."""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import select

from salus.cli.demonstration_places import four_validators, one_ledger
from salus.cli.demonstration_portal import DemoPortal, let_in, prepare
from salus.cli.output import Facts, progress
from salus.clinical.fhir import FhirRejected
from salus.contracts.membership import KeyUse
from salus.crypto.hashing import EMPTY_ROOT
from salus.importers import Chart, NdjsonFiles, file_chart
from salus.ledger.identifiers import PermitId
from salus.node import config, schema
from salus.node.assemble import Node
from salus.node.http_peers import HttpPeers, node_peers
from salus.node.members import LedgerDirectory
from salus.node.opening import founding, open_node
from salus.testing.population import HOSPITAL, PRACTICE, people, story_patient, write
from salus.testing.story import Stage, Told, tell
from salus.testing.story.weather import FlippingLine

ANCHORS_WITHIN_S = 60.0
LOOK_AGAIN_S = 0.1
LOADERS = 4
"""Charts of one custodian that are filed at one time: each waits for blocks."""


class Demonstration:
    """A network with two nodes, running; made when entered, gone when left."""

    def __init__(self, *, began_s: float, people: int, seed: int, keep: bool, on_network: bool, stays: bool) -> None:
        """Decide what is to be shown.

        Args:
            began_s: monotonic time from which everything is timed.
            keep: leave the folder there afterwards.
            on_network: four validators, instead of a ledger of one key.
            stays: the nodes are to go on after the story; the hospital then has a portal.
        """
        self._began_s = began_s
        self._people = people
        self._seed = seed
        self._keep = keep
        self._make = four_validators if on_network else one_ledger
        self._stays = stays
        self._portal: DemoPortal | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Found the network and start its processes. Raises Failure."""
        with ExitStack() as stack:
            self.folder = Path(tempfile.mkdtemp(prefix="salus-demo-"))
            if not self._keep:
                stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
            self.log = self.folder / "log"
            self.setting = self._make(self.folder, stack, self.log, self._prepare)
            if self._portal is not None:
                stack.enter_context(self._portal.signing())
            self._hospital, self._practice = (
                stack.enter_context(open_node(folder, engine=engine)) for folder, engine in self.setting.nodes.values()
            )
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the processes, and remove the folder."""
        self._stack.close()

    def tell(self, say: Callable[[str], None]) -> Facts:
        """Load the patients and tell the story; return it as facts. Raises NotAsTold."""
        say(f"{self.setting.words} after {self._passed_s():.1f} s")
        loaded = self._load()
        charts = ", ".join(f"{count} charts at {ods}" for ods, count in loaded.items())
        say(f"{self._people} patients are loaded after {self._passed_s():.1f} s: {charts}")
        steps = []
        self._told = stage = self._stage()
        for number, told in enumerate(tell(stage, self.setting.steps), start=1):
            for line in _lines(number, told):
                say(line)
            steps.append({"title": told.title, "took_s": round(told.took_s, 3), **told.facts})
        say("")
        say(f"everything came out as told, in {self._passed_s():.0f} s")
        return {
            "people": self._people,
            "charts": loaded,
            "steps": steps,
            "verified_after_s": round(stage.verified_after_s, 2),
            "took_s": round(self._passed_s(), 2),
            "folder": str(self.folder),
        }

    def where_to_look(self) -> list[str]:
        """Let people in to the portal, which the nodes that go on have; return what to try while they run."""
        assert self._portal is not None, "the nodes were to go on"
        network, (hospital, _) = self.setting.folder, self.setting.nodes[self._hospital.organisation]
        practice, _ = self.setting.nodes[self._practice.organisation]
        person = story_patient(self._seed)
        patient = f"--nhs-number {person.nhs_number.digits} --born {person.birth_date}"
        made = let_in(self._hospital, self._told, people(self._seed, self._people))
        other = f"--nhs-number {made.other.nhs_number.digits} --born {made.other.birth_date}"
        return [
            "",
            f"The hospital's portal: {self._portal.origin}, for each of these with the password {made.password}",
            *made.lines,
            "",
            "The nodes go on until Ctrl-C. In another terminal:",
            f"  salus status {network}",
            f"  salus staff certify {hospital} --name Officer --role Guardian --role-class officer",
            f"  salus audit {hospital} --staff {hospital}/staff/officer.staff {patient}",
            f"  salus verify {network}/eleanor.salus-receipt --trust {network}/trust.json",
            f"  salus consent list {hospital} {patient}",
            f'  salus patient code {practice} {other} --checked "passport seen"',
            f"  salus fsck {network}",
            f"  less {self.log}",
        ]

    def _prepare(self, hospital: Path, trust: Path) -> None:
        if self._stays:
            self._portal = prepare(hospital, trust=trust)

    def _load(self) -> dict[str, int]:
        """Load each custodian's file into its node, several charts at once; return how many each has."""
        people = self.folder / "people"
        write(people, seed=self._seed, count=self._people)
        both = {HOSPITAL.ods: self._hospital, PRACTICE.ods: self._practice}
        files = {ods: NdjsonFiles([people / f"{ods}.ndjson"]) for ods in both}
        with progress("charts", sum(map(len, files.values()))) as bar, ThreadPoolExecutor(LOADERS * len(both)) as pool:
            charts = [(both[ods], chart) for ods in both for chart in files[ods].charts()]
            for done, loading in enumerate([pool.submit(_load, *each) for each in charts], start=1):
                loading.result()
                bar(done)
        return {ods: len(each) for ods, each in files.items()}

    def _stage(self) -> Stage:
        peers = self._stack.enter_context(closing(node_peers(self._practice)))
        settings = config.read_ledger(self.setting.ledger)
        return Stage(
            folder=self.setting.folder,
            hospital=self._hospital,
            practice=self._practice,
            peers=peers,
            peers_in_bad_weather=tuple(self._bad_weather()),
            ledger_folder=Path(settings.folder),
            founding=founding(self.setting.genesis),
            trust=self.setting.trust,
            names={each.organisation: each.name for each in self.setting.genesis.founders},
            person=story_patient(self._seed),
            settle=wait_for_anchors,
            began_s=self._began_s,
        )

    def _bad_weather(self) -> Iterator[tuple[str, HttpPeers]]:
        node = self._practice
        directory = LedgerDirectory(node.chain, node.engine, node.clock)
        for where, there in (("on the way there", True), ("on the way back", False)):
            peers = HttpPeers(
                directory,
                sender=node.organisation,
                key=node.signing(KeyUse.HTTP),
                transport=FlippingLine(on_the_way_there=there),
            )
            yield where, self._stack.enter_context(closing(peers))

    def _passed_s(self) -> float:
        return time.monotonic() - self._began_s


def _load(node: Node, chart: Chart | FhirRejected) -> None:
    assert not isinstance(chart, FhirRejected), "the population is well formed"
    file_chart(node, chart)


def wait_for_anchors(stage: Stage) -> None:
    """Wait until the two nodes, which run by themselves, have anchored both ends of the release (R5)."""
    assert stage.granted is not None, "there was a release"
    until_s = time.monotonic() + ANCHORS_WITHIN_S
    while not all(_is_anchored(node, stage.granted.permit) for node in (stage.hospital, stage.practice)):
        assert time.monotonic() < until_s, f"both ends anchor within {ANCHORS_WITHIN_S:.0f} s"
        time.sleep(LOOK_AGAIN_S)


def _is_anchored(node: Node, permit: PermitId) -> bool:
    columns = schema.permits.c
    with node.vault.database.reading() as connection:
        roots = connection.scalars(select(columns.anchored_root).where(columns.permit == permit)).all()
    return bool(roots) and all(root != EMPTY_ROOT for root in roots)


def _lines(number: int, told: Told) -> list[str]:
    return ["", f"{number}. {told.title} ({told.took_s:.2f} s)", *(f"   {line}" for line in told.lines)]
