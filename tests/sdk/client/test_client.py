"""The client library against a real server over TLS: each plan by both clients, and each way in which they fail."""

import asyncio
import json
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import httpx2
import msgspec
import pytest

from salus.contracts.provisions import Provision, ProvisionType, Purpose, RoleClass
from salus.contracts.ticket_bearers import Resources
from salus.ledger.verifier import VerificationFailed
from salus.node.founding import trust_root
from salus.node.services.anchor import anchor
from salus.sdk import wallet
from salus.sdk.client import AsyncClient, BackendService, Client, GivenToken, Rejected, Unavailable, fhir, native
from salus.sdk.client.plans import Ask, Came, Plan, asked, failure_of, resolved
from salus.sdk.client.signing_in import Token
from salus.sdk.wallet import SignedTicket
from salus.testing.world import HOSPITAL
from tests.api.fhir.fhir_world import observation
from tests.sdk.client.client_world import Integrator, signing_in

pytestmark = pytest.mark.services

Run = Callable[..., Any]


def in_a_thread(here: Integrator, who: Any, plan: Plan[Any]) -> Any:
    with Client(here.here.base, who, tls=here.here.trust) as client:
        return client.run(plan)


def in_a_task(here: Integrator, who: Any, plan: Plan[Any]) -> Any:
    async def done() -> Any:
        async with AsyncClient(here.here.base, who, tls=here.here.trust) as client:
            return await client.run(plan)

    return asyncio.run(done())


@pytest.fixture(params=[in_a_thread, in_a_task], ids=["sync", "async"])
def run(request: pytest.FixtureRequest, here: Integrator) -> Run:
    def carried(plan: Plan[Any], who: Any = None) -> Any:
        return request.param(here, who or here.clinical, plan)

    return carried


# FHIR


def test_a_resource_is_created_read_changed_and_deleted(run: Run) -> None:
    weight = observation(valueQuantity={"value": Decimal("70.10"), "unit": "kg"})
    made = run(fhir.create(weight))
    assert made.value["valueQuantity"]["value"].as_tuple() == Decimal("70.10").as_tuple()
    assert run(fhir.read("Observation", made.id)).body == made.body
    changed = run(fhir.update(made.value | {"status": "amended"}, if_match=made.etag))
    assert (changed.value["status"], changed.etag) == ("amended", 'W/"2"')
    with pytest.raises(Rejected) as stale:
        run(fhir.update(changed.body, if_match=made.etag))
    assert stale.value.status == 412
    run(fhir.delete("Observation", made.id))
    with pytest.raises(Rejected) as gone:
        run(fhir.read("Observation", made.id))
    assert (gone.value.status, gone.value.code) == (410, "deleted")


def test_a_search_goes_through_its_pages(run: Run) -> None:
    query = {"patient": "ann", "_id": "o0,o1,o2,o3,o4", "_count": "2", "_include": "Observation:subject"}
    first = run(fhir.search("Observation", query))
    assert (len(first.hits), [each.id for each in first.included], bool(first.next)) == (2, ["ann"], True)
    second = run(fhir.next_page(first))
    assert {each.id for each in first.hits}.isdisjoint(each.id for each in second.hits)
    everything = run(fhir.search_all("Observation", query))
    assert sorted(each.id for each in everything) == ["o0", "o1", "o2", "o3", "o4"]


def test_a_transaction_is_done_whole_or_not_at_all(run: Run) -> None:
    one, other = (observation(identifier=[{"system": "urn:t", "value": f"{name}{time.time_ns()}"}]) for name in "ab")
    answers = run(fhir.transaction([fhir.Request("POST", "Observation", each) for each in (one, other)]))
    assert [(each.status, each.etag) for each in answers] == [(201, 'W/"1"')] * 2
    names = [each.location.split("/")[-3] for each in answers]
    assert sorted(each.id for each in run(fhir.search_all("Observation", {"_id": ",".join(names)}))) == sorted(names)
    bad = observation(status="no-such-status", identifier=[{"system": "urn:t", "value": "bad"}])
    with pytest.raises(Rejected):
        run(fhir.transaction([fhir.Request("POST", "Observation", each) for each in (one, bad)]))
    assert run(fhir.search_all("Observation", {"identifier": "urn:t|bad"})) == []


