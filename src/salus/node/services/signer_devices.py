"""Patients' own devices as the portal keeps them: a wrapped wallet, and apart from it the share that opens it.

Promises: wallet and share are in different tables, sealed under different keys; neither opens anything without the
passkey (docs/spec/signer.md). What two workers change of one device at one moment both holds, and a wallet takes the
place of the one from which it was made, and of no other. Whether a device's key acts, the ledger says and nothing that
is kept here.
"""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import msgspec
from sqlalchemy import delete, insert, select, update

from salus.contracts import patients, records
from salus.contracts.patients import AddKey, Holder, Relationship
from salus.crypto.hashing import sha256
from salus.ledger.fields import CommittedFields
from salus.ledger.identifiers import Pseudonym, PublicKey
from salus.node import schema
from salus.node.acting import Patient
from salus.node.assemble import Node
from salus.node.errors import Refusal, Refused
from salus.node.members import read_time_s
from salus.node.sealed_rows import SealedRows, row_decoder
from salus.node.services.accounts import Account, AccountId
from salus.node.services.signer_answers import HalfSigned, NewBlob
from salus.node.services.signer_requests import REQUEST_S, DeviceKept

DEVICES_MAX: Final = 16
BEGUN_MAX: Final = 128
"""Devices of one account together with those that are being made."""
SHARE_BYTES: Final = 32
_TABLE: Final = "signing-device"
_SHARE: Final = "signing-share"
_GONE: Final = "this device is not known here any more: set it up again"
_MOVED_ON: Final = "this device was changed in another window meanwhile: begin again"


class DeviceKey(msgspec.Struct, frozen=True, array_like=True):
    """A key of a device's for one relationship."""

    custodian: str
    pseudonym: bytes
    key: bytes

    def __repr__(self) -> str:
        """Hide whose it is."""
        return "DeviceKey(…)"


class Offer(msgspec.Struct, frozen=True, array_like=True):
    """What another device signed so that this one may act, until this one accepts; seconds."""

    custodian: str
    message: AddKey
    body: bytes
    signers: tuple[bytes, ...]
    signature: bytes
    residual: CommittedFields
    until_s: int

    @property
    def half(self) -> HalfSigned:
        """As it came from the signer page."""
        signers = tuple(map(PublicKey, self.signers))
        return HalfSigned(self.message, self.body, signers, self.signature, self.residual)


class Device(msgspec.Struct, frozen=True, array_like=True):
    """A device.

    Args:
        id: 16 bytes, by which the signer page knows it.
        name: what its owner calls it.
        made_s: Unix seconds.
        credential: the passkey's id; blob: the wrapped wallet; before: the one before it, or empty.
        keys: that are in the wallet; they act where the ledger says so.
        offers: by which another device lets it act.
        is_leaving: whether it was removed, and some custodian has yet to take that.
    """

    id: bytes
    name: str
    made_s: int
    credential: bytes
    blob: bytes
    before: bytes = b""
    keys: tuple[DeviceKey, ...] = ()
    offers: tuple[Offer, ...] = ()
    is_leaving: bool = False

    def __repr__(self) -> str:
        """Hide all of it."""
        return "Device(…)"


Change = Callable[[Device], Device]


class _Share(msgspec.Struct, frozen=True, array_like=True):
    share: bytes


@dataclass(frozen=True)
class Standing:
    """What the ledger says of a device here: whether it acts, and whether it is the first, which lets others act."""

    acts: bool
    is_first: bool


