"""What a file is, by its bytes alone: of the few kinds that people add to a record, and of nothing else.

Promises: a file is of one kind from its first byte to its last, so that no program takes it for something else; a name
and a media type that came with it count for nothing.
"""

import re
import struct
import zlib
from collections.abc import Callable
from typing import Final

PDF: Final = "application/pdf"
JPEG: Final = "image/jpeg"
PNG: Final = "image/png"
TEXT: Final = "text/plain"

_MARKUP: Final = re.compile(rb"<(?:script|!doctype|html|iframe|svg[\s>]|\?xml|\?php)", re.IGNORECASE)
_ARCHIVE_END: Final = b"PK\x05\x06"
_ARCHIVE_TAIL: Final = 65_557
"""APPNOTE 4.3.16: so near its end a ZIP archive says where its list is; programs look for it there, whatever leads."""
_PDF_TAIL: Final = 1_024
_PNG_SIGN: Final = b"\x89PNG\r\n\x1a\n"
_JPEG_SIGN, _JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\ufffe\uffff]")


def file_type(content: bytes) -> str:
    """Return the media type of a file; empty for every other kind, and for one that could be taken for two."""
    if _MARKUP.search(content) or _ARCHIVE_END in content[-_ARCHIVE_TAIL:]:
        return ""
    return next((kind for kind, fits in _KINDS.items() if fits(content)), "")


def _is_pdf(content: bytes) -> bool:
    """ISO 32000-1 7.5.2, 7.5.5: the header stands at the very beginning, the mark of its end near the end."""
    return content.startswith((b"%PDF-1.", b"%PDF-2.")) and b"%%EOF" in content[-_PDF_TAIL:]


def _is_jpeg(content: bytes) -> bool:
    """ITU-T T.81 B.1.1: from the start of the image to its end, and nothing after."""
    return content.startswith(_JPEG_SIGN) and content.endswith(_JPEG_END)


def _is_png(content: bytes) -> bool:
    """PNG (W3C) 5.3, 5.6: whole chunks from IHDR to IEND, each with its check sum, and nothing after."""
    if not content.startswith(_PNG_SIGN):
        return False
    names, at = [], len(_PNG_SIGN)
    while at + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, at)
        end = at + 12 + length
        if end > len(content):
            return False
        name = content[at + 4 : at + 8]
        if zlib.crc32(content[at + 4 : end - 4]) != struct.unpack_from(">I", content, end - 4)[0]:
            return False
        names.append(name)
        at = end
    return at == len(content) and names[:1] == [b"IHDR"] and names[-1:] == [b"IEND"] and names.count(b"IEND") == 1


def _is_text(content: bytes) -> bool:
    """UTF-8 that people wrote: some words, and no sign that only machines use."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    is_other = text.lstrip("\ufeff \t\r\n").startswith(("<", "%!PS", "{\\rtf", "GIF8"))
    return bool(text.strip()) and not is_other and "%PDF-" not in text and _CONTROLS.search(text) is None


_KINDS: Final[dict[str, Callable[[bytes], bool]]] = {PDF: _is_pdf, JPEG: _is_jpeg, PNG: _is_png, TEXT: _is_text}
