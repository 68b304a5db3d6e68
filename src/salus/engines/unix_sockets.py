"""Unix sockets that are their owner's alone, and who accepts on them."""

import logging
import os
import socket
import stat
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from salus.engines.base import Unavailable

PATH_SIZE_BYTES_MAX = 107
"""What Linux gives a Unix socket's path."""

log = logging.getLogger("salus.engines")


class Connection(Protocol):
    """One accepted connection, with threads of its own."""

    def start(self) -> None:
        """Begin to serve it."""

    def close(self) -> None:
        """End it from outside its threads, and wait until they have ended."""


Begin = Callable[[socket.socket, Callable[[], None]], Connection]
"""Makes a connection of what was accepted, and of what it calls when it has ended."""


class Acceptor:
    """Accepts on a new socket from the moment it is made until `close`, so many connections at a time.

    Args:
        name: of its thread, and of what it logs.

    Raises:
        Unavailable: the path is too long, or cannot be bound.
    """

    def __init__(self, path: Path, begin: Begin, *, name: str, connections_max: int) -> None:
        self._path = path
        self._begin = begin
        self._name = name
        self._connections_max = connections_max
        self._listener = listen(path, backlog=connections_max)
        self._lock = threading.Lock()
        self._open: dict[socket.socket, Connection] = {}
        self._thread = threading.Thread(target=self._accept, name=f"{name}-accept", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening, remove the socket, end every connection."""
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes the accepting thread
        self._thread.join()
        self._listener.close()
        self._path.unlink(missing_ok=True)
        with self._lock:
            open_now = list(self._open.values())
        for connection in open_now:
            connection.close()

    def _accept(self) -> None:
        while True:
            try:
                accepted, _ = self._listener.accept()
            except OSError:  # shut down
                return
            with self._lock:
                if len(self._open) >= self._connections_max:
                    accepted.close()
                    log.warning("%s.too_many_connections count=%d", self._name, self._connections_max)
                    continue
                connection = self._begin(accepted, lambda accepted=accepted: self._forget(accepted))  # type: ignore[misc]
                self._open[accepted] = connection
            connection.start()

    def _forget(self, accepted: socket.socket) -> None:
        with self._lock:
            self._open.pop(accepted, None)


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
