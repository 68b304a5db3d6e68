"""Grants: what an account lets an app do, from the code to the last refresh; each a family that ends as one.

Promises: a code works once, for its app, its redirect URI and whoever has its verifier; a refresh token works once; a
second use of either ends the whole family (RFC 9700 2.2.2, 4.14.2). A token lives no longer than what it rests on:
grant, app, account, certificate, relationship and session are looked up at each use (R3).
"""

import base64
import dataclasses
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

import msgspec
from sqlalchemy import Row, bindparam, delete, insert, select, update

from salus.contracts.residuals import CertifiedSession
from salus.crypto.signing import SigningKey
from salus.ledger.encoding import EncodingInvalid, decoder
from salus.ledger.fields import CommittedFields
from salus.node import schema
from salus.node.assemble import Node
from salus.node.bearers import Bearer, BearerKind, Bearers
from salus.node.errors import Refusal, Refused
from salus.node.people import OpenSession
from salus.node.sealed_rows import SealedRows
from salus.node.services.accounts import PURPOSES, Account, AccountId, Accounts, Footing
from salus.node.services.apps import App, AppKind, Apps
from salus.node.services.respond import Login
from salus.node.services.tickets import ShownTicket, require_in_force

CODE_S: Final = 60
ACCESS_S: Final = 300
ONLINE_S: Final = 12 * 3600
OFFLINE_S: Final = 90 * 86_400
SESSION_LEFT_S_MIN: Final = ACCESS_S
"""A session that ends sooner is renewed, where the key that certifies it is here."""
OPENED_MAX: Final = 4096
"""How many grants and tokens one worker keeps opened, by the bytes that stand in their rows."""
_TABLE: Final = "grant"


class Terms(msgspec.Struct, frozen=True, array_like=True):
    """What a grant says; the session by which the account acts under it is sealed with it.

    Args:
        scopes: as the app has them, each written in the form of SMART 2.
        patient: the patient in context; empty where there is none.
        level: how well an outside provider knows the person, in its words; empty where none signed them in.
    """

    app: str
    account: bytes
    scopes: tuple[str, ...]
    patient: bytes
    level: str
    seed: bytes
    certified: CertifiedSession
    certificate: CommittedFields

    def __repr__(self) -> str:
        """Hide the session."""
        return "Terms(…)"


class TicketTerms(Terms, frozen=True, array_like=True):
    """Terms of a grant that rests on a patient's ticket: the seed of the ticket's key."""

    ticket: bytes

    def __repr__(self) -> str:
        """Hide session and ticket."""
        return "TicketTerms(…)"


class CodeTerms(msgspec.Struct, frozen=True, array_like=True):
    """What an authorisation code is bound to."""

    redirect_uri: str
    challenge: str
    nonce: str


class TokenTerms(msgspec.Struct, frozen=True, array_like=True):
    """What a token lets its holder do: the scopes of its grant, or fewer."""

    scopes: tuple[str, ...]


_TERMS = decoder(Terms)
_TICKET_TERMS = decoder(TicketTerms)
_GRANTS, _BEARERS = schema.grants.c, schema.bearers.c
_WHOLE = (
    *(_GRANTS.grant, _GRANTS.until_s, _GRANTS.sealed, _GRANTS.account),
    *(schema.accounts.c.sealed.label("owner"), _GRANTS.app, schema.apps.c.sealed.label("program")),
    _GRANTS.ended,
)
_WITH_BOTH = (_GRANTS.account == schema.accounts.c.account) & (_GRANTS.app == schema.apps.c.lookup)
_BY_GRANT = select(*_WHOLE).where(_WITH_BOTH & (_GRANTS.grant == bindparam("name")))
_BY_TOKEN = select(*_WHOLE, _BEARERS.until_s.label("token_until_s"), _BEARERS.sealed.label("token")).where(
    _WITH_BOTH & (_GRANTS.grant == _BEARERS.grant) & (_BEARERS.lookup == bindparam("token"))
)
"""A grant with its account and its app, in one look: a row is there only if all of them are."""


