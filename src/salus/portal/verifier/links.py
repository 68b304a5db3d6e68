"""The link of a receipt: its file behind the `#` of the page's address, short enough for a QR where that can be.

Promises: what stands behind a `#` is sent to no server; the page checks the link as it checks the file.
"""

import math
import zlib
from typing import Final

VERIFIER: Final = "/check/"
"""Where a portal has the page."""
CHUNK_BYTES: Final = 7
CHUNK_DIGITS: Final = 17
_QR_BITS_MAX: Final = 23_648
"""What a QR of version 40 holds at level L, in bits (ISO/IEC 18004, table 7)."""
_QR_BYTES_HEAD: Final = 4 + 16
_QR_DIGITS_HEAD: Final = 4 + 14


def receipt_link(page: str, file: bytes) -> str:
    """Return the link under which a page checks a receipt (docs/spec/receipts.md, Link).

    Args:
        page: the address of the page, without a fragment.
        file: of the receipt.
    """
    deflater = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    data = deflater.compress(file) + deflater.flush()
    chunks = [data[at : at + CHUNK_BYTES] for at in range(0, len(data), CHUNK_BYTES)]
    return f"{page}#{''.join(map(_digits, chunks))}"


def fits_qr(link: str) -> bool:
    """Tell whether one QR can hold a link: the address as bytes, what follows the `#` as digits."""
    page, mark, digits = link.partition("#")
    address_bits = _QR_BYTES_HEAD + 8 * len((page + mark).encode())
    return address_bits + _QR_DIGITS_HEAD + math.ceil(len(digits) * 10 / 3) <= _QR_BITS_MAX


def _digits(chunk: bytes) -> str:
    width = math.ceil(len(chunk) * 8 * math.log10(2))
    return str(int.from_bytes(chunk, "big")).zfill(width)
