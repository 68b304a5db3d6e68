"""The NHS number: what is accepted, what is refused and why, and that it never shows."""

from __future__ import annotations

import nhs_number as outside_library
import pytest
from hypothesis import given
from hypothesis import strategies as st

from salus.clinical.nhs_number import NhsNumber, NhsNumberInvalid, check_digit, parse

ACCEPTED = {
    "canonical": ("9434765919", "9434765919"),
    "grouped 3-3-4 as printed": ("943 476 5919", "9434765919"),
    "with hyphens": ("943-476-5919", "9434765919"),
    "check digit 0 (remainder 0)": ("9990000190", "9990000190"),
    "test range": ("999 000 0018", "9990000018"),
    "UK Core example": ("9912003888", "9912003888"),
}

REFUSED = {
    "nine digits": ("943476591", "10 digits"),
    "eleven digits": ("94347659190", "10 digits"),
    "empty": ("", "10 digits"),
    "a letter": ("943476591X", "10 digits"),
    "Arabic-Indic digits": ("٩٤٣٤٧٦٥٩١٩", "10 digits"),
    "one digit wrong": ("9434765918", "modulus 11"),
    "two digits swapped": ("9434756919", "modulus 11"),
    "check digit would be 10": ("9990000000", "modulus 11"),
    "zeros as a placeholder": ("0000000000", "equal digits"),
    "nines as a placeholder": ("9999999999", "equal digits"),
}


@pytest.mark.parametrize(("written", "canonical"), ACCEPTED.values(), ids=ACCEPTED)
def test_accepted(written: str, canonical: str) -> None:
    assert parse(written).digits == canonical


@pytest.mark.promise("P4")
@pytest.mark.parametrize(("written", "words"), REFUSED.values(), ids=REFUSED)
def test_refused_with_words_that_do_not_repeat_it(written: str, words: str) -> None:
    with pytest.raises(NhsNumberInvalid, match=words) as refusal:
        parse(written)
    assert not written or written not in str(refusal.value)


def test_cannot_be_built_unchecked() -> None:
    with pytest.raises(NhsNumberInvalid):
        NhsNumber("1234567890")


@pytest.mark.promise("P4")
def test_never_shows() -> None:
    number = parse("9434765919")
    shown = [
        repr(number),
        str(number),
        f"{number}",
        f"{number!r:>30}",
        "".join(map(str, [number])),
        repr({number: [number]}),
    ]
    assert all("NhsNumber(hidden)" in text and "9434" not in text for text in shown)


def test_test_range() -> None:
    assert parse("9990000018").is_for_tests
    assert not parse("9434765919").is_for_tests


@given(st.integers(min_value=0, max_value=999_999_999))
def test_check_digit_agrees_with_the_library(nine: int) -> None:
    first_nine = f"{nine:09}"
    digit = check_digit(first_nine)
    theirs = outside_library.calculate_checksum(first_nine)
    assert (None if theirs is None or int(theirs) == 10 else int(theirs)) == digit


@given(st.integers(min_value=0, max_value=999_999_999), st.integers(0, 9), st.integers(1, 9))
def test_any_single_wrong_digit_is_noticed(nine: int, place: int, added: int) -> None:
    first_nine = f"{nine:09}"
    digit = check_digit(first_nine)
    if digit is None:
        return
    right = f"{first_nine}{digit}"
    wrong = right[:place] + str((int(right[place]) + added) % 10) + right[place + 1 :]
    with pytest.raises(NhsNumberInvalid):
        parse(wrong)
