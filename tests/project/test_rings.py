"""The contract types for import-linter find what they should; the real table is checked by `make check`."""

from __future__ import annotations

import configparser

import grimp
import pytest

from tools.rings import NeverContract, RingsContract, parse_line
from tools.source_tree import ROOT

TABLE = ["crypto:", "ledger: crypto", "testing: ledger contracts", "contracts: ledger", "cli: *"]


def graph_of(*imports: tuple[str, str]) -> grimp.ImportGraph:
    """A graph with these (importer, imported) pairs."""
    graph = grimp.ImportGraph()
    for importer, imported in imports:
        graph.add_import(importer=importer, imported=imported, line_number=1, line_contents="import")
    return graph


def broken_rings(graph: grimp.ImportGraph) -> tuple[list[str], list[str]]:
    """(forbidden imports, folders without a ring)."""
    session = {"root_packages": ["salus"]}
    contract = RingsContract("rings", session_options=session, contract_options={"may_import": TABLE})
    check = contract.check(graph, verbose=False)
    found = [f"{each['importer']} -> {each['imported']}" for each in check.metadata["broken"]]
    assert check.kept is not bool(found or check.metadata["unknown"])
    return found, check.metadata["unknown"]


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        ("salus.crypto.signing", "salus.ledger.machine"),
        ("salus.ledger.machine", "salus.contracts.access"),
        ("salus.contracts.access", "salus.testing.clock"),
    ],
)
def test_an_outward_import_breaks(importer: str, imported: str) -> None:
    assert broken_rings(graph_of((importer, imported))) == ([f"{importer} -> {imported}"], [])


def test_inward_and_inner_imports_are_kept() -> None:
    graph = graph_of(
        ("salus.ledger.log", "salus.crypto.merkle"),
        ("salus.ledger.machine", "salus.ledger.log"),
        ("salus.cli.demo", "salus.testing.clock"),
        ("salus.ledger.log", "msgspec"),
    )
    assert broken_rings(graph) == ([], [])


def test_a_folder_without_a_ring_breaks() -> None:
    assert broken_rings(graph_of(("salus.shiny.new", "salus.crypto.hashing"))) == ([], ["shiny"])


def test_never_means_not_through_a_third_either() -> None:
    pair = ["salus.testing.auditor: salus.contracts.access"]
    contract = NeverContract("never", session_options={}, contract_options={"pairs": pair})
    graph = graph_of(("salus.testing.auditor", "salus.ledger.log"), ("salus.ledger.log", "salus.contracts.access"))
    check = contract.check(graph, verbose=False)
    assert check.metadata["chains"] == [("salus.testing.auditor", "salus.ledger.log", "salus.contracts.access")]
    assert not check.kept
    assert contract.check(graph_of(("salus.testing.auditor", "salus.ledger.log")), verbose=False).kept


def test_the_table_gives_the_inner_rings_nothing_but_what_was_decided() -> None:
    """DESIGN section 3, with crypto open to the rings above it (docs/decisions/0003)."""
    table = configparser.ConfigParser()
    table.read(ROOT / ".importlinter", encoding="utf-8")
    lines = table["importlinter:contract:rings"]["may_import"].strip().splitlines()
    rings = dict(parse_line(line) for line in lines)
    inner = {ring: rings[ring] for ring in ("crypto", "ledger", "contracts", "engines", "vault", "clinical")}
    assert inner == {
        "crypto": frozenset(),
        "ledger": {"crypto"},
        "contracts": {"crypto", "ledger"},
        "engines": {"crypto", "ledger"},
        "vault": {"crypto"},
        "clinical": frozenset(),
    }
