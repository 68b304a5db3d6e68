"""The people: who they are, that a seed always gives the same bytes, and that memory stays flat."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tracemalloc
from collections import Counter, defaultdict
from itertools import islice
from pathlib import Path

import pytest

from salus.clinical import fhir
from salus.testing.population import CUSTODIANS, HOSPITAL, PHARMACY, PRACTICE, SyntheticPerson, people
from salus.testing.population.chance import Chance
from salus.testing.population.numbers import PEOPLE_MAX, SERIALS, SERIALS_KEPT, kept_nhs_number, nhs_numbers, serials

SOURCE = Path(__file__).resolve().parents[2] / "src"
SEED, COUNT = 1, 400


@pytest.fixture(scope="module")
def everybody() -> list[SyntheticPerson]:
    return list(people(SEED, COUNT))


def digest(seed: int, count: int) -> str:
    found = hashlib.sha256()
    for person in people(seed, count):
        for chart in person.charts:
            for body in chart.resources:
                found.update(body)
    return found.hexdigest()


# Seed 1, 50 people. It changes when the population is changed on purpose, and for no other reason.
GOLDEN = "020cd24fb685d584"


def test_golden_digest() -> None:
    assert digest(1, 50)[:16] == GOLDEN


def test_same_bytes_on_every_python(pythons: dict[str, Path]) -> None:
    """Other Pythons need no package of ours installed: the population uses the standard library only."""
    others = {version: python for version, python in pythons.items() if python != Path(sys.executable)}
    others |= {each.name: each / "bin/python" for each in Path.home().glob(".pyenv/versions/3.1[1-9].*")}
    if not others:
        pytest.skip("no other Python on this machine: run `make pythons`")
    program = f"import sys; sys.path[:0] = ['{SOURCE}', '{Path(__file__).parent}']; {DIGEST_PROGRAM}"
    for number, (version, python) in enumerate(sorted(others.items())):
        environment = {"PATH": os.environ["PATH"], "PYTHONHASHSEED": str(number), "LC_ALL": "C", "TZ": "Asia/Tokyo"}
        run = subprocess.run([python, "-S", "-c", program], env=environment, capture_output=True, text=True, check=True)
        assert run.stdout.strip()[:16] == GOLDEN, version


DIGEST_PROGRAM = """
import hashlib
from salus.testing.population import people
found = hashlib.sha256()
for person in people(1, 50):
    for chart in person.charts:
        for body in chart.resources:
            found.update(body)
