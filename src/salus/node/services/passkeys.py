"""Passkeys: by which people sign in to a node's portal (WebAuthn Level 3), each on a device of theirs.

They sign in and nothing else: the keys that act on the ledger open on another page, of another origin. Promises: a
passkey counts for this portal's address only, with the person present and verified; what it was asked is asked once;
one whose count of signatures goes back was copied, and opens nothing; an id that nobody has costs as much as one that
somebody has; what is kept of one is a keyed hash of its id, its public key and that count, sealed.
"""

import hashlib
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec
import structlog
from cryptography.hazmat.primitives.asymmetric import ec
from fido2.cose import ES256
from fido2.server import Fido2Server
from fido2.utils import websafe_decode, websafe_encode
from fido2.webauthn import (
    Aaguid,
    AttestedCredentialData,
    AuthenticationResponse,
    PublicKeyCredentialRpEntity,
    PublicKeyCredentialUserEntity,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)
from msgspec import Meta
from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from salus.ledger.identifiers import Pseudonym
from salus.node import schema
from salus.node.assemble import Node
from salus.node.caller_networks import network_of
from salus.node.errors import Refusal, Refused
from salus.node.sealed_rows import SealedRows, row_decoder
from salus.node.services.accounts import AccountId
from salus.node.tallies import Counted, Tally, count, tried

PASSKEYS_MAX: Final = 20
CHALLENGE_BYTES: Final = 32
TRIES_FROM_MAX: Final = 200
TRIES_S: Final = 900
_TABLE: Final = "passkey"
_NOBODYS: Final = ES256.from_cryptography_key(  # type: ignore[no-untyped-call]  # as fido2 has it
    ec.derive_private_key(int.from_bytes(hashlib.sha256(b"nobody").digest()), ec.SECP256R1()).public_key()
)
"""What an answer of a passkey that nobody has is held against, so that it takes as long."""
_MALFORMED: Final = (
    *(ValueError, LookupError, TypeError, AttributeError, AssertionError, RuntimeError),
    msgspec.ValidationError,
)
"""What is said of bytes that are no answer: the library asserts that a registration has a credential, takes every key
for a map, reads CBOR past its end and as deeply as it is nested, and knows not every algorithm."""

log = structlog.get_logger("salus.passkeys")


