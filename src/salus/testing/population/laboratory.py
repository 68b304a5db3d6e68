"""Laboratory tests: their names in SNOMED CT and LOINC, units in UCUM, reference ranges, and the usual panels."""

from __future__ import annotations

from typing import NamedTuple

from salus.testing.population.uk_core.coding import LOINC, Code


class LaboratoryTest(NamedTuple):
    """A measured quantity. Values are integers of the last decimal place: with two places 230 is 2.30.

    `low` and `high` bound the reference range; None where the range is open. `raised` is the middle of the values of
    people who have the illness that the test is for.
    """

    names: tuple[Code, ...]
    unit: str
    ucum: str
    places: int
    low: int | None
    high: int | None
    usual: int
    spread: int
    raised: int


def names(snomed: tuple[str, str] | None, loinc: tuple[str, str]) -> tuple[Code, ...]:
    """A test's names; SNOMED CT first where the UK edition has one."""
    first = (Code(*snomed),) if snomed else ()
    return (*first, Code(*loinc, LOINC))


HBA1C = "Haemoglobin A1c level - International Federation of Clinical Chemistry and Laboratory Medicine standardised"

TESTS = {
    "haemoglobin": LaboratoryTest(
        names(("1022431000000105", "Haemoglobin estimation"), ("718-7", "Hemoglobin [Mass/volume] in Blood")),
        *("g/L", "g/L", 0, 120, 160, 140, 14, 98),
    ),
    "white cells": LaboratoryTest(
        names(
            ("1022541000000102", "Total white cell count"),
            ("6690-2", "Leukocytes [#/volume] in Blood by Automated count"),
        ),
        *("10*9/L", "10*9/L", 1, 40, 110, 70, 25, 142),
    ),
    "platelets": LaboratoryTest(
        names(("1022651000000100", "Platelet count"), ("777-3", "Platelets [#/volume] in Blood by Automated count")),
        *("10*9/L", "10*9/L", 0, 150, 400, 260, 90, 430),
    ),
    "sodium": LaboratoryTest(
        names(("1000661000000107", "Serum sodium level"), ("2951-2", "Sodium [Moles/volume] in Serum or Plasma")),
        *("mmol/L", "mmol/L", 0, 133, 146, 140, 4, 131),
    ),
    "potassium": LaboratoryTest(
        names(("1000651000000109", "Serum potassium level"), ("2823-3", "Potassium [Moles/volume] in Serum or Plasma")),
        *("mmol/L", "mmol/L", 1, 35, 53, 43, 6, 56),
    ),
    "creatinine": LaboratoryTest(
        names(
            ("1000731000000107", "Serum creatinine level"), ("14682-9", "Creatinine [Moles/volume] in Serum or Plasma")
        ),
        *("umol/L", "umol/L", 0, 45, 104, 75, 22, 168),
    ),
    "HbA1c": LaboratoryTest(
        names(
            ("999791000000106", HBA1C),
            ("59261-8", "Hemoglobin A1c/Hemoglobin.total in Blood by IFCC protocol"),
        ),
        *("mmol/mol", "mmol/mol", 0, 20, 41, 36, 5, 61),
    ),
    "cholesterol": LaboratoryTest(
        names(
            ("1005671000000105", "Serum cholesterol level"),
            ("14647-2", "Cholesterol [Moles/volume] in Serum or Plasma"),
        ),
        *("mmol/L", "mmol/L", 1, None, 50, 46, 10, 68),
    ),
    "TSH": LaboratoryTest(
        names(
            ("1022791000000101", "Serum TSH (thyroid stimulating hormone) level"),
            ("3016-3", "Thyrotropin [Units/volume] in Serum or Plasma"),
        ),
        *("mU/L", "m[IU]/L", 2, 27, 420, 210, 150, 690),
    ),
    "CRP": LaboratoryTest(
        names(
            ("1001371000000100", "Serum C reactive protein level"),
            ("1988-5", "C reactive protein [Mass/volume] in Serum or Plasma"),
        ),
        *("mg/L", "mg/L", 1, None, 50, 20, 18, 640),
    ),
    "ALT": LaboratoryTest(
        names(
            ("1018251000000107", "Serum alanine aminotransferase level"),
            ("1742-6", "Alanine aminotransferase [Enzymatic activity/volume] in Serum or Plasma"),
        ),
        *("U/L", "U/L", 0, 10, 49, 28, 14, 96),
    ),
    "lithium": LaboratoryTest(
        names(None, ("14334-7", "Lithium [Moles/volume] in Serum or Plasma")),
        *("mmol/L", "mmol/L", 2, 40, 100, 65, 20, 72),
    ),
    "HIV viral load": LaboratoryTest(
        names(None, ("20447-9", "HIV 1 RNA [#/volume] (viral load) in Serum or Plasma by NAA with probe detection")),
        *("copies/mL", "{copies}/mL", 0, None, 50, 30, 10, 38),
    ),
    "CD4 count": LaboratoryTest(
        names(None, ("24467-3", "CD3+CD4+ (T4 helper) cells [#/volume] in Blood")),
        *("10*6/L", "10*6/L", 0, 400, 1600, 850, 300, 560),
    ),
}


class Panel(NamedTuple):
    """Tests that are asked for together, and what the report calls them."""

    title: str
    tests: tuple[str, ...]


PANELS = {
    "FBC": Panel("Full blood count", ("haemoglobin", "white cells", "platelets")),
    "U&E": Panel("Urea and electrolytes", ("sodium", "potassium", "creatinine")),
    "HbA1c": Panel("Haemoglobin A1c", ("HbA1c",)),
    "lipids": Panel("Serum lipids", ("cholesterol",)),
    "TFT": Panel("Thyroid function test", ("TSH",)),
    "CRP": Panel("C reactive protein", ("CRP",)),
    "LFT": Panel("Liver function test", ("ALT",)),
    "lithium level": Panel("Lithium level and safety tests", ("lithium", "creatinine", "TSH")),
    "HIV monitoring": Panel("HIV viral load and CD4 count", ("HIV viral load", "CD4 count")),
}
