"""What membership holds in proved tables: organisations, keys, certificates, policies, validators, files."""

from enum import IntEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from salus.contracts.provisions import Gate, Provision, RoleClass
from salus.ledger.contract import Contract
from salus.ledger.identifiers import (
    OrganisationId,
    PublicKey,
)

CONTRACT = Contract("membership", 1)
KEY_BYTES_MAX = 1217
HPKE_KEY_FORMS = ((1, 33), (2, 1217))
"""First byte and length of a registered HPKE key: X25519, or ML-KEM-768 with X25519 (docs/spec/sealing.md)."""
RETIRED_KEYS_MAX = 8
CERTIFICATE_S_MAX = 400 * 86_400
KEY_CHECK_STEPS = 20
"""Steps that the check of one public key counts for (L6)."""


LimitField = Annotated[int, Meta(ge=1, lt=1 << 31)]


class KeyUse(IntEnum):
    """What a registered key is for; one key has one use (DESIGN §4)."""

    TRANSACTION = 1
    HTTP = 2
    TICKET = 3
    RECEIPT = 4
    HPKE = 5
    CONSENSUS = 6


class LedgerAccess(IntEnum):
    """How much of the ledger a member holds."""

    VALIDATOR = 1
    OBSERVER = 2
    OWN_PROOFS = 3


class CertificateKind(IntEnum):
    """Whom a certificate is for."""

    PERSON = 1
    DEVICE = 2


class Organisation(msgspec.Struct, frozen=True, array_like=True):
    """A member. `suspended_until_s` is 0 for a member in good standing."""

    name: str
    role_classes: tuple[RoleClass, ...]
    access: LedgerAccess
    endpoint: str
    joined_at_s: int
    suspended_until_s: int


class RetiredKey(msgspec.Struct, frozen=True, array_like=True):
    """A key that was current until a moment: it proves what was signed before, and can sign nothing new."""

    key: bytes
    until_s: int


class Keys(msgspec.Struct, frozen=True, array_like=True):
    """A member's key for one use, and the last few that it replaced."""

    current: bytes
    retired: tuple[RetiredKey, ...]


class Owner(msgspec.Struct, frozen=True, array_like=True):
    """Whose key it is or was, and for what: one key has one owner and one use for ever."""

    organisation: OrganisationId
    use: KeyUse


class Certificate(msgspec.Struct, frozen=True, array_like=True):
    """That an organisation vouches for somebody or something, until when; who it is, only the salts can tell."""

    kind: CertificateKind
    role_classes: tuple[RoleClass, ...]
    expires_at_s: int


class Validator(msgspec.Struct, frozen=True, array_like=True):
    """With which key, and with how much power, a member votes on blocks."""

    key: PublicKey
    power: int


class Network(msgspec.Struct, frozen=True, array_like=True):
    """What the members agreed on for all.

    Args:
        rules_version: version of the contracts' rules.
        permit_s_max: longest permit, seconds.
        emergency_s_max: longest emergency permit, seconds.
        unreviewed_per_session_max: emergencies without a review that one session key may have.
        unreviewed_per_organisation_max: the same for all of an organisation.
    """

    rules_version: LimitField
    permit_s_max: LimitField
    emergency_s_max: LimitField
    unreviewed_per_session_max: LimitField
    unreviewed_per_organisation_max: LimitField


class Policy(msgspec.Struct, frozen=True, array_like=True):
    """Rules of the network or of one organisation, in the language of sharing choices, and their gates.

    A deny forbids whatever the patient chose; a permit is the default where the patient chose nothing.
    """

    version: int
    provisions: tuple[Provision, ...]
    gates: tuple[Gate, ...]


ORGANISATIONS = CONTRACT.table("organisations", Organisation)
KEYS = CONTRACT.table("keys", Keys)
OWNERS = CONTRACT.table("owners", Owner)
VALIDATORS = CONTRACT.table("validators", Validator)
CERTIFICATES = CONTRACT.table("certificates", Certificate, expires_at_s=lambda certificate: certificate.expires_at_s)
NETWORK = CONTRACT.table("network", Network)
POLICIES = CONTRACT.table("policies", Policy)
FILES = CONTRACT.table("files", bytes)

NETWORK_KEY = 0
NETWORK_POLICY = OrganisationId("")
NO_POLICY = Policy(version=0, provisions=(), gates=())
