"""The end of a block: a contract hears the evidence and says which validators change; an empty block asks nobody."""

from collections.abc import Iterable

import pytest

from salus.crypto.hashing import sha256
from salus.ledger.contract import Context, Contract, Misbehaviour, ValidatorUpdate
from salus.ledger.identifiers import PublicKey
from salus.ledger.machine import Executed, Machine
from salus.ledger.transactions import NotATransaction
from salus.testing.memory_store import MemoryStore
from tests.engines import toy

KEY = PublicKey(toy.CONSENSUS_KEY.public)
GUILTY = Misbehaviour(sha256(KEY)[:20], height=1, time_s=toy.FOREVER_S)
NONSENSE = NotATransaction("nonsense")


def contract(heard: list[tuple[Misbehaviour, ...]], *updates: ValidatorUpdate) -> Contract:
    """A contract that counts the ends of blocks in a proved row."""
    made = Contract("ends", 2)
    counts = made.table("counts", toy.Entry)

    @made.ends_block
    def end(context: Context, evidence: tuple[Misbehaviour, ...]) -> Iterable[ValidatorUpdate]:
        heard.append(evidence)
        counts.put(context, 0, toy.Entry(len(heard), toy.FOREVER_S))
        return updates

    return made


def machine(*contracts: Contract) -> Machine:
    founded = Machine(toy.CHAIN, (toy.CONTRACT, *contracts), MemoryStore())
    founded.genesis(time_s=1, rows=())
    return founded


CASES = [
    pytest.param([], (), False, id="an empty block ends nowhere"),
    pytest.param([], (GUILTY,), True, id="evidence alone"),
    pytest.param([NONSENSE], (), True, id="bytes that are no transaction"),
    pytest.param([NONSENSE], (GUILTY,), True, id="both"),
]


@pytest.mark.promise("L7")
@pytest.mark.parametrize(("block", "evidence", "is_heard"), CASES)
def test_who_hears_the_end_of_a_block(
    block: list[NotATransaction], evidence: tuple[Misbehaviour, ...], is_heard: bool
) -> None:
    heard: list[tuple[Misbehaviour, ...]] = []
    ledger = machine(contract(heard, (KEY, 0)))
    before = ledger.meta
    assert before is not None
    executed: Executed = ledger.execute(height=1, time_s=2, block_transactions=block, evidence=evidence)
    assert heard == ([evidence] if is_heard else [])
    assert executed.validator_updates == (((KEY, 0),) if is_heard else ())
    assert (executed.meta.app_hash != before.app_hash) == is_heard


def test_a_key_is_updated_once() -> None:
    ledger = machine(contract([], (KEY, 0), (KEY, 1)))
    with pytest.raises(AssertionError, match="updated once"):
        ledger.execute(height=1, time_s=2, block_transactions=[NONSENSE])


def test_a_contract_ends_a_block_in_one_way() -> None:
    made = contract([])
    with pytest.raises(AssertionError):
        made.ends_block(lambda _context, _evidence: ())
