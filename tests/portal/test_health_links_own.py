"""Links whose tickets the patient's own device signed: one at each custodian, and what each lets go."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import msgspec
import pytest
from httpx2 import ASGITransport, AsyncClient

from salus.contracts import tickets
from salus.contracts.access import AccessPermitted, Basis
from salus.contracts.gathering import read_trail
from salus.contracts.provisions import Provision, ProvisionType, Purpose, encode_tree
from salus.ledger.identifiers import Pseudonym, PublicKey
from salus.node.errors import Refusal, Refused
from salus.node.sealed_rows import SealedRows
from salus.node.services.collect import Collections
from salus.node.services.health_links import MadeLink, WantedLink
from salus.node.services.signer_answers import Signed
from salus.node.services.signer_requests import EndTicket, NewTicket
from salus.portal.app import THREADS
from salus.portal.shared_link import encoded
from salus.sdk.wallet import sign_revocation, sign_ticket
from salus.testing.world import HOSPITAL, PRACTICE
from tests.portal.links_world import PASSCODE, WANTED, Desk
from tests.portal.portal_world import NAMES, ORIGIN, Hospital, portal
from tests.portal.second_custodian import Manner


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    """The same where Eleanor's own device holds her keys."""
    with portal(tmp_path_factory.mktemp("portal"), is_joined=True) as made:
        yield made


def signed_for(desk: Desk, item: NewTicket) -> Signed:
    """What the patient's device signs for a link."""
    assert desk.here.joined is not None
    wallet = desk.here.joined[1].wallet
    mine = next(each for each in wallet.relationships if each.pseudonym == item.pseudonym)
    ticket = sign_ticket(
        wallet,
        mine,
        item.tree,
        resources=item.resources,
        audience=item.audience,
        uses_max=item.uses_max,
        time_s=desk.node.clock(),
        expires_at_s=item.expires_at_s,
    )
    return Signed(ticket.message, ticket.raw, ticket.residual, bearer=ticket.bearer)


def give(desk: Desk, wanted: WantedLink, *custodians: str) -> MadeLink:
    """Have the patient's device sign a link to records at custodians, and put it in force."""
    assert desk.here.joined is not None
    mine = {each.custodian: each.pseudonym for each in desk.here.joined[1].wallet.relationships}
    of = [(each, mine[each]) for each in custodians]
    items = desk.links.to_sign(desk.login(), of, wanted, audience="https://portal.example/link")
    signed = [signed_for(desk, each) for each in items]
    return desk.links.take(desk.login(), desk.here.patient, wanted, signed, peers=desk.here.portal.peers)


@pytest.mark.promise("R1", "R4")
def test_a_link_that_the_patients_own_device_signed_opens_by_the_patients_right(own: Hospital) -> None:
    """For no care: whatever is asked for, the decision lets nothing go but what the ticket's rules permit."""
    desk = Desk(own)
    wanted = msgspec.structs.replace(WANTED, classes=("Observation",), is_only=True)
    made = give(desk, wanted, HOSPITAL)
    assert {each["resourceType"] for each in desk.read(made)} == {"Composition", "Patient", "Observation"}
    opened = desk.openings.open(made.secret, desk.ask())
    assert opened.login.purpose is Purpose.PATRQT
    everything = encode_tree(Provision(ProvisionType.PERMIT, purposes=(Purpose.PATRQT,)))
    wider = desk.document(made, msgspec.structs.replace(opened, tree=everything))
    assert {each["resourceType"] for each in wider} == {"Composition", "Patient", "Observation"}
    desk.links.stop(desk.login(), own.patient, made.name)
    assert desk.refused(made.secret) is Refusal.NOT_YOURS


def test_a_ticket_of_another_relationship_makes_no_link_here(own: Hospital) -> None:
    desk = Desk(own)
    assert own.joined is not None
    there = next(each for each in own.joined[1].wallet.relationships if each.custodian == PRACTICE)
    of = [(HOSPITAL, own.patient), (PRACTICE, there.pseudonym)]
    items = desk.links.to_sign(desk.login(), of, WANTED, audience="https://portal.example/link")
    signed = signed_for(desk, items[1])
    with pytest.raises(Refused, match="make the link once more"):
        desk.links.take(desk.login(), own.patient, WANTED, [signed], peers=own.portal.peers)


def organisations(resources: list[dict[str, Any]]) -> list[str]:
    return [each["display"] for each in resources[0]["author"]]


