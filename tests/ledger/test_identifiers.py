"""Each identifier has one size: the longest and the shortest that a decoder takes, and its neighbours refused (L1)."""

from typing import Any

import msgspec
import pytest

from salus.ledger import identifiers
from salus.ledger.encoding import EncodingInvalid, decoder, encode

pytestmark = pytest.mark.promise("L1")

SIZES = {
    "PseudonymField": (16, 16),
    "RecordIdField": (16, 16),
    "PermitIdField": (16, 16),
    "ProposalIdField": (16, 16),
    "CertificateIdField": (32, 32),
    "PublicKeyField": (32, 32),
    "DigestField": (32, 32),
    "NonceField": (16, 16),
    "SignatureField": (64, 64),
    "OptionalDigestField": (0, 32),
}
NUMBERS = {"SecondsField": (1 << 40) - 1, "CountField": (1 << 53) - 1}
CODES = {
    "A8": True,
    "A81001": True,
    "A81001A81001": True,
    "A": False,
    "A81001A81001A": False,
    "a8": False,
    "A8\n": False,
}


def takes(name: str, value: object) -> bool:
    kind = msgspec.defstruct("One", [("value", getattr(identifiers, name))], frozen=True, array_like=True)
    try:
        read: Any = decoder(kind).decode(encode((value,)))
    except EncodingInvalid:
        return False
    return bool(read.value == value)


def test_every_identifier_is_here() -> None:
    fields = {name for name in vars(identifiers) if name.endswith("Field")}
    assert fields == SIZES.keys() | NUMBERS.keys() | {"OrganisationIdField"}


@pytest.mark.parametrize("name", SIZES)
def test_bytes_have_their_size(name: str) -> None:
    smallest, largest = SIZES[name]
    taken = [size for size in range(80) if takes(name, bytes(size))]
    assert taken == list(range(smallest, largest + 1))


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_have_their_range(name: str) -> None:
    assert [takes(name, each) for each in (-1, 0, NUMBERS[name], NUMBERS[name] + 1)] == [False, True, True, False]


@pytest.mark.parametrize("code", CODES)
def test_codes_of_organisations(code: str) -> None:
    assert takes("OrganisationIdField", code) is CODES[code]
