"""Own proofs over a real socket: a member without a ledger process gets what is its own, and learns nothing else."""

import secrets
from collections.abc import Iterator
from contextlib import closing
from types import SimpleNamespace

import msgspec
import pytest

from salus.contracts import membership
from salus.contracts.membership import KeyUse, LedgerAccess, Propose, PublishFile, Remove
from salus.crypto.hashing import sha256
from salus.crypto.signing import SigningKey
from salus.ledger import transactions
from salus.ledger.encoding import encode
from salus.ledger.identifiers import Digest, OrganisationId
from salus.ledger.transactions import Message
from salus.ledger.verifier import VerificationFailed
from salus.node.errors import NotNow, Refusal, Refused
from salus.node.founding import trust_root
from salus.node.http_signatures import RequestHead, SignedRequest, sign_request
from salus.node.ledger_answers import HEADER_PATH, OUTCOME_PATH, PATHS, PROOF_PATH, SUBMIT_PATH, At, Named
from salus.node.services import own_proofs
from salus.node.validator_ledger import Validator, ValidatorLedger
from salus.testing.world import HOSPITAL, PRACTICE
from tests.api.attacker import Came, raw
from tests.api.exchange_world import STRANGER, SUSPENDED, Served, served_world

pytestmark = [pytest.mark.services, pytest.mark.promise("L5", "R4")]

INSURER = STRANGER
"""A member that keeps no ledger: here it uses nothing of its own node."""
UNKNOWN = Digest(bytes(32))
PER_MINUTE = 60


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served_world(tmp_path_factory.mktemp("own"), own_proofs_per_minute=PER_MINUTE * 10) as made:
        yield made


@pytest.fixture
def insurer(served: Served) -> Iterator[ValidatorLedger]:
    with closing(end(served, INSURER)) as made:
        yield made


def end(served: Served, member: OrganisationId, *, http_key: bytes = b"") -> ValidatorLedger:
    """A member's end at the hospital, which validates."""
    world = served.world
    key = http_key or world.keys[HOSPITAL].signing(KeyUse.HTTP).public
    validator = Validator(HOSPITAL, f"http://127.0.0.1:{served.ports[HOSPITAL]}", "", key)
    root = trust_root(world.genesis)
    return ValidatorLedger(member, world.keys[member].signing(KeyUse.HTTP), validator, root)


def signed(served: Served, member: OrganisationId, message: Message | None = None) -> bytes:
    """A transaction of a member."""
    told = message or PublishFile(member, "terms", Digest(sha256(secrets.token_bytes(8))))
    now_s = served.world.nodes[HOSPITAL].clock()
    key = served.world.keys[member].signing(KeyUse.TRANSACTION)
    nonce = secrets.token_bytes(16)
    return transactions.sign([told], chain=served.world.genesis.chain, keys=[key], expires_at_s=now_s + 60, nonce=nonce)


def executed(served: Served, raw_: bytes) -> Digest:
    """The hash of a transaction that the ledger has executed."""
    served.world.engine.submit(raw_)
    return transactions.transaction_hash(raw_)


def request(
    served: Served, path: str, body: bytes, *, member: OrganisationId = INSURER, key: SigningKey | None = None
) -> SignedRequest:
    """A signed request to the hospital."""
    head = RequestHead(path, member, HOSPITAL, sha256(body))
    signing = key or served.world.keys[member].signing(KeyUse.HTTP)
    created_s = served.world.nodes[HOSPITAL].clock()
    return sign_request(head, signing, created_s=created_s, nonce=secrets.token_bytes(16))


def sent(served: Served, path: str, body: bytes, asked: SignedRequest) -> Came:
    return raw(served, "POST", path, body, asked.fields())


def refused(insurer: ValidatorLedger, name: Digest) -> tuple[Refusal, str]:
    with pytest.raises(Refused) as caught:
        insurer.outcome(name)
    return caught.value.refusal, caught.value.words


def test_what_a_member_submits_is_told_and_proved_to_it(served: Served, insurer: ValidatorLedger) -> None:
    raw_ = signed(served, INSURER)
    told = insurer.submit(raw_)
    name = transactions.transaction_hash(raw_)
    assert told.code == 0
    assert insurer.outcome(name).leaves == told.leaves
    [proved] = insurer.proved(name)
    assert (proved.leaf.transaction, proved.index) == (name, told.first_leaf)
    assert insurer.submit(raw_).leaves == told.leaves


def test_a_rejection_of_its_own_is_told_too(served: Served, insurer: ValidatorLedger) -> None:
    told = insurer.submit(signed(served, INSURER, Propose(INSURER, Remove(OrganisationId("NOBODY")), 1)))
    assert told.code > 1


def test_what_names_a_member_is_its_own(served: Served, insurer: ValidatorLedger) -> None:
    proposal = Propose(HOSPITAL, Remove(INSURER), served.world.nodes[HOSPITAL].clock() + 86_400)
    name = executed(served, signed(served, HOSPITAL, proposal))
    assert insurer.outcome(name).leaves


@pytest.mark.promise("R4")
def test_anothers_outcome_is_answered_as_what_never_was(served: Served, insurer: ValidatorLedger) -> None:
    anothers = executed(served, signed(served, PRACTICE))
    assert refused(insurer, anothers) == refused(insurer, UNKNOWN) == (Refusal.NOT_YOURS, own_proofs.NOT_YOURS)
    for path in (OUTCOME_PATH, PROOF_PATH):
        bodies = [encode(Named(name)) for name in (anothers, UNKNOWN)]
        came = [sent(served, path, body, request(served, path, body)) for body in bodies]
        assert came[0].status == came[1].status == 404
        assert came[0].body == came[1].body