def test_an_export_is_begun_followed_fetched_and_ended(run: Run) -> None:
    status = run(fhir.begin_export("/Patient", {"_type": "Observation"}))
    done = run(fhir.export_status(status))
    for _attempt in range(50):
        if isinstance(done, fhir.Manifest):
            break
        time.sleep(0.1)
        done = run(fhir.export_status(status))
    assert isinstance(done, fhir.Manifest), done
    found = [each for file in done.files for each in run(fhir.export_file(file))]
    assert {"o0", "o1", "o2", "o3", "o4"} <= {each.id for each in found}
    run(fhir.end_export(status))
    with pytest.raises(Rejected):
        run(fhir.export_status(status))


# The native API


@pytest.mark.promise("L5", "R5")
def test_a_history_and_its_receipts_are_verified_here(run: Run, here: Integrator) -> None:
    ann = GivenToken(here.token)
    run(fhir.read("Observation", "o0"), ann)
    anchor(here.here.node)
    whole = run(native.history(here.trust, now_s=int(time.time())), ann)
    assert (whole.faults, len(whole.receipts) > 0) == ((), True)
    names = run(native.receipt_names(), ann)
    one = run(native.receipt(names[0], here.trust, now_s=int(time.time())), ann)
    assert (one.permit.hex(), one.part) == (names[0].permit, names[0].part)


def test_a_history_under_another_trust_is_not_believed(here: Integrator) -> None:
    other = trust_root(msgspec.structs.replace(here.here.genesis, chain="another"))
    with pytest.raises(VerificationFailed):
        in_a_thread(here, GivenToken(here.token), native.history(other, now_s=int(time.time())))


def test_the_ledger_is_read(run: Run, here: Integrator) -> None:
    assert run(native.status()).organisation == HOSPITAL
    service = signing_in(here.here.feed, scope="salus/ledger")
    with pytest.raises(Rejected) as refused:  # it was registered for system/*.cruds, and for no more
        run(native.members(), service)
    assert refused.value.code == "invalid_scope"


TO_THE_FEED = Provision(
    ProvisionType.PERMIT, organisations=(HOSPITAL,), role_classes=(RoleClass.SYSTEM,), purposes=(Purpose.TREAT,)
)


def signed(here: Integrator) -> SignedTicket:
    now_s = int(time.time())
    return wallet.sign_ticket(
        here.mine,
        here.ann,
        TO_THE_FEED,
        resources=(Resources("Observation", ("read", "search")),),
        audience=here.here.base,
        uses_max=5,
        time_s=now_s,
        expires_at_s=now_s + 600,
    )


@pytest.mark.promise("R3")
def test_a_ticket_of_the_wallet_is_delivered_used_and_ended(run: Run, here: Integrator) -> None:
    ann, ticket = GivenToken(here.token), signed(here)
    name = run(native.deliver_ticket(ticket), ann).ticket
    assert run(native.ticket(name), ann).state == "in force"
    assert name in [each.ticket for each in run(native.tickets(), ann)]
    holder = signing_in(here.here.feed, ticket=ticket.bearer)
    assert run(fhir.read("Observation", "o0"), holder).id == "o0"
    with pytest.raises(Rejected):
        run(fhir.read("Patient", "ann"), holder)
    run(native.end_ticket(name), ann)
    with pytest.raises(Rejected) as ended:
        run(fhir.read("Observation", "o0"), holder)
    assert (ended.value.status, ended.value.code) == (400, "invalid_grant")


def test_a_ticket_for_care_is_given(run: Run, here: Integrator) -> None:
    given = run(
        native.give_care_ticket(
            organisations=(HOSPITAL,),
            role_class="clinical",
            resources=({"type": "Observation", "interactions": ["read"]},),
            uses_max=1,
            expires_at_s=int(time.time()) + 60,
        ),
        GivenToken(here.token),
    )
    assert given.bearer.count(".") == 2
    assert given.bearer not in repr(given)


# How it fails


