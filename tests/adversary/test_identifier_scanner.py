"""The identifier scanner: finds nobody on a ledger that people live on (P1, P7), and finds whoever is planted."""

import base64
import logging
import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from salus.contracts.consent import FileConsent, WithdrawConsent
from salus.contracts.membership import KeyUse, PublishFile
from salus.contracts.patients import Enrol, Holder
from salus.contracts.provisions import Gate, Purpose, RoleClass
from salus.contracts.residuals import CertifiedSession, Session
from salus.crypto.hashing import leaf_hash, sha256
from salus.crypto.signing import SigningKey
from salus.engines.store import LmdbReader
from salus.ledger.identifiers import Digest, OrganisationId, Pseudonym, PublicKey
from salus.node.assemble import Node
from salus.node.people import OpenSession
from salus.node.services.enrol import custodian_held_key
from salus.node.services.request import Wish, request
from salus.testing.crowd import MEMBERS, Crowd, crowd, settle
from salus.testing.identifier_scanner import (
    Owner,
    public_texts,
    scan_files,
    scan_links,
    scan_rows,
    scan_texts,
)
from salus.testing.needles import Finding, Needle, Needles, kept_needles, needles_of
from salus.testing.node_scanner import expected_in_names, most_by_chance, object_names, scan_names, scan_node
from salus.testing.population import people
from salus.testing.world import world

SEED = 3


@dataclass
class Inhabited:
    """A closed world: where it was, who lived in it, what its nodes said meanwhile."""

    folder: Path
    crowd: Crowd
    kept: Needles
    log: str


def owners(made: Crowd) -> dict[Pseudonym, Owner]:
    return {
        pseudonym: Owner(inhabitant.person.index, organisation)
        for inhabitant in made.inhabitants
        for organisation, pseudonym in inhabitant.pseudonyms.items()
    }


def inhabited(folder: Path, count: int) -> Inhabited:
    heard: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: heard.append(record.getMessage())  # type: ignore[method-assign]
    root, level = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        with crowd(folder, seed=SEED, count=count) as made:
            kept = Needles(each for node in made.world.nodes.values() for each in kept_needles(node.vault))
            logging.getLogger("salus.probe").debug("the recorder hears")
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    return Inhabited(folder, made, kept, "\n".join(heard))


