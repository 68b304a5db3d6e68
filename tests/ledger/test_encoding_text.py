"""Bytes that are no UTF-8 are refused like any others that are no message: a decoder raises one thing only."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salus.ledger.encoding import EncodingInvalid, decoder
from salus.ledger.transactions import Body, NotATransaction, decode

TEXT = decoder(str)
MESSAGES = decoder(tuple[str, ...])


@pytest.mark.parametrize("text", [b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xc0\x80"], ids=lambda each: each.hex())
def test_no_utf8(text: bytes) -> None:
    with pytest.raises(EncodingInvalid):
        TEXT.decode(bytes([0xA0 + len(text)]) + text)


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
