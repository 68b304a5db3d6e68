"""Recovery shares: what two members keep so that a patient's secret comes back with a recovery, and who may ask for it.

Values and the signatures under them; what is behind a share is nobody's business here (docs/spec/wallet.md).
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from salus.crypto.hashing import tag_prefix
from salus.crypto.signing import SigningKey, verify_tagged
from salus.ledger.encoding import encode
from salus.ledger.identifiers import CountField, OrganisationIdField, PseudonymField, PublicKey, SecondsField

KEEP_TAG = "salus/recovery-share/keep/1"
ASK_TAG = "salus/recovery-share/ask/1"
GIVE_TAG = "salus/recovery-share/give/1"
SHARE_BYTES = 32
SECRET_BYTES_MAX = 256
READER_BYTES_MAX = 2048

ShareField = Annotated[bytes, Meta(min_length=SHARE_BYTES, max_length=SHARE_BYTES)]
EncryptedField = Annotated[bytes, Meta(min_length=1, max_length=SECRET_BYTES_MAX)]


class KeptShare(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What a member keeps for a pseudonym: half of the members' part, and the secret encrypted for each circle.

    Args:
        member: who keeps it.
        at_s: when it was made, Unix seconds; a later one takes the place of an earlier.
    """

    chain: str
    member: OrganisationIdField
    pseudonym: PseudonymField
    at_s: SecondsField
    share: ShareField
    encrypted: Annotated[tuple[EncryptedField, ...], Meta(min_length=1, max_length=2)]

    def __repr__(self) -> str:
        """Hide the share."""
        return "KeptShare(…)"


class AskedShare(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Who asks for it, once a recovery is finished.

    Args:
        height: at which the ledger has the FinishRecovery.
        reader: the HPKE key to which the answer is sealed, made for this ask.
    """

    chain: str
    member: OrganisationIdField
    pseudonym: PseudonymField
    at_s: SecondsField
    height: CountField
    reader: Annotated[bytes, Meta(min_length=1, max_length=READER_BYTES_MAX)]


def sign_kept(kept: KeptShare, key: SigningKey) -> bytes:
    """Sign what a member is to keep, with the pseudonym's key."""
    return key.sign_tagged(KEEP_TAG, encode(kept))


def verify_kept(kept: KeptShare, key: PublicKey, signature: bytes) -> None:
    """Check it. Raises SignatureInvalid."""
    verify_tagged(key, KEEP_TAG, encode(kept), signature)


def sign_asked(asked: AskedShare, key: SigningKey) -> bytes:
    """Sign an ask with the key that a FinishRecovery put in the lost one's place."""
    return key.sign_tagged(ASK_TAG, encode(asked))


def verify_asked(asked: AskedShare, key: PublicKey, signature: bytes) -> None:
    """Check it. Raises SignatureInvalid."""
    verify_tagged(key, ASK_TAG, encode(asked), signature)


def given_info(asked: AskedShare) -> bytes:
    """Return what the sealed answer is bound to: this ask alone."""
    return tag_prefix(GIVE_TAG) + encode(asked)
