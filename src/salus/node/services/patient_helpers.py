"""Helpers: people whom a patient lets act, each with a key of their own that this node keeps sealed for them.

The patient says who, how far and until when, and gives the helper a code; the helper takes it up as whoever they are
here, and then acts within those terms, seen to at each release (`delegations`). Promises: no code opens anything twice
or after a week; a helper sees whom they help and nobody else; what was taken away, or has ended, acts no more.
"""

import base64
import secrets
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, Self

import msgspec
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from salus.clinical.uk_time import uk_datetime
from salus.contracts import patients, residuals
from salus.contracts.consent import FileConsent, WithdrawConsent
from salus.contracts.gathering import read_trail
from salus.contracts.patients import Actor, AddKey, KeyKind, RemoveKey
from salus.contracts.provisions import day_of, gate
from salus.contracts.residuals import CHILD_AGES, Ability, Band, DelegateTerms, Relation, ResidualInvalid
from salus.crypto.hashing import tagged
from salus.crypto.sealing import new_key
from salus.crypto.signing import SigningKey
from salus.ledger import transactions
from salus.ledger.encoding import encode, in_nfc
from salus.ledger.fields import CommittedFields
from salus.ledger.identifiers import Pseudonym, PublicKey
from salus.ledger.transactions import PatientMessage
from salus.node import documents, schema
from salus.node.acting import Delegate
from salus.node.assemble import EXPIRY_S, Node
from salus.node.bearers import BearerKind, Bearers
from salus.node.documents import Kind
from salus.node.errors import Refusal, Refused
from salus.node.members import read_time_s
from salus.node.sealed_rows import SealedRows
from salus.node.services import choices, delegations, device_keys
from salus.node.services.accounts import Account, AccountId, Accounts, Found
from salus.node.services.delegates import Life, lives
from salus.node.services.enrol import custodian_held_key, date_of_birth
from salus.node.services.respond import Login
from salus.node.services.sharing import Wanted, tree_of
from salus.node.services.signer_answers import HalfSigned, Signed
from salus.node.services.signer_requests import LetAct, StopActing

CODE_S: Final = 7 * 86_400
"""How long a helper's code is good for."""
CODE_LETTERS: Final = "ABCDEFGHJKMNPQRSTVWXYZ23456789"
"""Without those that people take for one another."""
CODE_TAG: Final = "salus/signer/code/1"
CODE_LENGTH: Final = 16
"""78 bits: nobody guesses one within its week."""


@dataclass(frozen=True)
class Help:
    """What a patient lets somebody do.

    Args:
        relation: `parent`, `carer`, `attorney` or `other`.
        classes: FHIR types of what may be seen; none for all of it.
        until: the last day, in the UK; None for no end. until_age: until the patient reaches an age; 0 for none.
    """

    name: str = field(repr=False)
    relation: str
    may_share: bool
    classes: tuple[str, ...] = field(default=(), repr=False)
    until: date | None = None
    until_age: int = 0


@dataclass(frozen=True)
class HelperRow:
    """Somebody whom a patient lets act, or let act; `help` is None where their terms are not held here.

    Args:
        key: theirs, by which the patient takes it away.
        until: the last day, whichever comes first.
        is_taken_up: whether they have used their code.
    """

    key: bytes = field(repr=False)
    help: Help | None = field(repr=False)
    until: date | None
    is_ended: bool
    is_taken_up: bool


class _Invitation(msgspec.Struct, frozen=True, array_like=True):
    """What a code is for: the account in which its helper is to act."""

    account: bytes


