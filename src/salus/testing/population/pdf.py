"""A letter as PDF: one page of text, the same bytes for the same words.

Written by hand because PDF libraries put dates and identifiers of their own into every file. Source: ISO 32000-1, 7.5
(file structure) and 9.6.2 (the standard fonts, which need not be embedded).
"""

from __future__ import annotations

LINES_MAX = 54
PAGE = "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font << /F1 5 0 R >> >> /Contents 4 0 R >>"
FONT = "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"
ESCAPES = str.maketrans({"\\": r"\\", "(": r"\(", ")": r"\)"})


def one_page(lines: list[str]) -> bytes:
    """An A4 page with these lines from the top, 11 point Helvetica.

    Raises:
        UnicodeEncodeError: a character outside Windows-1252, which the standard fonts lack.
    """
    assert len(lines) <= LINES_MAX, f"a page holds {LINES_MAX} lines, came {len(lines)}"
    text = b"".join(b"(" + line.translate(ESCAPES).encode("cp1252") + b") Tj T*\n" for line in lines)
    drawing = b"BT\n/F1 11 Tf\n14 TL\n56 790 Td\n" + text + b"ET"
    return assembled(
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        PAGE.encode("ascii"),
        b"<< /Length %d >>\nstream\n%b\nendstream" % (len(drawing), drawing),
        FONT.encode("ascii"),
    )


def assembled(*objects: bytes) -> bytes:
    """Number the objects from 1, in order, and end with the table of where each one starts."""
    file = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")  # the second line says that the file is binary
    starts = []
    for number, content in enumerate(objects, start=1):
        starts.append(len(file))
        file += b"%d 0 obj\n%b\nendobj\n" % (number, content)
    table = len(file)
    file += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    file += b"".join(b"%010d 00000 n \n" % start for start in starts)
    file += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, table)
    return bytes(file)
