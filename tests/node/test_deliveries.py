"""Deliveries that the ledger refuses fill no vault, whoever signs them; what is wanted stays where it is (P2, P4)."""

import dataclasses
import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from salus.contracts.consent import FileConsent
from salus.contracts.patients import AddKey, KeyKind, RemoveKey
from salus.contracts.provisions import gate
from salus.contracts.residuals import Ability, Band, DelegateTerms, Relation, commit_choice, commit_delegate, reason
from salus.contracts.tickets import IssueTicket
from salus.crypto.sealing import new_key
from salus.crypto.signing import SigningKey
from salus.engines.base import Busy, Engine, Unavailable
from salus.ledger import transactions
from salus.ledger.fields import CommittedFields
from salus.ledger.identifiers import Pseudonym, PublicKey
from salus.ledger.transactions import PatientMessage
from salus.node import documents, errors
from salus.node.assemble import Node
from salus.node.documents import Kind
from salus.node.errors import NotNow, Refusal, Refused
from salus.node.services import deliver, deliveries
from salus.node.services.enrol import enrol
from salus.node.services.sharing import Wanted, tree_of
from salus.testing.population.numbers import kept_nhs_number
from salus.testing.world import CHAIN, HOSPITAL, world

pytestmark = pytest.mark.promise("P2")
TERMS = DelegateTerms("Ben", Relation.OTHER, (Band(0, (Ability.READ, Ability.SHARE), ()),))
TREE = tree_of(Wanted(is_permit=False))
LATE_S, TIMELY_S = -60, 60
Delivered = tuple[bytes, CommittedFields]


@dataclass
class Ann:
    """A patient whose device holds the key, and a helper of hers, who may share."""

    node: Node
    pseudonym: Pseudonym
    own: SigningKey
    helper: SigningKey

    def signed(self, message: PatientMessage, *keys: SigningKey, within_s: int) -> bytes:
        until_s, nonce = self.node.clock() + within_s, secrets.token_bytes(16)
        return transactions.sign([message], chain=CHAIN, keys=keys, expires_at_s=until_s, nonce=nonce)

    def kept(self) -> set[bytes]:
        return {each.record_id for each in self.node.vault.records(self.pseudonym)}


def choice(ann: Ann, *, within_s: int, by: SigningKey | None = None) -> Delivered:
    residual = commit_choice(TREE, secret=new_key())
    message = FileConsent(ann.pseudonym, secrets.token_bytes(16), gate(TREE), residual.root(), 0)
    return ann.signed(message, by or ann.own, within_s=within_s), residual


def choice_of_a_helper(ann: Ann, *, within_s: int) -> Delivered:
    return choice(ann, within_s=within_s, by=ann.helper)


def ticket(ann: Ann, *, within_s: int) -> Delivered:
    residual, key = commit_choice(tree_of(Wanted(is_permit=True)), secret=new_key()), SigningKey.generate()
    condition, until_s = gate(tree_of(Wanted(is_permit=True))).may_permit[0], ann.node.clock() + 600
    message = IssueTicket(ann.pseudonym, PublicKey(key.public), condition, 1, until_s, residual.root())
    return ann.signed(message, ann.own, key, within_s=within_s), residual


def device(ann: Ann, *, within_s: int) -> Delivered:
    why, key = reason("let act by the patient", new_key()), SigningKey.generate()
    message = AddKey(ann.pseudonym, PublicKey(key.public), KeyKind.DEVICE, 0, why.root())
    return ann.signed(message, ann.own, key, within_s=within_s), why


def helper(ann: Ann, *, within_s: int, key: SigningKey | None = None) -> Delivered:
    why, key = commit_delegate("let act by the patient", TERMS, secret=new_key()), key or SigningKey.generate()
    message = AddKey(ann.pseudonym, PublicKey(key.public), KeyKind.DELEGATE, 0, why.root())
    return ann.signed(message, ann.own, key, within_s=within_s), why


def removal(ann: Ann, *, within_s: int) -> Delivered:
    why = reason("removed by the patient", new_key())
    return ann.signed(
        RemoveKey(ann.pseudonym, PublicKey(ann.helper.public), why.root()), ann.own, within_s=within_s
    ), why


MADE = (choice, choice_of_a_helper, ticket, device, helper, removal)


