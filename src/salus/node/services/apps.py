"""Apps: the programs of others that may use this node's interfaces, as the operator registered them.

Promises: a redirect URI is one that only the app itself can receive at, compared whole and never by a part; a secret is
shown once and kept as a keyed hash; a backend service acts as an account of this organisation, and dies with it.
"""

import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, Final, Self
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta
from sqlalchemy import delete, insert, select
from sqlalchemy.exc import IntegrityError

from salus.node import schema
from salus.node.assemble import Node
from salus.node.errors import Refusal, Refused
from salus.node.sealed_rows import SealedRows, row_decoder

URI_BYTES_MAX: Final = 2000
LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
ID_BYTES: Final = 12
RSA_MODULUS_CHARACTERS_MIN: Final = 342
"""2048 bits in base64url."""
_TABLE: Final = "app"


class AppKind(IntEnum):
    """How an app shows that it is itself. Numbers are permanent: they are in the database."""

    PUBLIC = 1
    """It cannot keep a secret: only PKCE and the redirect URI bind it."""
    CONFIDENTIAL = 2
    """It has a secret, or keys of its own."""
    BACKEND = 3
    """It has keys of its own, and no person in front of it."""


class App(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A registered app.

    Args:
        id: its OAuth client_id.
        secret_hash: keyed hash of its secret; empty where it has none.
        jwks: its public keys as a JWK Set; empty where it has none.
        launch_uri: where an EHR launch begins; empty where it cannot be launched.
        account: as whom a backend service acts; empty for others.
        scopes: what it may be given at most; empty does not bound it.
    """

    kind: AppKind
    id: str
    name: Annotated[str, Meta(min_length=1, max_length=120)]
    redirect_uris: tuple[str, ...]
    secret_hash: bytes
    jwks: bytes
    launch_uri: str
    account: bytes
    scopes: tuple[str, ...]

    def __repr__(self) -> str:
        """Name it, and nothing that it shows itself by."""
        return f"App({self.id})"


class _Key(msgspec.Struct):
    """A JSON Web Key, as far as it is looked at here (RFC 7517)."""

    kty: str
    kid: str = ""
    crv: str = ""
    n: str = ""
    d: str = ""
    k: str = ""


class _KeySet(msgspec.Struct):
    keys: list[_Key]


_APP = row_decoder(App)


@dataclass(frozen=True)
class NewApp:
    """What an operator says of an app; see `App`."""

    kind: AppKind
    name: str
    redirect_uris: Sequence[str] = ()
    jwks: bytes = b""
    launch_uri: str = ""
    account: bytes = b""
    scopes: Sequence[str] = ()


@dataclass(frozen=True)
class Registered:
    """An app, and its secret, which is shown this once; empty where it has none."""

    app: App
    secret: str

    def __repr__(self) -> str:
        """Hide the secret."""
        return f"Registered({self.app.id})"


class Apps:
    """The apps of one node."""

    def __init__(self, node: Node, rows: SealedRows) -> None:
        self._node = node
        self._rows = rows

    @classmethod
    def of(cls, node: Node) -> Self:
        """Return the apps of a node, for who needs nothing else of its interfaces."""
        return cls(node, SealedRows(node.vault, node.chain))

    def add(self, new: NewApp) -> Registered:
        """Register an app. Raises Refused: APP_UNFIT."""
        _require_fit(new)
        has_secret = new.kind is AppKind.CONFIDENTIAL and not new.jwks
        secret = secrets.token_urlsafe(32) if has_secret else ""
        app = App(
            kind=new.kind,
            id=secrets.token_hex(ID_BYTES),
            name=new.name,
            redirect_uris=tuple(new.redirect_uris),
            secret_hash=self._rows.lookup("app-secret", secret) if secret else b"",
            jwks=new.jwks,
            launch_uri=new.launch_uri,
            account=new.account,
            scopes=tuple(new.scopes),
        )
        self._insert(app)
        return Registered(app, secret)

    def find(self, app_id: str) -> App | None:
        """Return an app by its id; None when none is registered under it."""
        lookup = self._rows.lookup(_TABLE, app_id)
        with self._node.vault.database.reading() as connection:
            sealed = connection.scalar(select(schema.apps.c.sealed).where(schema.apps.c.lookup == lookup))
        return None if sealed is None else self.opened(lookup, sealed)

    def all(self) -> list[App]:
        """Return every app, by name."""
        with self._node.vault.database.reading() as connection:
            rows = connection.execute(select(schema.apps)).all()
        return sorted((self.opened(row.lookup, row.sealed) for row in rows), key=_by_name)

    def opened(self, lookup: bytes, sealed: bytes) -> App:
        """Return the app of a row."""
        app: App = self._rows.open(_TABLE, lookup, sealed, _APP.decode)
        return app

    def remove(self, app_id: str) -> None:
        """Forget an app, and all that it was given. Raises Refused: APP_UNFIT."""
        lookup = self._rows.lookup(_TABLE, app_id)
        grants, bearers = schema.grants.c, schema.bearers.c
        given = select(grants.grant).where(grants.app == lookup)
        with self._node.vault.database.writing() as connection:
            if not connection.execute(delete(schema.apps).where(schema.apps.c.lookup == lookup)).rowcount:
                raise Refused(Refusal.APP_UNFIT, "expected the id of a registered app: salus app list shows them")
            connection.execute(delete(schema.bearers).where(bearers.grant.in_(given)))
            connection.execute(delete(schema.grants).where(grants.app == lookup))

    def has_secret(self, app: App, secret: str) -> bool:
        """Tell whether this is the app's secret, in constant time."""
        return bool(app.secret_hash) and hmac.compare_digest(app.secret_hash, self._rows.lookup("app-secret", secret))

    def _insert(self, app: App) -> None:
        lookup = self._rows.lookup(_TABLE, app.id)
        row = {"lookup": lookup, "sealed": self._rows.seal(_TABLE, lookup, app)}
        try:
            with self._node.vault.database.writing() as connection:
                connection.execute(insert(schema.apps).values(row))
        except IntegrityError as error:
            raise Refused(Refusal.APP_UNFIT, "an app has this id already: register it again") from error


def _by_name(app: App) -> tuple[str, str]:
    return app.name, app.id


def _require_fit(new: NewApp) -> None:
    if not new.name or len(new.name) > 120:
        raise Refused(Refusal.APP_UNFIT, "expected a name of 1 to 120 characters, as patients will read it")
    if new.jwks:
        _require_keys(new.jwks)
    if new.kind is AppKind.BACKEND:
        if not new.jwks or not new.account or new.redirect_uris:
            words = "expected keys and an account of a backend service, and no redirect URI"
            raise Refused(Refusal.APP_UNFIT, words)
        return
    if not new.redirect_uris or new.account:
        raise Refused(Refusal.APP_UNFIT, "expected at least one redirect URI of an app that people use, and no account")
    for uri in (*new.redirect_uris, *([new.launch_uri] if new.launch_uri else [])):
        _require_redirect(uri)


def _require_keys(jwks: bytes) -> None:
    """Raise Refused unless these are public keys that each have a name, of kinds that this node checks."""
    try:
        keys = msgspec.json.decode(jwks, type=_KeySet).keys
    except msgspec.DecodeError as error:
        raise Refused(Refusal.APP_UNFIT, "expected a JWK Set: public keys, each with its kid") from error
    names = {key.kid for key in keys}
    is_fit = all(key.kid and not key.d and not key.k and _strength(key) for key in keys)
    if not keys or len(names) != len(keys) or not is_fit:
        words = "expected public keys with a kid of their own: RSA of 2048 bits or more, P-384, or Ed25519"
        raise Refused(Refusal.APP_UNFIT, words)


def _strength(key: "_Key") -> bool:
    if key.kty == "RSA":
        return len(key.n) >= RSA_MODULUS_CHARACTERS_MIN
    return (key.kty, key.crv) in {("EC", "P-384"), ("OKP", "Ed25519")}


def _require_redirect(uri: str) -> None:
    """Raise Refused unless only the app itself receives at a URI (RFC 9700 2.1, RFC 8252 7)."""
    if not uri.isascii() or not uri.isprintable() or set(uri) & set(" #*@\\") or len(uri) > URI_BYTES_MAX:
        raise Refused(Refusal.APP_UNFIT, "expected an absolute URI without fragment, user, wildcard or blank")
    try:
        parts = urlsplit(uri)
        host, is_fit = parts.hostname or "", parts.port != 0
    except ValueError as error:
        raise Refused(Refusal.APP_UNFIT, "expected an absolute URI") from error
    is_web = is_fit and parts.scheme == "https" and host != ""
    is_here = is_fit and parts.scheme == "http" and host in LOOPBACK
    is_private = "." in parts.scheme and not parts.netloc
    if not (is_web or is_here or is_private):
        words = "expected https, http on a loopback address, or a scheme of the app's own with a dot"
        raise Refused(Refusal.APP_UNFIT, words)
