"""Accounts: who may sign in to this node's own interfaces, and as whom they then act.

An account stands for a certified person of this organisation, whose key the node keeps sealed, or for a patient: by the
pseudonym's key that the custodian holds, which every receipt marks as assisted, or by a session that the patient's own
device certified. People sign in with a local password, or at an outside OpenID Connect provider (DESIGN §7).

Promises: a name that is unknown costs as much time as a wrong password; tries are counted before they are looked at;
what is known of people is sealed, and goes with an erasure (P3, P5).
"""

import hashlib
import hmac
import secrets
import unicodedata
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Final, NewType, Self

import msgspec
from msgspec import Meta
from sqlalchemy import ColumnElement, Select, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from salus.contracts import membership, patients, records
from salus.contracts.patients import Relationship
from salus.contracts.provisions import Purpose, RoleClass
from salus.contracts.residuals import Ability, Band, CertifiedSession, PersonCertificate
from salus.crypto.signing import SigningKey
from salus.ledger.identifiers import CertificateId, OrganisationId, Pseudonym, PublicKey
from salus.ledger.state import Reader
from salus.node import schema
from salus.node.acting import CAPACITIES, ActsAs, Capacity, Delegate, Helper, Operator, Patient, Staff
from salus.node.assemble import Node
from salus.node.caller_networks import network_of
from salus.node.errors import NotNow, Refusal, Refused
from salus.node.people import NOBODY, HeldSession, OpenSession, Person, held, open_session
from salus.node.sealed_rows import SealedRows, row_decoder
from salus.node.services import delegations
from salus.node.services.enrol import custodian_held_key
from salus.node.services.identify import check_patient_session, check_session, staff_certificate
from salus.node.services.respond import Login
from salus.node.services.sign_in_ends import forget_account, forget_ways_in
from salus.node.tallies import Tally, count_try, tried

AccountId = NewType("AccountId", bytes)

PASSWORD_LENGTH_MIN: Final = 12
PASSWORD_BYTES_MAX: Final = 1024
SCRYPT_N: Final = 1 << 15
SCRYPT_R: Final = 8
SCRYPT_P: Final = 3
"""32 MiB three times: what OWASP's table gives for this memory (Password Storage Cheat Sheet, scrypt)."""
TRIES_MAX: Final = 10
TRIES_FROM_MAX: Final = 200
TRIES_S: Final = 900
"""So many tries on one name, and from one address, within 15 minutes."""

PURPOSES: Final = {
    RoleClass.CLINICAL: Purpose.TREAT,
    RoleClass.PHARMACY: Purpose.TREAT,
    RoleClass.ADMINISTRATIVE: Purpose.TREAT,
    RoleClass.PATIENT_SIDE: Purpose.PATRQT,
    RoleClass.INSURER: Purpose.HPAYMT,
    RoleClass.RESEARCH: Purpose.HRESCH,
    RoleClass.OFFICER: Purpose.HLEGAL,
    RoleClass.SYSTEM: Purpose.TREAT,
}
"""Why people of a role class ask, where an app says no more; for what an officer asks, no record is permitted."""
_TABLE: Final = "account"


class Password(msgspec.Struct, frozen=True, array_like=True):
    """A password as scrypt leaves it, with its cost."""

    n: int
    r: int
    p: int
    salt: bytes
    digest: bytes