@pytest.mark.promise("R1", "P7")
def test_one_link_has_a_ticket_at_each_custodian_and_shows_what_each_lets_go(own: Hospital) -> None:
    desk = Desk(own)
    made = give(desk, WANTED, HOSPITAL, PRACTICE)
    assert made.custodians == (HOSPITAL, PRACTICE)
    one, other = desk.link(made).kept.tickets
    assert one.ticket != other.ticket
    resources = desk.read(made)
    assert organisations(resources) == [NAMES[HOSPITAL], NAMES[PRACTICE]]
    assert [each["resourceType"] for each in resources].count("Patient") == 2
    with own.made.practice.engine.snapshot() as reader:
        permit = next(
            each.outcome
            for each in reversed(read_trail(reader, Pseudonym(other.pseudonym)))
            if isinstance(each.outcome, AccessPermitted)
        )
    assert (permit.requester, permit.basis, permit.ticket) == (HOSPITAL, Basis.TICKET, other.ticket)

    ends = desk.links.stop(desk.login(), own.patient, made.name)
    assert [(each.custodian, each.ticket) for each in ends] == [(PRACTICE, other.ticket)]
    desk.links.take_ends([ended_for(desk, each) for each in ends], peers=own.portal.peers)
    with own.made.practice.engine.snapshot() as reader:
        row = tickets.TICKETS.get(reader, PublicKey(other.ticket))
    assert row is not None
    assert row.is_revoked


def ended_for(desk: Desk, item: EndTicket) -> Signed:
    """What the patient's device signs to end a ticket."""
    assert desk.here.joined is not None
    wallet = desk.here.joined[1].wallet
    mine = next(each for each in wallet.relationships if each.pseudonym == item.pseudonym)
    ended = sign_revocation(wallet, mine, item.ticket, time_s=desk.node.clock())
    return Signed(ended.message, ended.raw, ended.residual)


@pytest.mark.parametrize("manner", [Manner.WAITS, Manner.IS_DOWN])
def test_a_custodian_that_does_not_answer_is_named_and_keeps_nobody_waiting(
    own: Hospital, monkeypatch: pytest.MonkeyPatch, manner: Manner
) -> None:
    monkeypatch.setattr("salus.node.services.link_openings.LOOKS", 2)
    desk = Desk(own)
    made = give(desk, WANTED, HOSPITAL, PRACTICE)
    assert own.joined is not None
    with own.joined[0].being(manner):
        resources = desk.read(made)
    assert organisations(resources) == [NAMES[HOSPITAL]]
    silent = resources[0]["section"][-1]
    assert (silent["title"], silent["author"]) == ("Did not answer", [{"display": NAMES[PRACTICE]}])
    desk.links.stop(desk.login(), own.patient, made.name)


def test_a_custodian_that_does_not_take_its_ticket_is_not_in_the_link(own: Hospital) -> None:
    desk = Desk(own)
    assert own.joined is not None
    with own.joined[0].being(Manner.IS_DOWN):
        made = give(desk, WANTED, HOSPITAL, PRACTICE)
    assert made.custodians == (HOSPITAL,)
    assert organisations(desk.read(made)) == [NAMES[HOSPITAL]]
    desk.links.stop(desk.login(), own.patient, made.name)


def test_forty_openings_that_wait_for_others_stop_no_page(own: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    """More of them than the portal has threads wait at one time, in none of these, and pages come meanwhile."""
    monkeypatch.setattr("salus.node.services.link_openings.LOOKS", 120)
    desk = Desk(own)
    made = give(desk, WANTED, HOSPITAL, PRACTICE)
    assert own.joined is not None
    practice, transport = own.joined[0], ASGITransport(own.portal.app(), client=("192.0.2.77", 50_000))

    async def open_once(client: AsyncClient) -> int:
        body = {"recipient": "x", "passcode": PASSCODE, "embeddedLengthMax": 10_000_000}
        return (await client.post(f"/link/{encoded(made.secret)}", json=body)).status_code

    async def at_once() -> list[int]:
        async with AsyncClient(transport=transport, base_url=ORIGIN, timeout=120) as client:
            with practice.being(Manner.WAITS):
                opening = [asyncio.create_task(open_once(client)) for _ in range(40)]
                until_s = time.monotonic() + 50
                while len(desk.link(made).uses) < THREADS + 4:
                    assert time.monotonic() < until_s, "they wait in the portal's threads"
                    await asyncio.sleep(0.05)
                assert (await asyncio.wait_for(client.get("/sign-in"), 20)).status_code == 200
                assert sum(not each.done() for each in opening) >= THREADS + 4
            return await asyncio.gather(*opening)

    statuses = asyncio.run(at_once())
    assert set(statuses) <= {200, 503}  # each has one of the link's tries while it is looked at, and is counted
    assert statuses.count(200) > THREADS
    desk.links.stop(desk.login(), own.patient, made.name)


def test_an_opening_waits_for_whom_another_worker_asks(own: Hospital) -> None:
    """The address of a file may come to another worker than the opening did."""
    desk = Desk(own)
    made = give(desk, WANTED, HOSPITAL, PRACTICE)
    opened = desk.openings.open(made.secret, desk.ask())
    desk.openings = desk.on(own.node)
    with closing(Collections(own.node, SealedRows(own.node.vault, own.node.chain), own.portal.peers)) as another:
        desk.openings._collections = another
        assert organisations(desk.document(made, opened)) == [NAMES[HOSPITAL], NAMES[PRACTICE]]
    desk.links.stop(desk.login(), own.patient, made.name)
