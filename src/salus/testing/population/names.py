"""Names and places to draw from. Any likeness to a person is chance; the towns do not exist."""

from __future__ import annotations

from typing import NamedTuple

from salus.testing.population.uk_core.coding import UK_SYSTEM, Code


def ethnic(code: str, display: str) -> Code:
    """An ethnic category of England."""
    return Code(code, display, f"{UK_SYSTEM}/UKCore-EthnicCategoryEngland")


class Background(NamedTuple):
    """What names a family has, and which ethnic categories its members state."""

    women: tuple[str, ...]
    men: tuple[str, ...]
    families: tuple[str, ...]
    categories: tuple[Code, ...]


def listed(words: str) -> tuple[str, ...]:
    """Words of a line."""
    return tuple(words.split())


BACKGROUNDS = (
    (
        Background(
            listed(
                "Alice Amelia Beth Charlotte Claire Emily Emma Freya Grace Hannah Isla Jane Julie Karen Laura Linda"
            ),
            listed("Adam Alan Ben Callum Daniel David Edward Finlay George Harry Ian Jack James John Keith Lewis Mark"),
            listed("Ashdown Baker Barnes Carter Clarke Cooper Dawson Ellis Fletcher Green Hughes Jackson Mills Palmer"),
            (ethnic("A", "White - British"),),
        ),
        740,
    ),
    (
        Background(
            listed("Aisha Amina Deepa Fatima Kiran Meera Nadia Parveen Rukhsana Sana Simran Zara"),
            listed("Ahmed Amir Arjun Bilal Faisal Imran Karan Mohammed Omar Rajesh Sanjay Tariq"),
            listed("Ahmed Akhtar Begum Chaudhry Hussain Iqbal Kaur Khan Mistry Patel Rahman Shah Singh"),
            (
                ethnic("H", "Asian or Asian British - Indian"),
                ethnic("J", "Asian or Asian British - Pakistani"),
                ethnic("K", "Asian or Asian British - Bangladeshi"),
            ),
        ),
        110,
    ),
    (
        Background(
            listed("Abena Adaeze Chioma Denise Esther Grace Marcia Ngozi Precious Yvonne"),
            listed("Chidi Clifton Emeka Kofi Kwame Leroy Samuel Tunde Winston Yaw"),
            listed("Addo Adeyemi Boateng Campbell Francis Grant Mensah Nwosu Okafor Williams"),
            (
                ethnic("M", "Black or Black British - Caribbean"),
                ethnic("N", "Black or Black British - African"),
            ),
        ),
        60,
    ),
    (
        Background(
            listed("Anna Beata Elena Ewa Iulia Joanna Maria Renée Zoë"),
            listed("Adrian Andrei François Ivan Jan Jürgen Marek Mihai Piotr"),
            listed("Dupré Georgescu Kowalska Müller Nowak Petrov Popescu Rossi Silva Zieba"),
            (ethnic("C", "White - Any other White background"), ethnic("B", "White - Irish")),
        ),
        60,
    ),
    (
        Background(
            listed("Jasmine Leah Maya Mei Naomi Sophie Xin"),
            listed("Aaron Jin Joshua Leon Reuben Wei Zane"),
            listed("Chan Cole Lee O'Neill Smythe-Khan Wong Young"),
            (
                ethnic("D", "Mixed - White and Black Caribbean"),
                ethnic("F", "Mixed - White and Asian"),
                ethnic("R", "Other Ethnic Groups - Chinese"),
                ethnic("Z", "Not stated"),
            ),
        ),
        30,
    ),
)

STREETS = listed(
    "Alder Beech Brook Castle Chapel Church Elm Foundry Garden Hawthorn Mill Orchard Priory Quarry School Well"
)
STREET_KINDS = listed("Avenue Close Crescent Drive Lane Road Street Terrace")
TOWNS = (("Ambleford", "ZZ1"), ("Harrowmere", "ZZ2"), ("Stonewick", "ZZ3"), ("Lower Wick", "ZZ4"))
POSTCODE_LETTERS = "ABDEFGHJLNPQRSTUWXYZ"  # C, I, K, M, O and V do not stand in the last two places
