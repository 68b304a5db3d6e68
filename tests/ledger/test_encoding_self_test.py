"""The guard at start: another msgspec that encoded or accepted anything differently would be noticed (DESIGN §4)."""

import pytest

from salus.crypto.signing import LibraryUnfit
from salus.ledger import encoding
from salus.ledger.encoding import KNOWN_ANSWERS, KNOWN_REFUSALS, EncodingInvalid, decoder, encode, self_test

pytestmark = pytest.mark.promise("L1")


def test_the_installed_msgspec_is_fit() -> None:
    self_test()


@pytest.mark.parametrize(("value", "encoded"), KNOWN_ANSWERS, ids=lambda each: str(each)[:16])
def test_known_answers(value: object, encoded: str) -> None:
    assert encode(value).hex() == encoded


@pytest.mark.parametrize(("kind", "encoded"), KNOWN_REFUSALS, ids=lambda each: str(each)[:16])
def test_known_refusals(kind: type, encoded: str) -> None:
    with pytest.raises(EncodingInvalid):
        decoder(kind).decode(bytes.fromhex(encoded))


@pytest.mark.parametrize(
    ("table", "rows"),
    [
        pytest.param("KNOWN_ANSWERS", ((1, "cc01"),), id="an integer would be longer"),
        pytest.param("KNOWN_REFUSALS", ((int, "01"),), id="something else would be accepted"),
    ],
)
def test_a_library_that_answers_differently_is_not_started_with(
    monkeypatch: pytest.MonkeyPatch, table: str, rows: object
) -> None:
    monkeypatch.setattr(encoding, table, rows)
    with pytest.raises(LibraryUnfit, match="use a version in the lock file"):
        self_test()