class Helpers:
    """The helpers of one node's patients."""

    def __init__(self, node: Node, rows: SealedRows, accounts: Accounts, bearers: Bearers) -> None:
        self._node = node
        self._rows = rows
        self._accounts = accounts
        self._bearers = bearers

    @classmethod
    def of_node(cls, node: Node) -> Self:
        """Return the helpers of a node's patients, for who needs nothing else of its interfaces."""
        rows = SealedRows(node.vault, node.chain)
        return cls(node, rows, Accounts(node, rows), Bearers(node, rows))

    def of(self, pseudonym: Pseudonym) -> list[HelperRow]:
        """Return everybody whom a patient lets act, or let act, the newest first."""
        accounts = {_key_of(each): each for each in self._accounts.of_patient(pseudonym) if _is_delegate(each)}
        taken = self._taken(pseudonym)
        with self._node.engine.snapshot() as reader:
            now_s = read_time_s(reader, self._node.clock)
            rows = []
            for life in reversed(lives(read_trail(reader, pseudonym))):
                key = PublicKey(life.outcome.key)
                try:
                    terms = delegations.terms_of(self._node, reader, pseudonym, key)
                except Refused:
                    terms = None
                known = accounts.get(key)
                rows.append(
                    self._row(life, terms, pseudonym, now_s, is_taken_up=known is not None and known.id in taken)
                )
        return rows

    def add(self, login: Login, pseudonym: Pseudonym, wanted: Help, *, patient: str) -> str:
        """Let somebody act, and return the code that the patient gives them.

        1. Only the patient does, with the key that this organisation holds, visibly so.
        2. The helper gets a key and an account of their own; the terms are kept before the ledger knows of the key.
        3. Patient and helper sign.

        Args:
            patient: what the patient is called, for the helper to read.

        Raises:
            Refused: PERSON_UNFIT; DELEGATE_UNFIT, terms that nobody can have; or what the ledger says.
            NotNow: the ledger is away.
        """
        delegations.require_own(self._node, pseudonym, login.session)  # 1
        return self._let_act(pseudonym, wanted, patient=patient, why="let act at the custodian")

    def add_parent(self, pseudonym: Pseudonym, wanted: Help, *, patient: str, checked: str) -> str:
        """Let a parent act for a child by what the custodian saw at its desk, visibly so, and return the parent's code.

        It ends by itself when the child reaches the age; the child, who then signs in, sees by whom it was.

        Args:
            patient: what the child is called, for the parent to read.
            checked: what was seen, such as `birth certificate seen`; it is kept sealed, under the ledger's commitment.

        Raises:
            Refused: DELEGATE_UNFIT, no parent's terms, or an age that the child has reached or nobody can say;
                CHOICE_UNFIT where the child's own device holds the key; or what the ledger says.
            NotNow: the ledger is away.
        """
        is_fit = wanted.relation == "parent" and bool(wanted.name.strip())
        if not is_fit or wanted.until_age not in self.ages_ahead(pseudonym):
            ages = ", ".join(map(str, self.ages_ahead(pseudonym))) or "none"
            words = f"expected a parent's name, and an age that the child has not reached ({ages})"
            raise Refused(Refusal.DELEGATE_UNFIT, f"{words}, came {wanted.until_age}")
        return self._let_act(pseudonym, wanted, patient=patient, why=f"parental responsibility: {checked}")

    def _let_act(self, pseudonym: Pseudonym, wanted: Help, *, patient: str, why: str) -> str:
        """Let somebody act with the key that this organisation holds; steps 2 and 3 of `add`."""
        held = custodian_held_key(self._node, pseudonym)
        key, residual = SigningKey.generate(), _committed(why, _terms(wanted))
        message = AddKey(pseudonym, PublicKey(key.public), KeyKind.DELEGATE, _ends_at_s(wanted), residual.root())
        account = self._accounts.add_delegate(pseudonym, key, name=wanted.name, patient=patient)  # 2
        documents.keep(self._node.vault, self._node.chain, pseudonym, Kind.REASON, message.commitment, encode(residual))
        try:
            self._node.submit_signed((message,), (held, key))  # 3
        except Refused:
            self._accounts.remove(account)
            raise
        return self._code(account, pseudonym)

    def to_let_act(self, pseudonym: Pseudonym, wanted: Help, key: SigningKey) -> LetAct:
        """Return what the patient's own device signs that lets a helper act. Raises Refused (DELEGATE_UNFIT)."""
        terms = _terms(wanted)
        _committed("", terms)
        here, public = self._node.organisation, PublicKey(key.public)
        return LetAct(here, pseudonym, public, KeyKind.DELEGATE, _ends_at_s(wanted), wanted.name, terms)

    def take_signed(self, half: HalfSigned, key: SigningKey, *, patient: str) -> str:
        """Let somebody act by what the patient's own device signed, and return the code that the patient gives them.

        Args:
            key: the helper's, which signs after the device; patient: as for `add`.

        Raises:
            Refused: as `device_keys.take`.
            NotNow: the ledger is away.
        """
        terms = residuals.delegate_terms(half.residual)
        assert terms is not None, "what was signed has the terms that were asked for"
        assert isinstance(half.message, AddKey), "what lets somebody act adds a key"
        pseudonym = half.message.pseudonym
        account = self._accounts.add_delegate(pseudonym, key, name=terms.name, patient=patient)
        raw = transactions.assemble(half.body, [half.signature, transactions.sign_body(half.body, key)])
        try:
            device_keys.take(self._node, raw, half.message, half.residual)
        except Refused:
            self._accounts.remove(account)
            raise
        return self._code(account, pseudonym)

    def to_stop(self, pseudonym: Pseudonym, row: HelperRow) -> StopActing:
        """Return what the patient's own device signs that takes a helper's key away."""
        name = "" if row.help is None else row.help.name
        return StopActing(self._node.organisation, pseudonym, PublicKey(row.key), name)

    def stop_signed(self, signed: Signed) -> None:
        """Let somebody act no more, by what the patient's own device signed. Raises as `device_keys.take`."""
        assert isinstance(signed.message, RemoveKey), "what was asked for"
        device_keys.take(self._node, signed.raw, signed.message, signed.residual)
        self._forget(signed.message.pseudonym, signed.message.key)

    def new_code(self, login: Login, pseudonym: Pseudonym, key: bytes) -> str:
        """Return another code for somebody who has not used theirs, or never got one; the one before opens nothing.

        A ledger that was away when they were added leaves their account behind without a code.

        Raises:
            Refused: PERSON_UNFIT for anybody but the patient; DELEGATE_UNFIT, nobody waits for a code by this key.
        """
        delegations.require_own(self._node, pseudonym, login.session)
        taken, row = self._taken(pseudonym), next((each for each in self.of(pseudonym) if each.key == key), None)
        found = [each for each in self._accounts.of_patient(pseudonym) if _is_delegate(each) and _key_of(each) == key]
        if row is None or row.is_ended or not found or found[0].id in taken:
            raise Refused(Refusal.DELEGATE_UNFIT, "expected somebody who has not used their code: look at the list")
        return self._code(found[0].id, pseudonym)

    def _forget(self, pseudonym: Pseudonym, key: bytes) -> None:
        """Forget the account of a delegate whose key was taken away."""
        for each in self._accounts.of_patient(pseudonym):
            if _is_delegate(each) and _key_of(each) == key:
                self._accounts.remove(each.id)

    def ages_ahead(self, pseudonym: Pseudonym) -> list[int]:
        """Return the ages that end a parent's time and that the patient has not reached; none where it is not known."""
        born, today = date_of_birth(self._node, pseudonym), uk_datetime(self._node.clock()).date()
        return [] if born is None else [age for age in CHILD_AGES if today < delegations.birthday(born, age=age)]

    def remove(self, login: Login, pseudonym: Pseudonym, key: bytes) -> None:
        """Let somebody act no more, at once. Raises Refused: PERSON_UNFIT, or what the ledger says; NotNow."""
        delegations.require_own(self._node, pseudonym, login.session)
        held = custodian_held_key(self._node, pseudonym)
        why = residuals.reason("removed at the custodian", new_key())
        documents.keep(self._node.vault, self._node.chain, pseudonym, Kind.REASON, why.root(), encode(why))
        self._node.submit_signed((RemoveKey(pseudonym, PublicKey(key), why.root()),), (held,))
        self._forget(pseudonym, key)

    def invited(self, code: str) -> Found | None:
        """Return the account that a code is for, without using it; None where it opens nothing."""
        bearer = self._bearers.find(BearerKind.HELPER, written(code), _Invitation)
        account = None if bearer is None or not bearer.is_first else self._accounts.find(bearer.value.account)
        return None if bearer is None or account is None else Found(AccountId(bearer.value.account), account)

    def take_up(self, code: str, helper: AccountId) -> Found:
        """Let an account help by a code. Raises Refused (DELEGATE_UNFIT): it opens nothing, or is the patient's own."""
        invited, own = self.invited(code), self._accounts.find(helper)
        if invited is None or own is None:
            raise Refused(Refusal.DELEGATE_UNFIT, "this code is not right, was used before, or is too old")
        if own.pseudonym == invited.account.pseudonym:
            raise Refused(Refusal.DELEGATE_UNFIT, "this code is for somebody else: give it to whoever helps you")
        bearer = self._bearers.take(BearerKind.HELPER, written(code), _Invitation)
        if bearer is None or not bearer.is_first:
            raise Refused(Refusal.DELEGATE_UNFIT, "this code is not right, was used before, or is too old")
        row = {"account": invited.id, "pseudonym": invited.account.pseudonym, "helper": self._lookup(helper)}
        try:
            with self._node.vault.database.writing() as connection:
                connection.execute(insert(schema.helped).values(row))
        except IntegrityError as error:
            raise Refused(Refusal.DELEGATE_UNFIT, "somebody helps by this code already") from error
        return invited

    def helped_by(self, helper: AccountId) -> list[Found]:
        """Return the accounts in which somebody acts for patients, by the patients' names; ended ones as well."""
        columns = schema.helped.c
        wanted = select(columns.account).where(columns.helper == self._lookup(helper))
        with self._node.vault.database.reading() as connection:
            names = connection.scalars(wanted).all()
        found = [(each, self._accounts.find(each)) for each in names]
        helped = [Found(AccountId(name), account) for name, account in found if account is not None]
        return sorted(helped, key=lambda each: patient_of(each.account))

    def acting(self, helper: AccountId, account: bytes) -> Account | None:
        """Return an account in which somebody acts for a patient; None where it is not theirs."""
        return next((each.account for each in self.helped_by(helper) if each.id == account), None)

    def _taken(self, pseudonym: Pseudonym) -> set[bytes]:
        columns = schema.helped.c
        with self._node.vault.database.reading() as connection:
            return set(connection.scalars(select(columns.account).where(columns.pseudonym == pseudonym)).all())

    def _row(
        self, life: Life, terms: DelegateTerms | None, pseudonym: Pseudonym, now_s: int, *, is_taken_up: bool
    ) -> HelperRow:
        ends = [] if not life.until_s else [uk_datetime(life.until_s).date()]
        ends += [] if terms is None else _last_day(self._node, pseudonym, terms)
        until = min(ends, default=None)
        is_ended = 0 < life.until_s <= now_s or (until is not None and until < uk_datetime(now_s).date())
        return HelperRow(life.outcome.key, None if terms is None else _help(terms), until, is_ended, is_taken_up)

    def _code(self, account: AccountId, pseudonym: Pseudonym) -> str:
        code = "".join(secrets.choice(CODE_LETTERS) for _ in range(CODE_LENGTH))
        return self._bearers.issue(
            BearerKind.HELPER,
            _Invitation(account),
            until_s=self._node.clock() + CODE_S,
            grant=account,
            pseudonym=pseudonym,
            token=code,
            is_only=True,
        )

    def _lookup(self, helper: AccountId) -> bytes:
        return self._rows.lookup("helper", helper)


