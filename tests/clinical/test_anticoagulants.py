"""Anticoagulants: known by any name that a resource says, in words of dm+d; what has no name may be one."""

from typing import Any

import pytest

from salus.clinical.anticoagulants import may_be_anticoagulant
from salus.testing.population.medicines import MEDICINES

DMD = "https://dmd.nhs.uk"


def asked(**medicine: Any) -> dict[str, Any]:
    return {"resourceType": "MedicationRequest", **medicine}


def coded(display: str, code: str = "1", **more: str) -> dict[str, Any]:
    return asked(medicationCodeableConcept={"coding": [{"system": DMD, "code": code, "display": display}], **more})


@pytest.mark.parametrize(
    "display",
    [
        "Warfarin 1mg tablets",
        "Marevan 3mg tablets (Advanz Pharma)",
        "Apixaban 5mg tablets",
        "Eliquis 2.5mg tablets (Bristol-Myers Squibb Pharmaceuticals Ltd)",
        "Rivaroxaban 10mg tablets",
        "Xarelto 20mg tablets (Bayer Plc)",
        "Dabigatran etexilate 110mg capsules",
        "Lixiana 60mg tablets (Daiichi Sankyo UK Ltd)",
        "Sinthrome 1mg tablets (Norgine Pharmaceuticals Ltd)",
        "Heparin sodium 25,000units/5ml solution for injection vials",
        "Clexane 40mg/0.4ml solution for injection pre-filled syringes (Sanofi)",
        "Fragmin 5,000units/0.2ml solution for injection pre-filled syringes (Pfizer Ltd)",
        "Fondaparinux sodium 2.5mg/0.5ml solution for injection pre-filled syringes",
    ],
)
def test_a_product_of_dmd_is_known_by_substance_or_brand(display: str) -> None:
    assert may_be_anticoagulant(coded(display))


NAMED: dict[str, dict[str, Any]] = {
    "the source's words hide what the code says": coded(
        "Warfarin 3mg tablets", text="Blood thinner, as in yellow book"
    ),
    "a second coding": asked(
        medicationCodeableConcept={"coding": [{"code": "x"}, {"code": "42206511000001102", "display": "Apixaban 5mg"}]}
    ),
    "the words alone": asked(medicationCodeableConcept={"text": "APIXABAN 5MG"}),
    "a reference's words": asked(
        medicationReference={"reference": "Medication/1", "display": "Pradaxa 150mg capsules"}
    ),
    "a contained Medication": asked(
        medicationReference={"reference": "#m"},
        contained=[{"resourceType": "Medication", "id": "m", "code": {"text": "Edoxaban 30mg tablets"}}],
    ),
    "an ingredient": asked(
        medicationReference={"reference": "#m"},
        contained=[
            {
                "resourceType": "Medication",
                "code": {"text": "Syringe"},
                "ingredient": [{"itemReference": {"display": "Heparin"}}],
            }
        ],
    ),
    "one that is taken": {"resourceType": "MedicationStatement", "medicationCodeableConcept": {"text": "Warfarin"}},
    "a code without a name": coded("", code="42206511000001102"),
    "a reference without a name": asked(medicationReference={"reference": "Medication/1"}),
}


@pytest.mark.parametrize("name", NAMED)
def test_it_is_known_wherever_it_is_said(name: str) -> None:
    assert may_be_anticoagulant(NAMED[name])


@pytest.mark.parametrize("name", MEDICINES)
def test_other_medicines_are_none(name: str) -> None:
    product = MEDICINES[name].product
    assert not may_be_anticoagulant(coded(product.display, code=product.code))
