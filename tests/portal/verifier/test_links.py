"""The link of a receipt: what Python writes the page reads, and nothing else (docs/spec/receipts.md, Link)."""

import random
import zlib

import pytest

from salus.portal.verifier.links import fits_qr, receipt_link
from tests.portal.verifier.asking import ask
from tests.portal.verifier.test_checks import FOLDER

PAGE = "https://portal.salus.example/check/"
RECEIPT = (FOLDER / "receipt.salus-receipt").read_bytes()
LINK = receipt_link(PAGE, RECEIPT)


def digits(data: bytes) -> str:
    """Raw bytes as the link has them, written after the page of the specification."""
    widths = (0, 3, 5, 8, 10, 13, 15, 17)
    chunks = [data[at : at + 7] for at in range(0, len(data), 7)]
    return "".join(f"{int.from_bytes(each, 'big'):0{widths[len(each)]}d}" for each in chunks)


@pytest.mark.services
def test_what_is_written_is_read() -> None:
    chance = random.Random(20261129)
    files = [RECEIPT, b"", *(chance.randbytes(size) for size in range(1, 16)), bytes(2**20)]
    assert ask([{"link": receipt_link(PAGE, each)} for each in files]) == [each.hex() for each in files]


DEFLATED = zlib.compress(RECEIPT, wbits=-15)


def beyond_seven_bytes() -> str:
    """The link with 2^56 added to a number: its last seven bytes are what they were."""
    head, _, text = LINK.partition("#")
    chunks = [text[at : at + 17] for at in range(0, len(text) - 17, 17)]
    place = next(at for at, each in enumerate(chunks) if int(each) + 2**56 < 10**17)
    changed = str(int(chunks[place]) + 2**56)
    return f"{head}#{text[: 17 * place]}{changed}{text[17 * (place + 1) :]}"


REFUSED = {
    "no digits": PAGE,
    "a number of more than seven bytes": beyond_seven_bytes(),
    "nothing": f"{PAGE}#",
    "a letter": f"{LINK}x",
    "cut short": LINK[:-17],
    "a digit more": f"{LINK}0",
    "a last chunk of no width": f"{PAGE}#{digits(DEFLATED[: -(len(DEFLATED) % 7 or 7)])}1234",
    "no DEFLATE": f"{PAGE}#{digits(RECEIPT)}",
    "bytes behind the end": f"{PAGE}#{digits(DEFLATED + bytes(7))}",
    "more than a megabyte": receipt_link(PAGE, bytes(2**20 + 1)),
}


@pytest.mark.services
def test_what_is_no_link_is_refused() -> None:
    assert ask([{"link": each} for each in REFUSED.values()]) == ["refuse link 0"] * len(REFUSED)


def test_the_digits_are_those_of_the_page_of_the_specification() -> None:
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = deflater.compress(RECEIPT) + deflater.flush()
    assert f"{PAGE}#{digits(data)}" == LINK


@pytest.mark.parametrize(("count", "fits"), [(6996, True), (6997, False)])
def test_what_a_qr_can_hold(count: int, fits: bool) -> None:
    # 20 + 8 · 36 + 18 + ⌈10 d / 3⌉ ≤ 23,648
    assert len(PAGE) == 35
    assert fits_qr(f"{PAGE}#{'1' * count}") is fits


def test_a_usual_receipt_does_not_fit() -> None:
    assert not fits_qr(LINK)
