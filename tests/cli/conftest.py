"""Running commands in this process, and one network with two running nodes for those that need it."""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from salus import cli
from salus.cli.demonstration_places import free_ports
from salus.cli.running import NetworkProcesses
from salus.ledger.identifiers import OrganisationId
from salus.node.founding import Founded, Member, found
from salus.node.opening import unix_now_s
from salus.testing.population import HOSPITAL, PRACTICE, SyntheticPerson, people, story_patient

SEED = 1


@dataclass(frozen=True)
class Result:
    """What a command did."""

    status: int
    out: str
    err: str

    @property
    def facts(self) -> dict[str, Any]:
        """The one JSON object on standard output."""
        assert self.out.count("\n") == 1, self.out
        facts: dict[str, Any] = json.loads(self.out)
        return facts


Run = Callable[..., Result]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs one command line in this process."""

    def run_one(*arguments: object) -> Result:
        capsys.readouterr()
        status = cli.run([str(each) for each in arguments])
        said = capsys.readouterr()
        return Result(status, said.out, said.err)

    return run_one


@dataclass(frozen=True)
class North:
    """A network whose ledger process and nodes run."""

    founded: Founded
    processes: NetworkProcesses

    @property
    def folder(self) -> Path:
        """The network's folder."""
        return self.founded.folder

    @property
    def hospital(self) -> Path:
        """The hospital's node."""
        return self.founded.nodes[OrganisationId(HOSPITAL.ods)]

    @property
    def practice(self) -> Path:
        """The practice's node."""
        return self.founded.nodes[OrganisationId(PRACTICE.ods)]


@pytest.fixture(scope="session")
def north(tmp_path_factory: pytest.TempPathFactory) -> Iterator[North]:
    """A running network; tests use patients of their own."""
    folder = tmp_path_factory.mktemp("n") / "net"
    members = [
        Member(OrganisationId(each.ods), each.kind, each.name, port)
        for each, port in zip((HOSPITAL, PRACTICE), free_ports(2), strict=True)
    ]
    founded = found(folder, members, chain="salus-north", time_s=unix_now_s())
    with NetworkProcesses(folder, log=folder.parent / "log") as processes:
        yield North(founded, processes)


@pytest.fixture(scope="session")
def everybody() -> list[SyntheticPerson]:
    """People with a chart at the hospital; each test takes one that no other takes."""
    return [person for person in people(SEED, 60) if person.chart_at(HOSPITAL.ods)]


@pytest.fixture(scope="session")
def eleanor() -> SyntheticPerson:
    """The patient of the story."""
    return story_patient(SEED)


def write_chart(path: Path, person: SyntheticPerson, ods: str = HOSPITAL.ods) -> Path:
    """Write a person's chart at an organisation as NDJSON."""
    chart = person.chart_at(ods)
    assert chart is not None
    path.write_bytes(b"\n".join(chart.resources) + b"\n")
    return path


def who(person: SyntheticPerson) -> tuple[str, ...]:
    """The options that mean a person."""
    return ("--nhs-number", person.nhs_number.digits, "--born", person.birth_date)


def assert_fails(result: Result, status: int, *, error: str, hint: str) -> None:
    """A failure says what is wrong and what to do, on standard error, and prints no result."""
    assert result.status == status, result
    assert result.out == ""
    lines = result.err.splitlines()
    said = [line for line in lines if line.startswith("error: ")]
    advised = [line for line in lines if line.startswith("hint: ")]
    assert len(said) == 1, result.err
    assert error in said[0]
    assert len(advised) == 1, result.err
    assert hint in advised[0]


IS_ROOT = os.geteuid() == 0