@pytest.fixture
def ann(tmp_path: Path) -> Iterator[Ann]:
    with world(tmp_path, organisations=(HOSPITAL,)) as made:
        own, other = SigningKey.generate(), SigningKey.generate()
        pseudonym = Pseudonym(secrets.token_bytes(16))
        enrol(made.hospital, kept_nhs_number(1), "1980-02-29", key=own, pseudonym=pseudonym)
        found = Ann(made.hospital, pseudonym, own, other)
        deliver.take(found.node, *helper(found, within_s=TIMELY_S, key=other))
        yield found


@pytest.mark.parametrize("make", MADE)
def test_what_the_ledger_refuses_is_not_kept(ann: Ann, make: Callable[..., Delivered]) -> None:
    before = ann.kept()
    for _ in range(3):
        with pytest.raises(Refused) as refused:
            deliver.take(ann.node, *make(ann, within_s=LATE_S))
        assert refused.value.refusal is Refusal.LEDGER_REJECTED
    assert ann.kept() == before


@pytest.mark.parametrize("make", MADE)
def test_what_the_ledger_takes_is_kept_and_stays(ann: Ann, make: Callable[..., Delivered]) -> None:
    before = ann.kept()
    raw, residual = make(ann, within_s=TIMELY_S)
    deliver.take(ann.node, raw, residual)
    deliver.take(ann.node, raw, residual)
    is_a_helpers = make is choice_of_a_helper
    assert len(ann.kept() - before) == 1 + is_a_helpers


def test_another_signature_for_the_same_rules_takes_none_away(ann: Ann) -> None:
    raw, rules = choice(ann, within_s=TIMELY_S)
    deliver.take(ann.node, raw, rules)
    kept, (message,) = ann.kept(), ann.node.decode(raw).messages
    assert isinstance(message, FileConsent)
    with pytest.raises(Refused):
        deliver.take(ann.node, ann.signed(message, ann.own, within_s=LATE_S), rules)
    assert ann.kept() == kept
    documents.let_go(ann.node.vault, [documents.Document(Kind.CHOICE, message.commitment, b"")])
    with pytest.raises(Refused):  # as after a restore, when the device has nothing else any more
        deliver.take(ann.node, ann.signed(message, ann.own, within_s=LATE_S), rules)
    assert ann.kept() == kept


@pytest.mark.parametrize(("error", "is_kept"), [(Busy("busy"), False), (Unavailable("away"), True)])
def test_what_may_still_come_to_be_is_kept(ann: Ann, *, error: Exception, is_kept: bool) -> None:
    before, node = ann.kept(), dataclasses.replace(ann.node, engine=Raises(ann.node.engine, error))
    with pytest.raises(NotNow):
        deliver.take(node, *choice(ann, within_s=TIMELY_S))
    assert bool(ann.kept() - before) is is_kept


@pytest.mark.parametrize("is_late", [False, True])
def test_who_is_refused_takes_nothing_from_who_brings_the_same(
    ann: Ann, monkeypatch: pytest.MonkeyPatch, *, is_late: bool
) -> None:
    """Two workers have one delivery, as when it was sent again: one finds the queue full, the other does not."""
    (raw, rules), before = choice(ann, within_s=TIMELY_S), ann.kept()
    commitment, let_go = rules.root(), documents.let_go

    def bring() -> AbstractContextManager[None]:
        return deliveries.kept_before(ann.node, ann.pseudonym, Kind.CHOICE, commitment, rules)

    def late(*arguments: Any) -> None:
        if is_late:
            ann.node.submit_raw(raw)
        let_go(*arguments)

    def refused(other: ExitStack) -> None:
        with bring():
            other.enter_context(nullcontext() if is_late else bring())
            raise errors.Busy("the queue is full")

    monkeypatch.setattr(documents, "let_go", late)
    with ExitStack() as other:
        with pytest.raises(errors.Busy):
            refused(other)
        ann.node.submit_raw(raw)
    assert len(ann.kept() - before) == 1


class Raises:
    """A ledger that takes nothing."""

    def __init__(self, engine: Engine, error: Exception) -> None:
        self._engine, self._error = engine, error

    def __getattr__(self, name: str) -> object:
        return getattr(self._engine, name)

    def submit(self, *_: object, **__: object) -> object:
        raise self._error
