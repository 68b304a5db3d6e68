"""The trust root: the one thing that a verifier must have from somebody it trusts, and all that it needs.

A short JSON file that a person can read, compare over the telephone and keep on paper. The rest of a proof may come
from anybody.
"""

import base64
from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from salus.ledger.comet.types import Validator
from salus.ledger.comet.validators import check_validators, in_order
from salus.ledger.encoding import EncodingInvalid
from salus.ledger.identifiers import DigestField, OrganisationIdField, PublicKeyField, SecondsField

FORMAT = 1
TRUST_BYTES_MAX = 1 << 20
SEEK_ANOTHER = "get the file again from somebody you trust"


class EngineKind(StrEnum):
    """What puts a network's transactions in order."""

    EMBEDDED = "embedded"
    COMETBFT = "cometbft"


TRUSTING_PERIOD_S = {EngineKind.EMBEDDED: 3650 * 86_400, EngineKind.COMETBFT: 14 * 86_400}
"""Default periods: an embedded ledger's key never changes, members of a larger network come and go."""


class TrustedValidator(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who signs blocks: whose key it is, the Ed25519 key (base64 in the file) and its voting power."""

    organisation: OrganisationIdField
    public_key: PublicKeyField
    power: Annotated[int, Meta(ge=1)]


class TrustRoot(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is trusted before any proof is looked at.

    Args:
        chain: the chain id that every header must name.
        genesis_hash: names the genesis document that the network began with; for people, no step compares it.
        validators: the set whose signatures count, in any order.
        trusted_at_s: when somebody last saw that these are the validators, seconds since 1970.
        trusting_period_s: how long after that the set may be built on, seconds: the light client's trusting period.
    """

    format: int
    chain: Annotated[str, Meta(min_length=1, max_length=50)]
    genesis_hash: DigestField
    engine: EngineKind
    validators: Annotated[tuple[TrustedValidator, ...], Meta(min_length=1, max_length=10_000)]
    trusted_at_s: SecondsField
    trusting_period_s: Annotated[int, Meta(ge=1, lt=1 << 40)]

    def validator_set(self) -> tuple[Validator, ...]:
        """Return the validators as a header's hash has them, in the order of a set."""
        return in_order(Validator(each.public_key, each.power) for each in self.validators)

    def organisation_of(self, public_key: bytes) -> str:
        """Return whose key it is; empty when it is no validator's."""
        return next((str(each.organisation) for each in self.validators if each.public_key == public_key), "")


class TrustRootInvalid(Exception):
    """A trust file that cannot be used; the message says what was expected, what came, what to do."""


_DECODER = msgspec.json.Decoder(TrustRoot)
_FILE = msgspec.json.Decoder(dict[str, msgspec.Raw])


def encode_trust(trust: TrustRoot) -> bytes:
    """Return the file's bytes: indented JSON with one line end at its end."""
    return msgspec.json.format(msgspec.json.encode(trust), indent=2) + b"\n"


def decode_trust(data: bytes) -> TrustRoot:
    """Parse a trust file.

    Raises:
        TrustRootInvalid: no such file, a newer format, or validators that cannot be a set.
    """
    if len(data) > TRUST_BYTES_MAX:
        raise TrustRootInvalid(f"expected a trust file of at most {TRUST_BYTES_MAX} bytes, came {len(data)}")
    stated = format_of(data)
    if stated != FORMAT:
        raise TrustRootInvalid(f"expected trust file format {FORMAT}, came {stated}: use the release that wrote it")
    try:
        trust = _DECODER.decode(data)
        check_validators(trust.validator_set())
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise TrustRootInvalid(f"expected the fields of a trust file: {error}: {SEEK_ANOTHER}") from error
    except EncodingInvalid as error:
        raise TrustRootInvalid(f"the validators are no set: {error}: {SEEK_ANOTHER}") from error
    # Parsers differ on which of two fields of one name they take: a person must not read another file than the program.
    if msgspec.json.format(data, indent=-1) != msgspec.json.encode(trust):
        raise TrustRootInvalid(f"expected each field once, in the order of the format: {SEEK_ANOTHER}")
    check_engine(trust)
    return trust


def check_engine(trust: TrustRoot) -> None:
    """Check that an embedded ledger has one key. Raises TrustRootInvalid."""
    if trust.engine is EngineKind.EMBEDDED and len(trust.validators) != 1:
        raise TrustRootInvalid(
            f"an embedded ledger has one key, the file names {len(trust.validators)}: {SEEK_ANOTHER}"
        )


def format_of(data: bytes) -> object:
    """Return the format that a trust file states, whatever else it holds: so that a newer one is called newer.

    Raises:
        TrustRootInvalid: no JSON object.
    """
    try:
        return msgspec.json.decode(_FILE.decode(data).get("format", b"null"))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise TrustRootInvalid(f"expected a trust file in JSON: {error}: {SEEK_ANOTHER}") from error


def key_text(public_key: bytes) -> str:
    """Return a key as the trust file writes it, for people to compare."""
    return base64.b64encode(public_key).decode("ascii")
