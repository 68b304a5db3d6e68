"""The machine over the real contracts: repeats, atomicity, steps, the sweep, history, folds, isolation."""

import re
from collections.abc import Callable, Sequence
from itertools import count

import msgspec
import pytest

from salus.contracts import CONTRACTS, access, consent, membership, patients, records
from salus.contracts.consent import FileConsent
from salus.contracts.membership import Certify, PublishFile
from salus.contracts.patients import Enrol, Holder
from salus.contracts.provisions import Condition, Gate, Purpose, RoleClass, SureDenial, Verb, steps
from salus.contracts.records import BatchRegistered
from salus.crypto.hashing import leaf_hash, tagged
from salus.ledger.contract import STEPS_EXHAUSTED, STEPS_MAX, Context, Rejected
from salus.ledger.encoding import encode
from salus.ledger.machine import (
    HISTORY,
    ChainMismatch,
    Machine,
    history_positions,
    read_leaf,
    read_meta,
    stored_result,
)
from salus.ledger.outcomes import TransactionResult, decode_leaf
from salus.ledger.state import EXPIRY, INDEXES, LEAVES, META, STATE, Overlay
from salus.ledger.transactions import Message, PatientMessage, sign, transaction_hash
from salus.testing.memory_store import MemoryStore
from tests.contracts.network import (
    BEGIN_S,
    CHAIN,
    Given,
    MemoryLedger,
    digest,
    first_rows,
    key,
    organisation,
    pseudonym,
)
from tests.contracts.scenario import OUTCOMES, Scenario, read_tables, run

SCENARIOS = read_tables()
NONCES = count(1)


@pytest.fixture
def ledger() -> MemoryLedger:
    return MemoryLedger(first_rows(Given()))


def signed(*messages: Message, by: Sequence[str], time_s: int = BEGIN_S) -> bytes:
    return sign(
        messages,
        chain=CHAIN,
        keys=[key(name) for name in by],
        expires_at_s=time_s + 60,
        nonce=next(NONCES).to_bytes(16, "big"),
    )


def enrolment(name: str) -> Enrol:
    return Enrol(
        pseudonym(name), organisation("hospital"), key(name).public, Holder.PATIENT, b"", digest("a commitment")
    )


def publication(name: str) -> PublishFile:
    return PublishFile(organisation("hospital"), name, digest(name))


def certificate(name: str, until_s: int) -> Certify:
    return Certify(
        organisation("hospital"), digest(name), membership.CertificateKind.PERSON, (RoleClass.CLINICAL,), until_s
    )


# Repeats and rejections


def test_a_repeat_in_the_same_block_gets_the_outcome_of_the_first(ledger: MemoryLedger) -> None:
    raw = signed(enrolment("ann"), by=("hospital", "ann"))
    refused = signed(enrolment("ann"), by=("hospital", "ann"))
    results = ledger.submit([raw, refused, raw, refused])
    assert results[:2] == (
        TransactionResult(0, 0, results[0].leaves),
        TransactionResult(patients.Rejection.PSEUDONYM_KNOWN, 1, results[1].leaves, results[1].reason),
    )
    assert results[2] == results[0]
    assert results[3].leaves == results[1].leaves
    assert ledger.machine.log.size == 2


def test_a_repeat_in_a_later_block_gets_the_stored_outcome_and_changes_no_root(ledger: MemoryLedger) -> None:
    raw = signed(enrolment("ann"), publication("a-file"), by=("hospital", "ann"))
    (first,) = ledger.submit([raw])
    before = ledger.machine.meta
    assert ledger.submit([raw]) == (first,)
    assert stored_result(ledger.store, transaction_hash(raw)) == first
    assert before is not None
    assert ledger.machine.meta is not None
    assert ledger.machine.meta.app_hash == before.app_hash


@pytest.mark.promise("L4")
def test_a_rejection_changes_no_proved_table_and_leaves_one_leaf(ledger: MemoryLedger) -> None:
    ledger.submit([signed(enrolment("ann"), by=("hospital", "ann"))])
    before = dict(ledger.store.rows[STATE])
    tree_root, size = ledger.machine.tree.root, ledger.machine.log.size
    messages = [publication("a-file"), enrolment("bob"), enrolment("ann"), publication("another-file")]
    (result,) = ledger.submit([signed(*messages, by=("hospital", "bob"))])
    assert result.code == patients.Rejection.PSEUDONYM_KNOWN
    assert ledger.store.rows[STATE] == before
    assert ledger.machine.tree.root == tree_root
    assert ledger.machine.log.size == size + 1
    leaf = decode_leaf(result.leaves[0])
    assert (leaf.index, leaf.code, leaf.data) == (2, 201, encode(201))