def code_of(pseudonym: Pseudonym, key: SigningKey) -> str:
    """Return the code by which the signer page makes sure that this key is meant (docs/spec/signer.md, Code)."""
    letters = base64.b32encode(tagged(CODE_TAG, pseudonym, key.public)[:10]).decode()
    return " ".join(letters[start : start + 4] for start in range(0, len(letters), 4))


def file(node: Node, acts_as: Delegate, wanted: Wanted, *, choice: bytes = b"") -> None:
    """File a choice for a patient with the delegate's own key; `choice` is the one in whose place it is put.

    Raises Refused and NotNow, as `choices.take_choice`.
    """
    tree = tree_of(wanted)
    residual = residuals.commit_choice(tree, secret=new_key())
    message = FileConsent(
        pseudonym=Pseudonym(acts_as.pseudonym),
        choice=choice or secrets.token_bytes(16),
        gate=gate(tree),
        commitment=residual.root(),
        evidence_on_day=_evidence(node, acts_as),
    )
    choices.take_choice(node, _signed(node, acts_as, message), message, residual)


def withdraw(node: Node, acts_as: Delegate, choice: bytes) -> None:
    """Withdraw a choice with the delegate's own key. Raises as `file`."""
    why = residuals.reason("withdrawn by a helper", new_key())
    day = _evidence(node, acts_as)
    message = WithdrawConsent(Pseudonym(acts_as.pseudonym), choice, why.root(), day)
    choices.take_withdrawal(node, _signed(node, acts_as, message), message, why)


