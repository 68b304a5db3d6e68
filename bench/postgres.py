"""A PostgreSQL 15 of a bench's own: a new cluster on loopback, the same settings for whoever is measured."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from salus.cli.demonstration_places import free_ports

PROGRAMS = Path("/usr/lib/postgresql/15/bin")
SETTINGS = "-c shared_buffers=1GB -c listen_addresses=127.0.0.1"


@dataclass(frozen=True)
class Postgres:
    """A running cluster; what it writes is durable, as by default."""

    folder: Path
    port: int

    def new_database(self, name: str) -> None:
        """Make an empty database."""
        _as_postgres(self.folder, "createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "bench", name)


@contextmanager
def postgres() -> Iterator[Postgres]:
    """Run a cluster until the block ends. Needs Debian's postgresql-15, and its account where we are root."""
    folder = Path(tempfile.mkdtemp(prefix="bench-pg-"))
    (port,) = free_ports(1)
    if os.geteuid() == 0:
        os.chown(folder, *_account())
    data = str(folder / "data")
    _as_postgres(folder, "initdb", "-D", data, "-U", "bench", "--auth=trust", "--encoding=utf8")
    options = f"-k {folder} -p {port} {SETTINGS}"
    _as_postgres(folder, "pg_ctl", "-D", data, "-w", "-l", str(folder / "log"), "-o", options, "start")
    try:
        yield Postgres(folder, port)
    finally:
        _as_postgres(folder, "pg_ctl", "-D", data, "-w", "-m", "fast", "stop")
        shutil.rmtree(folder)


def _account() -> tuple[int, int]:
    entry = pwd.getpwnam("postgres")
    return entry.pw_uid, entry.pw_gid


def _as_postgres(folder: Path, program: str, *arguments: str) -> None:
    who = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
    with (folder.parent / f"{folder.name}.log").open("a") as log:
        subprocess.run([PROGRAMS / program, *arguments], cwd=folder, stdout=log, stderr=log, check=True, **who)  # type: ignore[call-overload]