@dataclass(frozen=True)
class Wanted:
    """What an account's owner has agreed to; `patient` is empty where no patient is in context."""

    app: App
    account: AccountId
    scopes: tuple[str, ...]
    patient: bytes
    redirect_uri: str
    challenge: str
    nonce: str
    level: str = ""


@dataclass(frozen=True)
class Issued:
    """What the token endpoint gives; `refresh` is empty where the app may not refresh."""

    access: str = field(repr=False)
    refresh: str = field(repr=False)
    expires_in_s: int
    scopes: tuple[str, ...]
    live: "Live"
    nonce: str = ""


@dataclass(frozen=True)
class Live:
    """A grant that stands at this moment, and as whom one acts under it."""

    grant: bytes
    terms: Terms = field(repr=False)
    app: App
    account: Account = field(repr=False)
    login: Login = field(repr=False)
    until_s: int


@dataclass(frozen=True)
class Given:
    """A grant as the account's owner sees it. Unix seconds."""

    grant: bytes
    app: str
    scopes: tuple[str, ...]
    until_s: int


class Grants:
    """The grants of one node."""

    def __init__(self, node: Node, rows: SealedRows, *, apps: Apps, accounts: Accounts, bearers: Bearers) -> None:
        self._node = node
        self._rows = rows
        self._apps = apps
        self._accounts = accounts
        self._bearers = bearers
        self._open = lru_cache(OPENED_MAX)(self._open_anew)
        self._token = lru_cache(OPENED_MAX)(bearers.opened)

    def begin(self, wanted: Wanted) -> str:
        """Begin a grant and return its code.

        Raises:
            Refused: the account can act no more.
        """
        is_offline = "offline_access" in wanted.scopes
        until_s = self._node.clock() + (OFFLINE_S if is_offline else ONLINE_S)
        grant = self._begin(wanted, until_s=until_s)
        code = CodeTerms(wanted.redirect_uri, wanted.challenge, wanted.nonce)
        return self._issue(BearerKind.CODE, code, grant, wanted.patient, until_s=self._node.clock() + CODE_S)

    def redeem(self, app: App, code: str, *, redirect_uri: str, verifier: str) -> Issued:
        """Return the tokens for a code.

        Raises:
            Refused: GRANT_UNFIT; a code that comes again has ended its family.
        """
        taken = self._bearers.take(BearerKind.CODE, code, CodeTerms)
        live = self._of_first_use(app, taken)
        assert taken is not None, "an unknown one was refused"
        terms = taken.value
        if not hmac.compare_digest(terms.redirect_uri.encode(), redirect_uri.encode()):
            raise self._ending(live.grant, "expected the redirect URI that the code was sent to")
        if not hmac.compare_digest(terms.challenge, challenge_of(verifier)):
            raise self._ending(live.grant, "expected the verifier of the code's challenge")
        return self._tokens(live, live.terms.scopes, nonce=terms.nonce)

    def refresh(self, app: App, token: str, scopes: Sequence[str]) -> Issued:
        """Return new tokens for a refresh token, which works no more; with fewer scopes where `scopes` names some.

        Raises:
            Refused: SCOPE_UNFIT, it asks for more than it has; GRANT_UNFIT, also for a token that comes again.
        """
        found = self._bearers.find(BearerKind.REFRESH, token, TokenTerms)
        if found is not None and found.is_first and not set(scopes) <= set(found.value.scopes):
            raise Refused(Refusal.SCOPE_UNFIT, "expected no scope that was not granted")
        taken = self._bearers.take(BearerKind.REFRESH, token, TokenTerms)
        live = self._of_first_use(app, taken)
        assert taken is not None, "an unknown one was refused"
        return self._tokens(live, tuple(scopes) or taken.value.scopes)

    def for_backend(self, app: App, scopes: tuple[str, ...]) -> Issued:
        """Return an access token for a backend service; its grant is shared by its tokens, so that sessions are few.

        Raises:
            Refused: GRANT_UNFIT, or what its account's certificate lacks.
        """
        return self._tokens(self.live(self._of_backend(app)), scopes)

    def for_ticket(self, app: App, ticket: ShownTicket, scopes: tuple[str, ...]) -> Issued:
        """Return an access token for a backend service that has shown a patient's ticket, about that patient alone.

        What the same service gets for the same ticket is one grant, so that sessions are few; it ends with the ticket.

        Raises:
            Refused: GRANT_UNFIT, or what its account's certificate lacks.
        """
        account = AccountId(app.account)
        owner = self._accounts.find(account)
        if owner is None or owner.pseudonym:
            raise Refused(Refusal.GRANT_UNFIT, "expected a service that acts for an organisation, not for a patient")
        grant = self._rows.lookup("ticket", app.id, ticket.key.public)[:16]
        if not self._lasts(grant, until_s=min(self._node.clock() + ACCESS_S, ticket.until_s)):
            wanted = Wanted(app, account, scopes, ticket.pseudonym, "", "", "")
            until_s = min(self._node.clock() + ONLINE_S, ticket.until_s)
            self._begin(wanted, until_s=until_s, grant=grant, ticket=ticket.key)
        return self._tokens(self.live(grant), scopes)

    def look(self, token: str) -> tuple[Live, tuple[str, ...]]:
        """Return the grant of an access token, and the token's scopes. Raises Refused: GRANT_UNFIT, or why it died."""
        lookup = self._bearers.lookup(BearerKind.ACCESS, token)
        with self._node.vault.database.reading() as connection:
            row = connection.execute(_BY_TOKEN, {"token": lookup}).one_or_none()
        if row is None or row.token_until_s <= self._node.clock():
            raise Refused(Refusal.GRANT_UNFIT, "expected an access token that has not ended")
        return self._stands(row), self._token(lookup, row.token, TokenTerms).scopes

    def owner_of(self, token: str) -> tuple[BearerKind, Bearer[TokenTerms]] | None:
        """Return which token this is, access or refresh, unused and in time; None when it is neither."""
        for kind in (BearerKind.ACCESS, BearerKind.REFRESH):
            found = self._bearers.find(kind, token, TokenTerms)
            if found is not None and found.is_first:
                return kind, found
        return None

    def live(self, grant: bytes) -> Live:
        """Return a grant if it stands at this moment. Raises Refused."""
        with self._node.vault.database.reading() as connection:
            row = connection.execute(_BY_GRANT, {"name": grant}).one_or_none()
        if row is None:
            raise Refused(Refusal.GRANT_UNFIT, "what it rested on is gone: authorise anew")
        return self._stands(row)

    def carried_on(self, grant: bytes) -> Live:
        """Return a grant if it stands; where a backend service's is over its time, the one that it has now.

        Raises:
            Refused: it was ended, it is over and not followed by another, or what it rested on is gone.
        """
        with self._node.vault.database.reading() as connection:
            row = connection.execute(_BY_GRANT, {"name": grant}).one_or_none()
        if row is None:
            raise Refused(Refusal.GRANT_UNFIT, "what it rested on is gone: authorise anew")
        if row.ended or row.until_s > self._node.clock():
            return self._stands(row)
        over, _ = self._open(*(row[:7]))
        is_own = over.app.kind is AppKind.BACKEND and over.app.account == over.terms.account
        if not is_own or over.terms.patient or over.login.ticket is not None:
            raise Refused(Refusal.GRANT_UNFIT, "what it rested on has ended: authorise anew")
        return self.live(self._of_backend(over.app))

    def is_of(self, grant: bytes, app: App) -> bool:
        """Tell whether a grant was given to an app, whatever became of it."""
        columns = schema.grants.c
        mine = (columns.grant == grant) & (columns.app == self._rows.lookup("app", app.id))
        with self._node.vault.database.reading() as connection:
            return connection.scalar(select(columns.grant).where(mine)) is not None

    def subject(self, live: Live) -> str:
        """Return the name by which an app knows an account: another one for each app."""
        return self._rows.lookup("subject", live.app.id, live.terms.account).hex()[:32]

    def end(self, grant: bytes) -> None:
        """End a grant and every token of it, at once and for good."""
        with self._node.vault.database.writing() as connection:
            connection.execute(update(schema.grants).where(schema.grants.c.grant == grant).values(ended=1))
            connection.execute(
                delete(schema.bearers).where(
                    (schema.bearers.c.grant == grant) & (schema.bearers.c.kind == BearerKind.ACCESS)
                )
            )

    def take_back(self, code: str) -> None:
        """End the grant of a code that was just made, which nobody has used."""
        found = self._bearers.find(BearerKind.CODE, code, CodeTerms)
        if found is not None:
            self.end(found.grant)

    def given_by(self, account: AccountId) -> list[Given]:
        """Return what an account lets apps do at this moment, newest end first."""
        columns = schema.grants.c
        stands = (columns.account == account) & (columns.ended == 0) & (columns.until_s > self._node.clock())
        with self._node.vault.database.reading() as connection:
            rows = connection.execute(select(schema.grants).where(stands).order_by(columns.until_s.desc())).all()
        terms = [(row, self._rows.open(_TABLE, row.grant, row.sealed, _decode_terms)) for row in rows]
        return [Given(row.grant, each.app, each.scopes, row.until_s) for row, each in terms]

    def _of_first_use(self, app: App, taken: "Bearer[CodeTerms] | Bearer[TokenTerms] | None") -> Live:
        """Return the live grant of what was used for the first time, by its own app. Raises Refused."""
        if taken is None:
            raise Refused(Refusal.GRANT_UNFIT, "expected a code or token that has not ended")
        if not taken.is_first:
            raise self._ending(taken.grant, "it came a second time: whatever it led to has ended, authorise anew")
        live = self.live(taken.grant)
        if live.app.id != app.id:
            raise self._ending(taken.grant, "it was given to another app: whatever it led to has ended")
        return live

    def _ending(self, grant: bytes, words: str) -> Refused:
        self.end(grant)
        return Refused(Refusal.GRANT_UNFIT, words)

    def _stands(self, row: Row[*tuple[Any, ...]]) -> Live:
        """Return a grant of which nothing has ended.

        What is sealed is opened once and kept as long as the same bytes stand in the row; what it rests on is looked
        up each time.
        """
        if row.ended or row.until_s <= self._node.clock():
            raise Refused(Refusal.GRANT_UNFIT, "what it rested on has ended: authorise anew")
        live, footing = self._open(*(row[:7]))
        session = live.login.session
        if not live.account.brings_session and self._is_nearly_over(session):
            live, footing = self._renew(live)
        self._accounts.require_footing(footing)
        if live.login.ticket is not None:
            require_in_force(self._node, live.login.ticket)
        return live

    def _open_anew(
        self, grant: bytes, until_s: int, sealed: bytes, account: bytes, owner: bytes, app: bytes, program: bytes
    ) -> tuple[Live, Footing]:
        terms = self._rows.open(_TABLE, grant, sealed, _decode_terms)
        found, registered = self._accounts.opened(account, owner), self._apps.opened(app, program)
        session = OpenSession(SigningKey.from_seed(terms.seed), terms.certified, terms.certificate)
        ticket = SigningKey.from_seed(terms.ticket) if isinstance(terms, TicketTerms) else None
        login = Login(session, found.role_class, PURPOSES[found.role_class], ticket)
        live = Live(grant, terms, registered, found, login, until_s)
        if not found.brings_session and self._is_nearly_over(session):
            return self._renew(live)
        return live, self._accounts.footing_of(found, session)

    def _is_nearly_over(self, session: OpenSession) -> bool:
        return session.certified.session.until_s - self._node.clock() <= SESSION_LEFT_S_MIN

    def _renew(self, live: Live) -> tuple[Live, Footing]:
        """Certify another session, since the key that does is here, and keep it."""
        session = self._accounts.session_of(live.account)
        terms = msgspec.structs.replace(live.terms, seed=session.key.seed, certified=session.certified)
        sealed = self._rows.seal(_TABLE, live.grant, terms)
        with self._node.vault.database.writing() as connection:
            connection.execute(update(schema.grants).where(schema.grants.c.grant == live.grant).values(sealed=sealed))
        renewed = dataclasses.replace(live, terms=terms, login=dataclasses.replace(live.login, session=session))
        return renewed, self._accounts.footing_of(live.account, session)

    def _begin(self, wanted: Wanted, *, until_s: int, grant: bytes = b"", ticket: SigningKey | None = None) -> bytes:
        owner = self._accounts.find(wanted.account)
        if owner is None:
            raise Refused(Refusal.GRANT_UNFIT, "the account is gone")
        session = self._accounts.session_of(owner)
        if owner.brings_session:
            until_s = min(until_s, session.certified.session.until_s)
        grant = grant or secrets.token_bytes(16)
        terms = Terms(
            app=wanted.app.id,
            account=wanted.account,
            scopes=wanted.scopes,
            patient=wanted.patient,
            level=wanted.level,
            seed=session.key.seed,
            certified=session.certified,
            certificate=session.certificate,
        )
        if ticket is not None:
            terms = TicketTerms(**msgspec.structs.asdict(terms), ticket=ticket.seed)
        row = {
            "grant": grant,
            "app": self._rows.lookup("app", wanted.app.id),
            "account": wanted.account,
            "pseudonym": wanted.patient or owner.pseudonym,
            "ended": 0,
            "until_s": until_s,
            "sealed": self._rows.seal(_TABLE, grant, terms),
        }
        with self._node.vault.database.writing() as connection:
            connection.execute(delete(schema.grants).where(schema.grants.c.until_s < self._node.clock() - OFFLINE_S))
            connection.execute(delete(schema.grants).where(schema.grants.c.grant == grant))
            connection.execute(insert(schema.grants).values(row))
        return grant

    def _of_backend(self, app: App) -> bytes:
        """The grant of a backend service, begun where there is none that lasts."""
        account = AccountId(app.account)
        until_s = self._node.clock() + ONLINE_S
        return self._running(app, account) or self._begin(Wanted(app, account, (), b"", "", "", ""), until_s=until_s)

    def _running(self, app: App, account: AccountId) -> bytes | None:
        columns = schema.grants.c
        mine = (columns.app == self._rows.lookup("app", app.id)) & (columns.account == account)
        owner = select(schema.accounts.c.pseudonym).where(schema.accounts.c.account == account)
        mine &= columns.pseudonym == owner.scalar_subquery()  # one that rests on a ticket is about somebody else
        lasts = (columns.ended == 0) & (columns.until_s > self._node.clock() + ACCESS_S)
        with self._node.vault.database.reading() as connection:
            found: bytes | None = connection.scalar(select(columns.grant).where(mine & lasts).limit(1))
        return found

    def _lasts(self, grant: bytes, *, until_s: int) -> bool:
        columns = schema.grants.c
        lasts = (columns.grant == grant) & (columns.ended == 0) & (columns.until_s >= until_s)
        with self._node.vault.database.reading() as connection:
            return connection.scalar(select(columns.grant).where(lasts)) is not None

    def _tokens(self, live: Live, scopes: tuple[str, ...], *, nonce: str = "") -> Issued:
        now_s, patient = self._node.clock(), live.terms.patient
        until_s = min(now_s + ACCESS_S, live.until_s, live.terms.certified.session.until_s)
        token = TokenTerms(scopes)
        access = self._issue(BearerKind.ACCESS, token, live.grant, patient, until_s=until_s)
        refresh = ""
        if {"offline_access", "online_access"} & set(live.terms.scopes) and live.app.kind is not AppKind.BACKEND:
            refresh = self._issue(BearerKind.REFRESH, token, live.grant, patient, until_s=live.until_s)
        return Issued(access, refresh, until_s - now_s, scopes, live, nonce)

    def _issue(self, kind: BearerKind, value: msgspec.Struct, grant: bytes, patient: bytes, *, until_s: int) -> str:
        return self._bearers.issue(kind, value, until_s=until_s, grant=grant, pseudonym=patient)


def _decode_terms(data: bytes) -> Terms:
    """Return a grant's terms; one that rests on a ticket has a field more."""
    try:
        terms: Terms = _TERMS.decode(data)
    except EncodingInvalid:
        terms = _TICKET_TERMS.decode(data)
    return terms


def challenge_of(verifier: str) -> str:
    """Return the S256 challenge of a verifier (RFC 7636 4.2)."""
    digest = hashlib.sha256(verifier.encode("ascii", "replace")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
