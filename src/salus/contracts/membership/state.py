"""What membership holds in proved tables: organisations, keys, certificates, policies, validators, files, votes."""

from enum import IntEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from salus.contracts.provisions import Gate, Provision, RoleClass
from salus.ledger.contract import Contract
from salus.ledger.identifiers import (
    CountField,
    OrganisationId,
    OrganisationIdField,
    PublicKey,
    SecondsField,
)

CONTRACT = Contract("membership", 1)
KEY_BYTES_MAX = 1217
HPKE_KEY_FORMS = ((1, 33), (2, 1217))
"""First byte and length of a registered HPKE key: X25519, or ML-KEM-768 with X25519 (docs/spec/sealing.md)."""
RETIRED_KEYS_MAX = 8
CERTIFICATE_S_MAX = 400 * 86_400
KEY_CHECK_STEPS = 20
"""Steps that the check of one public key counts for (L6)."""
POLICY_STEPS_MAX = 2_000
"""Conditions in the gates of one policy: each request is compared with all of them (L6)."""
PROPOSAL_S_MAX = 30 * 86_400
SUSPENSION_S = 72 * 3600
"""How long a suspension lasts that members brought about, unless a vote confirms it."""
ACCUSERS_MIN = 3
ACCUSATION_SPENT_S = 30 * 86_400
"""How long an accuser waits after a suspension that no vote confirmed."""
CONSENSUS_KEY_S_MIN = 86_400
"""How long a consensus key stays at least: who rotates in each block would keep others from being changed."""
RULES_VERSION = 1
"""The newest rules that this software knows."""


LimitField = Annotated[int, Meta(ge=1, lt=1 << 31)]
KeyBytes = Annotated[bytes, Meta(min_length=32, max_length=KEY_BYTES_MAX)]
PowerField = Annotated[int, Meta(ge=0, lt=1 << 31)]


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
    """A member's key for one use, empty since the member was removed, and the last few that it replaced."""

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


class MemberKey(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A member's first key for one use."""

    use: KeyUse
    key: KeyBytes


class Action(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What a proposal would do."""


class Admit(Action, frozen=True, array_like=True, tag=1):
    """Make an organisation a member."""

    organisation: OrganisationIdField
    name: Annotated[str, Meta(min_length=1, max_length=120)]
    role_classes: Annotated[tuple[RoleClass, ...], Meta(max_length=8)]
    access: LedgerAccess
    endpoint: Annotated[str, Meta(max_length=200)]
    keys: Annotated[tuple[MemberKey, ...], Meta(min_length=1, max_length=6)]


class Remove(Action, frozen=True, array_like=True, tag=2):
    """End a membership."""

    organisation: OrganisationIdField


class SetPolicy(Action, frozen=True, array_like=True, tag=3):
    """Replace the policy of a member, or with an empty organisation the network's."""

    organisation: Annotated[OrganisationId, Meta(pattern=r"^([A-Z0-9]{2,12})?\Z")]
    provisions: Annotated[tuple[Provision, ...], Meta(max_length=64)]


class ScheduleRules(Action, frozen=True, array_like=True, tag=4):
    """Have the next version of the rules from a height on."""

    rules_version: LimitField
    height: CountField


class SetAccess(Action, frozen=True, array_like=True, tag=5):
    """Change how much of the ledger a member holds, and its power as a validator, 0 for one that is none."""

    organisation: OrganisationIdField
    access: LedgerAccess
    power: PowerField


class SetSuspension(Action, frozen=True, array_like=True, tag=6):
    """Suspend a member until a time, which confirms a suspension, or with 0 lift it."""

    organisation: OrganisationIdField
    until_s: SecondsField


AnyAction = Admit | Remove | SetPolicy | ScheduleRules | SetAccess | SetSuspension


class Proposal(msgspec.Struct, frozen=True, array_like=True):
    """An action that waits for votes. `in_favour` is sorted."""

    proposer: OrganisationId
    action: AnyAction
    expires_at_s: int
    in_favour: tuple[OrganisationId, ...]


class Accusation(msgspec.Struct, frozen=True, array_like=True):
    """That an accuser wants a member suspended; *spent* once it had that effect. No other until `until_s`."""

    accused: OrganisationId
    until_s: int
    is_spent: bool


class Upgrade(msgspec.Struct, frozen=True, array_like=True):
    """Which rules come, from which height on."""

    rules_version: int
    height: int


class ValidatorsBefore(msgspec.Struct, frozen=True, array_like=True):
    """The validators before the newest block that changed some, in the order of their organisations."""

    height: int
    validators: tuple[Validator, ...]


class Case(msgspec.Struct, frozen=True, array_like=True):
    """That a member's consensus key signed two blocks of one height: the newest evidence, for the members to judge.

    Args:
        address: of the key, 20 bytes.
        height: at which it signed twice.
        time_s: of that height.
        closed_at_s: 0 until the members vote on the member's access.
    """

    address: bytes
    height: int
    time_s: int
    opened_at_s: int
    closed_at_s: int


ORGANISATIONS = CONTRACT.table("organisations", Organisation)
KEYS = CONTRACT.table("keys", Keys)
OWNERS = CONTRACT.table("owners", Owner)
VALIDATORS = CONTRACT.table("validators", Validator)
CERTIFICATES = CONTRACT.table("certificates", Certificate, expires_at_s=lambda certificate: certificate.expires_at_s)
NETWORK = CONTRACT.table("network", Network)
POLICIES = CONTRACT.table("policies", Policy)
FILES = CONTRACT.table("files", bytes)
PROPOSALS = CONTRACT.table("proposals", Proposal, expires_at_s=lambda proposal: proposal.expires_at_s)
ACCUSATIONS = CONTRACT.table("accusations", Accusation, expires_at_s=lambda accusation: accusation.until_s)
UPGRADES = CONTRACT.table("upgrades", Upgrade)
BEFORE = CONTRACT.table("before", ValidatorsBefore)
CASES = CONTRACT.table("cases", Case)

NETWORK_KEY = 0
NETWORK_POLICY = OrganisationId("")
NO_POLICY = Policy(version=0, provisions=(), gates=())