def test_a_signer_too_many_is_put_down_to_the_last_message(ledger: MemoryLedger) -> None:
    (result,) = ledger.submit([signed(publication("a"), publication("b"), by=("hospital", "practice"))])
    leaf = decode_leaf(result.leaves[0])
    assert (leaf.index, leaf.code, leaf.data) == (1, 12, encode(104))


def test_the_leaves_of_a_transaction_are_its_outcomes_in_order(ledger: MemoryLedger) -> None:
    ledger.later(5)
    raw = signed(enrolment("ann"), publication("a-file"), by=("hospital", "ann"))
    (result,) = ledger.submit([raw])
    leaves = [decode_leaf(leaf) for leaf in result.leaves]
    assert [(leaf.height, leaf.time_s, leaf.transaction, leaf.index, leaf.code) for leaf in leaves] == [
        (1, BEGIN_S + 5, transaction_hash(raw), 0, 0),
        (1, BEGIN_S + 5, transaction_hash(raw), 1, 0),
    ]
    assert [type(OUTCOMES.decode(leaf.data)).__name__ for leaf in leaves] == ["Enrolled", "FilePublished"]


# Steps


def widest_gate() -> Gate:
    days = [Condition(valid_from_day=day, valid_to_day=day) for day in range(16)]
    return Gate(tuple(days), tuple(SureDenial(day, tuple(days)) for day in days[:9]))


