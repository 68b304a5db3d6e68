"""Vaccinations that people of an age have had: the procedure in SNOMED CT, the product where dm+d names one."""

from __future__ import annotations

from typing import NamedTuple

from salus.testing.population.uk_core.coding import DMD, TERMINOLOGY, Code

UNCODED = Code("UNC", "un-encoded", f"{TERMINOLOGY}/v3-NullFlavor")


class Vaccination(NamedTuple):
    """Who has it: from and to which age, born when, how many of a thousand; given at which age, or in which years."""

    procedure: Code
    product: Code
    text: str
    from_age: int
    rate: int
    given_at_age: int | None = None
    given_in_year: int | None = None


FLU = Code(
    "11278411000001109",
    "Influenza vaccine (split virion, inactivated) suspension for injection 0.5ml pre-filled syringes (Pfizer Ltd)",
    DMD,
)
COMIRNATY = Code(
    "39115611000001103",
    "Comirnaty COVID-19 mRNA Vaccine 30micrograms/0.3ml dose concentrate for dispersion for injection multidose vials"
    " (Pfizer Ltd)",
    DMD,
)
FLU_PROCEDURE = Code("985151000000100", "Administration of first inactivated seasonal influenza vaccination")
COVID_FIRST = Code(
    "1324681000000101",
    "Administration of first dose of SARS-CoV-2 (severe acute respiratory syndrome coronavirus 2) vaccine",
)
COVID_SECOND = Code(
    "1324691000000104",
    "Administration of second dose of SARS-CoV-2 (severe acute respiratory syndrome coronavirus 2) vaccine",
)

VACCINATIONS = (
    Vaccination(Code("38598009", "Administration of measles and mumps and rubella vaccine"),
                UNCODED, "MMR vaccine", 1, 880, given_at_age=1),
    Vaccination(Code("170432003", "Administration of pre-school booster dose of measles and mumps and rubella vaccine"),
                UNCODED, "MMR vaccine", 4, 830, given_at_age=3),
    Vaccination(Code("761841000", "Administration of human papilloma virus vaccine"),
                UNCODED, "HPV vaccine", 13, 300, given_at_age=12),
    Vaccination(COVID_FIRST, COMIRNATY, "COVID-19 vaccine", 20, 850, given_in_year=2021),
    Vaccination(COVID_SECOND, COMIRNATY, "COVID-19 vaccine", 20, 800, given_in_year=2021),
    Vaccination(Code("12866006", "Administration of pneumococcal vaccine"),
                UNCODED, "Pneumococcal vaccine", 66, 690, given_at_age=65),
    Vaccination(Code("1326101000000105", "Administration of first dose of Varicella-zoster vaccine for shingles"),
                UNCODED, "Shingles vaccine", 71, 600, given_at_age=70),
    Vaccination(FLU_PROCEDURE, FLU, "Influenza vaccine", 65, 780, given_in_year=2025),
)  # fmt: skip
