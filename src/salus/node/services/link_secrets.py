"""Link secrets: what opens a health link, and how it is kept so that nobody here can open it.

Promises: the secrets open with the secret of the link's address and its passcode together, and with neither alone; what
a passcode costs to try is that of a password.
"""

import unicodedata
from typing import Final

import msgspec

from salus.crypto.derive import hkdf
from salus.crypto.hashing import tag_prefix
from salus.crypto.sealing import decrypt, encrypt
from salus.crypto.signing import SigningKey
from salus.ledger.encoding import decoder, encode
from salus.ledger.fields import CommittedFields
from salus.node.services.accounts import Password, stretched

_KEY: Final = tag_prefix("salus/health-link/key/1")
_SECRETS: Final = tag_prefix("salus/health-link/secrets/1")


class KeptTicket(msgspec.Struct, frozen=True, array_like=True):
    """The ticket of one relationship, by its public key."""

    custodian: str
    pseudonym: bytes
    ticket: bytes


class Kept(msgspec.Struct, frozen=True, array_like=True):
    """A link as its patient's pages read it, and the sealed secrets of it: empty once it has ended.

    Args:
        tickets: one of each relationship, the one here first.
        cost: of the passcode; its digest is empty.
    """

    label: str
    labels: tuple[str, ...]
    classes: tuple[str, ...]
    is_only: bool
    made_at_s: int
    tickets: tuple[KeptTicket, ...]
    cost: Password
    secrets: bytes

    def __repr__(self) -> str:
        """Hide all of it."""
        return "Kept(…)"


class LinkTicket(msgspec.Struct, frozen=True, array_like=True):
    """The ticket of one relationship, by the seed of its key."""

    custodian: str
    pseudonym: bytes
    seed: bytes

    def __repr__(self) -> str:
        """Hide the seed."""
        return "LinkTicket(…)"

    @property
    def key(self) -> SigningKey:
        """The ticket's own."""
        return SigningKey.from_seed(self.seed)


class LinkSecrets(msgspec.Struct, frozen=True, array_like=True):
    """What opens a link.

    Args:
        key: under which its files are encrypted.
        tickets: one of each relationship, the one here first.
        seed, certificate: as whom it is opened: a certificate of this link alone.
        tree: the rules of each ticket, encoded.
    """

    key: bytes
    tickets: tuple[LinkTicket, ...]
    seed: bytes
    certificate: CommittedFields
    tree: bytes

    def __repr__(self) -> str:
        """Hide all of it."""
        return "LinkSecrets(…)"


_DECODE: Final = decoder(LinkSecrets).decode


def seal(opens: LinkSecrets, *, link: bytes, secret: bytes, passcode: str, cost: Password) -> bytes:
    """Seal what opens a link.

    Args:
        link: its name, to which they are bound.
        secret: of its address.
        cost: what its passcode costs, with a salt of its own.
    """
    return encrypt(_key(secret, passcode, cost), encode(opens), _SECRETS + link)


def unseal(kept: bytes, *, link: bytes, secret: bytes, passcode: str, cost: Password) -> LinkSecrets:
    """Return what opens a link. Raises SealBroken: another passcode, after the same work."""
    opened: LinkSecrets = _DECODE(decrypt(_key(secret, passcode, cost), kept, _SECRETS + link))
    return opened


def _key(secret: bytes, passcode: str, cost: Password) -> bytes:
    both = secret + stretched(unicodedata.normalize("NFC", passcode), cost)
    return hkdf(both, salt=b"", info=_KEY, length=32)