def test_anothers_transaction_is_not_taken(served: Served, insurer: ValidatorLedger) -> None:
    for raw_ in (signed(served, PRACTICE), b"junk"):
        with pytest.raises(Refused) as caught:
            insurer.submit(raw_)
        assert caught.value.refusal == Refusal.NOT_YOURS
    assert served.world.engine.submit(signed(served, PRACTICE)).code == 0


def test_where_the_body_was_pruned_what_the_outcome_names_is_left(
    served: Served, insurer: ValidatorLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_proofs, "read_transaction", lambda *_: b"")
    assert insurer.outcome(executed(served, signed(served, INSURER))).leaves
    rejected = executed(served, signed(served, INSURER, Propose(INSURER, Remove(OrganisationId("NOBODY")), 1)))
    assert refused(insurer, rejected)[0] == Refusal.NOT_YOURS


def test_the_age_of_the_state_is_that_of_the_newest_verified_header(served: Served, insurer: ValidatorLedger) -> None:
    assert insurer.age_s() == float("inf")
    block = insurer.header()
    assert block.header
    assert insurer.age_s() < 60
    height = served.world.engine.status().height
    assert insurer.header(height).validators == block.validators
    with pytest.raises(Refused):
        insurer.header(height + 1000)


def test_an_answer_of_somebody_else_is_none(served: Served) -> None:
    with closing(end(served, INSURER, http_key=SigningKey.generate().public)) as deceived:
        with pytest.raises(NotNow, match="is not RVJ's answer"):
            deceived.header()
        assert deceived.age_s() == float("inf")


def test_a_header_that_is_not_signed_as_trusted_counts_for_nothing(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = own_proofs.header

    def changed(*arguments: object) -> object:
        block = honest(*arguments)  # type: ignore[arg-type]
        return msgspec.structs.replace(block, header=block.header[:-1] + bytes([block.header[-1] ^ 1]))

    monkeypatch.setattr(own_proofs, "header", changed)
    with closing(end(served, INSURER)) as deceived:
        with pytest.raises(VerificationFailed):
            deceived.header()
        assert deceived.age_s() == float("inf")


BODIES = {SUBMIT_PATH: b"junk", OUTCOME_PATH: encode(Named(UNKNOWN)), PROOF_PATH: encode(Named(UNKNOWN)),
          HEADER_PATH: encode(At(0))}  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_who_is_no_current_member_is_not_heard(served: Served, path: str) -> None:
    body, stranger_key = BODIES[path], SigningKey.generate()
    rows = [
        ("another's key", request(served, path, body, member=PRACTICE, key=stranger_key), 401),
        ("a member's key in another's name", request(served, path, body, member=PRACTICE,
                                                     key=served.world.keys[INSURER].signing(KeyUse.HTTP)), 401),
        ("a suspended member", request(served, path, body, member=SUSPENDED), 403),
        ("a device", request(served, path, body, member=OrganisationId(""), key=stranger_key), 403),
        ("another path", request(served, "/ledger/1/other", body), 401),
        ("another body", request(served, path, body + b"!"), 401),
    ]  # fmt: skip
    assert {name: sent(served, path, body, asked).status for name, asked, _ in rows} == {
        name: status for name, _, status in rows
    }


@pytest.mark.parametrize("path", PATHS)
def test_a_replayed_request_is_not_heard_again(served: Served, path: str) -> None:
    asked = request(served, path, BODIES[path])
    first = sent(served, path, BODIES[path], asked)
    again = sent(served, path, BODIES[path], asked)
    assert first.status != 409
    assert (again.status, again.refusal) == (409, Refusal.REPLAYED)


@pytest.mark.parametrize("body", [b"", b"\x90", encode((bytes(31),)), encode((bytes(32), 1))])
def test_what_is_no_question_is_refused(served: Served, body: bytes) -> None:
    came = sent(served, OUTCOME_PATH, body, request(served, OUTCOME_PATH, body))
    assert (came.status, came.refusal) == (400, Refusal.MESSAGE_UNFIT)


def test_who_does_not_validate_gives_nothing_out(
    served: Served, insurer: ValidatorLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Observing:
        def get(self, reader: object, name: OrganisationId) -> object:
            row = membership.ORGANISATIONS.get(reader, name)  # type: ignore[arg-type]
            assert row is not None
            return msgspec.structs.replace(row, access=LedgerAccess.OBSERVER)

    monkeypatch.setattr(own_proofs, "membership", SimpleNamespace(ORGANISATIONS=Observing()))
    with pytest.raises(Refused) as caught:
        insurer.header()
    assert caught.value.refusal == Refusal.NOT_A_VALIDATOR


@pytest.mark.promise("L6")
def test_a_member_that_floods_is_told_to_wait_and_others_are_not(tmp_path_factory: pytest.TempPathFactory) -> None:
    with served_world(tmp_path_factory.mktemp("flood"), own_proofs_per_minute=PER_MINUTE) as tight:
        came = []
        for _ in range(PER_MINUTE + 5):
            body = BODIES[HEADER_PATH]
            came.append(sent(tight, HEADER_PATH, body, request(tight, HEADER_PATH, body)))
        told = [(each.status, each.fields.get("retry-after")) for each in came]
        assert (429, "1") in told
        assert told.count((429, "1")) < 6
        body = BODIES[HEADER_PATH]
        assert sent(tight, HEADER_PATH, body, request(tight, HEADER_PATH, body, member=PRACTICE)).status == 200