@pytest.fixture(
    scope="module",
    params=[pytest.param(60, id="60 people"), pytest.param(1000, id="1000 people", marks=pytest.mark.long)],
)
def lived(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Inhabited:
    return inhabited(tmp_path_factory.mktemp("lived"), request.param)


@pytest.fixture(scope="module")
def reader(lived: Inhabited) -> Iterator[LmdbReader]:
    opened = LmdbReader(lived.folder / "ledger")
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def needles(lived: Inhabited, reader: LmdbReader) -> Needles:
    return Needles(everything_of(lived), public=public_of(reader))


def everything_of(lived: Inhabited) -> Iterator[Needle]:
    return (needle for inhabitant in lived.crowd.inhabitants for needle in needles_of(inhabitant.person))


def public_of(reader: LmdbReader) -> set[str]:
    with reader.snapshot() as snapshot:
        return public_texts(snapshot)


@pytest.mark.promise("P1")
def test_no_row_of_the_ledger_tells_who_anybody_is(reader: LmdbReader, needles: Needles, lived: Inhabited) -> None:
    assert len(needles) > 100 * len(lived.crowd.inhabitants)
    with reader.snapshot() as snapshot:
        assert list(scan_rows(snapshot, needles)) == []


@pytest.mark.promise("P1")
def test_no_byte_of_the_ledgers_files_tells_either(lived: Inhabited, needles: Needles) -> None:
    assert list(scan_files(lived.folder / "ledger", needles)) == []


@pytest.mark.promise("P1", "P2")
def test_nothing_that_a_vault_keeps_is_on_the_ledger(reader: LmdbReader, lived: Inhabited) -> None:
    assert len(lived.kept) > 1000
    with reader.snapshot() as snapshot:
        assert list(scan_rows(snapshot, lived.kept)) == []


@pytest.mark.promise("P1")
def test_the_ledger_has_no_text_but_what_members_say_of_themselves(reader: LmdbReader) -> None:
    with reader.snapshot() as snapshot:
        public = public_texts(snapshot)
        assert public == {
            "salus-test",
            "",
            *MEMBERS,
            *(f"Organisation {member}" for member in MEMBERS),
        }
        assert list(scan_texts(snapshot, public=public)) == []


@pytest.mark.promise("P7")
def test_nothing_links_two_pseudonyms(reader: LmdbReader, lived: Inhabited) -> None:
    known = owners(lived.crowd)
    assert len(known) > len({owner.person for owner in known.values()})
    with reader.snapshot() as snapshot:
        assert scan_links(snapshot, known) == []


@pytest.mark.promise("P3", "P4")
def test_databases_objects_and_journals_of_the_nodes_tell_nothing(lived: Inhabited, needles: Needles) -> None:
    """Nothing but what chance writes into names of objects; see the next test.

    A run of 1,000 people found "date of birth" four times in one database. All bytes of such a world were looked at,
    for every day since 1900 in both orders of eight digits: 14 stood there, each in one name of an object, which is in
    four places (`vault_records.object_name`, `vault_objects.name` and their indexes), and none anywhere else. 31,709
    names of 16 random bytes give 31,709 × 25 × 92,772 / 16^8 = 17 by chance; for the 1,964 forms of the birthdays it
    is 0.36, so three runs in ten find one, four times.
    """
    for member in MEMBERS:
        folder = lived.folder / member.lower()
        assert (folder / "node.db").stat().st_size > 0
        assert list(scan_node(folder, needles)) == []


@pytest.mark.promise("P3", "P4")
def test_names_of_objects_say_no_more_than_chance(lived: Inhabited, needles: Needles) -> None:
    names = {name for member in MEMBERS for name in object_names(lived.folder / member.lower())}
    assert len(names) > 25 * len(lived.crowd.inhabitants)
    found = Counter(finding.kind for finding in scan_names(names, needles))
    expected = expected_in_names(len(names), needles)
    assert {kind: n for kind, n in found.items() if n > most_by_chance(expected[kind])} == {}


@pytest.mark.promise("P4")
def test_the_nodes_logs_tell_nothing(lived: Inhabited, needles: Needles) -> None:
    assert "the recorder hears" in lived.log
    assert list(needles.found("log", lived.log.encode())) == []


# What is planted is found


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crowd]:
    with world(tmp_path_factory.mktemp("planted"), organisations=MEMBERS) as made:
        yield settle(made, people(SEED, 8))


@dataclass
class Target:
    """Somebody whom a careless or dishonest custodian gives away."""

    node: Node
    pseudonym: Pseudonym
    number: str
    born: str
    name: str
    record: bytes
    code: str


@pytest.fixture(scope="module")
def target(planted: Crowd) -> Target:
    someone = next(each for each in planted.inhabitants if len(each.pseudonyms) > 1)
    member, pseudonym = next(iter(someone.pseudonyms.items()))
    person = someone.person
    return Target(
        node=planted.world.nodes[member],
        pseudonym=pseudonym,
        number=person.nhs_number.digits,
        born=person.birth_date,
        name=f"{person.given[0]} {person.family}",
        record=person.charts[0].resources[1],
        code="4241000179101",
    )


def found_rows(planted: Crowd) -> Counter[str]:
    with planted.world.engine.snapshot() as snapshot:
        needles = Needles(needle for each in planted.inhabitants for needle in needles_of(each.person))
        return Counter(finding.kind for finding in scan_rows(snapshot, needles))


def new_commitment() -> Digest:
    return Digest(secrets.token_bytes(32))


def choose(target: Target, *, choice: bytes = b"", commitment: bytes = b"") -> None:
    """File and withdraw a choice, so that what was planted is in leaves and transactions only."""
    message = FileConsent(
        pseudonym=target.pseudonym,
        choice=choice or secrets.token_bytes(16),
        gate=Gate(),
        commitment=Digest(commitment.ljust(32, b"\0")[:32]) if commitment else new_commitment(),
        evidence_on_day=1,
    )
    key = custodian_held_key(target.node, target.pseudonym)
    target.node.submit_signed((message,), (key,))
    withdrawal = WithdrawConsent(
        pseudonym=target.pseudonym, choice=message.choice, commitment=new_commitment(), evidence_on_day=1
    )
    target.node.submit_signed((withdrawal,), (key,))


