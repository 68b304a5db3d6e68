"""Files out of records: bytes that came from outside, given to a browser so that they can do nothing in it.

Promises: nothing of a record is ever a page of ours: what browsers show safely is shown in a sandbox without scripts,
everything else is only saved.
"""

import re
from typing import Final
from urllib.parse import quote

from starlette.responses import Response

from salus.portal.rendering import KEPT_OUT

SHOWN: Final = {
    "application/pdf": ".pdf",
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "text/plain": ".txt",
}
"""What browsers show, and by which ending a file is known."""
POLICY: Final = "default-src 'none'; img-src 'self'; style-src 'unsafe-inline'; sandbox"
SAVED: Final = "application/octet-stream"
NAME_BYTES_MAX: Final = 200
"""With an ending, and with what a browser adds where there is such a file, it stays within a file system's 255."""
_UNFIT: Final = re.compile(r"[^\w .,()-]+")


def essence(content_type: str) -> str:
    """A media type without its parameters."""
    return content_type.partition(";")[0].strip().lower()


def file(content: bytes, *, content_type: str, name: str, is_framed: bool = False) -> Response:
    """Return a file of a record.

    Args:
        content_type: as the record says; trusted for nothing but how a browser shows it in its sandbox.
        name: as the record says; of it letters, digits and a few signs are kept.
        is_framed: whether a page of ours shows it within itself; in its sandbox, as by itself.
    """
    kind = essence(content_type)
    is_shown = kind in SHOWN
    kept = _UNFIT.sub(" ", name).strip(" .").encode()[:NAME_BYTES_MAX]
    title = kept.decode("utf-8", "ignore").strip(" .") or "letter"
    titled = title if title.lower().endswith(SHOWN.get(kind, "")) else title + SHOWN[kind]
    plain = titled.encode("ascii", "replace").decode().replace("?", "_")
    headers = {
        **KEPT_OUT,
        "content-security-policy": f"{POLICY}; frame-ancestors 'self'" if is_framed else POLICY,
        "x-frame-options": "SAMEORIGIN" if is_framed else "DENY",
        "content-disposition": f'{"inline" if is_shown else "attachment"}; filename="{plain}"; '
        f"filename*=UTF-8''{quote(titled)}",
        "content-type": ("text/plain; charset=utf-8" if kind == "text/plain" else kind) if is_shown else SAVED,
    }
    return Response(content, headers=headers)


def saved(content: bytes, *, name: str) -> Response:
    """Return a file that a page of ours made, to be saved; `name` is ours."""
    return Response(
        content, headers={**KEPT_OUT, "content-disposition": f'attachment; filename="{name}"'}, media_type=SAVED
    )
