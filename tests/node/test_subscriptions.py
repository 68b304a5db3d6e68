"""Rows of subscriptions, on both databases: who has which when, numbers, and what two workers at once lose: nothing."""

import dataclasses
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from sqlalchemy import delete, func, select, update

from salus.crypto.sealing import SealBroken
from salus.ledger.identifiers import Pseudonym, RecordId
from salus.node import schema
from salus.node.assemble import Node
from salus.node.errors import NotNow, Refusal, Refused
from salus.node.projections import changes, resources
from salus.node.projections.resources import NewVersion
from salus.node.projections.search_rows import Keyed
from salus.node.sealed_rows import SealedRows
from salus.node.services import subscriptions
from salus.node.services.subscription_events import Attempt, Events
from salus.node.services.subscriptions import LEASE_S, State, Subscription, Subscriptions, Tenure, Terms
from salus.testing.world import HOSPITAL, World, world
from salus.vault.vault import Vault
from tests.node.test_person_limits import on_database, postgres

__all__ = ["postgres"]
TABLES = (schema.subscriptions, schema.changes, schema.subscription_events, schema.subscription_attempts)
TERMS = Terms(b"{}", Tenure(b"grant", ("system/*.rs",)))
ANN = Pseudonym(bytes(16))


@dataclass
class Rows:
    """Two workers of one node, whose clock can be moved."""

    workers: list[Node]
    later_s: list[int]
    kept: list[Subscriptions] = field(init=False)
    events: list[Events] = field(init=False)

    def __post_init__(self) -> None:
        self.kept = [Subscriptions(each, SealedRows(each.vault, each.chain)) for each in self.workers]
        self.events = [Events(each) for each in self.workers]

    def begin(self, owner: bytes = b"app", state: State = State.ACTIVE) -> Subscription:
        return self.kept[0].begin(owner, TERMS, pseudonym=b"", state=state, until_s=None)

    def store(self, *names: str, version: int = 1) -> None:
        """Place versions of resources, as a deposit does."""
        node = self.workers[0]
        records = {name: RecordId(name.encode().rjust(16)) for name in names}
        versions = [
            NewVersion(record, version, ANN, f"Observation/{name}", 1, b"{}") for name, record in records.items()
        ]
        with node.vault.database.writing() as connection:
            newest = resources.fold(connection, Keyed(node.keys.lookup), versions)
            changes.note(connection, newest.values())

    def oldest(self) -> tuple[list[int], list[changes.Change]]:
        with self.workers[0].vault.database.reading() as connection:
            return changes.oldest(connection)

    def count(self, table: str) -> int:
        with self.workers[0].vault.database.reading() as connection:
            statement = select(func.count()).select_from(schema.metadata.tables[table])
            return connection.scalar(statement) or 0

    def happen(self, subscription: Subscription, *names: str) -> None:
        """Make stored resources a subscription's events."""
        self.store(*names)
        numbers, changed = self.oldest()
        self.events[0].begin(numbers, [(subscription, each.found) for each in changed])


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("world"), organisations=(HOSPITAL,)) as made:
        yield made


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.services)])
def vaults(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Vault]]:
    """Two vaults on one new database."""
    folder = tmp_path_factory.mktemp("vaults")
    is_sqlite = request.param == "sqlite"
    url = f"sqlite:///{folder}/shared.db" if is_sqlite else request.getfixturevalue("postgres").new_database()
    made = [on_database(url, folder) for _ in range(2)]
    with made[0].database.writing() as connection:
        schema.prepare(connection)
    yield made
    for each in made:
        each.database.close()


@pytest.fixture
def rows(hospital: World, vaults: list[Vault]) -> Rows:
    later_s, node = [0], hospital.hospital
    with vaults[0].database.writing() as connection:
        for table in (*TABLES, schema.resources):
            connection.execute(delete(table))
    clock = node.clock
    return Rows([dataclasses.replace(node, vault=each, clock=lambda: clock() + later_s[0]) for each in vaults], later_s)


def test_changes_are_noted_only_while_somebody_subscribes(rows: Rows) -> None:
    rows.store("a")
    assert rows.count("node_changes") == 0
    begun = rows.begin()
    rows.store("b")
    assert [each.found.logical_id for each in rows.oldest()[1]] == ["b"]
    rows.kept[0].settle(begun, state=State.OFF)
    rows.store("c")
    assert rows.count("node_changes") == 1


def test_versions_that_follow_each_other_are_one_change(rows: Rows) -> None:
    rows.begin()
    rows.store("a")
    rows.store("a", version=2)
    numbers, (change,) = rows.oldest()
    assert (len(numbers), change.found.version, change.is_created, change.is_updated) == (2, 2, True, True)


def test_of_two_workers_one_has_a_subscription_until_it_gives_it_back_or_its_time_is_over(rows: Rows) -> None:
    begun = rows.begin()
    first, second = (each.lease_due(limit=5) for each in rows.kept)
    assert ([each.id for each in first], second) == ([begun.id], [])
    rows.kept[0].settle(begun, state=State.ACTIVE)
    assert rows.kept[1].lease_due(limit=5) == []  # nothing to tell
    rows.happen(begun, "a")
    assert [len(each.lease_due(limit=5)) for each in reversed(rows.kept)] == [1, 0]
    rows.later_s[0] = LEASE_S + 1  # the worker that had it was killed
    assert len(rows.kept[0].lease_due(limit=5)) == 1