class Passkey(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A passkey of an account.

    Args:
        name: what its owner calls the device.
        credential: its id and public key, as WebAuthn has them (6.5.2).
        made_s: Unix seconds.
        sign_count: how often it has signed, as it says itself (6.1.1); 0 of one that does not count.
    """

    name: Annotated[str, Meta(min_length=1, max_length=80)]
    credential: bytes
    made_s: int
    sign_count: int = 0

    def __repr__(self) -> str:
        """Hide whose it is."""
        return "Passkey(…)"


@dataclass(frozen=True)
class KeptPasskey:
    """A passkey with the keyed hash under which it is kept."""

    lookup: bytes
    passkey: Passkey


_PASSKEY = row_decoder(Passkey)


class Passkeys:
    """The passkeys of one portal."""

    def __init__(self, node: Node, rows: SealedRows, *, host: str, origin: str, title: str) -> None:
        self._node = node
        self._rows = rows
        rp = PublicKeyCredentialRpEntity(name=title, id=host)
        self._server = Fido2Server(rp, verify_origin=lambda came_from: came_from == origin)

    def of(self, account: AccountId) -> list[KeptPasskey]:
        """Return an account's passkeys, the oldest first."""
        columns = schema.passkeys.c
        with self._node.vault.database.reading() as connection:
            rows = connection.execute(select(schema.passkeys).where(columns.account == account)).all()
        found = [KeptPasskey(row.lookup, self._opened(row.lookup, row.sealed)) for row in rows]
        return sorted(found, key=lambda each: (each.passkey.made_s, each.lookup))

    def ask_new(self, account: AccountId, *, name: str, challenge: bytes) -> dict[str, object]:
        """Return what a browser makes a passkey from (WebAuthn 5.4), bound to this challenge."""
        known = [AttestedCredentialData(each.passkey.credential) for each in self.of(account)]
        handle = self._rows.lookup("passkey-user", account)
        options, _ = self._server.register_begin(
            PublicKeyCredentialUserEntity(name=name, id=handle, display_name=name),
            known,
            resident_key_requirement=ResidentKeyRequirement.REQUIRED,
            user_verification=UserVerificationRequirement.REQUIRED,
            challenge=challenge,
        )
        return dict(options)

    def add(self, account: AccountId, answer: object, *, challenge: bytes, name: str, pseudonym: Pseudonym) -> None:
        """Keep the passkey that a browser made.

        Args:
            pseudonym: of the patient whose account it is; empty for staff.

        Raises:
            Refused: SIGN_IN_UNFIT, it is not what was asked for; TOO_MANY.
        """
        if len(self.of(account)) >= PASSKEYS_MAX:
            raise Refused(Refusal.TOO_MANY, f"expected at most {PASSKEYS_MAX} passkeys: remove one first")
        try:
            registered = self._server.register_complete(_asked(challenge), _mapping(answer))
        except _MALFORMED as error:
            raise _unfit() from error
        made = registered.credential_data
        if made is None:
            raise _unfit()
        lookup = self._rows.lookup(_TABLE, made.credential_id)
        kept = Passkey(name, bytes(made), self._node.clock(), registered.counter)
        row = {
            "lookup": lookup,
            "account": account,
            "pseudonym": pseudonym,
            "sealed": self._rows.seal(_TABLE, lookup, kept),
        }
        try:
            with self._node.vault.database.writing() as connection:
                connection.execute(insert(schema.passkeys).values(row))
        except IntegrityError as error:
            raise _unfit() from error

    def ask(self, *, challenge: bytes) -> dict[str, object]:
        """Return what a browser signs with any passkey of this portal (WebAuthn 5.5); it names nobody."""
        options, _ = self._server.authenticate_begin(
            user_verification=UserVerificationRequirement.REQUIRED, challenge=challenge
        )
        return dict(options)

    def sign_in(self, answer: object, *, challenge: bytes, address: str) -> AccountId:
        """Return whose passkey has signed the challenge.

        1. Count the try of the network; a challenge that was answered before is answered no more.
        2. Check the signature, of an id that nobody has against a key that nobody has.
        3. The count of signatures goes on (7.2, step 22).

        Raises:
            Refused: SIGN_IN_UNFIT, with the same words whatever was wrong; TOO_MANY from one network.
            NotNow: the try cannot be counted at this moment.
        """
        from_there = self._rows.lookup("address", network_of(address))
        with tried(self._node, Tally.SIGN_INS_FROM, who=from_there, within_s=TRIES_S, most=TRIES_FROM_MAX):  # 1
            self._require_new(challenge)
            kept, signed = self._checked(answer, challenge)  # 2
            self._go_on(kept[1], signed)  # 3
            return kept[0]

    def name_of(self, answer: object) -> bytes:
        """Return under which keyed hash the passkey is kept that an answer is of. Raises Refused: SIGN_IN_UNFIT."""
        try:
            return self._rows.lookup(_TABLE, websafe_decode(msgspec.convert(answer, _Answer).rawId))
        except _MALFORMED as error:
            raise _unfit() from error

    def remove(self, account: AccountId, lookup: bytes) -> None:
        """Forget one of an account's passkeys; another's, or none, is left as it is."""
        columns = schema.passkeys.c
        with self._node.vault.database.writing() as connection:
            connection.execute(delete(schema.passkeys).where((columns.lookup == lookup) & (columns.account == account)))

    def _require_new(self, challenge: bytes) -> None:
        who, now_s = self._rows.lookup("challenge", challenge), self._node.clock()
        once = count(self._node, Tally.PASSKEY, who=who, what=challenge, now_s=now_s, within_s=TRIES_S, most=1)
        if once is not Counted.NEW:
            raise _unfit()

    def _checked(self, answer: object, challenge: bytes) -> tuple[tuple[AccountId, KeptPasskey], int]:
        """Return whose passkey has signed the challenge, and its count then. Raises Refused: SIGN_IN_UNFIT."""
        try:
            named = websafe_decode(msgspec.convert(answer, _Answer).rawId)
            kept = self._kept(named)
            known = AttestedCredentialData.create(Aaguid.NONE, named, _NOBODYS)
            known = known if kept is None else AttestedCredentialData(kept[1].passkey.credential)
            self._server.authenticate_complete(_asked(challenge), [known], _mapping(answer))
            signed = AuthenticationResponse.from_dict(_mapping(answer)).response.authenticator_data.counter
        except _MALFORMED as error:
            raise _unfit() from error
        if kept is None:
            raise _unfit()
        return kept, signed

    def _kept(self, credential: bytes) -> tuple[AccountId, KeptPasskey] | None:
        lookup = self._rows.lookup(_TABLE, credential)
        with self._node.vault.database.reading() as connection:
            row = connection.execute(select(schema.passkeys).where(schema.passkeys.c.lookup == lookup)).one_or_none()
        if row is None:
            return None
        return AccountId(row.account), KeptPasskey(row.lookup, self._opened(row.lookup, row.sealed))

    def _go_on(self, kept: KeptPasskey, signed: int) -> None:
        """Keep a passkey's new count. Raises Refused (SIGN_IN_UNFIT): it is not above what came before."""
        passkey, columns = kept.passkey, schema.passkeys.c
        if not signed and not passkey.sign_count:
            return
        if signed <= passkey.sign_count:
            log.warning("passkey.count_went_back")
            raise _unfit()
        fresh = self._rows.seal(_TABLE, kept.lookup, msgspec.structs.replace(passkey, sign_count=signed))
        with self._node.vault.database.writing() as connection:
            this = select(schema.passkeys).where(columns.lookup == kept.lookup).with_for_update()
            row = connection.execute(this).one_or_none()
            if row is None or self._opened(row.lookup, row.sealed) != passkey:  # another sign-in came between
                raise _unfit()
            connection.execute(update(schema.passkeys).where(columns.lookup == kept.lookup).values(sealed=fresh))

    def _opened(self, lookup: bytes, sealed: bytes) -> Passkey:
        found: Passkey = self._rows.open(_TABLE, lookup, sealed, _PASSKEY.decode)
        return found


class _Answer(msgspec.Struct):
    """Of an answer what says which passkey it is of: the id, in base64url without padding."""

    rawId: Annotated[str, Meta(max_length=2048)]  # noqa: N815  (WebAuthn's name)


def _asked(challenge: bytes) -> dict[str, object]:
    """What the library wants to know of what was asked."""
    return {"challenge": websafe_encode(challenge), "user_verification": UserVerificationRequirement.REQUIRED}


def _mapping(answer: object) -> dict[str, object]:
    if not isinstance(answer, dict):
        raise _unfit()
    return answer


def _unfit() -> Refused:
    return Refused(Refusal.SIGN_IN_UNFIT, "this passkey does not open anything here: use another way to sign in")
