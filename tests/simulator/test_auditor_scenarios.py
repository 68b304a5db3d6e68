"""The auditor hears every scenario table beside the machine, and says the same of each block."""

from collections.abc import Iterable, Sequence

import pytest

from salus.contracts import access
from salus.contracts.access import PermitDead
from salus.ledger.encoding import encode
from salus.ledger.identifiers import PermitId
from salus.ledger.machine import FirstRow
from salus.ledger.outcomes import TransactionResult
from salus.testing.auditor import Auditor
from salus.testing.auditor.access import is_alive
from salus.testing.auditor.canonical import decode
from salus.testing.auditor.view import Rows
from salus.testing.simulator.comparison import COMPARED, compare_all, compare_results, expect_same
from tests.contracts.network import Given, MemoryLedger, genesis
from tests.contracts.scenario import Scenario, read_tables, run

SCENARIOS = read_tables()


class AuditedLedger(MemoryLedger):
    """A machine in memory, with the auditor beside it."""

    def __init__(self, rows: Iterable[FirstRow]) -> None:
        rows = list(rows)
        super().__init__(rows)
        first = {table.key(place): decode(encode(value)) for _, table, place, value in rows}
        self.auditor = Auditor(encode(genesis(Given())), amend=lambda found: _replace(found, first))

    def submit(self, raws: Sequence[bytes]) -> tuple[TransactionResult, ...]:
        results = super().submit(raws)
        assert self.machine.meta is not None
        compare_results(self.auditor.block(self.machine.meta.height, self.time_s, raws), results)
        compare_all(self.auditor, {space: self.store.items(space) for space in COMPARED}, self.machine.meta.app_hash)
        for permit in self.auditor.table("access.permits"):
            self._compare_life(PermitId(permit[2:]))
        return results

    def _compare_life(self, permit: PermitId) -> None:
        try:
            access.require_live(self.store, permit, time_s=self.time_s)
            is_live = True
        except PermitDead:
            is_live = False
        expect_same(f"permit {permit.hex()}", is_live, is_alive(self.auditor.view(time_s=self.time_s), permit))


def _replace(found: Rows, first: Rows) -> None:
    found.clear()
    found.update(first)


@pytest.mark.promise("L1")
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: f"{scenario.file}: {scenario.title}")
def test_scenario(scenario: Scenario) -> None:
    run(scenario, AuditedLedger)
