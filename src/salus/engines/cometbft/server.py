"""The socket on which CometBFT calls: a thread per connection, frames with a varint length, answers in order.

CometBFT makes four connections, and four new ones after it was started again. Bytes that are no request end their
connection; so does a failure of the ledger, and a node whose connection ends stops. Nothing of a frame is copied before
its length was judged.
"""

import logging
import socket
import threading
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path

from salus.engines.base import Unavailable
from salus.engines.cometbft.application import Application
from salus.engines.cometbft.messages import REQUEST_BYTES_MAX, CheckTx, Request, decode_request
from salus.engines.unix_sockets import listen, shut
from salus.engines.wire import FrameInvalid
from salus.ledger.comet.wire import delimited
from salus.ledger.encoding import EncodingInvalid

CONNECTIONS_MAX = 16
_RECEIVE_BYTES = 1 << 18
_LENGTH_SIZE_MAX_BYTES = 5

log = logging.getLogger("salus.engines")


class Frames:
    """Cuts a stream into frames, wherever it was split on its way."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the frames that are whole now. Raises FrameInvalid when what comes cannot be a frame."""
        self._data += data
        at = 0
        while (found := self._length(at)) is not None:
            size_bytes, start = found
            if start + size_bytes > len(self._data):
                break
            yield bytes(memoryview(self._data)[start : start + size_bytes])
            at = start + size_bytes
        del self._data[:at]

    def _length(self, at: int) -> tuple[int, int] | None:
        size_bytes = 0
        for place, byte in enumerate(self._data[at : at + _LENGTH_SIZE_MAX_BYTES]):
            size_bytes |= (byte & 0x7F) << 7 * place
            if byte < 0x80:
                if size_bytes > REQUEST_BYTES_MAX:
                    break
                return size_bytes, at + place + 1
        else:
            if len(self._data) - at < _LENGTH_SIZE_MAX_BYTES:
                return None
        raise FrameInvalid(f"expected a frame of at most {REQUEST_BYTES_MAX} bytes")


class AbciServer:
    """Serves an application from the moment it is made until `close`.

    Args:
        failed: called when the ledger cannot go on, with words for the log.

    Raises:
        Unavailable: the path is too long, or cannot be bound.
    """

    def __init__(self, application: Application, socket_path: Path, *, failed: Callable[[str], None]) -> None:
        self._application = application
        self._path = socket_path
        self._failed = failed
        self._listener = listen(socket_path, backlog=CONNECTIONS_MAX)
        self._lock = threading.Lock()
        self._open: dict[socket.socket, threading.Thread] = {}
        self._thread = threading.Thread(target=self._accept, name="abci-accept", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening, end every connection, remove the socket."""
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes the accepting thread
        self._thread.join()
        self._listener.close()
        self._path.unlink(missing_ok=True)
        with self._lock:
            open_now = dict(self._open)
        for connection, thread in open_now.items():
            shut(connection)
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:  # shut down
                return
            thread = threading.Thread(target=self._serve, args=(connection,), name="abci", daemon=True)
            with self._lock:
                if len(self._open) >= CONNECTIONS_MAX:
                    connection.close()
                    log.warning("abci.too_many_connections count=%d", CONNECTIONS_MAX)
                    continue
                self._open[connection] = thread
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        words = "the ledger failed: see its log, start it again"
        try:
            self._answer_all(connection)
            words = ""
        except (FrameInvalid, EncodingInvalid) as error:
            words = ""
            log.error("abci.malformed reason=%s", error)
        except OSError:  # the node is gone: it connects again when it is back
            words = ""
        except Unavailable as error:
            words = str(error)
        finally:
            if words:
                log.critical("abci.failed reason=%s", words)
                self._failed(words)
            with self._lock:
                self._open.pop(connection, None)
            connection.close()

    def _answer_all(self, connection: socket.socket) -> None:
        frames = Frames()
        while data := connection.recv(_RECEIVE_BYTES):
            requests = [decode_request(frame) for frame in frames.feed(data)]
            for answers in self._answers(requests):
                connection.sendall(answers)

    def _answers(self, requests: list[Request]) -> Iterator[bytes]:
        # What came together is answered together: signatures of many CheckTx are verified at once.
        for is_check, group in groupby(requests, key=lambda each: isinstance(each, CheckTx)):
            if is_check:
                checks = [each for each in group if isinstance(each, CheckTx)]
                yield b"".join([delimited(answer) for answer in self._application.check_many(checks)])
            else:
                for request in group:
                    yield delimited(self._application.answer(request))