def patient_of(account: Account) -> str:
    """Return what the patient is called for whom a delegate's account acts."""
    assert isinstance(account.acts_as, Delegate), "asked of delegates"
    return account.acts_as.patient


def written(code: str) -> str:
    """Return a code as it was made, however somebody typed it."""
    return "".join(each for each in code.upper() if each.isalnum())[:64]


def end_of(day: date) -> int:
    """Return the last second of a day in the UK."""
    middle = datetime.combine(day, time(12), UTC)
    midnight = datetime.combine(day + timedelta(days=1), time(), UTC)
    offset = uk_datetime(int(middle.timestamp())).utcoffset() or timedelta()
    return int((midnight - offset).timestamp()) - 1


def _terms(wanted: Help) -> DelegateTerms:
    abilities = (Ability.READ, Ability.SHARE) if wanted.may_share else (Ability.READ,)
    return DelegateTerms(
        in_nfc(wanted.name), Relation[wanted.relation.upper()], (Band(wanted.until_age, abilities, wanted.classes),)
    )


def _ends_at_s(wanted: Help) -> int:
    return 0 if wanted.until is None else end_of(wanted.until)


def _committed(words: str, terms: DelegateTerms) -> CommittedFields:
    try:
        return residuals.commit_delegate(words, terms, secret=new_key())
    except ResidualInvalid as error:
        raise Refused(Refusal.DELEGATE_UNFIT, str(error)) from error