PLANTS: dict[str, tuple[Callable[[Target], bytes], str]] = {
    "the number as text": (lambda on: on.number.encode(), "NHS number"),
    "the number in groups": (lambda on: f"{on.number[:3]} {on.number[3:6]} {on.number[6:]}".encode(), "NHS number"),
    "the number as an integer": (lambda on: int(on.number).to_bytes(8, "big"), "NHS number"),
    "the number in base64, at any place": (lambda on: base64.b64encode(b"?" + on.number.encode()), "NHS number"),
    "the number packed": (lambda on: b"\0" + bytes.fromhex(on.number), "NHS number"),
    "the date of birth": (lambda on: on.born.replace("-", "").encode(), "date of birth"),
    "a name in capitals": (lambda on: on.name.upper().encode(), "name"),
    "a code of a record": (lambda on: on.code.encode(), "text of a record"),
    "SHA-256 of the number": (lambda on: sha256(on.number.encode()), "unsalted hash of identifier"),
    "its leaf hash, cut short": (lambda on: leaf_hash(on.number.encode())[:16], "unsalted hash of identifier"),
    "SHA-256 of number and birth": (lambda on: sha256((on.number + on.born).encode()), "unsalted hash of identifier"),
    "SHA-256 of a record": (lambda on: sha256(on.record), "hash of a record"),
}


@pytest.mark.parametrize("name", PLANTS)
def test_a_planted_identifier_is_found(planted: Crowd, target: Target, name: str) -> None:
    plant, kind = PLANTS[name]
    before = found_rows(planted)[kind]
    choose(target, commitment=plant(target))
    assert found_rows(planted)[kind] > before


def test_a_planted_text_is_found(planted: Crowd, target: Target) -> None:
    target.node.submit(PublishFile(organisation=target.node.organisation, name="ward-7", digest=Digest(bytes(32))))
    with planted.world.engine.snapshot() as snapshot:
        found = list(scan_texts(snapshot, public=public_texts(snapshot)))
    assert Finding("message", "text that is not public") in found


def test_a_planted_record_id_is_found(planted: Crowd, target: Target) -> None:
    kept = Needles(kept_needles(target.node.vault))
    choose(target, choice=target.node.vault.records(target.pseudonym)[0].record_id)
    with planted.world.engine.snapshot() as snapshot:
        assert {finding.kind for finding in scan_rows(snapshot, kept)} == {"record id"}


TOGETHER = "two pseudonyms of one person together"
OF_ONE = "value shared by two pseudonyms of one person"
OF_OTHERS = "value shared by pseudonyms of different persons"


