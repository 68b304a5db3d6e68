"""Bytes that pass by in pieces: cut to the sizes that a format asks for, or put together with one copy.

Promises: never more than one piece and one chunk of the source are held; nothing is lost and nothing added.
"""

import io
from collections.abc import Iterable, Iterator, Sequence

from salus.crypto.hashing import Bytes


class LengthWrong(Exception):
    """The plaintext handed in is not as long as announced: what was sealed of it is no object."""


def cut(chunks: Iterable[Bytes], sizes: Sequence[int]) -> Iterator[memoryview]:
    """Cut a stream of chunks of any size into pieces of exactly these sizes.

    A piece is good until the next is asked for: it is a view of the chunk that it lies in, or of a space used again.

    Raises:
        LengthWrong: the chunks hold more or fewer bytes than the sizes together.
    """
    source, rest = iter(chunks), memoryview(b"")
    space = memoryview(bytearray(max(sizes)))
    for size in sizes:
        if size and not rest:
            rest = _next_chunk(source)
        if len(rest) >= size:
            yield rest[:size]
            rest = rest[size:]
        else:
            rest = _gather(space[:size], rest, source)
            yield space[:size]
    if rest or any(len(chunk) for chunk in source):
        raise LengthWrong(f"the plaintext has more than the announced {sum(sizes)} bytes")


def joined(pieces: Iterable[bytes], size_bytes: int) -> bytes:
    """All pieces, `size_bytes` together, as one byte string."""
    # bytes.join keeps every piece beside the result; this holds the result and one piece, and getvalue does not copy
    whole = io.BytesIO(bytes(size_bytes))
    for piece in pieces:
        whole.write(piece)
    return whole.getvalue()


def _gather(space: memoryview, rest: memoryview, source: Iterator[Bytes]) -> memoryview:
    """Fill the space from the rest of one chunk and from those after it; returns what is left of the last."""
    filled = 0
    while filled < len(space):
        rest = rest or _next_chunk(source)
        taken = rest[: len(space) - filled]
        space[filled : filled + len(taken)] = taken
        filled, rest = filled + len(taken), rest[len(taken) :]
    return rest


def _next_chunk(source: Iterator[Bytes]) -> memoryview:
    for chunk in source:
        if len(chunk):
            return memoryview(chunk).cast("B")
    raise LengthWrong("the plaintext has fewer bytes than announced")
