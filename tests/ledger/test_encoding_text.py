"""Bytes that are no UTF-8 are refused like any others that are no message: a decoder raises one thing only."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salus.ledger.encoding import EncodingInvalid, decoder, encode, in_nfc
from salus.ledger.transactions import Body, NotATransaction, decode

TEXT = decoder(str)
MESSAGES = decoder(tuple[str, ...])


@pytest.mark.parametrize("text", [b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xc0\x80"], ids=lambda each: each.hex())
def test_no_utf8(text: bytes) -> None:
    with pytest.raises(EncodingInvalid):
        TEXT.decode(bytes([0xA0 + len(text)]) + text)


# Marks of Unicode 15 and 16; which of them a Python knows depends on its version, and what is NFC must not (L1).
NEWER = "\U0001e4ef", "\U0001e08f", "\U00010efd", "\U000105c9"


@pytest.mark.promise("L1")
@pytest.mark.parametrize("mark", NEWER, ids=ascii)
def test_what_unicode_3_2_does_not_have_stands_for_itself(mark: str) -> None:
    # Found by the determinism matrix: 3.12 sorted such a mark among others, 3.11 did not.
    for text in (f"a{mark}\u0323", f"\u00e9{mark}\u0301", f"a\u0316{mark}\u0301{mark}"):
        assert TEXT.decode(encode(text)) == text
    for text in (f"{mark}e\u0301", f"e\u0301{mark}", f"{mark}\u0301\u0323"):
        with pytest.raises(EncodingInvalid):
            TEXT.decode(encode(text))


@given(st.text(max_size=16) | st.text(alphabet="ae\u00e9\u0301\u0323\u0316\u1e69" + "".join(NEWER), max_size=16))
def test_text_from_outside_is_made_what_a_decoder_takes(text: str) -> None:
    assert TEXT.decode(encode(in_nfc(text))) == in_nfc(text)
    assert in_nfc(in_nfc(text)) == in_nfc(text)


def test_text_that_is_nfc_stays_as_it_is() -> None:
    since_5_2 = "\U00011099\U000110ba"  # which newer tables compose, and each Python has another
    for text in ("", "Zoe", "Zo\u00eb", f"a{NEWER[0]}\u0323", since_5_2):
        assert in_nfc(text) == text
    assert in_nfc("Zoe\u0308") == "Zo\u00eb"


@given(st.binary(max_size=64))
def test_any_bytes(data: bytes) -> None:
    for kind in (TEXT, decoder(Body)):
        try:
            kind.decode(data)
        except EncodingInvalid:
            continue


def test_a_chain_that_is_no_text_makes_no_transaction() -> None:
    body = b"\x96\x01\xa1\xff\x91\xc4\x20" + bytes(32) + b"\x01\xc4\x10" + bytes(16) + b"\x91\x90"
    raw = b"\x92\xc4" + bytes([len(body)]) + body + b"\x91\xc4\x40" + bytes(64)
    with pytest.raises(NotATransaction):
        decode(raw, chain="salus", messages=MESSAGES)
