"""Bytes that are not a transaction: each way of docs/spec/machine.md; refused before any rule is asked."""

from pathlib import Path

import msgspec
import pytest

from salus.contracts import CONTRACTS
from salus.contracts.membership import PublishFile
from salus.crypto.signing import SigningKey
from salus.ledger import contract, machine, transactions
from salus.ledger.encoding import encode
from salus.ledger.machine import message_decoder
from salus.ledger.transactions import NotATransaction, decode, sign, transaction_hash, verify
from tests.contracts.network import BEGIN_S, CHAIN, Given, MemoryLedger, digest, first_rows, key, organisation

MESSAGES = message_decoder(CONTRACTS)
PAGE = Path(__file__).resolve().parents[2] / "docs" / "spec" / "machine.md"
MESSAGE = encode(PublishFile(organisation("hospital"), "a", digest("a")))


def body(**fields: object) -> list[object]:
    """The fields of a body, some of them changed."""
    plain: dict[str, object] = {
        "format": 1,
        "chain": CHAIN,
        "signers": [key("hospital").public],
        "expires_at_s": BEGIN_S + 60,
        "nonce": bytes(16),
        "messages": [msgspec.Raw(MESSAGE)],
    }
    return list((plain | fields).values())


def envelope(inner: bytes, *signers: SigningKey) -> bytes:
    """A body with right signatures."""
    return encode([inner, [each.sign_tagged("salus/transaction/1", inner) for each in signers or (key("hospital"),)]])


def of(**fields: object) -> bytes:
    return envelope(encode(body(**fields)))


def message(value: object) -> bytes:
    return of(messages=[msgspec.Raw(encode(value))])


FIELDS = [104, "RX1", "a", digest("a")]
SIGNED = of()
BROKEN: dict[str, bytes] = {
    "nothing": b"",
    "no MessagePack": b"\xc1",
    "a byte after": SIGNED + b"\x00",
    "a byte missing": SIGNED[:-1],
    "more than 64 kB": envelope(encode(body(messages=[msgspec.Raw(MESSAGE)] * 256)) + bytes(60_000)),
    "an envelope of one element": encode([encode(body())]),
    "an envelope of three elements": encode([encode(body()), [bytes(64)], 0]),
    "a body with a byte after": envelope(encode(body()) + b"\x00"),
    "a body of seven elements": envelope(encode([*body(), 0])),
    "a body of five elements": envelope(encode(body()[:5])),
    "a number in a longer form": envelope(encode(body()).replace(b"\x96\x01", b"\x96\xcc\x01", 1)),
    "another format": of(format=2),
    "format 0": of(format=0),
    "another chain": of(chain="another"),
    "no chain": of(chain=""),
    "no signer": envelope(encode(body(signers=[]))),
    "seventeen signers": of(signers=[bytes([number] * 32) for number in range(17)]),
    "a signer of 31 bytes": of(signers=[bytes(31)]),
    "a negative expiry": of(expires_at_s=-1),
    "an expiry past the year 36,000": of(expires_at_s=1 << 40),
    "an expiry that is no whole number": of(expires_at_s=float(BEGIN_S + 60)),
    "a nonce of 15 bytes": of(nonce=bytes(15)),
    "no message": of(messages=[]),
    "257 messages": of(messages=[msgspec.Raw(MESSAGE)] * 257),
    "a message that is none": message(7),
    "an unknown tag": message([999, "RX1", "a", digest("a")]),
    "a tag that is text": message(["104", "RX1", "a", digest("a")]),
    "a field too many": message([*FIELDS, 0]),
    "a field too few": message(FIELDS[:-1]),
    "a digest of 31 bytes": message([*FIELDS[:-1], bytes(31)]),
    "text for bytes": message([*FIELDS[:-1], "a" * 32]),
    "a code in lower case": message([104, "rx1", "a", digest("a")]),
    "a code with a line end": message([104, "RX1\n", "a", digest("a")]),
    "a name with a space": message([104, "RX1", "a b", digest("a")]),
    "nil": message([104, "RX1", "a", None]),
    "a map": message({"organisation": "RX1"}),
    "no signature": encode([encode(body()), []]),
    "a signature too many": envelope(encode(body()), key("hospital"), key("hospital")),
    "a signer twice": envelope(encode(body(signers=[key("hospital").public] * 2)), key("hospital"), key("hospital")),
    "a signature of 63 bytes": encode([encode(body()), [bytes(63)]]),
    "a signature of nothing": encode([encode(body()), [bytes(64)]]),
    "a signature of another key": envelope(encode(body()), key("practice")),
    "a signature without the purpose": encode([encode(body()), [key("hospital").sign(encode(body()))]]),
    "a signature of another body": encode(
        [encode(body()), [key("hospital").sign_tagged("salus/transaction/1", encode(body(nonce=bytes(15) + b"1")))]]
    ),
}


