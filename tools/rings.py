"""The rings of DESIGN section 3 as contract types for import-linter: who may import whom inside `salus`.

The table itself is in `.importlinter`. A folder that does not exist yet is passed over; a folder that exists and is not
in the table breaks the contract, so that nothing is added without a ring.
"""

from __future__ import annotations

from grimp import DetailedImport, ImportGraph
from importlinter import Contract, ContractCheck, fields, output

ROOT = "salus"


class RingsContract(Contract):
    """Each line of `may_import` is `ring: ring ring …`, inner rings first; `*` allows every ring.

    Only direct imports are looked at: when each of them is allowed, a chain cannot leave the rings either.
    """

    type_name = "rings"

    may_import = fields.ListField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Collect the imports that the table does not allow and the folders that it does not name."""
        allowed = dict(parse_line(line) for line in self.may_import)  # type: ignore[attr-defined]
        unknown = sorted({ring_of(module) for module in graph.modules} - set(allowed) - {""})
        broken = [found for found in direct_imports(graph) if not is_allowed(found, allowed)]
        return ContractCheck(kept=not broken and not unknown, metadata={"broken": broken, "unknown": unknown})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print each forbidden import with its place, and each folder without a ring."""
        for ring in check.metadata["unknown"]:
            output.print_error(f"src/salus/{ring} has no ring: add it to .importlinter", bold=False)
        for found in check.metadata["broken"]:
            inner, outer = ring_of(found["imported"]), ring_of(found["importer"])
            place = f"{found['importer']}:{found['line_number']}"
            output.print_error(f"{place} imports {found['imported']}: {outer} may not import {inner}", bold=False)


class NeverContract(Contract):
    """Each line of `pairs` is `module: module …`: the first never reaches the others, not even through a third."""

    type_name = "never"

    pairs = fields.ListField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Collect the shortest chain of imports for each pair that is connected; absent modules are passed over."""
        chains = []
        for line in self.pairs:  # type: ignore[attr-defined]
            importer, targets = parse_line(line)
            for imported in sorted(targets):
                if importer in graph.modules and imported in graph.modules:
                    chains += sorted(graph.find_shortest_chains(importer=importer, imported=imported))
        return ContractCheck(kept=not chains, metadata={"chains": chains})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print each chain from its importer to what it must not reach."""
        for chain in check.metadata["chains"]:
            output.print_error(" -> ".join(chain), bold=False)


def parse_line(line: str) -> tuple[str, frozenset[str]]:
    """`ledger: crypto` is ("ledger", {"crypto"})."""
    name, _, others = line.partition(":")
    return name.strip(), frozenset(others.split())


def ring_of(module: str) -> str:
    """The folder of a module under `salus`; empty for the package itself and for what is outside."""
    parts = module.split(".")
    return parts[1] if parts[0] == ROOT and len(parts) > 1 else ""


def direct_imports(graph: ImportGraph) -> list[DetailedImport]:
    """All imports between modules of `salus`, in a fixed order."""
    found = [
        detail
        for importer in sorted(graph.modules)
        for imported in sorted(graph.find_modules_directly_imported_by(importer))
        for detail in graph.get_import_details(importer=importer, imported=imported)
    ]
    return [each for each in found if ring_of(each["importer"]) and ring_of(each["imported"])]


def is_allowed(found: DetailedImport, allowed: dict[str, frozenset[str]]) -> bool:
    """Within a ring everything is; an unknown folder is reported once, as a folder."""
    outer, inner = ring_of(found["importer"]), ring_of(found["imported"])
    rings = allowed.get(outer, frozenset({"*"}))
    return outer == inner or inner in rings or "*" in rings