print(found.hexdigest())
"""


def test_a_smaller_population_is_the_beginning_of_a_larger_one(everybody: list[SyntheticPerson]) -> None:
    assert list(people(SEED, 20)) == everybody[:20]


def test_seeds_differ() -> None:
    first, second = ({person.nhs_number for person in people(seed, 30)} for seed in (1, 2))
    assert not first & second
    assert digest(1, 10) != digest(2, 10)


def test_nhs_numbers_are_unique_and_of_the_test_range(everybody: list[SyntheticPerson]) -> None:
    numbers = {person.nhs_number for person in everybody}
    assert len(numbers) == COUNT
    assert all(number.is_for_tests for number in numbers)


@pytest.mark.parametrize("seed", [0, 1, 2**64])
def test_every_serial_is_given_out_once(seed: int) -> None:
    assert set(serials(seed)) == set(range(SERIALS))
    assert sum(1 for _ in serials(seed)) == SERIALS


def test_serials_suffice() -> None:
    """Count, by remainder, the weighted digit sums of all 999 xxx xxx: those with remainder 1 have no check digit."""
    by_remainder = Counter({9 * (10 + 9 + 8) % 11: 1})
    for weight in range(7, 1, -1):
        by_remainder = sum(
            (
                Counter({(rest + weight * digit) % 11: count for rest, count in by_remainder.items()})
                for digit in range(10)
            ),
            Counter(),
        )
    assert by_remainder.total() == SERIALS + 1
    assert by_remainder.total() - by_remainder[1] - SERIALS_KEPT - 1 >= PEOPLE_MAX


def test_numbers_kept_for_stories_are_given_to_nobody() -> None:
    kept = {kept_nhs_number(place) for place in range(5)}
    assert len(kept) == 5
    assert all(number.digits < "9990010000" for number in kept)
    assert all(number.digits >= "9990010000" for number in islice(nhs_numbers(1), 20_000))


def test_more_people_than_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="expected 0 to 900,000 people, came 900,001"):
        people(1, PEOPLE_MAX + 1)


def test_households_share_home_and_mostly_name(everybody: list[SyntheticPerson]) -> None:
    households: dict[int, list[SyntheticPerson]] = defaultdict(list)
    for person in everybody:
        households[person.household].append(person)
    assert all(len({person.postcode for person in members}) == 1 for members in households.values())
    sizes = Counter(len(members) for members in households.values())
    assert set(sizes) >= {1, 2, 3, 4}
    shared_name = [
        len({person.family for person in members}) == 1 for members in households.values() if len(members) > 1
    ]
    assert sum(shared_name) > len(shared_name) // 2


def test_all_ages_and_genders(everybody: list[SyntheticPerson]) -> None:
    years = [int(person.birth_date[:4]) for person in everybody]
    assert min(years) < 1945
    assert max(years) > 2018
    assert {person.gender for person in everybody} == {"female", "male"}


def test_each_custodian_knows_its_part_and_people_are_known_at_several(everybody: list[SyntheticPerson]) -> None:
    known = Counter(chart.custodian.ods for person in everybody for chart in person.charts)
    assert set(known) == {custodian.ods for custodian in CUSTODIANS}
    assert known[PRACTICE.ods] > 0.9 * COUNT
    assert 0.3 * COUNT < known[HOSPITAL.ods] < 0.7 * COUNT
    assert sum(len(person.charts) >= 3 for person in everybody) > 0.2 * COUNT
    assert all(person.charts for person in everybody)


def test_charts_of_a_person_have_nothing_in_common_but_the_person(everybody: list[SyntheticPerson]) -> None:
    """Ids differ everywhere: who joins two charts must do it by demographics, as in life."""
    ids = Counter(
        fhir.parse(body).id for person in everybody[:60] for chart in person.charts for body in chart.resources
    )
    assert set(ids.values()) == {1}
    for person in everybody[:60]:
        for chart in person.charts:
            demographics = fhir.demographics(chart.resources[0])
            assert demographics.nhs_number == person.nhs_number
            assert demographics.birth_date == person.birth_date
            assert demographics.family == person.family


def test_chart_at(everybody: list[SyntheticPerson]) -> None:
    person = next(person for person in everybody if person.chart_at(PHARMACY.ods) is None)
    chart = person.chart_at(PRACTICE.ods)
    assert chart is None or chart.custodian is PRACTICE


@pytest.mark.promise("P4")
def test_repr_of_a_person_hides_the_number_and_the_records(everybody: list[SyntheticPerson]) -> None:
    assert everybody[0].nhs_number.digits not in repr(everybody[0])
    assert "resourceType" not in repr(everybody[0])


def peak_bytes(count: int) -> int:
    """The least of three: what other threads of this process allocate meanwhile is counted too."""
    return min(peak_once_bytes(count) for _ in range(3))


def peak_once_bytes(count: int) -> int:
    tracemalloc.start()
    try:
        for _ in people(SEED, count):
            pass
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_is_flat() -> None:
    peak_bytes(10)
    assert peak_bytes(150) < 1_000_000, "the greatest of them is a third of that, all of them kept are 4.6 MB"


def test_chance_is_even_enough_and_keeps_its_bounds() -> None:
    chance = Chance("test")
    drawn = Counter(chance.between(1, 6) for _ in range(6_000))
    assert set(drawn) == set(range(1, 7))
    assert all(850 < count < 1_150 for count in drawn.values())
    weights = Counter(chance.weighted((("a", 900), ("b", 100))) for _ in range(5_000))
    assert 400 < weights["b"] < 600
    around = [chance.around(100, 10) for _ in range(1_000)]
    assert min(around) >= 90
    assert max(around) <= 110
    assert 95 < sum(around) / 1_000 < 105
    assert not any(chance.per_mille(0) for _ in range(1_000))
    assert all(chance.per_mille(1000) for _ in range(1_000))