@pytest.mark.promise("L6")
def test_steps_are_counted_and_bounded(ledger: MemoryLedger) -> None:
    gate = widest_gate()
    ledger.submit([signed(enrolment("ann"), by=("hospital", "ann"))])
    for number in range(consent.CHOICES_MAX):
        message = FileConsent(pseudonym("ann"), digest(f"c{number}")[:16], gate, digest("rules"), 0)
        (result,) = ledger.submit([signed(message, by=("ann",))])
        assert result.code == 0, result.reason
    per_request = consent.CHOICES_MAX * steps(gate)
    fitting = STEPS_MAX // (per_request + 40)
    ask = access.RequestAccess(
        pseudonym("ann"), organisation("hospital"), organisation("hospital"), RoleClass.CLINICAL, Purpose.TREAT,
        Verb.READ, 900, 0, digest("reader"), b"", digest("residual"),
    )  # fmt: skip
    (result,) = ledger.submit([signed(*[ask] * fitting, by=("hughes", "hospital"))])
    assert result.code == 0, result.reason
    (result,) = ledger.submit([signed(*[ask] * (STEPS_MAX // per_request + 1), by=("hughes", "hospital"))])
    assert result.code == STEPS_EXHAUSTED
    assert len(result.leaves) == 1


def test_no_message_without_gates_comes_near_the_bound() -> None:
    """What docs/spec/machine.md says: 65 steps for a message, so 256 of them leave room for 3,000 conditions.

    Messages that look through members and validators count for more conditions than they take steps.
    """
    most = 0

    def watched(context: Context, step_count: int = 1) -> None:
        nonlocal most
        original(context, step_count)
        most = max(most, context.steps)

    original, Context.step = Context.step, watched  # type: ignore[method-assign]
    try:
        for scenario in SCENARIOS:
            if any(re.search("propose|vote|accuse|consensus key", row.text) for row in scenario.rows):
                continue
            singles = [row for row in scenario.rows if row.expected is not None]
            if len(singles) + sum(row.text.startswith(("given", "later", ">")) for row in scenario.rows) == len(
                scenario.rows
            ):
                run(scenario, MemoryLedger)
    finally:
        Context.step = original  # type: ignore[method-assign]
    assert 40 <= most <= 65
    assert STEPS_MAX >= 65 * 256 + 3_000


# The sweep


def test_the_sweep_takes_a_bounded_number_oldest_first(ledger: MemoryLedger) -> None:
    ends = [BEGIN_S + 100 + number for number in range(60)]
    for number, until_s in enumerate(ends):
        ledger.submit([signed(certificate(f"p{number}", until_s), by=("hospital",))])
    ledger.later(1_000)
    assert kept(ledger, 60) == list(range(60))
    ledger.submit([signed(publication("a"), by=("hospital",), time_s=ledger.time_s)])
    assert kept(ledger, 60) == list(range(18, 60)), "2 x 1 + 16, oldest first"
    ledger.submit([signed(publication(name), by=("hospital",), time_s=ledger.time_s) for name in ("b", "c", "d")])
    assert kept(ledger, 60) == list(range(40, 60)), "2 x 3 + 16"
    ledger.submit([])
    assert kept(ledger, 60) == list(range(40, 60)), "an empty block sweeps nothing"
    ledger.submit([b"not a transaction"])
    assert kept(ledger, 60) == list(range(58, 60)), "what is no transaction counts, too"


def kept(ledger: MemoryLedger, many: int) -> list[int]:
    place = [(organisation("hospital"), digest(f"p{number}")) for number in range(many)]
    return [n for n in range(many) if membership.CERTIFICATES.get(ledger.store, place[n]) is not None]


def test_the_sweep_has_the_edge_of_the_second(ledger: MemoryLedger) -> None:
    ledger.submit([signed(certificate("p0", BEGIN_S + 10), by=("hospital",))])
    ledger.later(9)
    ledger.submit([signed(publication("a"), by=("hospital",))])
    assert kept(ledger, 1) == [0]
    ledger.later(1)
    ledger.submit([signed(publication("b"), by=("hospital",))])
    assert kept(ledger, 1) == []
    assert ledger.store.rows[EXPIRY] == {}


def test_a_row_that_was_swept_can_be_written_again_in_the_same_block(ledger: MemoryLedger) -> None:
    ledger.submit([signed(certificate("p0", BEGIN_S + 10), by=("hospital",))])
    ledger.later(10)
    (result,) = ledger.submit([signed(certificate("p0", BEGIN_S + 100), by=("hospital",))])
    assert result.code == 0
    assert kept(ledger, 1) == [0]
    ledger.later(50)
    ledger.submit([signed(publication("a"), by=("hospital",), time_s=ledger.time_s)])
    assert kept(ledger, 1) == [0], "the old end is forgotten"


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.title)
def test_every_row_with_an_end_is_in_the_expiry_space_once(scenario: Scenario) -> None:
    rows = run(scenario, MemoryLedger).ledger.reader().rows  # type: ignore[attr-defined]
    tables = {table.name.encode(): table for contract in CONTRACTS for table in contract.tables.values()}
    want = set()
    for place, row in rows[STATE].items():
        table = tables.get(place.split(b"\x00")[0])
        if table is not None and table.expires_at_s is not None:
            want.add(table.expires_at_s(table.decode(row)).to_bytes(8, "big") + place)
    assert set(rows.get(EXPIRY, {})) == want


# Blocks and roots


def test_an_empty_block_changes_nothing_but_height_and_time(ledger: MemoryLedger) -> None:
    ledger.submit([signed(enrolment("ann"), by=("hospital", "ann"))])
    ledger.later(10**6)
    before = ledger.machine.meta
    assert before is not None
    executed = ledger.machine.execute(height=2, time_s=ledger.time_s, block_transactions=[])
    assert executed.changes.keys() == {META}
    assert executed.meta == msgspec.structs.replace(before, height=2, time_s=ledger.time_s)


def test_a_rejection_moves_the_app_hash_by_the_log_alone(ledger: MemoryLedger) -> None:
    before = ledger.machine.meta
    ledger.submit([signed(enrolment("ann"), by=("hospital",))])
    after = ledger.machine.meta
    assert before is not None
    assert after is not None
    assert after.tree_root == before.tree_root
    assert after.app_hash == tagged("salus/app-hash/1", after.tree_root, (1).to_bytes(8, "big"), after.log_root)


@pytest.mark.promise("L1")
@pytest.mark.parametrize("scenario", SCENARIOS[::7], ids=lambda scenario: scenario.title)
def test_a_machine_that_starts_anew_for_each_block_comes_to_the_same_roots(scenario: Scenario) -> None:
    steady = run(scenario, MemoryLedger).ledger
    restarted = run(scenario, RestartedLedger).ledger
    assert isinstance(steady, MemoryLedger)
    assert isinstance(restarted, MemoryLedger)
    assert restarted.machine.meta == steady.machine.meta
    assert restarted.store.rows == steady.store.rows


class RestartedLedger(MemoryLedger):
    """A ledger whose process ends after each block."""

    def submit(self, raws: Sequence[bytes]) -> tuple[TransactionResult, ...]:
        """Start a machine over the stored rows; execute one block."""
        self.machine = Machine(CHAIN, CONTRACTS, self.store)
        return super().submit(raws)


def test_a_machine_refuses_the_store_of_another_chain_and_of_a_newer_format(ledger: MemoryLedger) -> None:
    with pytest.raises(ChainMismatch, match="expected chain another"):
        Machine("another", CONTRACTS, ledger.store)
    meta = read_meta(ledger.store)
    ledger.store.write({META: {b"machine": encode(msgspec.structs.replace(meta, format=2))}})
    with pytest.raises(ChainMismatch, match="state format 1, the store has 2"):
        Machine(CHAIN, CONTRACTS, ledger.store)


# History and folds


@pytest.mark.promise("L5")
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.title)
def test_history_is_the_chain_over_all_events_of_a_pseudonym(scenario: Scenario) -> None:
    store = run(scenario, MemoryLedger).ledger.reader()
    assert isinstance(store, MemoryStore)
    events: dict[bytes, list[int]] = {}
    for place, leaf in store.items(LEAVES):
        decoded = decode_leaf(leaf)
        named = getattr(OUTCOMES.decode(decoded.data), "pseudonym", None) if decoded.code <= 1 else None
        if named is not None:
            events.setdefault(named, []).append(int.from_bytes(place, "big"))
    prefix = HISTORY.key(b"")[:-2]
    assert {place for place in store.rows[STATE] if place.startswith(prefix)} == {HISTORY.key(name) for name in events}
    for name, positions in events.items():
        row = HISTORY.get(store, name)
        assert row is not None
        assert list(history_positions(store, name)) == positions
        assert (row.count, row.head) == (len(positions), head_over(store, positions))
        assert head_over(store, positions[1:]) != row.head, "one event left out"


def head_over(store: MemoryStore, positions: list[int]) -> bytes:
    head = bytes(32)
    for position in positions:
        leaf = read_leaf(store, position)
        assert leaf is not None
        head = tagged("salus/history/1", head, leaf_hash(leaf))
    return head


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.title)
def test_indexes_folded_anew_are_those_that_grew(scenario: Scenario) -> None:
    ledger = run(scenario, MemoryLedger).ledger
    assert isinstance(ledger, MemoryLedger)
    leaves = [(int.from_bytes(place, "big"), leaf) for place, leaf in ledger.store.items(LEAVES)]
    assert ledger.machine.refold(leaves) == ledger.store.rows.get(INDEXES, {})


@pytest.mark.promise("R2")
def test_whatever_names_a_patient_counts_in_the_patient_s_history() -> None:
    for contract in CONTRACTS[1:]:
        for message, outcomes in contract.outcomes.items():
            for kind in (message, *outcomes):
                assert kind.__struct_fields__[0] == "pseudonym", kind
            assert issubclass(message, PatientMessage)


# Isolation


def context_of(ledger: MemoryLedger, contract: object) -> Context:
    context = Context(Overlay(ledger.store), height=1, time_s=BEGIN_S, transaction=digest("t"), signers=())
    context.enter(contract, 0)  # type: ignore[arg-type]
    return context


def test_a_contract_writes_only_its_own_tables(ledger: MemoryLedger) -> None:
    context = context_of(ledger, patients.CONTRACT)
    with pytest.raises(AssertionError, match="patients must not write tables of membership"):
        membership.FILES.put(context, ("RX1", "a"), digest("a"))
    with pytest.raises(AssertionError, match="patients must not write tables of records"):
        records.ERASURES.delete(context, pseudonym("ann"))


def test_a_contract_asks_only_those_below_it(ledger: MemoryLedger) -> None:
    context = context_of(ledger, patients.CONTRACT)
    assert membership.ORGANISATIONS.get(context, organisation("hospital")) is not None
    with pytest.raises(AssertionError, match="only those below"):
        records.ERASURES.get(context, pseudonym("ann"))
    with pytest.raises(AssertionError, match="only those below"):
        HISTORY.get(context, pseudonym("ann"))


def test_contracts_are_listed_lowest_first_and_name_all_below() -> None:
    for place, contract in enumerate(CONTRACTS):
        assert set(contract.below) <= set(CONTRACTS[:place])
    assert CONTRACTS[-1].below == CONTRACTS[:-1]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.title)