def _help(terms: DelegateTerms) -> Help:
    last = terms.bands[-1]
    may_share = any(Ability.SHARE in each.abilities for each in terms.bands)
    return Help(terms.name, terms.relation.name.lower(), may_share, terms.bands[0].classes, until_age=last.until_age)


def _last_day(node: Node, pseudonym: Pseudonym, terms: DelegateTerms) -> list[date]:
    """The day before the patient reaches the age at which all of it ends, if there is one."""
    age, born = terms.bands[-1].until_age, date_of_birth(node, pseudonym)
    return [delegations.birthday(born, age=age) - timedelta(days=1)] if age and born is not None else []


def _evidence(node: Node, acts_as: Delegate) -> int:
    """One whom the custodian appointed acts by custodian, on evidence of today; one whom the patient did, on none."""
    key = PublicKey(SigningKey.from_seed(acts_as.seed).public)
    with node.engine.snapshot() as reader:
        relationship = patients.require_relationship(reader, Pseudonym(acts_as.pseudonym))
    return day_of(node.clock()) if patients.actor_of(relationship, key) is Actor.CUSTODIAN else 0


def _signed(node: Node, acts_as: Delegate, message: PatientMessage) -> bytes:
    key = SigningKey.from_seed(acts_as.seed)
    until_s = node.clock() + EXPIRY_S
    return transactions.sign(
        [message], chain=node.chain, keys=(key,), expires_at_s=until_s, nonce=secrets.token_bytes(16)
    )


def _is_delegate(found: Found) -> bool:
    return isinstance(found.account.acts_as, Delegate)


def _key_of(found: Found) -> bytes:
    assert isinstance(found.account.acts_as, Delegate), "asked of delegates"
    return SigningKey.from_seed(found.account.acts_as.seed).public
