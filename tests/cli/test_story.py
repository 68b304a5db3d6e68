"""The story of the demo, told in one process: every step comes out as it is told."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from salus.contracts.membership import KeyUse
from salus.engines.embedded import EmbeddedEngine
from salus.ledger.identifiers import OrganisationId
from salus.node import config
from salus.node.founding import Founded, Member, found
from salus.node.keys import read_keys
from salus.node.local_peers import LocalPeers
from salus.node.opening import founding, open_node, unix_now_s
from salus.node.services.anchor import anchor
from salus.testing.population import HOSPITAL, PRACTICE, story_patient
from salus.testing.story import STEPS, NotAsTold, Stage, Told, tell
from salus.testing.story.stage import require

MEMBERS = [
    Member(OrganisationId(each.ods), each.kind, each.name, 0, "http://127.0.0.1:1") for each in (HOSPITAL, PRACTICE)
]


PLACES = ("the store", "transit", "the receipt", "the ledger")


def anchor_both(stage: Stage) -> None:
    anchor(stage.hospital)
    anchor(stage.practice)


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Founded:
    folder = tmp_path_factory.mktemp("story") / "network"
    return found(folder, MEMBERS, chain="salus-story", time_s=unix_now_s())


@pytest.fixture(scope="module")
def stage(founded: Founded) -> Iterator[Stage]:
    ledger = config.read_ledger(founded.folder / "ledger")
    key = read_keys(Path(ledger.keys)).signing(KeyUse.CONSENSUS)
    with ExitStack() as stack:
        Path(ledger.folder).mkdir()
        engine = EmbeddedEngine(Path(ledger.folder), founding(founded.genesis), key)
        stack.callback(engine.close)
        hospital, practice = (
            stack.enter_context(open_node(folder, engine=engine)) for folder in founded.nodes.values()
        )
        nodes = {node.organisation: node for node in (hospital, practice)}
        peers = LocalPeers(practice.organisation, nodes)
        yield Stage(
            folder=founded.folder,
            hospital=hospital,
            practice=practice,
            peers=peers,
            peers_in_bad_weather=(),
            ledger_folder=Path(ledger.folder),
            founding=founding(founded.genesis),
            trust=founded.trust_root,
            names={member.organisation: member.name for member in MEMBERS},
            person=story_patient(1),
            settle=anchor_both,
            began_s=time.monotonic(),
        )


@pytest.fixture(scope="module")
def told(stage: Stage) -> dict[str, Told]:
    return {each.title: each for each in tell(stage, STEPS)}


@pytest.mark.promise("R1", "R2", "R3", "R5", "R6", "L5", "P1", "P7")
def test_every_step_comes_out_as_told(told: dict[str, Told]) -> None:
    assert len(told) == len(STEPS)
    assert all(each.lines for each in told.values())


@pytest.mark.promise("R2")
def test_the_letter_stayed_by_the_rule_that_she_made(told: dict[str, Told]) -> None:
    stayed = told["The psychiatric letter stayed, and she can see by which rule"]
    assert stayed.facts == {"withheld": 2}
    assert "rule 1.1: “But not: records about mental health.”" in stayed.lines[0]


@pytest.mark.promise("P1", "P7")
def test_the_ledger_has_nothing_of_her(told: dict[str, Told]) -> None:
    facts = told["The ledger shows neither the letter nor that there is one"].facts
    assert facts["found"] == 0
    assert facts["batch_size"] == 64
    assert int(str(facts["needles"])) > 1000


@pytest.mark.promise("L5")
def test_the_refusal_is_in_her_history(told: dict[str, Told]) -> None:
    history = told["Her history is complete"]
    assert history.facts == {"events": 8}
    assert any("It was refused: nothing permits it." in line for line in history.lines)


@pytest.mark.promise("R6")
def test_each_flipped_byte_is_caught_and_named(told: dict[str, Told]) -> None:
    caught = {place: str(told[f"One byte flipped in {place}"].facts["caught"]) for place in PLACES}
    assert "is not the one that was stored" in caught["the store"]
    assert "these bytes are not those in the index" in caught["transit"]
    assert "leaves" in caught["the ledger"]
    assert caught["the receipt"]


def test_a_promise_that_is_not_kept_ends_the_story() -> None:
    with pytest.raises(NotAsTold, match="expected nothing, came something"):
        require(holds=False, expected="nothing", came="something")