class Newcomers:
    """People who are enrolled badly on purpose: each of `who` is (person, member)."""

    def __init__(self, crowd: Crowd, *who: tuple[int, OrganisationId]) -> None:
        self.crowd = crowd
        self.owners = {Pseudonym(secrets.token_bytes(16)): Owner(person, member) for person, member in who}
        self.nodes = [crowd.world.nodes[member] for _, member in who]

    def enrol(self, *keys: SigningKey, together: bool = False) -> None:
        """Enrol everybody, each with the next key, in one transaction or each in their own."""
        messages = [
            Enrol(name, node.organisation, PublicKey(key.public), Holder.CUSTODIAN, Digest(b""), new_commitment())
            for name, node, key in zip(self.owners, self.nodes, keys, strict=True)
        ]
        signers = [(node.signing(KeyUse.TRANSACTION), key) for node, key in zip(self.nodes, keys, strict=True)]
        if together:
            unique = dict.fromkeys(key for pair in signers for key in pair)
            self.nodes[0].submit_signed(tuple(messages), tuple(unique))
            return
        for node, message, pair in zip(self.nodes, messages, signers, strict=True):
            node.submit_signed((message,), pair)

    def choose(
        self, keys: Sequence[SigningKey], *, choice: bytes = b"", commitment: bytes = b"", together: bool = False
    ) -> None:
        """Let each file a choice with the same id or the same commitment, in one transaction or each in their own."""
        messages = [
            FileConsent(
                pseudonym=name,
                choice=choice or secrets.token_bytes(16),
                gate=Gate(),
                commitment=Digest(commitment or new_commitment()),
                evidence_on_day=1,
            )
            for name in self.owners
        ]
        if together:
            self.nodes[0].submit_signed(tuple(messages), tuple(keys))
            return
        for node, message, key in zip(self.nodes, messages, keys, strict=True):
            node.submit_signed((message,), (key,))

    def ask(self, requester: OrganisationId) -> None:
        """Let one clinician, in one session, ask for each of them."""
        node, session = self.crowd.world.nodes[requester], SigningKey.generate()
        for name, holding in zip(self.owners, self.nodes, strict=True):
            opened = OpenSession(session, SESSION, self.crowd.clinicians[requester].certificate)
            request(node, opened, Wish(name, holding.organisation, RoleClass.CLINICAL, Purpose.TREAT))

    def links(self) -> set[str]:
        """What the scanner says of them."""
        with self.crowd.world.engine.snapshot() as snapshot:
            return {finding.kind for finding in scan_links(snapshot, self.owners)}


SESSION = CertifiedSession(Session(PublicKey(bytes(32)), MEMBERS[0], 0, 1), bytes(64))
A, B = MEMBERS[0], MEMBERS[1]


def two_keys() -> tuple[SigningKey, SigningKey]:
    return SigningKey.generate(), SigningKey.generate()


@pytest.mark.promise("P7")
def test_separate_enrolments_of_one_person_are_not_linked(planted: Crowd) -> None:
    newcomers = Newcomers(planted, (1, A), (1, B))
    newcomers.enrol(*two_keys())
    assert newcomers.links() == set()


def test_a_shared_key_is_found(planted: Crowd) -> None:
    newcomers, key = Newcomers(planted, (1, A), (1, B)), SigningKey.generate()
    newcomers.enrol(key, key)
    assert newcomers.links() == {OF_ONE}


def test_a_key_shared_by_two_people_is_found(planted: Crowd) -> None:
    newcomers, key = Newcomers(planted, (1, A), (2, A)), SigningKey.generate()
    newcomers.enrol(key, key)
    assert newcomers.links() == {OF_OTHERS}


def test_two_pseudonyms_in_one_transaction_are_found(planted: Crowd) -> None:
    newcomers = Newcomers(planted, (1, A), (1, B))
    newcomers.enrol(*two_keys(), together=True)
    assert newcomers.links() == {TOGETHER, OF_ONE}


def test_two_people_of_one_custodian_may_share_a_transaction(planted: Crowd) -> None:
    newcomers, keys = Newcomers(planted, (1, A), (2, A)), two_keys()
    newcomers.enrol(*keys, together=True)
    newcomers.choose(keys, together=True)
    assert newcomers.links() == set()


@pytest.mark.parametrize("what", ["choice", "commitment"])
def test_a_shared_choice_is_found(planted: Crowd, what: str) -> None:
    newcomers, keys = Newcomers(planted, (1, A), (1, B)), two_keys()
    newcomers.enrol(*keys)
    shared = {"choice": secrets.token_bytes(16), "commitment": secrets.token_bytes(32)}[what]
    newcomers.choose(keys, **{what: shared})
    assert newcomers.links() == {OF_ONE}


def test_one_session_for_two_pseudonyms_of_one_person_is_found(planted: Crowd) -> None:
    newcomers = Newcomers(planted, (1, A), (1, B))
    newcomers.enrol(*two_keys())
    newcomers.ask(MEMBERS[2])
    assert newcomers.links() == {OF_ONE}


def test_one_session_for_two_people_of_one_custodian_is_allowed(planted: Crowd) -> None:
    newcomers = Newcomers(planted, (1, A), (2, A))
    newcomers.enrol(*two_keys())
    newcomers.ask(MEMBERS[2])
    assert newcomers.links() == set()
