"""Reading secrets: how a new device comes to open what was sealed to the lost one (DESIGN §5.2).

The secret of a relationship's reading key is encrypted under what guardians have and what two members keep, all three:
guardians alone, both members together, or one member with the guardians open nothing. A member gives its share to the
key that a FinishRecovery on the ledger put in the lost one's place, and to no other.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

from salus.crypto.derive import branch, hkdf
from salus.crypto.hashing import tag_prefix
from salus.crypto.hpke import HpkeKey, HpkeSuite, open_with
from salus.crypto.sealing import SealBroken, decrypt, encrypt
from salus.ledger.encoding import EncodingInvalid, decoder, encode
from salus.ledger.identifiers import OrganisationId
from salus.ledger.recovery_shares import (
    SHARE_BYTES,
    AskedShare,
    KeptShare,
    given_info,
    sign_asked,
    sign_kept,
)
from salus.sdk.wallet import Relationship, Wallet, WalletRefuses, reading_secret, signing_key

_TAG = "salus/reading-secret/1"
_KEPT = decoder(KeptShare)


@dataclass(frozen=True)
class SignedShare:
    """What one member is to keep, and the patient's signature under it."""

    kept: KeptShare = field(repr=False)
    signature: bytes


@dataclass(frozen=True)
class SignedAsk:
    """An ask for a share, with the key that opens the answer."""

    asked: AskedShare
    signature: bytes
    reader: HpkeKey = field(repr=False)


def protect(
    wallet: Wallet,
    of: Relationship,
    seeds: Sequence[bytes],
    members: tuple[OrganisationId, OrganisationId],
    *,
    time_s: int,
) -> tuple[SignedShare, SignedShare]:
    """Divide what brings the reading secret of a relationship back among guardians and two members.

    Args:
        seeds: of the recovery keys: of the first circle of guardians, and of the second, if there is one.
        members: who keep a share each; the custodian may be one.

    Raises:
        WalletRefuses: one member twice.
    """
    if members[0] == members[1]:
        raise WalletRefuses("expected two members: one alone must not have both shares")
    shares = secrets.token_bytes(SHARE_BYTES), secrets.token_bytes(SHARE_BYTES)
    secret = reading_secret(wallet, of)
    encrypted = tuple(
        encrypt(_key(seed, of, shares), secret, _bound(of, circle)) for circle, seed in enumerate(seeds, start=1)
    )
    made = (
        KeptShare(of.chain, member, of.pseudonym, time_s, share, encrypted)
        for member, share in zip(members, shares, strict=True)
    )
    first, second = (SignedShare(each, sign_kept(each, signing_key(wallet, of))) for each in made)
    return first, second


def ask(wallet: Wallet, of: Relationship, member: OrganisationId, *, height: int, time_s: int) -> SignedAsk:
    """Ask a member for its share, with the new device's key.

    Args:
        height: at which the ledger has the FinishRecovery.
    """
    reader = HpkeKey.generate(HpkeSuite.HYBRID)
    asked = AskedShare(of.chain, member, of.pseudonym, time_s, height, reader.public)
    return SignedAsk(asked, sign_asked(asked, signing_key(wallet, of)), reader)


def open_given(signed: SignedAsk, given: bytes) -> KeptShare:
    """Return what a member kept, from its sealed answer. Raises WalletRefuses."""
    try:
        kept: KeptShare = _KEPT.decode(open_with(signed.reader, given, info=given_info(signed.asked)))
    except (SealBroken, EncodingInvalid) as error:
        raise WalletRefuses("the answer does not open: ask this member again") from error
    return kept


def recover(of: Relationship, seed: bytes, kept: tuple[KeptShare, KeptShare]) -> HpkeKey:
    """Return the reading key of the lost device, from guardians' seed and both members' shares.

    Args:
        kept: in either order.

    Raises:
        WalletRefuses: they do not belong together.
    """
    one, other = kept
    for shares in ((one.share, other.share), (other.share, one.share)):
        for circle, encrypted in enumerate(one.encrypted, start=1):
            try:
                secret = decrypt(_key(seed, of, shares), encrypted, _bound(of, circle))
            except SealBroken:
                continue
            return HpkeKey.from_seed(HpkeSuite.HYBRID, secret)
    raise WalletRefuses("these shares and these guardians do not belong together: ask both members again")


def _key(seed: bytes, of: Relationship, shares: tuple[bytes, bytes]) -> bytes:
    guarded = branch(seed, "reading", of.pseudonym.hex())
    return hkdf(guarded + shares[0] + shares[1], salt=b"", info=tag_prefix(_TAG), length=32)


def _bound(of: Relationship, circle: int) -> bytes:
    return tag_prefix(_TAG) + encode((of.chain, of.pseudonym, circle))
