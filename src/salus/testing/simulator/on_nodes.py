"""Two nodes on one engine: deposits, choices, requests, releases, broken asks, lost connections, crashes, erasure.

After each step the new blocks are audited; what a release brings is compared with the plain model of it.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final

from salus.clinical.fhir.resources import parse
from salus.contracts import CONTRACTS
from salus.contracts.genesis import FirstPolicy, Genesis, genesis_rows
from salus.contracts.membership import KeyUse
from salus.contracts.provisions import Purpose, RoleClass, Verb, decode_tree
from salus.contracts.residuals import Scope
from salus.crypto.hashing import sha256
from salus.engines.base import Founding
from salus.engines.embedded import EmbeddedEngine
from salus.ledger.encoding import encode
from salus.ledger.identifiers import OrganisationId, PermitId
from salus.node.config import PersonLimits
from salus.node.errors import NotNow, Refusal, Refused
from salus.node.exchange import Answer, Ask, PartAccept, PartAsk, StreamAsk
from salus.node.fsck import check_node
from salus.node.journal import PartKey, State
from salus.node.keys import generate
from salus.node.local_peers import LocalPeers
from salus.node.people import OpenSession, certify_person, open_session
from salus.node.people import Person as Staff
from salus.node.services import anchor, choices, deposit, enrol, erase
from salus.node.services.match import match
from salus.node.services.own_care import open_for_own_staff
from salus.node.services.receive import receive
from salus.node.services.request import Denied, Granted, Wish, request
from salus.testing.auditor import Auditor
from salus.testing.auditor.canonical import encode as encode_plain
from salus.testing.auditor.hashes import tagged
from salus.testing.clock import FakeClock
from salus.testing.population.numbers import kept_nhs_number
from salus.testing.simulator.cast import LABELS, plain_tree, policy_tree
from salus.testing.simulator.comparison import Disagreement, expect_same
from salus.testing.simulator.in_memory import Seen
from salus.testing.simulator.node_model import Asked, Kept, NodeModel, Person
from salus.testing.simulator.on_engine import Audit
from salus.testing.world import HOSPITAL, PRACTICE, World, make_genesis

CODES: Final = (HOSPITAL, PRACTICE)
BORN: Final = "1980-02-29"
PEOPLE_MAX: Final = 8
FRESH_MS: Final = 4_000
FRESH_WAIT_S: Final = 20


class BrokenPeers:
    """Peers that lose the connection: before an ask arrives, or after it was answered."""

    def __init__(self, peers: LocalPeers, *, at: int, is_after: bool) -> None:
        self._peers = peers
        self._left = at
        self._is_after = is_after

    def ask(self, organisation: OrganisationId, ask: Ask) -> Answer:
        """Ask, or lose the connection."""
        self._left -= 1
        if self._left == 0 and not self._is_after:
            raise NotNow("the connection was lost")
        answer = self._peers.ask(organisation, ask)
        if self._left == 0:
            raise NotNow("the answer was lost")
        return answer

    def stream(self, organisation: OrganisationId, ask: StreamAsk) -> Iterator[bytes]:
        """Receive sealed segments."""
        return self._peers.stream(organisation, ask)


@dataclass(frozen=True)
class Fetch:
    """A permit that was given, with all that its holder needs."""

    granted: Granted
    asked: Asked


TIRELESS = PersonLimits(emergencies_max=1_000_000, sessions_max=1_000_000)
"""What a node counts of people is no rule of the ledger, which is what the model knows."""


class OnNodes:
    """One run over a ledger and two nodes."""

    def __init__(self, chance: Random, folder: Path) -> None:
        keys = {code: generate() for code in CODES}
        policies = [FirstPolicy(code, (policy_tree(chance),)) for code in ("", HOSPITAL) if chance.random() < 0.4]
        genesis = make_genesis(keys, policies=policies)
        self.clock = FakeClock(genesis.time_s + 60)
        key = keys[HOSPITAL].signing(KeyUse.CONSENSUS)
        self.engine = EmbeddedEngine(folder / "ledger", _founding(genesis), key, self.clock)
        self.world = World(folder, genesis, self.engine, keys, person_limits=TIRELESS)
        for code in CODES:
            self.world.open_node(code, clock=self._now_s)
        self.audit = Audit(Auditor(encode(genesis)))
        self.model = NodeModel(self.audit.auditor, HOSPITAL)
        self.staff: list[tuple[str, Staff, RoleClass]] = []
        self.fetches: list[Fetch] = []
        self._chance = chance
        self._numbers = [kept_nhs_number(place) for place in range(PEOPLE_MAX)]
        self._steps: tuple[tuple[int, Callable[[], None]], ...] = (
            (2, self._enrol),
            (6, self._deposit),
            (5, self._file),
            (2, self._withdraw),
            (2, self._match),
            (1, self._certify),
            (8, self._request),
            (12, self._receive),
            (4, self._receive_and_lose),
            (6, self._ask_badly),
            (4, self._anchor),
            (3, self._pass_time),
            (2, self._crash),
            (1, self._erase),
        )

    def step(self) -> None:
        """Do one thing, then audit what it brought. Raises Disagreement."""
        (step,) = self._chance.choices([work for _, work in self._steps], [weight for weight, _ in self._steps])
        step()
        with self.engine.snapshot() as snapshot:
            self.audit.follow(snapshot)

    def finish(self) -> None:
        """Finish everything, compare everything, and let both nodes check themselves."""
        deposit.redrive(self.world.hospital)
        for node in self.world.nodes.values():
            anchor.anchor(node, close=frozenset(fetch.granted.permit for fetch in self.fetches))
        with self.engine.snapshot() as snapshot:
            self.audit.follow(snapshot)
            self.audit.look_at_all(snapshot)
        for code, node in self.world.nodes.items():
            expect_same(f"findings at {code}", [str(each) for each in check_node(node, self._place(code))], [])

    def close(self) -> None:
        """End everything."""
        for code in CODES:
            self._close_node(code)
        self.engine.close()

    def _now_s(self) -> int:
        return self.clock.wall_ns() // 1_000_000_000

    def _place(self, code: OrganisationId) -> Path:
        return self.world.folder / code.lower()

    # At the hospital

    def _enrol(self) -> None:
        number = self._chance.choice(self._numbers)
        known = enrol.find(self.world.hospital, number)
        try:
            pseudonym = enrol.enrol(self.world.hospital, number, BORN)
        except Refused as refused:
            expect_same("enrolled again", (refused.refusal, known is None), (Refusal.ALREADY_ENROLLED, False))
            return
        expect_same("enrolled already", known, None)
        self.model.people[pseudonym] = Person(pseudonym)

    def _somebody(self) -> Person | None:
        return self._chance.choice(list(self.model.people.values())) if self.model.people else None

    def _deposit(self) -> None:
        person = self._somebody()
        if person is None:
            return
        bodies = [self._body() for _ in range(self._chance.choice((1, 1, 2, 5)))]
        filed = deposit.deposit(self.world.hospital, person.pseudonym, [parse(body) for body, _, _ in bodies])  # type: ignore[arg-type]
        roots = {
            (each.entry.record, each.entry.version): each.batch_root
            for each in deposit.placed_entries(self.world.hospital, person.pseudonym)  # type: ignore[arg-type]
        }
        for each, (body, record_class, labels) in zip(filed, bodies, strict=True):
            version = (each.record, each.version)
            if not each.is_new:
                expect_same("the same deposit again", person.kept[version].body, body)
            person.kept[version] = Kept(body, record_class, labels, roots[version])

    def _body(self) -> tuple[bytes, str, list[str]]:
        labels = [label for label in LABELS if self._chance.random() < 0.3]
        security = [{"system": label.split("|")[0], "code": label.split("|")[1]} for label in labels]
        record_class = self._chance.choice(("Composition", "Observation", "Condition"))
        content = {
            "resourceType": record_class,
            "id": f"r{self._chance.randrange(12)}",
            "meta": {"security": security} if labels else {"source": "x"},
            "language": self._chance.choice(("en", "en", "cy")),
        }
        return json.dumps(content).encode(), record_class, labels

    def _file(self) -> None:
        person = self._somebody()
        if person is None:
            return
        tree = plain_tree(self._chance, depth=2, codes=CODES)
        before = self._chosen(person)
        try:
            choices.file_by_custodian(self.world.hospital, person.pseudonym, decode_tree(encode_plain(tree)))  # type: ignore[arg-type]
        except Refused as refused:
            expect_same("choices before a refusal", (refused.refusal, len(before)), (Refusal.LEDGER_REJECTED, 8))
            return
        self._follow()
        (new,) = self._chosen(person) - before
        person.trees[new] = tree

    def _withdraw(self) -> None:
        person = self._somebody()
        row = self.audit.auditor.table("consent.choices").get(encode_plain(person.pseudonym)) if person else None
        if person is not None and row is not None and row[1]:
            choice = self._chance.choice(row[1])[0]
            choices.withdraw_by_custodian(self.world.hospital, person.pseudonym, choice)  # type: ignore[arg-type]

    def _chosen(self, person: Person) -> set[bytes]:
        row = self.audit.auditor.table("consent.choices").get(encode_plain(person.pseudonym), [0, []])
        return {choice[2] for choice in row[1]}

    def _erase(self) -> None:
        person = self._somebody()
        if person is None or self._chance.random() < 0.5:
            return
        erase.erase(self.world.hospital, person.pseudonym)  # type: ignore[arg-type]
        for code in CODES:
            erase.follow_tombstones(self.world.nodes[code])
        del self.model.people[person.pseudonym]
        self.fetches = [fetch for fetch in self.fetches if fetch.granted.terms.pseudonym != person.pseudonym]

    # At the practice, and own staff

    def _certify(self) -> None:
        code = self._chance.choice(CODES)
        role = self._chance.choice((RoleClass.CLINICAL, RoleClass.CLINICAL, RoleClass.ADMINISTRATIVE))
        node = self.world.nodes[code]
        self.staff.append((code, certify_person(node, name="N", role="R", registration="1", role_class=role), role))

    def _session(self) -> tuple[str, OpenSession, RoleClass] | None:
        if not self.staff:
            return None
        code, person, role = self._chance.choice(self.staff)
        until_s = self._chance.choice((60, 43_200))
        session = open_session(
            person.key, person.certificate, custodian=HOSPITAL, from_s=self._now_s(), duration_s=until_s
        )
        return code, session, role

    def _match(self) -> None:
        found, number = self._session(), self._chance.choice(self._numbers)
        if found is None:
            return
        born = self._chance.choice((BORN, BORN, "1980-02-28"))
        known = enrol.find(self.world.hospital, number)
        asking = OrganisationId(found[0])
        peers, node = self.world.peers(asking), self.world.nodes[asking]
        came = match(node, peers, HOSPITAL, found[1], number, date_of_birth=born)
        expect_same("match", came, known if born == BORN else None)

    def _request(self) -> None:
        person, found = self._somebody(), self._session()
        if person is None or found is None:
            return
        code, session, role = found
        asked_role = role if self._chance.random() < 0.9 else RoleClass.CLINICAL
        purpose = self._chance.choice((Purpose.TREAT, Purpose.TREAT, Purpose.ETREAT, Purpose.BTG, Purpose.HRESCH))
        classes = self._chance.choice(((), (), (), ("Observation",)))
        duration_s = self._chance.choice((30, 900))
        wish = Wish(person.pseudonym, HOSPITAL, asked_role, purpose, Verb.READ, Scope(classes), "", duration_s)  # type: ignore[arg-type]
        if code == HOSPITAL:
            self._open_own(session, wish, role)
            return
        answer = request(self.world.practice, session, wish)
        outcome = self._last_event(person.pseudonym)[5]
        if isinstance(answer, Denied):
            expect_same("denied", (605, int(answer.reason)), (outcome[0], outcome[7]))
            return
        expect_same("permitted", 601, outcome[0])
        self.fetches = [*self.fetches[-12:], Fetch(answer, _asked(answer.permit, code, session, role, classes))]

    def _open_own(self, session: OpenSession, wish: Wish, role: RoleClass) -> None:
        """Own staff opens own records at once."""
        self._wait_until_fresh()
        try:
            came = open_for_own_staff(self.world.hospital, session, wish)
        except Refused as refused:
            expect_same("own staff refused", (refused.refusal, wish.role_class == role), (Refusal.PERSON_UNFIT, False))
            return
        leaf = self._last_event(wish.pseudonym)
        if isinstance(came, Denied):
            expect_same("own staff denied", (605, int(came.reason)), (leaf[5][0], leaf[5][7]))
            return
        permit = tagged("salus/permit/1", leaf[2], leaf[3].to_bytes(4, "big"))[:16]
        asked = _asked(permit, HOSPITAL, session, role, wish.scope.classes)
        wanted = self.model.released(asked, time_s=self._later_of_both_s())
        got = {(each.placed.entry.record, each.placed.entry.version): each.content for each in came}
        expect_same("records opened", sorted(got.items()), sorted(wanted.items()))

    def _receive(self) -> None:
        if self.fetches:
            self._fetch(self._chance.choice(self.fetches))

    def _fetch(self, fetch: Fetch) -> None:
        self._wait_until_fresh()
        code = OrganisationId(fetch.asked.requester)
        time_s = self._later_of_both_s()
        is_refused = self.model.refuses(fetch.asked, time_s=time_s)
        try:
            came = list(receive(self.world.nodes[code], self.world.peers(code), fetch.granted))
        except Refused as refused:
            if not is_refused:
                raise Disagreement(f"refused and alive: {refused.refusal.name} {refused.words}") from refused
            return
        expect_same("released and dead", False, is_refused)  # noqa: FBT003 -- two facts
        wanted = {version: sha256(body) for version, body in self.model.released(fetch.asked, time_s=time_s).items()}
        got = {(each.placed.entry.record, each.placed.entry.version): sha256(each.content) for each in came}
        expect_same("records released", sorted(got.items()), sorted(wanted.items()))
        self._check_receipts(fetch)

    def _check_receipts(self, fetch: Fetch) -> None:
        key = PartKey(fetch.granted.permit, 1)
        own = self.world.hospital.custodian_journal.line(key)
        other = self.world.nodes[OrganisationId(fetch.asked.requester)].requester_journal.line(key)
        assert own is not None
        assert other is not None
        expect_same("receipts", (own.state, other.state, own.receipt), (State.SENT, State.OPENED, other.receipt))

    def _receive_and_lose(self) -> None:
        """Lose the connection in the middle; the same permit can be asked again."""
        if not self.fetches:
            return
        self._wait_until_fresh()
        fetch = self._chance.choice(self.fetches)
        code = OrganisationId(fetch.asked.requester)
        is_refused = self.model.refuses(fetch.asked, time_s=self._later_of_both_s())
        peers = BrokenPeers(
            self.world.peers(code), at=self._chance.choice((1, 2)), is_after=self._chance.random() < 0.5
        )
        with suppress(NotNow, Refused):
            came = list(receive(self.world.nodes[code], peers, fetch.granted))
            raise Disagreement(f"{len(came)} records over a lost connection")
        if not is_refused:
            self.model.released(fetch.asked, time_s=self._later_of_both_s())
            self._fetch(fetch)

    def _ask_badly(self) -> None:
        """An ask that is not what the permit is for is refused, whatever it is."""
        if not self.fetches:
            return
        self._wait_until_fresh()
        granted = self._chance.choice(self.fetches).granted
        good = PartAsk(granted.permit, granted.height, 1, granted.residual, granted.reader_key.public)
        other = self._chance.choice(self.fetches).granted
        asks: list[tuple[OrganisationId, Ask]] = [
            (granted.terms.requester, PartAsk(good.permit, good.height, 99, good.residual, good.reader_key)),
            (granted.terms.requester, PartAsk(good.permit, good.height, 1, good.residual, bytes(32))),
            (granted.terms.requester, PartAccept(good.permit, 1, bytes(64))),
            (granted.terms.requester, PartAccept(good.permit, 7, bytes(64))),
            (PRACTICE if granted.terms.requester == HOSPITAL else HOSPITAL, good),
            (granted.terms.requester, PartAsk(PermitId(bytes(16)), good.height, 1, good.residual, good.reader_key)),
        ]
        if other.permit != granted.permit:
            mixed = PartAsk(good.permit, good.height, 1, other.residual, good.reader_key)
            asks.append((granted.terms.requester, mixed))
        sender, ask = self._chance.choice(asks)
        try:
            answer = LocalPeers(sender, self.world.nodes).ask(HOSPITAL, ask)
        except Refused:
            return
        raise Disagreement(f"a bad ask was answered: {type(ask).__name__} {type(answer).__name__}")

    # Both

    def _anchor(self) -> None:
        closing = [fetch.granted.permit for fetch in self.fetches if self._chance.random() < 0.2]
        for node in self.world.nodes.values():
            anchor.anchor(node, close=frozenset(closing))

    def _pass_time(self) -> None:
        self.clock.advance(self._chance.choice((1, 5, 31, 60, 901, 3_600, 43_200)))

    def _crash(self) -> None:
        """End a worker without another word, and begin one on what it left."""
        code = self._chance.choice(CODES)
        self._close_node(code)
        self.world.open_node(code, clock=self._now_s)
        deposit.redrive(self.world.nodes[code])

    def _close_node(self, code: OrganisationId) -> None:
        node = self.world.nodes[code]
        node.custodian_journal.close()
        node.requester_journal.close()
        node.vault.database.close()

    def _wait_until_fresh(self) -> None:
        """Time was moved by hand: the next header needs a moment."""
        until_s = time.monotonic() + FRESH_WAIT_S
        while self.engine.status().header_age_ms > FRESH_MS:
            if time.monotonic() > until_s:
                raise Disagreement("no block comes any more")
            time.sleep(0.001)
        self._follow()

    def _follow(self) -> None:
        with self.engine.snapshot() as snapshot:
            self.audit.follow(snapshot)

    def _later_of_both_s(self) -> int:
        return max(self._now_s(), self.audit.auditor.time_s)

    def _last_event(self, pseudonym: bytes) -> list[Any]:
        self._follow()
        history = self.audit.auditor.table("machine.history")[encode_plain(pseudonym)]
        return self.audit.auditor.event(pseudonym, history[0] - 1)


def _asked(permit: bytes, code: str, session: OpenSession, role: RoleClass, classes: tuple[str, ...]) -> Asked:
    until_s = session.certified.session.until_s
    return Asked(permit, code, bytes(session.certificate.root()), int(role), until_s, classes)


def _founding(genesis: Genesis) -> Founding:
    return Founding(genesis.chain, CONTRACTS, genesis.time_s, tuple(genesis_rows(genesis)))


def simulate_nodes(seed: int, steps: int, folder: Path) -> Seen:
    """Do so many things of a seed with two nodes. Raises Disagreement."""
    run = OnNodes(Random(seed), folder)  # noqa: S311 -- reproducible by its seed
    try:
        for _ in range(steps):
            run.step()
        run.finish()
    finally:
        run.close()
    return run.audit.seen
