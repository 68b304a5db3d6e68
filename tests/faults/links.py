"""The ways between four validators: a TCP proxy for each directed link, which tests cut, hold, slow and lose on.

Each node dials each peer at a port of its own here. A connection carries both directions, whoever dialled it, so what
is said of a direction holds for the connections of both links. Held bytes wait, as behind a route that leads nowhere,
and go on after it. There are no lost packets in a byte stream: a loss is the pause in which TCP would send again.
"""

import asyncio
import random
import socket
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import permutations

SENT_AGAIN_S = 0.2
"""TCP's least pause before it sends again what was lost."""
LOOK_AGAIN_S = 0.01
_CHUNK_BYTES = 1 << 16
_CHUNKS_MAX = 256


@dataclass
class Way:
    """One direction. `loss` is the share of chunks that come late by `SENT_AGAIN_S`, with all behind them."""

    is_cut: bool = False
    is_held: bool = False
    delay_s: float = 0.0
    loss: float = 0.0


class Links:
    """Proxies between nodes that listen on these ports, from when it is made until `close`."""

    def __init__(self, ports: Sequence[int]) -> None:
        self._targets = ports
        self._pairs = list(permutations(range(len(ports)), 2))
        self.ways = {pair: Way() for pair in self._pairs}
        self._listeners = {pair: socket.create_server(("127.0.0.1", 0)) for pair in self._pairs}
        self._open: dict[asyncio.StreamWriter, tuple[int, int]] = {}
        self._chance = random.Random(20261128)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="links", daemon=True)
        self._thread.start()

    def ports_of(self, number: int) -> list[int]:
        """Where one node reaches each, and listens itself."""
        return [
            target if place == number else self._listeners[number, place].getsockname()[1]
            for place, target in enumerate(self._targets)
        ]

    def cut(self, pairs: Iterable[tuple[int, int]]) -> None:
        """End the connections of these pairs, and refuse new ones."""
        cut = {frozenset(pair) for pair in pairs}
        for pair, way in self.ways.items():
            way.is_cut = way.is_cut or frozenset(pair) in cut
        self._loop.call_soon_threadsafe(self._abort_cut)

    def hold(self, ways: Iterable[tuple[int, int]]) -> None:
        """Let nothing through in these directions."""
        for way in ways:
            self.ways[way].is_held = True

    def slow(self, ways: Iterable[tuple[int, int]], *, delay_s: float, loss: float = 0.0) -> None:
        """Let everything through in these directions, later."""
        for way in ways:
            self.ways[way].delay_s, self.ways[way].loss = delay_s, loss

    def heal(self) -> None:
        """Let everything through at once."""
        for way in self.ways.values():
            way.is_cut, way.is_held, way.delay_s, way.loss = False, False, 0.0, 0.0

    def close(self) -> None:
        """End all connections."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    # The links' thread

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        servers = [self._loop.run_until_complete(self._serve(pair)) for pair in self._pairs]
        self._loop.run_forever()
        for server in servers:
            server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(LOOK_AGAIN_S))
        self._loop.close()

    async def _serve(self, pair: tuple[int, int]) -> asyncio.Server:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with suppress(OSError, asyncio.CancelledError):
                await self._connect(pair, reader, writer)
            writer.transport.abort()

        return await asyncio.start_server(serve, sock=self._listeners[pair])

    async def _connect(self, pair: tuple[int, int], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.ways[pair].is_cut:
            return
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._targets[pair[1]])
        both = (writer, far_writer)
        self._open.update(dict.fromkeys(both, pair))
        there = self._pass(reader, far_writer, self.ways[pair])
        back = self._pass(far_reader, writer, self.ways[pair[1], pair[0]])
        tasks = [asyncio.ensure_future(each) for each in (*there, *back)]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in both:
                each.transport.abort()
                del self._open[each]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: Way) -> tuple:  # type: ignore[type-arg]
        """What reads, and what writes in its time."""
        chunks: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_CHUNKS_MAX)

        async def read() -> None:
            while data := await reader.read(_CHUNK_BYTES):
                late_s = SENT_AGAIN_S if self._chance.random() < way.loss else 0.0
                await chunks.put((time.monotonic() + way.delay_s + late_s, data))

        async def write() -> None:
            while True:
                due_s, data = await chunks.get()
                while way.is_held or time.monotonic() < due_s:
                    left_s = due_s - time.monotonic()
                    await asyncio.sleep(LOOK_AGAIN_S if way.is_held else max(0.0, left_s))
                writer.write(data)
                await writer.drain()

        return read(), write()

    def _abort_cut(self) -> None:
        for writer, pair in list(self._open.items()):
            if self.ways[pair].is_cut:
                writer.transport.abort()


def between(some: Iterable[int], others: Iterable[int]) -> list[tuple[int, int]]:
    """Every way from some to others, and back."""
    others = list(others)
    there = [(one, other) for one in some for other in others]
    return [*there, *((other, one) for one, other in there)]
