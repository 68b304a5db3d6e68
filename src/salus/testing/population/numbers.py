"""NHS numbers of the test range, each given out once, and identifiers that name nothing outside this population."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from math import gcd

from salus.clinical.nhs_number import TEST_RANGE_PREFIX, NhsNumber, check_digit
from salus.testing.population.chance import Chance

SERIALS = 999_999  # six digits between 999 and the check digit; 999999 would give ten nines, which no person has
SERIALS_KEPT = 1_000  # 999 000 xxx is kept for people with a story
PEOPLE_MAX = 900_000  # one serial in eleven has no check digit, so that 909,000 remain


def nhs_numbers(seed: int) -> Iterator[NhsNumber]:
    """Every number of the test range but the kept ones, once each, in an order that the seed decides."""
    return (number for serial in serials(seed) if serial >= SERIALS_KEPT for number in numbered(serial))


def serials(seed: int) -> Iterator[int]:
    """All serials, each once: steps round the circle by a length that shares no factor with their number."""
    chance = Chance(seed, "nhs-numbers")
    step = next(step for step in range(chance.between(100_000, 900_000), SERIALS) if gcd(step, SERIALS) == 1)
    first = chance.below(SERIALS)
    return ((first + place * step) % SERIALS for place in range(SERIALS))


def kept_nhs_number(place: int) -> NhsNumber:
    """The number of a person with a story; counted from 0."""
    found = (number for serial in range(1, SERIALS_KEPT) for number in numbered(serial))
    return next(number for index, number in enumerate(found) if index == place)


def numbered(serial: int) -> Iterator[NhsNumber]:
    """The number with this serial, if its check digit exists."""
    first_nine = f"{TEST_RANGE_PREFIX}{serial:06}"
    digit = check_digit(first_nine)
    if digit is not None:
        yield NhsNumber(f"{first_nine}{digit}")


def opaque_id(*path: int | str) -> str:
    """An id that looks like a UUID, always the same for a path; it follows from the seed and tells nothing else."""
    digest = hashlib.blake2b("/".join(map(str, path)).encode(), digest_size=16).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:]}"
