"""Fixtures of the vault's tests: real servers, the drivers on them, databases, and vaults over them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from salus.vault.database import Database
from tests.conftest import absent
from tests.vault.sample_vault import SampleVault
from tests.vault.servers import Absent, Postgres, S3Server, postgres_programs

DATABASES = (
    "sqlite",
    pytest.param("postgresql15", marks=pytest.mark.services),
    pytest.param("postgresql18", marks=pytest.mark.services),
)


@pytest.fixture(scope="session")
def postgresql15() -> Iterator[Postgres]:
    yield from running_postgres(15)


@pytest.fixture(scope="session")
def postgresql18() -> Iterator[Postgres]:
    yield from running_postgres(18)


def running_postgres(version: int) -> Iterator[Postgres]:
    """A server for the session, or a skip with the reason (a failure under CI)."""
    try:
        server = Postgres(postgres_programs(version))
    except Absent as reason:
        absent(str(reason))
        return
    yield server
    server.remove()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    try:
        server = S3Server()
    except Absent as reason:
        absent(str(reason))
        return
    yield server
    server.stop()


@pytest.fixture
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a new database: SQLite, or of the kind that `indirect` parametrisation names."""
    kind = getattr(request, "param", "sqlite")
    if kind == "sqlite":
        return f"sqlite:///{tmp_path}/vault.db"
    server: Postgres = request.getfixturevalue(kind)
    return server.new_database()


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    opened = Database(url)
    yield opened
    opened.close()


@pytest.fixture
def sample(database: Database, tmp_path: Path) -> SampleVault:
    """A vault over a folder, with a fake clock and helpers to fill it."""
    return SampleVault(database, tmp_path)
