"""Runs the commands of a page on hosts of their own: network namespaces on one machine, joined by a bridge.

`unshare … python -m tests.cli.network_hosts PAGE FOLDER STAYS GOES`, the last two hosts with commas. A block is marked
with its host; `running` says that its command goes on: the next block of another kind begins when each of those has
said what it says once it runs.
"""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BLOCK = re.compile(r"^```sh ([a-z0-9]+)( running)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ADDRESS = re.compile(r"--host (\S+)")
PROPOSAL = re.compile(r"^proposal ([0-9a-f]{32})\b", re.MULTILINE)
RUNS = re.compile(r"^(ready|proposal)\b", re.MULTILINE)
PATIENCE_S = 120.0
TRY_LATER = 3
LOOK_AGAIN_S = 0.1
COUNTS_AFTER_BLOCKS = 4
"""A seat counts from two blocks after its vote; who signed is read from a block below the newest."""


@dataclass(frozen=True)
class Block:
    """Commands of the page."""

    host: str
    goes_on: bool
    commands: str


def blocks(page: str) -> list[Block]:
    """What is to be run, in its order."""
    return [Block(host, bool(running), commands) for host, running, commands in BLOCK.findall(page)]


class Hosts:
    """Hosts, and what ran on them."""

    def __init__(self, folder: Path, page: str) -> None:
        self.folder = folder
        self.environment = {**os.environ, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "PROPOSAL": ""}
        self.said: list[dict[str, Any]] = []
        self.running: list[tuple[Block, subprocess.Popen[bytes], Path]] = []
        (folder / "exchange").mkdir()
        shell("mount -t tmpfs none /run && mkdir /run/netns")
        shell("ip link add hosts type bridge && ip link set hosts up")
        for number, (host, address) in enumerate(_addresses(page)):
            (folder / host).mkdir(exist_ok=True)
            _make_host(host, f"h{number}", address)

    def run(self, block: Block) -> None:
        """Run a block to its end, again when it says to try later. An error ends everything."""
        self._wait_for_running()
        began_s = time.monotonic()
        while (ran := self._run(block)).returncode == TRY_LATER and time.monotonic() < began_s + PATIENCE_S:
            time.sleep(1)
        took_s = time.monotonic() - began_s
        self.said.append({"host": block.host, "commands": block.commands, "out": ran.stdout, "took_s": took_s})
        assert ran.returncode == 0, f"{block.host}: {block.commands}{ran.stdout}{ran.stderr}"
        self._note_proposal(ran.stdout)

    def begin(self, block: Block) -> None:
        """Run a block that goes on."""
        log = self.folder / f"{block.host}-{len(self.running)}.log"
        with log.open("wb") as said:
            process = subprocess.Popen(
                self._command(block), cwd=self.folder / block.host, env=self.environment, stdout=said, stderr=said
            )
        self.running.append((block, process, log))

    def ended(self, host: str) -> list[int]:
        """Wait for what went on there; return the exit statuses."""
        return [process.wait(PATIENCE_S) for block, process, _ in self.running if block.host == host]

    def facts(self, host: str, command: str) -> dict[str, Any]:
        """Run one command with --json until its answer is yes: a ledger process may just be starting again."""
        until_s = time.monotonic() + PATIENCE_S
        block = Block(host, goes_on=False, commands=f"{command} --json")
        while (ran := self._run(block)).returncode:
            assert time.monotonic() < until_s, f"{host}: {command}{ran.stdout}{ran.stderr}"
        found: dict[str, Any] = json.loads(ran.stdout)
        return found

    def stands(self, hosts: Sequence[str]) -> dict[str, dict[str, Any]]:
        """How each of these stands some blocks later, when the votes of before count everywhere."""
        until_s = time.monotonic() + PATIENCE_S
        height = max(self._status(each)["height"] for each in hosts) + COUNTS_AFTER_BLOCKS
        found = {}
        for host in hosts:
            while (now := self._status(host))["height"] < height:
                assert time.monotonic() < until_s, f"{host} is below block {height}: {now}"
                time.sleep(LOOK_AGAIN_S)
            found[host] = now
        return found

    def _status(self, host: str) -> dict[str, Any]:
        return self.facts(host, f"salus network status ./{host}")

    def _run(self, block: Block) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self._command(block),
            cwd=self.folder / block.host,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def _command(self, block: Block) -> list[str]:
        return ["ip", "netns", "exec", block.host, "bash", "-euc", block.commands]

    def _wait_for_running(self) -> None:
        for block, process, log in self.running:
            until_s = time.monotonic() + PATIENCE_S
            while not RUNS.search(log.read_text(encoding="utf-8")):
                words = log.read_text(encoding="utf-8")
                assert process.poll() is None, f"{block.host}: {block.commands}{words}"
                assert time.monotonic() < until_s, f"{block.host}: {block.commands}{words}"
                time.sleep(LOOK_AGAIN_S)
            self._note_proposal(log.read_text(encoding="utf-8"))

    def _note_proposal(self, said: str) -> None:
        found = PROPOSAL.findall(said)
        if found:
            self.environment["PROPOSAL"] = found[-1]


def _addresses(page: str) -> Iterator[tuple[str, str]]:
    for block in blocks(page):
        found = ADDRESS.search(block.commands)
        if found:
            yield block.host, found[1]


def _make_host(host: str, link: str, address: str) -> None:
    shell(f"ip netns add {host} && ip link add {link} type veth peer name eth0 netns {host}")
    shell(f"ip link set {link} master hosts up && ip -n {host} link set lo up")
    shell(f"ip -n {host} addr add {address}/24 dev eth0 && ip -n {host} link set eth0 up")


def shell(command: str) -> None:
    """Run a command that has to succeed."""
    subprocess.run(["bash", "-ec", command], check=True)


def program(folder: Path) -> None:
    """`salus`, as it is here."""
    (folder / "bin").mkdir()
    path = folder / "bin" / "salus"
    path.write_text(f'#!/bin/sh\nexec {sys.executable} -P -m salus.cli "$@"\n', encoding="utf-8")
    path.chmod(0o755)


def main(page: str, place: str, stays: str, goes: str) -> None:
    """Run all blocks; print what they said and how the hosts stand then, as one JSON object.

    Args:
        stays: hosts whose members run until the end; those in `goes` end by themselves.
    """
    folder, text = Path(place), Path(page).read_text(encoding="utf-8")
    program(folder)
    hosts = Hosts(folder, text)
    for block in blocks(text):
        if block.goes_on:
            hosts.begin(block)
        else:
            hosts.run(block)
    gone = {host: hosts.ended(host) for host in goes.split(",") if host}
    stands = hosts.stands(stays.split(","))
    logs = {log.name: log.read_text(encoding="utf-8") for _, _, log in hosts.running}
    print(json.dumps({"said": hosts.said, "ended": gone, "stands": stands, "logs": logs}))
    for _, process, _ in hosts.running:
        process.terminate()
    for _, process, _ in hosts.running:
        process.wait(PATIENCE_S)


if __name__ == "__main__":
    main(*sys.argv[1:])
