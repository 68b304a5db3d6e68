"""The vector of docs/spec/erasure.md, written by us and read by a second reading that uses no line of ours (P5)."""

import re

import msgspec
import pytest
from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

from salus.crypto.signing import SignatureInvalid, SigningKey
from salus.ledger import erasure_statements
from salus.ledger.encoding import encode
from salus.ledger.erasure_statements import Conclusion, ErasureStatement, SignedStatement
from salus.ledger.identifiers import OrganisationId, Pseudonym
from tests.conftest import ROOT

pytestmark = pytest.mark.promise("P5")

PAGE = (ROOT / "docs" / "spec" / "erasure.md").read_text(encoding="utf-8").partition("## Vector")[2]
LINES = [bytes.fromhex(each) for each in re.findall(r"^ {4}\w[a-z ]+? {2,}([0-9a-f]+)$", PAGE, re.MULTILINE)]
PUBLIC, ERASED, ERASED_SIGNATURE, HELD, HELD_SIGNATURE = LINES
KEY = SigningKey.from_seed(bytes(range(32)))
VECTORS = pytest.mark.parametrize(
    ("conclusion", "until_s", "encoded", "signature"),
    [
        (Conclusion.ERASED, 0, ERASED, ERASED_SIGNATURE),
        (Conclusion.STILL_HELD, 1_750_003_600, HELD, HELD_SIGNATURE),
    ],
    ids=["erased", "still held"],
)


@VECTORS
def test_we_write_the_vector(conclusion: Conclusion, until_s: int, encoded: bytes, signature: bytes) -> None:
    statement = ErasureStatement(
        format=1,
        chain="salus-vector",
        pseudonym=Pseudonym(bytes(range(16))),
        height=4711,
        holder=OrganisationId("A81001"),
        at_s=1_750_000_000,
        conclusion=conclusion,
        until_s=until_s,
    )
    assert encode(statement) == encoded
    assert erasure_statements.sign(statement, KEY) == SignedStatement(statement, signature)


@VECTORS
def test_a_second_reading_of_the_page_reads_it(
    conclusion: Conclusion, until_s: int, encoded: bytes, signature: bytes
) -> None:
    read = msgspec.msgpack.decode(encoded)
    assert read == [
        1,
        "salus-vector",
        bytes(range(16)),
        4711,
        "A81001",
        1_750_000_000,
        int(conclusion),
        until_s,
    ]
    name = b"salus/erasure-statement/1"
    signed = bytes([len(name)]) + name + encoded
    assert VerifyKey(PUBLIC).verify(signed, signature) == signed
    with pytest.raises(BadSignatureError):
        VerifyKey(PUBLIC).verify(encoded, signature)


def test_every_changed_byte_of_a_statement_is_refused() -> None:
    statement = msgspec.msgpack.decode(ERASED, type=ErasureStatement)
    erasure_statements.verify(SignedStatement(statement, ERASED_SIGNATURE), PUBLIC)
    fields: dict[str, object] = {
        "format": 2,
        "chain": "another",
        "pseudonym": bytes(16),
        "height": 4712,
        "holder": "A81002",
        "at_s": 1_750_000_001,
        "conclusion": Conclusion.NOTHING_HELD,
        "until_s": 1,
    }
    assert tuple(fields) == ErasureStatement.__struct_fields__
    for name, value in fields.items():
        changed = msgspec.structs.replace(statement, **{name: value})
        with pytest.raises(SignatureInvalid):
            erasure_statements.verify(SignedStatement(changed, ERASED_SIGNATURE), PUBLIC)
