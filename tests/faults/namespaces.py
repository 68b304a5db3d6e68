"""A network namespace for each validator, joined by a bridge: real links, and routes that lead nowhere. Needs root."""

import os
import subprocess
from collections.abc import Iterable


class Namespaces:
    """From when it is made until `close`. Raises OSError or CalledProcessError where this is not allowed."""

    def __init__(self, count: int) -> None:
        self.hosts = [f"10.77.{os.getpid() % 250}.{number + 1}" for number in range(count)]
        self.names = [f"salus-{os.getpid()}-{number}" for number in range(count)]
        self._bridge = f"sb{os.getpid()}"
        self._holes: list[tuple[int, int]] = []
        _ip("link", "add", self._bridge, "type", "bridge")
        _ip("link", "set", self._bridge, "up")
        for number, (name, host) in enumerate(zip(self.names, self.hosts, strict=True)):
            outside, inside = f"so{os.getpid()}-{number}", f"si{os.getpid()}-{number}"
            _ip("netns", "add", name)
            _ip("link", "add", outside, "type", "veth", "peer", "name", inside)
            _ip("link", "set", inside, "netns", name)
            _ip("link", "set", outside, "master", self._bridge, "up")
            _ip("-n", name, "addr", "add", f"{host}/24", "dev", inside)
            _ip("-n", name, "link", "set", inside, "up")
            _ip("-n", name, "link", "set", "lo", "up")

    def inside(self, number: int) -> tuple[str, ...]:
        """What a command begins with so that it runs there."""
        return ("ip", "netns", "exec", self.names[number])

    def black_hole(self, ways: Iterable[tuple[int, int]]) -> None:
        """Lose every packet in these directions, without a word."""
        for one, other in ways:
            _ip("-n", self.names[one], "route", "add", "blackhole", self.hosts[other])
            self._holes.append((one, other))

    def heal(self) -> None:
        """Lose nothing any more."""
        for one, other in self._holes:
            _ip("-n", self.names[one], "route", "del", "blackhole", self.hosts[other])
        self._holes.clear()

    def close(self) -> None:
        """Remove everything; processes there have ended."""
        for name in self.names:
            _ip("netns", "del", name)
        _ip("link", "del", self._bridge)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)
