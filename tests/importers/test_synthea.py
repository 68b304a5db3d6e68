"""All 35 Synthea bundles: loaded, loaded again, requested, released whole, and compared byte by byte."""

from pathlib import Path

import pytest

from salus.contracts.provisions import Purpose, RoleClass
from salus.importers import Chart, file_chart, read_bundle_file
from salus.ledger.identifiers import Pseudonym
from salus.node.people import certify_person, open_session
from salus.node.services.anchor import anchor
from salus.node.services.choices import file_by_custodian
from salus.node.services.receive import receive
from salus.node.services.request import Granted, Wish, request
from salus.sdk.choice_presets import share
from salus.testing.world import HOSPITAL, PRACTICE, World, world

PATIENTS = 35


def load(made: World, charts: list[Chart]) -> dict[Pseudonym, Chart]:
    return {Pseudonym(file_chart(made.hospital, chart).pseudonym): chart for chart in charts}


@pytest.mark.services
@pytest.mark.promise("R1", "R6")
def test_every_chart_crosses_whole(shared_data: Path, tmp_path: Path) -> None:
    charts = [read_bundle_file(path) for path in sorted((shared_data / "fhir" / "synthea-r4").glob("*.json"))]
    assert len(charts) == PATIENTS
    with world(tmp_path) as made:
        loaded = load(made, charts)
        assert len(loaded) == PATIENTS
        before = made.engine.status().log_size
        assert load(made, charts) == loaded
        assert made.engine.status().log_size == before
        doctor = certify_person(
            made.practice, name="Dr Jones", role="GP", registration="", role_class=RoleClass.CLINICAL
        )
        for pseudonym, chart in loaded.items():
            file_by_custodian(made.hospital, pseudonym, share([PRACTICE]))
            session = open_session(doctor.key, doctor.certificate, custodian=HOSPITAL, from_s=made.practice.clock())
            wish = Wish(pseudonym, HOSPITAL, RoleClass.CLINICAL, Purpose.TREAT)
            granted = request(made.practice, session, wish)
            assert isinstance(granted, Granted)
            received = sorted(each.content for each in receive(made.practice, made.peers(PRACTICE), granted))
            assert received == sorted({each.body for each in chart.resources})
        assert anchor(made.hospital) == PATIENTS
        assert anchor(made.practice) == PATIENTS