def test_the_rules_say_no_with_a_reason(run: Run, here: Integrator) -> None:
    for plan, who, status in (
        (fhir.read("Observation", "nobodys"), None, 404),
        (fhir.create({"resourceType": "Observation"}), None, 422),
        (native.members(), GivenToken(here.token), 403),
        (native.ticket("0" * 64), GivenToken(here.token), 404),
        (fhir.read("Observation", "o0"), GivenToken("x" * 43), 401),
    ):
        with pytest.raises(Rejected) as refused:
            run(plan, who)
        assert refused.value.status == status
        assert "expected" in refused.value.words or refused.value.words


def test_who_is_not_there_is_unavailable() -> None:
    nowhere = Client("https://127.0.0.1:9/FHIR/R4", GivenToken("x" * 43))
    with nowhere as client, pytest.raises(Unavailable, match="does not answer"):
        client.run(fhir.read("Observation", "o0"))


def test_a_server_whose_certificate_nobody_signed_is_not_spoken_to(here: Integrator) -> None:
    with Client(here.here.base, here.clinical) as client, pytest.raises(Unavailable):
        client.run(fhir.read("Observation", "o0"))


# What is in no server


@pytest.mark.parametrize(
    ("came", "kind", "words"),
    [
        (Came(429, b"", {"retry-after": "7"}), Unavailable, "not now"),
        (Came(503, b""), Unavailable, "not now"),
        (Came(500, b""), Unavailable, "not now"),
        (Came(302, b"", {"location": "https://evil.example"}), Unavailable, "does not expect"),
        (Came(404, b'{"refusal":29,"words":"w"}'), Rejected, "404: w"),
        (Came(400, b'{"error":"invalid_grant","error_description":"w"}'), Rejected, "400: w"),
        (Came(403, b'{"resourceType":"OperationOutcome","issue":[{"code":"forbidden"}]}'), Rejected, "403"),
        (Came(404, b"<html>"), Rejected, "no reason"),
    ],
)
def test_what_an_answer_means(came: Came, kind: type[Exception], words: str) -> None:
    failure = failure_of(came)
    assert type(failure) is kind
    assert words in str(failure)
    assert getattr(failure, "retry_after_s", 0) == (7 if came.status == 429 else 0)


@pytest.mark.parametrize(
    ("url", "want"),
    [
        ("/Patient/a", "https://north.example/FHIR/R4/Patient/a"),
        ("//api/1/status", "https://north.example/api/1/status"),
        ("https://north.example/FHIR/R4?x", "https://north.example/FHIR/R4?x"),
        *((each, None) for each in ("https://evil.example/x", "http://north.example/x", "https://north.example.evil/x",
                                    "https://north.example@evil.example/x", "x", "")),
    ],
)  # fmt: skip
def test_a_token_goes_to_its_own_server_only(url: str, want: str | None) -> None:
    if want is not None:
        assert resolved("https://north.example/FHIR/R4", url) == want
        return
    with pytest.raises(Unavailable, match="of another"):
        resolved("https://north.example/FHIR/R4", url)


class Twice:
    """Signs in with a token that has ended, and then with one that has not."""

    can_renew = True

    def __init__(self) -> None:
        self.given = iter(("old", "new"))

    def token(self, base: str, *, now_s: float) -> Plan[Token]:
        yield from ()
        return Token(next(self.given))


def test_a_token_that_has_ended_is_renewed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        shown.append(request.headers["authorization"])
        return httpx2.Response(200 if shown[-1] == "Bearer new" else 401, content=b"{}")

    client = Client("https://north.example/FHIR/R4", Twice())
    client._http = httpx2.Client(transport=httpx2.MockTransport(answer))
    assert client.run(asked(Ask("GET", "/x"), 200)).status == 200
    assert shown == ["Bearer old", "Bearer new"]


def test_nothing_that_lets_in_is_in_a_repr() -> None:
    service = BackendService("app", {"kty": "OKP", "d": "secret"}, ticket="bearer-secret")
    for each in (
        service,
        GivenToken("secret-token"),
        Token("secret-token"),
        Ask("GET", "/", b"secret", {"a": "secret"}),
    ):
        assert "secret" not in repr(each)


def test_a_body_goes_out_to_the_last_decimal() -> None:
    plan = fhir.create({"resourceType": "Observation", "valueDecimal": Decimal("1.10")})
    assert json.loads(next(plan).body, parse_float=str) == {"resourceType": "Observation", "valueDecimal": "1.10"}
