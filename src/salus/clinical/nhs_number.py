"""The NHS number: ten digits, of which the last is a modulus-11 check digit.

Promises: a value of this type has passed the check, and shows in no `repr`, `str`, format or log (P4).
Never says whether a number was issued, or to whom: that takes a trace against the demographics service.
"""

from __future__ import annotations

from dataclasses import dataclass

SYSTEM = "https://fhir.nhs.uk/Id/nhs-number"
DIGITS = 10
SEPARATORS = str.maketrans("", "", " -")  # the ways in which people group 3-3-4
TEST_RANGE_PREFIX = "999"  # never issued to a person


class NhsNumberInvalid(ValueError):
    """Not an NHS number; the message says why, and never repeats the input."""


@dataclass(frozen=True, slots=True, order=True, repr=False)
class NhsNumber:
    """A number that passed the check. Built by `parse`; `digits` is the canonical form, ten digits without spaces."""

    digits: str

    def __post_init__(self) -> None:
        """Refuse to exist unchecked, whoever builds it."""
        refuse_malformed(self.digits)

    def __repr__(self) -> str:
        """Hide the number: a value that identifies a person must not reach a log through a traceback."""
        return "NhsNumber(hidden)"

    @property
    def is_for_tests(self) -> bool:
        """Whether it lies in 999 000 0000 to 999 999 9999, kept for synthetic people."""
        return self.digits.startswith(TEST_RANGE_PREFIX)


def parse(text: str) -> NhsNumber:
    """Read a number as people and systems write it: ten digits, spaces and hyphens ignored.

    Raises:
        NhsNumberInvalid: not ten digits, wrong check digit, or a placeholder of ten equal digits.
    """
    return NhsNumber(text.translate(SEPARATORS))


def check_digit(first_nine: str) -> int | None:
    """The tenth digit of a number, or None when no number starts with these nine digits.

    Source: NHS Data Dictionary, NHS NUMBER: weights 10 down to 2, eleven minus the remainder by 11, 11 written as 0,
    10 not used.
    """
    total = sum(weight * int(digit) for weight, digit in zip(range(10, 1, -1), first_nine, strict=True))
    digit = (11 - total % 11) % 11
    return None if digit == 10 else digit


def refuse_malformed(digits: str) -> None:
    """Raise unless these are ten ASCII digits with the right check digit and not all the same."""
    if len(digits) != DIGITS or not (digits.isascii() and digits.isdigit()):
        raise NhsNumberInvalid(f"expected {DIGITS} digits, came {len(digits)} characters: enter the number as printed")
    if check_digit(digits[:-1]) != int(digits[-1]):
        raise NhsNumberInvalid(
            "expected a number that passes modulus 11, came one that does not: look for a typing error"
        )
    # Ten equal digits pass modulus 11. Systems write them for "unknown", which would make one person of all of those.
    if len(set(digits)) == 1:
        raise NhsNumberInvalid("expected a person's number, came ten equal digits: leave the number out when unknown")