class Account(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """An account.

    Args:
        name: as its owner reads it when signed in.
        acts_as: whose key signs.
        signs_in_as: the local name, or empty.
        passwords: one, or none.
        providers: outside providers and what they call the person: issuer, subject.
    """

    name: Annotated[str, Meta(min_length=1, max_length=120)]
    acts_as: ActsAs
    signs_in_as: str = ""
    passwords: tuple[Password, ...] = ()
    providers: tuple[tuple[str, str], ...] = ()

    def __repr__(self) -> str:
        """Hide who it is."""
        return "Account(…)"

    @property
    def pseudonym(self) -> Pseudonym:
        """The patient's; empty for staff."""
        return Pseudonym(self.acts_as.pseudonym if isinstance(self.acts_as, Patient | Delegate) else b"")

    @property
    def own_pseudonym(self) -> bytes:
        """Of the patient whose own account it is; empty for staff, and for whoever acts for a patient."""
        return self.acts_as.pseudonym if isinstance(self.acts_as, Patient) else b""

    @property
    def asks(self) -> bool:
        """Whether it asks for records at all; an operator and a helper do not."""
        return not isinstance(self.acts_as, Operator | Helper)

    @property
    def brings_session(self) -> bool:
        """Whether the owner's own device certified the session, so that nobody here can certify another."""
        return isinstance(self.acts_as, Patient) and bool(self.acts_as.sessions)

    @property
    def role_class(self) -> RoleClass:
        """In which capacity this account asks. Raises Refused (ACCOUNT_UNFIT): it asks for nothing."""
        if not self.asks:
            raise Refused(Refusal.ACCOUNT_UNFIT, f"this {self.kind} asks for no records: sign in as somebody else")
        return self.acts_as.role_class if isinstance(self.acts_as, Staff) else RoleClass.PATIENT_SIDE

    @property
    def kind(self) -> str:
        """What an operator reads in a list of accounts."""
        if isinstance(self.acts_as, Operator | Helper | Delegate):
            return type(self.acts_as).__name__.lower()
        return self.role_class.name.lower()

    @property
    def capacity(self) -> Capacity:
        """As what its owner comes to pages for people."""
        if not self.asks:
            return Capacity(self.kind)
        return CAPACITIES.get(self.role_class, Capacity.OTHER)


@dataclass(frozen=True)
class Footing:
    """On what a session rests, so that it can be looked up again at each use.

    Args:
        key: that certified the session.
        certificate: of a member of staff; else empty, and `pseudonym` is the patient's.
    """

    key: PublicKey
    role_class: RoleClass
    certificate: CertificateId
    pseudonym: Pseudonym


_ACCOUNT = row_decoder(Account)
_NO_PASSWORD: Final = Password(SCRYPT_N, SCRYPT_R, SCRYPT_P, bytes(16), bytes(32))


@dataclass(frozen=True)
class Found:
    """An account with its id."""

    id: AccountId
    account: Account = field(repr=False)


class Accounts:
    """The accounts of one node."""

    def __init__(self, node: Node, rows: SealedRows) -> None:
        self._node = node
        self._rows = rows

    @classmethod
    def of(cls, node: Node) -> Self:
        """Return the accounts of a node, for who needs nothing else of its interfaces."""
        return cls(node, SealedRows(node.vault, node.chain))

    def add_staff(self, person: Person, role_class: RoleClass, *, name: str) -> AccountId:
        """Make an account for a certified person. Raises Refused: ACCOUNT_UNFIT, PERSON_UNFIT."""
        if role_class not in PURPOSES or role_class is RoleClass.PATIENT_SIDE:
            raise Refused(Refusal.ACCOUNT_UNFIT, f"the role class {role_class.name.lower()} has no use for apps")
        staff = Staff(role_class, person.key.seed, person.certificate)
        with self._node.engine.snapshot() as reader:
            self._require_staff(reader, staff)
        return self._insert(Account(name, staff))

    def add_patient(self, pseudonym: Pseudonym, *, name: str) -> AccountId:
        """Make an account for a patient. Raises Refused: ACCOUNT_UNFIT, PATIENT_UNKNOWN."""
        with self._node.engine.snapshot() as reader:
            self._require_patient(reader, pseudonym)
        return self._insert(Account(name, Patient(pseudonym)))

    def add_operator(self, *, name: str) -> AccountId:
        """Make an account for an operator of this node."""
        return self._insert(Account(name, Operator()))

    def add_helper(self, *, name: str) -> AccountId:
        """Make an account for somebody who helps patients and is nobody else here."""
        return self._insert(Account(name, Helper()))

    def add_delegate(self, pseudonym: Pseudonym, key: SigningKey, *, name: str, patient: str) -> AccountId:
        """Make the account in which a helper acts for a patient; nobody signs in to it."""
        return self._insert(Account(name, Delegate(pseudonym, key.seed, patient)))

    def find(self, account: bytes) -> Account | None:
        """Return an account; None when there is none any more."""
        with self._node.vault.database.reading() as connection:
            row = connection.execute(select(schema.accounts).where(schema.accounts.c.account == account)).one_or_none()
        return None if row is None else self.opened(row.account, row.sealed)

    def all(self) -> list[Found]:
        """Return every account, by name."""
        return sorted(self._found(select(schema.accounts)), key=lambda each: (each.account.name, each.id))

    def of_patient(self, pseudonym: Pseudonym) -> list[Found]:
        """Return every account that acts for one patient: their own, and those of delegates."""
        return self._found(select(schema.accounts).where(schema.accounts.c.pseudonym == pseudonym))

    def remove(self, account: AccountId) -> None:
        """Forget an account, and all that it let apps do. Raises Refused: ACCOUNT_UNFIT."""
        known = self._require(account)
        with self._node.vault.database.writing() as connection:
            forget_account(connection, account, pseudonym=known.own_pseudonym)

    def set_password(self, account: AccountId, *, signs_in_as: str, password: str) -> None:
        """Let an account sign in by name and password; what the old one led to ends. Raises Refused: ACCOUNT_UNFIT."""
        words = _normal(password)
        if len(words) < PASSWORD_LENGTH_MIN or len(words.encode()) > PASSWORD_BYTES_MAX:
            raise Refused(Refusal.ACCOUNT_UNFIT, f"expected a password of at least {PASSWORD_LENGTH_MIN} characters")
        name = _normal(signs_in_as).casefold().strip()
        if not 1 <= len(name) <= 120:
            raise Refused(Refusal.ACCOUNT_UNFIT, "expected a name to sign in with, of 1 to 120 characters")
        before = self._require(account)
        after = msgspec.structs.replace(before, signs_in_as=name, passwords=(_hashed(words),))
        outdated = schema.sign_ins.c.lookup == self._local(before.signs_in_as)
        self._replace(account, before=before, after=after, new=self._local(name), outdated=outdated)

    def link(self, account: AccountId, *, issuer: str, subject: str) -> None:
        """Let an account sign in at an outside provider. Raises Refused: ACCOUNT_UNFIT, also for a taken subject."""
        before = self._require(account)
        after = msgspec.structs.replace(before, providers=(*before.providers, (issuer, _normal(subject))))
        self._replace(account, before=before, after=after, new=self._outside(issuer, subject))

    def bring_session(self, account: AccountId, key: SigningKey, certified: CertifiedSession) -> None:
        """Let a patient's account act by a session that the patient's own device certified, until it ends.

        Raises:
            Refused: ACCOUNT_UNFIT, SESSION_UNFIT.
        """
        before = self._require(account)
        if not isinstance(before.acts_as, Patient) or certified.session.session_key != key.public:
            raise Refused(Refusal.ACCOUNT_UNFIT, "expected a patient's account, and the certified key itself")
        acts_as = Patient(before.acts_as.pseudonym, key.seed, (certified,))
        with self._node.engine.snapshot() as reader:
            now_s, here = self._node.clock(), self._node.organisation
            check_patient_session(reader, before.pseudonym, certified, custodian=here, time_s=now_s)
        self._replace(account, before=before, after=msgspec.structs.replace(before, acts_as=acts_as))

    def sign_in(self, name: str, password: str, *, address: str) -> AccountId:
        """Return the account of somebody who knows its password.

        1. Count the try: of the name, and of the network that it came from; of that no more, if it gets in.
        2. Hash the password whether or not there is such a name.
        3. It counts if it is the account's password still: another may have taken its place meanwhile.

        Raises:
            Refused: TOO_MANY, or SIGN_IN_UNFIT with the same words whatever was wrong.
            NotNow: the try cannot be counted at this moment.
        """
        lookup = self._local(_normal(name).casefold().strip())
        with self.tried_from(address):  # 1
            count_try(self._node, Tally.SIGN_IN, who=lookup, within_s=TRIES_S, most=TRIES_MAX)
            found = self._signing_in(lookup)
            kept = found.account.passwords[0] if found is not None and found.account.passwords else _NO_PASSWORD
            digest = stretched(_normal(password)[:PASSWORD_BYTES_MAX], kept)  # 2
            is_right = hmac.compare_digest(digest, kept.digest) and found is not None
            now = self.find(found.id) if is_right and found is not None else None  # 3
            if found is None or now is None or now.passwords != found.account.passwords:
                raise Refused(Refusal.SIGN_IN_UNFIT, "this name and this password do not go together: check both")
            return found.id

    def count_try(self, address: str) -> None:
        """Count a try to get in from a network. Raises Refused (TOO_MANY) and NotNow."""
        count_try(self._node, Tally.SIGN_INS_FROM, who=self._network(address), within_s=TRIES_S, most=TRIES_FROM_MAX)

    def tried_from(self, address: str) -> AbstractContextManager[None]:
        """Count a try to get in from a network, which counts no more once the block has ended well."""
        who, most = self._network(address), TRIES_FROM_MAX
        return tried(self._node, Tally.SIGN_INS_FROM, who=who, within_s=TRIES_S, most=most)

    def sign_in_linked(self, *, issuer: str, subject: str) -> AccountId:
        """Return the account of whom an outside provider has authenticated. Raises Refused: SIGN_IN_UNFIT."""
        found = self._signing_in(self._outside(issuer, subject))
        if found is None:
            raise Refused(Refusal.SIGN_IN_UNFIT, "nobody here is linked to this sign-in: ask the organisation")
        return found.id

    def session_of(self, account: Account) -> OpenSession:
        """Open a session as an account's owner. Raises Refused when nothing that it acts by stands."""
        acts_as, now_s, here = account.acts_as, self._node.clock(), self._node.organisation
        if isinstance(acts_as, Staff):
            session = open_session(
                SigningKey.from_seed(acts_as.seed), acts_as.certificate, custodian=here, from_s=now_s
            )
        elif isinstance(acts_as, Patient) and acts_as.sessions:
            session = OpenSession(SigningKey.from_seed(acts_as.seed), acts_as.sessions[0], NOBODY)
        elif isinstance(acts_as, Delegate):
            session = open_session(SigningKey.from_seed(acts_as.seed), NOBODY, custodian=here, from_s=now_s)
        else:
            key = custodian_held_key(self._node, account.pseudonym)
            session = open_session(key, NOBODY, custodian=here, from_s=now_s)
        self.footing_of(account, session)
        return session

    def hold(self, account: Account) -> tuple[HeldSession, ...]:
        """Open a session with this organisation, to be kept sealed; whoever asks nothing has none.

        Raises:
            Refused: nothing that the account acts by stands.
        """
        if not account.asks:
            return ()
        return (held(self.session_of(account), self._node.organisation, account.pseudonym),)

    def hold_with(self, account: Account, custodian: OrganisationId) -> HeldSession:
        """Open a session with another organisation, as a member of staff.

        Raises:
            Refused: ACCOUNT_UNFIT for a patient, whose own device certifies; or the certificate does not stand.
        """
        acts_as, now_s = account.acts_as, self._node.clock()
        if not isinstance(acts_as, Staff):
            raise Refused(Refusal.ACCOUNT_UNFIT, "expected somebody who works here")
        with self._node.engine.snapshot() as reader:
            self._require_staff(reader, acts_as)
        key = SigningKey.from_seed(acts_as.seed)
        return held(
            open_session(key, acts_as.certificate, custodian=custodian, from_s=now_s), custodian, Pseudonym(b"")
        )

    def require_held(self, account: Account, sessions: tuple[HeldSession, ...]) -> None:
        """Raise Refused unless what somebody acts by who is signed in stands at this moment (R3)."""
        if account.asks:
            self.footing_of(account, sessions[0].opened)

    def login_of(self, account: Account, session: HeldSession) -> Login:
        """Return as whom an account's owner asks this organisation for records; a delegate, for as few as they may.

        Raises:
            Refused: DELEGATE_UNFIT.
        """
        login = Login(session.opened, account.role_class, PURPOSES[account.role_class])
        if not isinstance(account.acts_as, Delegate):
            return login
        return replace(login, classes=self.band_of(account.acts_as).classes)

    def band_of(self, delegate: Delegate) -> Band:
        """Return what a delegate may do at this moment. Raises Refused: DELEGATE_UNFIT."""
        key, now_s = PublicKey(SigningKey.from_seed(delegate.seed).public), self._node.clock()
        with self._node.engine.snapshot() as reader:
            return delegations.band_of(self._node, reader, Pseudonym(delegate.pseudonym), key, time_s=now_s)

    def footing_of(self, account: Account, session: OpenSession) -> Footing:
        """Return on what a session rests. Raises Refused: it is not certified by whom it should be."""
        acts_as, now_s, here = account.acts_as, self._node.clock(), self._node.organisation
        with self._node.engine.snapshot() as reader:
            if isinstance(acts_as, Staff):
                key = self._require_staff(reader, acts_as).key
                check_session(session.certified, key, custodian=here, time_s=now_s)
                certificate = CertificateId(acts_as.certificate.root())
                return Footing(key, account.role_class, certificate, account.pseudonym)
            self._require_patient(reader, account.pseudonym)
            key = check_patient_session(reader, account.pseudonym, session.certified, custodian=here, time_s=now_s)
            if isinstance(acts_as, Delegate):
                delegations.band_of(self._node, reader, account.pseudonym, key, time_s=now_s)
            return Footing(key, account.role_class, CertificateId(b""), account.pseudonym)

    def require_footing(self, footing: Footing) -> None:
        """Raise Refused unless what a session rests on stands at this moment (R3); its time is the grant's."""
        now_s, here = self._node.clock(), self._node.organisation
        with self._node.engine.snapshot() as reader:
            if footing.certificate:
                row = membership.certificate_in_force(reader, here, footing.certificate, time_s=now_s)
                if row is None or footing.role_class not in row.role_classes:
                    raise Refused(Refusal.PERSON_UNFIT, "the certificate is revoked or expired: certify the person")
                return
            relationship = self._require_patient(reader, footing.pseudonym)
            if footing.key not in patients.acting_keys(relationship, time_s=now_s):
                raise Refused(Refusal.SESSION_UNFIT, "the key that certified the session acts no more: sign in anew")

    def may_share(self, delegate: Delegate) -> bool:
        """Tell whether a delegate may decide for the patient at this moment. Raises Refused: DELEGATE_UNFIT."""
        return Ability.SHARE in self.band_of(delegate).abilities

    def _require_staff(self, reader: Reader, staff: Staff) -> PersonCertificate:
        here, now_s, role = self._node.organisation, self._node.clock(), staff.role_class
        return staff_certificate(reader, staff.certificate, organisation=here, role_class=role, time_s=now_s)

    def _require_patient(self, reader: Reader, pseudonym: Pseudonym) -> Relationship:
        relationship = patients.relationship_of(reader, pseudonym)
        is_here = relationship is not None and relationship.custodian == self._node.organisation
        if relationship is None or not is_here or records.is_erased(reader, pseudonym):
            raise Refused(Refusal.PATIENT_UNKNOWN, "expected a relationship of this custodian that was not erased")
        return relationship

    def _network(self, address: str) -> bytes:
        return self._rows.lookup("address", network_of(address))

    def _signing_in(self, lookup: bytes) -> Found | None:
        with self._node.vault.database.reading() as connection:
            account = connection.scalar(select(schema.sign_ins.c.account).where(schema.sign_ins.c.lookup == lookup))
        found = None if account is None else self.find(account)
        return None if account is None or found is None else Found(AccountId(account), found)

    def _require(self, account: AccountId) -> Account:
        found = self.find(account)
        if found is None:
            raise Refused(Refusal.ACCOUNT_UNFIT, "expected the id of an account: salus account list shows them")
        return found

    def _found(self, wanted: Select[tuple[Any, ...]]) -> list[Found]:
        with self._node.vault.database.reading() as connection:
            rows = connection.execute(wanted).all()
        return [Found(AccountId(row.account), self.opened(row.account, row.sealed)) for row in rows]

    def _insert(self, account: Account) -> AccountId:
        name = AccountId(secrets.token_bytes(16))
        sealed = self._rows.seal(_TABLE, name, account)
        with self._node.vault.database.writing() as connection:
            row = {"account": name, "pseudonym": account.pseudonym, "sealed": sealed}
            connection.execute(insert(schema.accounts).values(row))
        return name

    def _replace(
        self,
        name: AccountId,
        *,
        before: Account,
        after: Account,
        new: bytes = b"",
        outdated: ColumnElement[bool] | None = None,
    ) -> None:
        """Put an account in the place of the one that was read. Raises NotNow: somebody else changed that meanwhile."""
        sealed, this = self._rows.seal(_TABLE, name, after), schema.accounts.c.account == name
        try:
            with self._node.vault.database.writing() as connection:
                now = connection.scalar(select(schema.accounts.c.sealed).where(this).with_for_update())
                if now is None or self.opened(name, now) != before:
                    raise NotNow("somebody else changes this account at this moment: try again")
                connection.execute(update(schema.accounts).where(this).values(sealed=sealed))
                if outdated is not None:
                    connection.execute(delete(schema.sign_ins).where(outdated, schema.sign_ins.c.account == name))
                    forget_ways_in(connection, name, pseudonym=after.own_pseudonym)
                if new:
                    row = {"lookup": new, "account": name, "pseudonym": after.pseudonym}
                    connection.execute(insert(schema.sign_ins).values(row))
        except IntegrityError as error:
            raise Refused(Refusal.ACCOUNT_UNFIT, "another account signs in by this: choose another") from error

    def opened(self, name: bytes, sealed: bytes) -> Account:
        """Return the account of a row."""
        account: Account = self._rows.open(_TABLE, name, sealed, _ACCOUNT.decode)
        return account

    def _local(self, name: str) -> bytes:
        return self._rows.lookup("local", name)

    def _outside(self, issuer: str, subject: str) -> bytes:
        return self._rows.lookup("outside", issuer, _normal(subject))


def _normal(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _hashed(password: str) -> Password:
    salted = new_cost()
    return msgspec.structs.replace(salted, digest=stretched(password, salted))


def new_cost() -> Password:
    """Return what a new password is to cost, with a salt of its own; the digest is still empty."""
    return Password(SCRYPT_N, SCRYPT_R, SCRYPT_P, secrets.token_bytes(16), b"")


def stretched(password: str, cost: Password) -> bytes:
    """Return 32 bytes that cost as much to make out of a password (scrypt, RFC 7914)."""
    memory = 2 * 128 * cost.r * (cost.n + cost.p + 2)
    return hashlib.scrypt(password.encode(), salt=cost.salt, n=cost.n, r=cost.r, p=cost.p, maxmem=memory, dklen=32)