class SignerDevices:
    """The devices of all accounts of one node."""

    def __init__(self, node: Node, rows: SealedRows) -> None:
        self._node = node
        self._rows = rows
        self._shares = rows.branch("shares")

    def of(self, account: AccountId) -> list[Device]:
        """Return an account's devices, the oldest first."""
        table = schema.signing_devices
        with self._node.vault.database.reading() as connection:
            rows = connection.execute(select(table).where(table.c.account == account)).all()
        found = [self._rows.open(_TABLE, row.device, row.sealed, row_decoder(Device).decode) for row in rows]
        return sorted(found, key=lambda each: (each.made_s, each.id))

    def find(self, account: AccountId, device: bytes) -> Device:
        """Return one of an account's devices. Raises Refused (NOT_YOURS)."""
        for each in self.of(account):
            if each.id == device:
                return each
        raise Refused(Refusal.NOT_YOURS, _GONE)

    def begin(self, account: AccountId, pseudonym: Pseudonym) -> DeviceKept:
        """Draw id and share of a device that is to be made; forgotten again unless it is, in time.

        Raises:
            Refused: TOO_MANY.
        """
        table, now_s = schema.signing_shares, self._node.clock()
        with self._node.vault.database.reading() as connection:
            begun = connection.scalars(select(table.c.until_s).where(table.c.account == account)).all()
        if begun.count(schema.NEVER_S) >= DEVICES_MAX or sum(each >= now_s for each in begun) >= BEGUN_MAX:
            raise Refused(Refusal.TOO_MANY, f"expected at most {DEVICES_MAX} devices: remove one, or wait 10 minutes")
        new = DeviceKept(secrets.token_bytes(16), secrets.token_bytes(SHARE_BYTES))
        lookup = self._rows.lookup(_TABLE, new.id)
        row = {
            "device": lookup,
            "account": account,
            "pseudonym": pseudonym,
            "until_s": now_s + REQUEST_S,
            "sealed": self._shares.seal(_SHARE, lookup, _Share(new.share)),
        }
        with self._node.vault.database.writing() as connection:
            connection.execute(delete(table).where(table.c.until_s < now_s))
            connection.execute(insert(table).values(row))
        return new

    def kept(self, account: AccountId, devices: tuple[bytes, ...]) -> tuple[DeviceKept, ...]:
        """Return devices as a request has them, with their shares, without passkey while one is made.

        Raises:
            Refused: NOT_YOURS.
        """
        known = {each.id: each for each in self.of(account)}
        kept = []
        for each in devices:
            device, share = known.get(each), self._share(account, each)
            kept.append(DeviceKept(each, share, device.credential, device.blob) if device else DeviceKept(each, share))
        return tuple(kept)

    def add(
        self, account: AccountId, pseudonym: Pseudonym, new: NewBlob, *, name: str, keys: tuple[DeviceKey, ...]
    ) -> None:
        """Keep a device that was made.

        Raises:
            Refused: NOT_YOURS: it was not begun, or too long ago; TOO_MANY: others were made meanwhile.
        """
        shares, lookup = schema.signing_shares, self._rows.lookup(_TABLE, new.device)
        device = Device(new.device, name, self._node.clock(), new.credential, new.blob, keys=keys)
        begun = (shares.c.device == lookup) & (shares.c.account == account)
        with self._node.vault.database.writing() as connection:
            theirs = select(shares.c.until_s).where(shares.c.account == account).with_for_update()
            if connection.scalars(theirs).all().count(schema.NEVER_S) >= DEVICES_MAX:
                raise Refused(Refusal.TOO_MANY, f"expected at most {DEVICES_MAX} devices: remove one")
            if not connection.execute(update(shares).where(begun).values(until_s=schema.NEVER_S)).rowcount:
                raise Refused(Refusal.NOT_YOURS, _GONE)
            row = {"device": lookup, "account": account, "pseudonym": pseudonym}
            sealed = self._rows.seal(_TABLE, lookup, device)
            connection.execute(insert(schema.signing_devices).values(row | {"sealed": sealed}))

    def change(self, account: AccountId, device: bytes, to: Change) -> Device:
        """Change a device, beside what others change at this moment; return it as it is then.

        Raises:
            Refused: NOT_YOURS.
        """
        table, lookup = schema.signing_devices, self._rows.lookup(_TABLE, device)
        own = (table.c.device == lookup) & (table.c.account == account)
        with self._node.vault.database.writing() as connection:
            sealed = connection.scalar(select(table.c.sealed).where(own).with_for_update())
            if sealed is None:
                raise Refused(Refusal.NOT_YOURS, _GONE)
            changed = to(self._rows.open(_TABLE, lookup, sealed, row_decoder(Device).decode))
            connection.execute(update(table).where(own).values(sealed=self._rows.seal(_TABLE, lookup, changed)))
        return changed

    def rewrap(self, account: AccountId, new: NewBlob, keys: tuple[DeviceKey, ...]) -> None:
        """Keep a device's new wallet, with these keys more.

        Raises:
            Refused: NOT_YOURS; MESSAGE_UNFIT: it was made from another wallet than the one that is kept.
        """
        self.change(account, new.device, lambda now: msgspec.structs.replace(_rewrapped(now, new, keys), before=b""))

    @contextmanager
    def trying(self, account: AccountId, new: NewBlob, *keys: DeviceKey) -> Iterator[None]:
        """Keep a device's new wallet, with these keys more, and beside it the one before, until the block ends.

        If the block raises Refused the old one is back, unless another has taken the place of the new one since;
        whatever else it raises, both stay. Raises Refused: as `rewrap`.
        """
        before = self.find(account, new.device)
        self.change(account, new.device, lambda now: _rewrapped(now, new, keys))
        try:
            yield
        except Refused:
            self.change(account, new.device, lambda now: _unwrapped(now, before) if now.blob == new.blob else now)
            raise
        self.change(
            account,
            new.device,
            lambda now: msgspec.structs.replace(now, before=b"") if now.blob == new.blob else now,
        )

    def forget(self, account: AccountId, device: bytes) -> None:
        """Forget one of an account's devices, wallet and share; another's, or none, is left as it is."""
        lookup = self._rows.lookup(_TABLE, device)
        with self._node.vault.database.writing() as connection:
            for table in (schema.signing_devices, schema.signing_shares):
                connection.execute(delete(table).where((table.c.device == lookup) & (table.c.account == account)))

    def standing(self, device: Device, pseudonym: Pseudonym) -> Standing:
        """Return what the ledger says of a device's key for a relationship."""
        own = {PublicKey(each.key) for each in device.keys if each.pseudonym == pseudonym}
        with self._node.engine.snapshot() as reader:
            row = patients.relationship_of(reader, pseudonym)
            acting = () if row is None else patients.acting_keys(row, time_s=read_time_s(reader, self._node.clock))
        return Standing(acts=not own.isdisjoint(acting), is_first=row is not None and row.key in own)

    def acting(self, account: AccountId, *pseudonyms: Pseudonym) -> list[Device]:
        """Return the devices that act for each of these relationships at this moment, the oldest first."""
        assert pseudonyms, "every device acts for no relationship"
        known = self.of(account)
        return [each for each in known if all(self.standing(each, one).acts for one in pseudonyms)]

    def reached(self, account: AccountId, pseudonym: Pseudonym) -> list[DeviceKey]:
        """Return the relationships of which the first device is the same as here: its keys, the one here first."""
        for device in self.of(account):
            if self.standing(device, pseudonym).is_first:
                own = [each for each in device.keys if self.standing(device, Pseudonym(each.pseudonym)).is_first]
                return sorted(own, key=lambda each: (each.pseudonym != pseudonym, each.custodian))
        return []

    def are_awaited(self, account: Account) -> bool:
        """Tell whether a patient's own device has to certify a session before the patient can be shown anything.

        Raises:
            Refused: as `require_known`.
        """
        if not isinstance(account.acts_as, Patient):
            return False
        row, now_s = self.require_known(account), self._node.clock()
        has_brought = any(now_s < each.session.until_s for each in account.acts_as.sessions)
        return row.holder is Holder.PATIENT and not has_brought

    def require_known(self, account: Account) -> Relationship:
        """Return a patient's relationship here. Raises Refused (PATIENT_UNKNOWN): there is none any more."""
        with self._node.engine.snapshot() as reader:
            row = patients.relationship_of(reader, account.pseudonym)
            is_erased = records.is_erased(reader, account.pseudonym)
        if row is None or row.custodian != self._node.organisation or is_erased:
            raise Refused(Refusal.PATIENT_UNKNOWN, "expected a relationship of this custodian that was not erased")
        return row

    def _share(self, account: AccountId, device: bytes) -> bytes:
        table, lookup = schema.signing_shares, self._rows.lookup(_TABLE, device)
        own = (table.c.device == lookup) & (table.c.account == account)
        with self._node.vault.database.reading() as connection:
            sealed = connection.scalar(select(table.c.sealed).where(own))
        if sealed is None:
            raise Refused(Refusal.NOT_YOURS, _GONE)
        found: _Share = self._shares.open(_SHARE, lookup, sealed, row_decoder(_Share).decode)
        return found.share


def _rewrapped(now: Device, new: NewBlob, keys: tuple[DeviceKey, ...]) -> Device:
    if sha256(now.blob) != new.base:
        raise Refused(Refusal.MESSAGE_UNFIT, _MOVED_ON)
    made = {each.pseudonym for each in keys}
    others = tuple(each for each in now.keys if each.pseudonym not in made)
    return msgspec.structs.replace(now, blob=new.blob, before=now.blob, keys=(*others, *keys))


def _unwrapped(now: Device, before: Device) -> Device:
    """A device with wallet and keys as they were, and all else as it is now."""
    return msgspec.structs.replace(now, blob=now.before, before=before.before, keys=before.keys)
