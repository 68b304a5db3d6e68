"""Uploads: what comes in a form, within bounds; the bytes of files are taken as they are and trusted in nothing."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl

from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from salus.node.errors import NotNow, Refusal, Refused

URLENCODED: Final = "application/x-www-form-urlencoded"
MULTIPART: Final = "multipart/form-data"
BODY_S: Final = 10.0
FILE_BODY_S: Final = 120.0
FIELDS_MAX: Final = 200
FILES_MAX: Final = 5
FILES_AT_ONCE_MAX: Final = 16
FILES_EACH_MAX: Final = 2
"""Forms with files that are on their way in at one moment, of everybody and of one account: each is in memory."""


@dataclass(frozen=True)
class Upload:
    """A file as it came; the name is whatever the browser says."""

    name: str = field(repr=False)
    content: bytes = field(repr=False)


Pairs = list[tuple[str, str]]


class Room:
    """Room in memory for forms with files, of one worker; asked by the thread of its loop alone."""

    def __init__(self) -> None:
        self._taken: Counter[bytes] = Counter()

    @contextmanager
    def taken(self, account: bytes) -> Iterator[None]:
        """Have room for one form of an account until the block ends. Raises NotNow."""
        if self._taken.total() >= FILES_AT_ONCE_MAX or self._taken[account] >= FILES_EACH_MAX:
            raise NotNow("as many files as there is room for are on their way in: try later")
        self._taken[account] += 1
        try:
            yield
        finally:
            self._taken -= Counter([account])


async def read_form(http: Request, *, bytes_max: int, takes_files: bool) -> tuple[Pairs, dict[str, Upload]]:
    """Return the fields and files of a posted form. Raises Refused: FORM_UNFIT."""
    kind = http.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != URLENCODED and not (takes_files and kind == MULTIPART):
        raise _unfit("expected a form")
    body = await read_body(http, bytes_max=bytes_max, within_s=FILE_BODY_S if takes_files else BODY_S)
    if kind == MULTIPART:
        return await _parts(http.headers, body, bytes_max=bytes_max)
    try:
        text = body.decode("ascii")
        return parse_qsl(text, keep_blank_values=True, max_num_fields=FIELDS_MAX, errors="strict"), {}
    except ValueError as error:
        raise _unfit("expected a form in UTF-8 with few fields") from error


async def read_body(http: Request, *, bytes_max: int, within_s: float = BODY_S) -> bytes:
    """Return a whole body, within bounds. Raises Refused: FORM_UNFIT."""
    body = bytearray()
    try:
        async with asyncio.timeout(within_s):
            async for chunk in http.stream():
                body += chunk
                if len(body) > bytes_max:
                    raise _unfit(f"expected at most {bytes_max // 1000:,} kB")
    except (TimeoutError, ClientDisconnect) as error:
        raise _unfit("expected the whole form at once") from error
    return bytes(body)


async def _parts(headers: Headers, body: bytes, *, bytes_max: int) -> tuple[Pairs, dict[str, Upload]]:
    async def once() -> AsyncGenerator[bytes, None]:
        yield body

    parser = MultiPartParser(headers, once(), max_files=FILES_MAX, max_fields=FIELDS_MAX, max_part_size=bytes_max)
    parser.spool_max_size = bytes_max + 1  # a file stays in memory: no plaintext is laid on a disk (P3)
    try:
        form = await parser.parse()
    except (MultiPartException, UnicodeError) as error:  # a charset such as `undefined` reads nothing
        raise _unfit("expected a form with files that can be read") from error
    fields, files = [], {}
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            files[name] = Upload(value.filename or "", await value.read())
        else:
            fields.append((name, value))
    await form.close()
    return fields, files


def _unfit(words: str) -> Refused:
    return Refused(Refusal.FORM_UNFIT, f"{words}: go back and try again")