@pytest.mark.parametrize("raw", BROKEN.values(), ids=BROKEN)
def test_what_is_not_a_transaction_leaves_nothing(raw: bytes) -> None:
    ledger = MemoryLedger(first_rows(Given()))
    before = ledger.machine.meta
    (result,) = ledger.submit([raw])
    assert (result.code, result.leaves) == (2, ())
    assert result.reason
    assert before is not None
    assert ledger.machine.meta is not None
    assert ledger.machine.meta.app_hash == before.app_hash


def test_the_right_bytes_are_a_transaction() -> None:
    ledger = MemoryLedger(first_rows(Given()))
    (result,) = ledger.submit([SIGNED])
    assert (result.code, len(result.leaves)) == (0, 1)
    assert (
        sign(
            [PublishFile(organisation("hospital"), "a", digest("a"))],
            chain=CHAIN,
            keys=[key("hospital")],
            expires_at_s=BEGIN_S + 60,
            nonce=bytes(16),
        )
        == SIGNED
    )


def test_a_body_is_one_transaction_whoever_carries_it() -> None:
    read = decode(SIGNED, chain=CHAIN, messages=MESSAGES)
    verify(read)
    assert read.hash == transaction_hash(SIGNED)
    torn = encode([encode(body()), [bytes(64)]])
    assert transaction_hash(torn) == read.hash
    with pytest.raises(NotATransaction, match="does not verify"):
        verify(decode(torn, chain=CHAIN, messages=MESSAGES))
    with pytest.raises(NotATransaction):
        transaction_hash(b"\x00")


def test_a_repeat_with_a_wrong_signature_is_no_transaction() -> None:
    ledger = MemoryLedger(first_rows(Given()))
    ledger.submit([SIGNED])
    (result,) = ledger.submit([encode([encode(body()), [bytes(64)]])])
    assert result.code == 2


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ("at most {:,} bytes", transactions.SIZE_BYTES_MAX),
        ("array of 1 to {} messages", transactions.MESSAGES_MAX),
        ("array of 1 to {} Ed25519", transactions.SIGNERS_MAX),
        ("at most {} s after it", transactions.EXPIRY_AHEAD_S_MAX),
        ("the tag `{}`", transactions.SIGNING_TAG),
        ("| 0 | format | the integer {} |", transactions.FORMAT),
        ("(transactions of the block) + {}", machine.SWEEP_BASE),
        ('"{}"', machine.APP_HASH_TAG),
        ('"{}"', machine.HISTORY_TAG),
        ("[format {}, chain", machine.STATE_FORMAT),
        ("may take {:,} counted steps", contract.STEPS_MAX),
        *(("| {} |", number) for number in contract.MACHINE_REJECTIONS),
        *(("| {} |", name) for name in contract.MACHINE_REJECTIONS.values()),
    ],
)
def test_the_numbers_of_the_machine_s_page_are_the_program_s(words: str, value: object) -> None:
    assert words.format(value) in PAGE.read_text(encoding="utf-8")
