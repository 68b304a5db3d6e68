"""Unix sockets that are their owner's alone."""

import os
import socket
import stat
from contextlib import suppress
from pathlib import Path

from salus.engines.base import Unavailable

PATH_SIZE_BYTES_MAX = 107
"""What Linux gives a Unix socket's path."""


def listen(path: Path, *, backlog: int) -> socket.socket:
    """Listen on a new socket, in the place of one that a killed process left.

    Raises:
        Unavailable: the path is too long, or cannot be bound.
    """
    if len(os.fsencode(path)) > PATH_SIZE_BYTES_MAX:
        raise Unavailable(
            f"expected a socket path of at most {PATH_SIZE_BYTES_MAX} bytes, came {path}: use a shorter one"
        )
    path.unlink(missing_ok=True)  # the folder's lock says that no other process runs
    listener = socket.socket(socket.AF_UNIX)
    try:
        os.fchmod(listener.fileno(), 0o600)  # before it has a name, so that it never was anybody else's
        listener.bind(str(path))
    except OSError as error:
        listener.close()
        raise Unavailable(f"expected to bind {path}: {error.strerror}") from error
    assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, "the socket is its owner's alone"
    listener.listen(backlog)
    return listener


def shut(connection: socket.socket) -> None:
    """End a connection for whoever reads or writes it, in this thread or another."""
    with suppress(OSError):  # already closed
        connection.shutdown(socket.SHUT_RDWR)
