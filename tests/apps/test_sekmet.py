"""SEKMET plays all its scenarios, a TestScript and a load against the server."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.fhir.served import served
from tests.apps.laboratory import laboratory
from tests.apps.sekmet import FED, PEER, Sekmet, library, sekmet

pytestmark = pytest.mark.services

PLAYED = [
    "adt_admit_transfer_discharge",
    "adt_merge_update",
    "appointment_book_cancel",
    "billing_claim",
    "bulk_export_group",
    "clinical_documentation",
    "conformance_smoke",
    "lab_order_to_result",
    "medication_order_dispense",
    "rad_order_imaging_report",
    "subscription_backport_roundtrip",
    "subscription_roundtrip",
]
BY_MESSAGES = "messaging_adt_orders"
WITH_LABORATORY = "lab_order_peer_fills"


@pytest.fixture(scope="module")
def player(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sekmet]:
    folder = tmp_path_factory.mktemp("sekmet")
    with served(folder, hook_networks=("127.0.0.0/8",)) as here:
        yield sekmet(folder / "player", here)


@pytest.fixture(scope="module")
def played(player: Sekmet) -> list[dict]:
    topic = f"topic={player.here.base}/SubscriptionTopic/updated"
    return [*player.scenarios(*PLAYED, "--var", topic), *player.scenarios(BY_MESSAGES, peer=FED)]


def test_every_scenario_passes(played: list[dict]) -> None:
    faults = {
        f"{Path(each['file']).stem} {step['index']}": step["message"]
        for each in played
        for step in each["steps"]
        if step["status"] in ("failed", "error", "warning")
    }
    assert faults == {}
    names = [*PLAYED, BY_MESSAGES]
    assert [(Path(each["file"]).stem, each["status"]) for each in played] == [(name, "passed") for name in names]
    assert library() == {*names, WITH_LABORATORY}


@pytest.mark.long
def test_an_order_is_answered_by_a_laboratory_beside_the_server(player: Sekmet) -> None:
    with laboratory(player.here):
        (played,) = player.scenarios(WITH_LABORATORY)
    assert [(each["name"], each["status"]) for each in played["steps"] if each["status"] != "passed"] == []


@pytest.mark.long
def test_a_run_is_played_again_as_a_test_script(player: Sekmet, played: list[dict]) -> None:
    run = next(each["run_id"] for each in played if Path(each["file"]).stem == "conformance_smoke")
    player.run("testscript", "export", run, "--out", "scripts/smoke.json")
    done = player.run("testscript", "run", "scripts/smoke.json", "--peer", PEER, "--report-dir", "scripted")
    assert "1/1 TestScripts passed" in done.stdout, done.stdout


@pytest.mark.long
def test_under_load_no_journey_fails(player: Sekmet) -> None:
    limits = ("--max-error-rate", "0", "--max-iteration-failure", "0")
    done = player.run("load", "run", PLAYED[0], "--peer", PEER, "--users", "4", "--duration", "20", *limits)
    assert done.returncode == 0, done.stdout
    assert "failed journeys 0.0%" in done.stdout
