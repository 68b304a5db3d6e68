"""Medicines by their dm+d codes, and what people are told about taking them."""

from __future__ import annotations

from typing import NamedTuple

from salus.testing.population.uk_core.coding import DMD, Code

ORAL = Code("26643006", "Oral")
INHALED = Code("18679011000001101", "Inhalation")


class Medicine(NamedTuple):
    """A product, its instruction, how often a day (0: once a week), the amount for 28 days, and the unit of supply."""

    product: Code
    instruction: str
    times_a_day: int
    amount: int
    unit: str = "tablet"
    route: Code = ORAL


def dmd(code: str, display: str) -> Code:
    """A product of the NHS dictionary of medicines and devices."""
    return Code(code, display, DMD)


ONE_DAILY = "Take one daily"

MEDICINES = {
    "amlodipine": Medicine(dmd("319283006", "Amlodipine 5mg tablets"), ONE_DAILY, 1, 28),
    "amoxicillin": Medicine(
        dmd("39732311000001104", "Amoxicillin 250mg capsules"), "Take one three times a day", 3, 21, "capsule"
    ),
    "aripiprazole": Medicine(dmd("42268111000001109", "Aripiprazole 10mg tablets"), ONE_DAILY, 1, 28),
    "aspirin": Medicine(dmd("42292011000001108", "Aspirin 75mg tablets"), ONE_DAILY, 1, 28),
    "atorvastatin": Medicine(dmd("39733011000001106", "Atorvastatin 20mg tablets"), "Take one at night", 1, 28),
    "azithromycin": Medicine(
        dmd("324252006", "Azithromycin 250mg capsules"), "Take four as a single dose", 1, 4, "capsule"
    ),
    "citalopram": Medicine(dmd("321987003", "Citalopram 20mg tablets"), "Take one each morning", 1, 28),
    "clopidogrel": Medicine(dmd("39689111000001106", "Clopidogrel 75mg tablets"), ONE_DAILY, 1, 28),
    "co-codamol": Medicine(
        dmd("322341003", "Co-codamol 30mg/500mg tablets"), "Take one or two up to four times a day", 4, 100
    ),
    "diazepam": Medicine(dmd("321196004", "Diazepam 2mg tablets"), "Take one when needed, at most three a day", 3, 14),
    "doxazosin": Medicine(dmd("318783003", "Doxazosin 4mg tablets"), ONE_DAILY, 1, 28),
    "ibuprofen": Medicine(dmd("329653008", "Ibuprofen 400mg tablets"), "Take one three times a day with food", 3, 84),
    "levothyroxine": Medicine(
        dmd("374296008", "Levothyroxine sodium 100microgram tablets"), "Take one each morning", 1, 28
    ),
    "lithium": Medicine(dmd("321730000", "Lithium carbonate 250mg tablets"), "Take two at night", 1, 56),
    "metformin": Medicine(dmd("325278007", "Metformin 500mg tablets"), "Take one twice a day with meals", 2, 56),
    "methotrexate": Medicine(dmd("41792011000001100", "Methotrexate 2.5mg tablets"), "Take four once a week", 0, 16),
    "mirtazapine": Medicine(dmd("321998002", "Mirtazapine 30mg tablets"), "Take one at night", 1, 28),
    "olanzapine": Medicine(dmd("42275511000001103", "Olanzapine 10mg tablets"), "Take one at night", 1, 28),
    "omeprazole": Medicine(
        dmd("42356411000001102", "Omeprazole 20mg gastro-resistant capsules"), ONE_DAILY, 1, 28, "capsule"
    ),
    "paracetamol": Medicine(
        dmd("322236009", "Paracetamol 500mg tablets"), "Take one or two up to four times a day", 4, 100
    ),
    "quetiapine": Medicine(dmd("42278211000001108", "Quetiapine 200mg tablets"), "Take one at night", 1, 28),
    "ramipril": Medicine(dmd("42381411000001102", "Ramipril 2.5mg capsules"), ONE_DAILY, 1, 28, "capsule"),
    "salbutamol": Medicine(
        dmd("39113611000001102", "Salbutamol 100micrograms/dose inhaler CFC free"),
        "Inhale one or two puffs when needed, up to four times a day",
        4,
        1,
        "dose",
        INHALED,
    ),
    "simvastatin": Medicine(dmd("42382311000001100", "Simvastatin 40mg tablets"), "Take one at night", 1, 28),
}
