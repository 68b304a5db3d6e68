"""Subscriptions over websockets, against a server on a real socket: what is told, and how a socket ends."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import select

from salus.api.exchange.serve import GRACE_S, listen
from salus.api.fhir import sockets
from salus.api.fhir.serve import fhir_beside
from salus.contracts.provisions import Verb
from salus.node import schema
from salus.node.listen_settings import FhirListen
from salus.node.projections import resources
from salus.node.sealed_rows import SealedRows
from salus.node.services.grants import Issued
from salus.node.services.subscription_bindings import Bindings
from salus.node.services.subscription_events import WAITING_MAX
from tests.api.fhir.receiver import Receiver
from tests.api.fhir.served import served
from tests.api.fhir.socket_world import (
    WAIT_S,
    app_of_a_person,
    bound_by_token,
    deaf,
    ended,
    is_bound,
    is_received,
    nothing,
    opened,
    over_a_socket,
    row,
    search,
    token,
    told,
    topic,
    until,
    waiting,
)
from tests.api.fhir.test_subscriptions import BACKPORT, PSY, Scene

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def on(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder: Path = tmp_path_factory.mktemp("sockets")
    with served(folder) as here:
        yield Scene(here, Receiver(""))


@pytest.fixture(autouse=True)
def alone(on: Scene) -> Iterator[None]:
    """Each test begins and ends without subscriptions."""
    yield
    for each in on.ask("GET", "/Subscription").json().get("entry", []):
        on.end(each["resource"]["id"])


# What is told


def test_a_search_is_bound_by_name_and_pings(on: Scene) -> None:
    ann = on.patient()
    name = search(on, ann)
    with opened(on, "clinical") as socket:
        socket.send(f"bind {name}")
        assert socket.recv() == f"bound {name}"
        on.note(ann, f"{ann}-a")
        assert socket.recv() == f"ping {name}"
        assert nothing(socket)
    columns = schema.subscription_attempts.c
    with on.here.node.vault.database.reading() as connection:
        mine = select(columns.kind, columns.outcome).where(columns.subscription == bytes.fromhex(name))
        log = [tuple(each) for each in connection.execute(mine)]
    assert log == [("binding", "bound"), ("event-notification", "received")]


def test_a_topic_is_bound_by_a_token_and_tells_each_change_in_numbers(on: Scene) -> None:
    ann = on.patient()
    name = topic(on, ann)
    with opened(on) as socket:
        bound_by_token(on, socket, name)
        on.note(ann, f"{ann}-a")
        first = told(socket)
        on.note(ann, f"{ann}-a", status="amended")
        second = told(socket)
    assert [(each.kind, each.numbers, each.focuses) for each in (first, second)] == [
        ("event-notification", [1], [f"{ann}-a"]),
        ("event-notification", [2], [f"{ann}-a"]),
    ]
    assert second.bundle["entry"][1]["resource"]["status"] == "amended"
    assert on.ask("GET", f"/Subscription/{name}").json()["status"] == "active"


def test_no_more_is_told_than_was_asked_for(on: Scene) -> None:
    ann = on.patient()
    name = topic(on, ann, "empty")
    with opened(on) as socket:
        bound_by_token(on, socket, name)
        on.note(ann, f"{ann}-a")
        came = told(socket)
    assert (came.numbers, len(came.bundle["entry"]), ann.encode() in came.body) == ([1], 1, False)


def test_they_are_told_where_they_were_bound_last(on: Scene) -> None:
    ann = on.patient()
    names = [search(on, ann) for _ in range(2)]
    with opened(on, "clinical") as before, opened(on) as after:
        for each in names:
            before.send(f"bind {each}")  # at once: they are taken in turn
        assert [before.recv() for _ in names] == [f"bound {each}" for each in names]
        after.send(f"bind-with-token {token(on, '')}")  # of all that are the client's own
        assert {after.recv() for _ in names} == {f"bound {each}" for each in names}
        on.note(ann, f"{ann}-a")
        assert {after.recv() for _ in names} == {f"ping {each}" for each in names}
        assert nothing(before)


def test_of_two_workers_the_one_that_has_the_socket_tells(on: Scene) -> None:
    ann = on.patient()
    name = topic(on, ann, "id-only")
    with another_worker(on) as base:
        for number, at in enumerate((base, "", base), 1):
            with opened(on, at=at) as socket:
                bound_by_token(on, socket, name)
                on.note(ann, f"{ann}-{number}")
                assert told(socket).numbers == [number]
                until(partial(is_received, on, name, number))


def test_a_worker_that_comes_too_late_leaves_anothers_binding_alone(on: Scene) -> None:
    ann, node = on.patient(), on.here.node
    name = search(on, ann)
    late = sockets.Sockets(SimpleNamespace(bindings=Bindings(node, SealedRows(node.vault, node.chain))), None, None)
    with opened(on, "clinical") as socket:
        socket.send(f"bind {name}")
        assert socket.recv() == f"bound {name}"
        until(lambda: is_bound(on, name))
        with pytest.raises(sockets.SocketAway), late.connected(bytes.fromhex(name), timeout_s=1):
            pass
        assert is_bound(on, name)
        on.note(ann, f"{ann}-a")
        assert socket.recv() == f"ping {name}"


@contextmanager
def another_worker(on: Scene) -> Iterator[str]:
    """Serve the same node on another port, with what a worker has beside it; a load balancer knows both by one base."""
    files = {"certificate": str(on.here.certificate), "key": str(on.here.certificate.with_suffix(".key"))}
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        with fhir_beside(FhirListen(on.here.base, port=port, **files), listener)(on.here.node, lambda: None):
            yield f"https://127.0.0.1:{port}/FHIR/R4"


def test_what_happens_while_nobody_has_it_bound_waits(on: Scene) -> None:
    ann = on.patient()
    name = topic(on, ann)
    on.note(ann, f"{ann}-a")
    time.sleep(1)
    kept = row(on, name)
    assert (kept.tries, on.ask("GET", f"/Subscription/{name}").json()["status"]) == (0, "active")
    with opened(on) as socket:
        bound_by_token(on, socket, name)
        assert told(socket).numbers == [1]
        assert nothing(socket)


def test_more_than_may_wait_switches_it_off(on: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("salus.node.services.subscription_events.WAITING_MAX", 1)
    assert WAITING_MAX > 1
    ann = on.patient()
    name = search(on, ann)
    for letter in "ab":
        on.note(ann, f"{ann}-{letter}")
    until(lambda: waiting(on, name) > 1)  # which is noticed at the next change
    on.note(ann, f"{ann}-c")
    until(lambda: on.ask("GET", f"/Subscription/{name}").json()["status"] == "off")


def test_what_was_not_read_comes_again_under_its_number(on: Scene) -> None:
    ann = on.patient()
    patience = {"url": f"{BACKPORT}/backport-timeout", "valueUnsignedInt": 2}
    name = topic(on, ann, extension=[patience])
    with deaf(on, token(on, f"/{name}")) as answer, ThreadPoolExecutor(1) as pool:
        answered = pool.submit(answer)  # it is there; what is then told it does not read
        on.note(ann, f"{ann}-a")
        answered.result(WAIT_S)
        until(lambda: not is_bound(on, name))
    kept = row(on, name)
    assert (kept.told, kept.tries) == (1, 0)
    on.note(ann, f"{ann}-b")
    with opened(on) as socket:
        bound_by_token(on, socket, name)
        came = [told(socket)]
        if len(came[0].numbers) == 1:
            came.append(told(socket))
    assert [number for each in came for number in each.numbers] == [1, 2]


def test_a_silent_one_says_that_it_lives(on: Scene) -> None:
    ann = on.patient()
    name = topic(on, ann, extension=[{"url": f"{BACKPORT}/backport-heartbeat-period", "valueUnsignedInt": 10}])
    with opened(on) as socket:
        bound_by_token(on, socket, name)
        came = told(socket)
    assert (came.kind, came.numbers) == ("heartbeat", [])


# That the rules hold


@pytest.mark.promise("R3", "R4")
def test_after_a_withdrawal_nothing_more_arrives(on: Scene) -> None:
    ann = on.patient()
    name = topic(on, ann, "empty")
    with opened(on) as socket:
        bound_by_token(on, socket, name)
        on.note(ann, f"{ann}-a")
        assert told(socket).numbers == [1]
        on.withdraw(ann, verbs=(Verb.SUBSCRIBE,))
        on.note(ann, f"{ann}-b")
        assert nothing(socket, 2)


@pytest.mark.promise("R4", "R5")
def test_each_notification_leaves_a_receipt(on: Scene) -> None:
    ann = on.patient()
    numbered, pinged = topic(on, ann, "id-only"), search(on, ann)
    with opened(on, "clinical") as socket:
        for each in (numbered, pinged):
            socket.send(f"bind {each}")
            assert socket.recv() == f"bound {each}"
        before = receipts(on, ann)
        on.note(ann, f"{ann}-a")
        assert {socket.recv()[:4], socket.recv()[:4]} == {"ping", '{"re'}
    assert receipts(on, ann) - before == 2


def receipts(on: Scene, of: str) -> int:
    """How many there are of what was released of a patient."""
    found, journal = resources.find(on.here.node, "Patient", of), on.here.node.custodian_journal
    assert found is not None
    return sum(len(journal.permit_lines(permit)) for permit in journal.permits_of(found.pseudonym))


@pytest.mark.promise("R4")
def test_what_is_withheld_leaves_no_gap_and_no_ping(on: Scene) -> None:
    ann = on.patient()
    on.withdraw(ann, labels=(f"{PSY['system']}|{PSY['code']}",))
    numbered, pinged = topic(on, ann), search(on, ann)
    with opened(on, "clinical") as one, opened(on, "clinical") as other:
        bound_by_token(on, one, numbered)
        other.send(f"bind {pinged}")
        assert other.recv() == f"bound {pinged}"
        on.note(ann, f"{ann}-secret", meta={"security": [PSY]})
        assert (nothing(one), nothing(other)) == (True, True)
        on.note(ann, f"{ann}-b")
        assert (told(one).numbers, other.recv()) == ([1], f"ping {pinged}")


LOOKED_AT = {"when it is looked at": 0.2, "when something is to be told": 600.0}


@pytest.mark.promise("R3")
@pytest.mark.parametrize("when", LOOKED_AT)
def test_a_socket_ends_with_what_it_was_bound_under(on: Scene, when: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "LOOK_S", LOOKED_AT[when])
    let_in, ann = app_of_a_person(on), on.patient()
    first, second = let_in(), let_in()  # of the same app and person
    on.tokens |= {"first": first.access, "second": second.access}
    name = on.ask("POST", "/Subscription", over_a_socket(on, ann), "first").json()["id"]
    with opened(on) as socket:
        socket.send(f"bind-with-token {token(on, f'/{name}', 'second')}")
        assert socket.recv() == f"bound {name}"
        until(lambda: is_bound(on, name))
        end_grant(on, second)
        if LOOKED_AT[when] > 1:
            on.note(ann, f"{ann}-a")
        assert ended(socket) == (1008, "")
    assert on.ask("GET", f"/Subscription/{name}", who="first").json()["status"] == "active"
    on.note(ann, f"{ann}-a")
    with opened(on, bearer=first.access) as socket:
        socket.send(f"bind {name}")
        assert [socket.recv(), socket.recv()] == [f"bound {name}", f"ping {name}"]
    end_grant(on, first)
    third = let_in()  # what the subscription rests on has ended, what binds it has not
    with opened(on, bearer=third.access) as socket:
        socket.send(f"bind {name}")
        assert ended(socket) == (1008, "")


def end_grant(on: Scene, issued: Issued) -> None:
    with on.here.node.vault.database.writing() as connection:
        this = schema.grants.c.grant == issued.live.grant
        assert connection.execute(schema.grants.update().where(this).values(ended=1)).rowcount == 1


def test_the_end_of_the_server_is_said(tmp_path: Path) -> None:
    with ExitStack() as stack:
        with served(tmp_path) as here:
            scene = Scene(here, Receiver(""))
            name = search(scene, scene.patient())
            socket = stack.enter_context(opened(scene, "clinical"))
            socket.send(f"bind {name}")
            assert socket.recv() == f"bound {name}"
            stack.enter_context(deaf(scene, token(scene, "")))  # one that says no goodbye keeps nobody waiting
            began_s = time.monotonic()
        assert time.monotonic() - began_s < GRACE_S
        assert ended(socket) == (1012, "")