def test_workers_that_lease_at_once_never_have_the_same(rows: Rows) -> None:
    begun = [rows.begin(bytes([number])).id for number in range(6)]
    had: list[list[Subscription]] = [[], []]
    barrier = threading.Barrier(2)

    def lease(number: int) -> None:
        barrier.wait()
        for _ in range(6):
            had[number] += rows.kept[number].lease_due(limit=2)

    threads = [threading.Thread(target=lease, args=(number,)) for number in range(2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(each.id for of in had for each in of) == sorted(begun)


def test_two_workers_that_look_at_the_same_changes_keep_each_event_once(rows: Rows) -> None:
    begun = rows.begin()
    rows.store("a", "b")
    numbers, changed = rows.oldest()
    rows.store("c")
    more, all_changed = rows.oldest()
    rows.events[0].begin(numbers, [(begun, each.found) for each in changed])
    with pytest.raises(NotNow):
        rows.events[1].begin(more, [(begun, each.found) for each in all_changed])
    assert [each.found.logical_id for each in rows.oldest()[1]] == ["c"]  # nothing was lost of what was new to it
    assert rows.count("node_subscription_events") == 2


def test_numbers_follow_each_other_and_stay(rows: Rows) -> None:
    begun = rows.begin()
    rows.happen(begun, "a", "b", "c")
    waiting = rows.events[0].waiting(begun, limit=2)
    assert rows.events[0].number(begun, [each.place for each in waiting]) == {waiting[0].place: 1, waiting[1].place: 2}
    again = rows.events[1].waiting(begun, limit=5)
    assert [each.number for each in again] == [1, 2]  # what was sent comes first, by itself
    rows.events[1].received([each.place for each in again])
    (last,) = rows.events[0].waiting(begun, limit=5)
    assert rows.events[0].number(begun, [last.place]) == {last.place: 3}
    assert [each.number for each in rows.events[0].between(begun, 2, 9, limit=9)] == [2, 3]
    found = rows.kept[0].find(begun.id)
    assert found is not None
    assert found.told == 3


def test_what_was_changed_meanwhile_stays_as_it_was_changed(rows: Rows) -> None:
    begun = rows.begin()
    (leased,) = rows.kept[0].lease_due(limit=1)
    rows.kept[1].replace(begun, TERMS, state=State.OFF, until_s=None)
    rows.kept[0].settle(leased, state=State.ACTIVE, error="late")
    found = rows.kept[0].find(begun.id)
    assert found is not None
    assert (found.state, found.error, found.version) == (State.OFF, "", 2)


def test_one_app_has_so_many_and_no_more(rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriptions, "OWNED_MAX", 2)
    rows.begin()
    begun = rows.begin()
    with pytest.raises(Refused) as refused:
        rows.begin()
    assert refused.value.refusal is Refusal.TOO_MANY
    rows.begin(b"another")
    rows.kept[0].drop(begun)
    rows.begin()


def test_what_is_over_and_what_is_old_is_swept(rows: Rows) -> None:
    begun, until_s = rows.begin(), rows.workers[0].clock() + 60
    short = rows.kept[0].begin(b"b", TERMS, pseudonym=b"", state=State.ACTIVE, until_s=until_s)
    rows.later_s[0] = 61
    assert rows.kept[0].find(short.id) is None
    rows.happen(begun, "a", "b")
    rows.events[0].received([rows.events[0].waiting(begun, limit=1)[0].place])
    rows.events[0].log(begun, Attempt(rows.workers[0].clock(), "handshake", 0, 0, "received"))
    subscriptions.sweep(rows.workers[0])
    assert rows.count("node_subscriptions") == 1
    rows.later_s[0] += subscriptions.KEPT_S + 10
    subscriptions.sweep(rows.workers[1])
    assert (rows.count("node_subscription_events"), rows.events[0].deliveries(limit=9)) == (1, [])


def test_the_log_of_deliveries_is_read_from_the_newest_on(rows: Rows) -> None:
    begun, other = rows.begin(), rows.begin()
    for subscription, outcomes in ((begun, ("status 500", "received")), (other, ("connection",))):
        for outcome in outcomes:
            rows.events[0].log(subscription, Attempt(7, "event-notification", 1, 1, outcome))
    read = rows.events[1].deliveries(limit=2)
    assert [(each.subscription, each.attempt.outcome) for each in read] == [
        (other.id, "connection"),
        (begun.id, "received"),
    ]
    assert [each.attempt.outcome for each in rows.events[1].deliveries(before=read[-1].number, limit=2)] == [
        "status 500"
    ]
    assert len(rows.events[1].deliveries(of=begun.id, limit=9)) == 2


@pytest.mark.promise("P3")
def test_what_it_is_about_is_sealed(rows: Rows) -> None:
    terms = Terms(b"Patient/ann", TERMS.tenure)
    kept = rows.kept[0].begin(b"app", terms, pseudonym=b"", state=State.ACTIVE, until_s=None)
    with rows.workers[0].vault.database.reading() as connection:
        (row,) = connection.execute(select(schema.subscriptions)).all()
    assert b"ann" not in b"".join(each for each in row if isinstance(each, bytes))
    assert kept.terms.body == b"Patient/ann"
    with rows.workers[0].vault.database.writing() as connection:
        connection.execute(update(schema.subscriptions).values(subscription=b"another"))
    with pytest.raises(SealBroken):
        rows.kept[1].find(b"another")
