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
from salus.engines.unix_sockets import Acceptor, shut
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
        self._acceptor = Acceptor(
            socket_path,
            lambda accepted, ended: _Connection(application, accepted, ended, failed),
            name="abci",
            connections_max=CONNECTIONS_MAX,
        )

    def close(self) -> None:
        """Stop listening, remove the socket, end every connection."""
        self._acceptor.close()


class _Connection:
    def __init__(
        self,
        application: Application,
        accepted: socket.socket,
        ended: Callable[[], None],
        failed: Callable[[str], None],
    ) -> None:
        self._application = application
        self._socket = accepted
        self._ended = ended
        self._failed = failed
        self._thread = threading.Thread(target=self._serve, name="abci", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """End the connection from outside its thread."""
        shut(self._socket)
        self._thread.join()

    def _serve(self) -> None:
        words = "the ledger failed: see its log, start it again"
        try:
            self._answer_all()
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
            self._ended()
            self._socket.close()

    def _answer_all(self) -> None:
        frames = Frames()
        while data := self._socket.recv(_RECEIVE_BYTES):
            requests = [decode_request(frame) for frame in frames.feed(data)]
            for answers in self._answers(requests):
                self._socket.sendall(answers)

    def _answers(self, requests: list[Request]) -> Iterator[bytes]:
        # What came together is answered together: signatures of many CheckTx are verified at once.
        for is_check, group in groupby(requests, key=lambda each: isinstance(each, CheckTx)):
            if is_check:
                checks = [each for each in group if isinstance(each, CheckTx)]
                yield b"".join([delimited(answer) for answer in self._application.check_many(checks)])
            else:
                for request in group:
                    yield delimited(self._application.answer(request))