def test_no_handler_reads_an_index(scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    """Indexes go when leaves are pruned; an answer that rested on one would differ between machines."""
    original: Callable[[Context, str, bytes], bytes | None] = Context.get

    def watched(context: Context, space: str, place: bytes) -> bytes | None:
        assert space in (STATE, EXPIRY), "a handler read an index"
        return original(context, space, place)

    monkeypatch.setattr(Context, "get", watched)
    run(scenario, MemoryLedger)


def test_the_first_registration_of_a_batch_counts_when_folded_anew(ledger: MemoryLedger) -> None:
    outcomes = [BatchRegistered(pseudonym("ann"), organisation("hospital"), digest("b"), size) for size in (4, 16)]
    overlay = Overlay(MemoryStore())
    for position, outcome in enumerate(outcomes):
        records.CONTRACT.folds[BatchRegistered](overlay, position, None, outcome)  # type: ignore[arg-type]
    assert records.batch(overlay, pseudonym("ann"), digest("b")) == records.Batch(leaf=0, size=4)


def test_a_key_is_noted_once_however_often_it_is_needed(ledger: MemoryLedger) -> None:
    (result,) = ledger.submit([signed(publication("a"), publication("b"), by=("hospital",))])
    assert result.code == 0


def test_rejected_says_what_to_do() -> None:
    error = Rejected(101, "expected a member, came ZZ999: it is not admitted")
    assert (error.code, error.detail) == (101, str(error))
