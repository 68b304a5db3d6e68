"""A patient's own record: what a name alone would say wrongly is marked, and drawn in no chart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.portal.patient_charts import add, sodium
from tests.portal.portal_world import Hospital, portal

TEXT = {"text": "Something that was written down"}
MEDICINE = {"medicationCodeableConcept": TEXT}
ORDER = MEDICINE | {"resourceType": "MedicationRequest", "intent": "order"}
STATEMENT = MEDICINE | {"resourceType": "MedicationStatement"}
REFUTED = {"coding": [{"code": "refuted"}]}
PENDING = {"coding": [{"code": "provisional"}]}

MARKED = (
    ("vaccinations", {"resourceType": "Immunization", "status": "not-done", "vaccineCode": TEXT}, "This was not done"),
    ("procedures", {"resourceType": "Procedure", "status": "preparation", "code": TEXT}, "Not started yet"),
    ("medicines", ORDER | {"status": "active", "doNotPerform": True}, "Not to be taken"),
    ("medicines", ORDER | {"status": "on-hold"}, "Stopped for now"),
    ("medicines", ORDER | {"status": "cancelled"}, "Cancelled"),
    ("medicines", STATEMENT | {"status": "not-taken"}, "This is not taken"),
    ("medicines", STATEMENT | {"status": "stopped"}, "Not taken any more"),
    ("problems", {"resourceType": "Condition", "code": TEXT, "verificationStatus": REFUTED}, "Ruled out: this is"),
    ("problems", {"resourceType": "Condition", "code": TEXT, "verificationStatus": PENDING}, "Not certain yet"),
    ("results", sodium(1) | {"status": "preliminary"}, "Not final: it may change"),
    ("results", sodium(2) | {"status": "corrected"}, "Corrected since"),
)
NOT_SO = [sodium(3, value=901) | {"status": "cancelled"}, sodium(4, value=902) | {"status": "entered-in-error"}]


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    folder = tmp_path_factory.mktemp("portal")
    with portal(folder) as made:
        kept: list[dict[str, Any]] = [each | {"id": f"marked-{at}"} for at, (_, each, _) in enumerate(MARKED)]
        add(made, folder, [*kept, *NOT_SO])
        yield made


@pytest.mark.parametrize(("kind", "mark"), [(kind, mark) for kind, _, mark in MARKED])
def test_what_is_not_as_its_name_says_is_marked(here: Hospital, kind: str, mark: str) -> None:
    assert mark in here.signed_in("eleanor").get(f"/record/{kind}").text


def test_a_result_that_is_not_so_is_in_the_table_with_its_mark_and_in_no_chart(here: Hospital) -> None:
    page = here.signed_in("eleanor").get("/record/results/2951-2").text
    assert [f"{value} mmol/L" in page for value in (901, 902)] == [True, True]
    assert ("Cancelled" in page, "Written down by mistake" in page) == (True, True)
    rows = page.count('<tr role="row" class="nhsuk-table__row">')
    assert page.count('<circle class="app-chart__dot"') == rows - len(NOT_SO)
    assert "The table below has these values and others." in page
