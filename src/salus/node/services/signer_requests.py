"""What a portal asks the signer page to sign (docs/spec/signer.md): inputs, never bytes that are signed as they came.

Promises: what is written here is what the page takes; who asks keeps the value, and `signer_answers` holds the answer
against it. Never holds a key of a patient's.
"""

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from enum import StrEnum
from typing import Any, Final

import msgspec

from salus.contracts.patients import KeyKind
from salus.contracts.provisions import Provision, encode_tree
from salus.contracts.residuals import DelegateTerms
from salus.contracts.ticket_bearers import Resources
from salus.ledger.encoding import encode
from salus.ledger.identifiers import OrganisationId, PermitId, Pseudonym, PublicKey

FORMAT: Final = 1
REQUEST_S: Final = 600
"""How long a request is good, seconds."""
_NAME: Final = re.compile(r"[\w .,&'/-]{1,120}")


class Kind(StrEnum):
    """What is to be signed."""

    CREATE = "create"
    NEW_KEY = "new-key"
    ENROL = "enrol"
    TAKE_OVER = "take-over"
    SESSION = "session"
    FILE_CONSENT = "file-consent"
    WITHDRAW_CONSENT = "withdraw-consent"
    ISSUE_TICKET = "issue-ticket"
    REVOKE_TICKET = "revoke-ticket"
    FILE_CHALLENGE = "file-challenge"
    ADD_KEY = "add-key"
    ACCEPT_KEY = "accept-key"
    REMOVE_KEY = "remove-key"
    CANCEL_RECOVERY = "cancel-recovery"
    SET_RECOVERY = "set-recovery"
    CHANGE_RECOVERY = "change-recovery"
    UNDO_RECOVERY = "undo-recovery"
    START_RECOVERY = "start-recovery"
    FINISH_RECOVERY = "finish-recovery"


@dataclass(frozen=True)
class DeviceKept:
    """A device as the portal keeps it, blob and share apart from each other; a new one has neither passkey nor blob."""

    id: bytes
    share: bytes
    credential: bytes = b""
    blob: bytes = b""

    def __repr__(self) -> str:
        """Hide share and blob."""
        return f"DeviceKept({self.id.hex()})"


@dataclass(frozen=True)
class NewKey:
    """For CREATE and NEW_KEY: a key of this device's for a relationship."""

    custodian: OrganisationId
    pseudonym: Pseudonym


@dataclass(frozen=True)
class BeginEnrolment:
    """For ENROL: `key` is the custodian's transaction key, which signs the same body first."""

    custodian: OrganisationId
    key: PublicKey


@dataclass(frozen=True)
class BeginTakeOver:
    """For TAKE_OVER: `key` is the present one, which the custodian holds and which signs first."""

    custodian: OrganisationId
    pseudonym: Pseudonym
    key: PublicKey


@dataclass(frozen=True)
class CertifySession:
    """For SESSION: `key` is the session's; seconds, at most 12 hours."""

    custodian: OrganisationId
    pseudonym: Pseudonym
    key: PublicKey
    from_s: int
    until_s: int


@dataclass(frozen=True)
class EndedChoice:
    """A choice that is replaced, its rules, and the voucher of the device that filed it; empty where there is none."""

    choice: bytes
    tree: Provision
    voucher: bytes = b""


@dataclass(frozen=True)
class FileChoice:
    """For FILE_CONSENT."""

    custodian: OrganisationId
    pseudonym: Pseudonym
    tree: Provision
    replaces: EndedChoice | None = None


@dataclass(frozen=True)
class WithdrawChoice:
    """For WITHDRAW_CONSENT; see `EndedChoice`."""

    custodian: OrganisationId
    pseudonym: Pseudonym
    choice: bytes
    tree: Provision
    voucher: bytes = b""


@dataclass(frozen=True)
class NewTicket:
    """For ISSUE_TICKET; see `salus.sdk.wallet.sign_ticket`."""

    custodian: OrganisationId
    pseudonym: Pseudonym
    tree: Provision
    audience: str
    resources: tuple[Resources, ...]
    uses_max: int
    expires_at_s: int


@dataclass(frozen=True)
class EndTicket:
    """For REVOKE_TICKET."""

    custodian: OrganisationId
    pseudonym: Pseudonym
    ticket: PublicKey


@dataclass(frozen=True)
class NewChallenge:
    """For FILE_CHALLENGE: `permit` is the request that is questioned, `words` what the patient says of it."""

    custodian: OrganisationId
    pseudonym: Pseudonym
    permit: PermitId
    words: str = field(repr=False)


@dataclass(frozen=True)
class LetAct:
    """For ADD_KEY: a key that another device made; `name` is what people call the device or the helper.

    `terms` are how far a helper may act, under the same name; None for as far as the patient.
    """

    custodian: OrganisationId
    pseudonym: Pseudonym
    key: PublicKey
    key_kind: KeyKind
    expires_at_s: int
    name: str
    terms: DelegateTerms | None = None


@dataclass(frozen=True)
class AcceptKey:
    """For ACCEPT_KEY: the body that the other device signed, for the device whose key it adds."""

    custodian: OrganisationId
    body: bytes


@dataclass(frozen=True)
class StopActing:
    """For REMOVE_KEY."""

    custodian: OrganisationId
    pseudonym: Pseudonym
    key: PublicKey
    name: str


@dataclass(frozen=True)
class StopRecovery:
    """For CANCEL_RECOVERY."""

    custodian: OrganisationId
    pseudonym: Pseudonym


@dataclass(frozen=True)
class ChooseGuardians:
    """For SET_RECOVERY: the same in each item of a request, since guardians have one share for all relationships.

    Args:
        threshold: how many guardians are needed; second: how many after one that was cancelled, 0 for never.
        guardians: their names, for the sheets that the page makes; it keeps none.
    """

    custodian: OrganisationId
    pseudonym: Pseudonym
    threshold: int
    second: int
    guardians: tuple[str, ...]


@dataclass(frozen=True)
class ChangeGuardians:
    """For CHANGE_RECOVERY; see `ChooseGuardians`.

    Args:
        recovery: the recovery key whose guardians give their words: the second one, where there is one.
    """

    custodian: OrganisationId
    pseudonym: Pseudonym
    recovery: PublicKey
    threshold: int
    second: int
    guardians: tuple[str, ...]


@dataclass(frozen=True)
class KeepGuardians:
    """For UNDO_RECOVERY: `recovery` is the recovery key whose guardians give their words."""

    custodian: OrganisationId
    pseudonym: Pseudonym
    recovery: PublicKey


@dataclass(frozen=True)
class BeginRecovery:
    """For START_RECOVERY: by the device that is to take the lost one's place."""

    custodian: OrganisationId
    pseudonym: Pseudonym


@dataclass(frozen=True)
class EndRecovery:
    """For FINISH_RECOVERY."""

    custodian: OrganisationId
    pseudonym: Pseudonym


Item = (
    NewKey
    | BeginEnrolment
    | BeginTakeOver
    | CertifySession
    | FileChoice
    | WithdrawChoice
    | NewTicket
    | EndTicket
    | NewChallenge
    | LetAct
    | AcceptKey
    | StopActing
    | StopRecovery
    | ChooseGuardians
    | ChangeGuardians
    | KeepGuardians
    | BeginRecovery
    | EndRecovery
)
ITEM_OF: Final[Mapping[Kind, type[Item]]] = {
    Kind.CREATE: NewKey,
    Kind.NEW_KEY: NewKey,
    Kind.ENROL: BeginEnrolment,
    Kind.TAKE_OVER: BeginTakeOver,
    Kind.SESSION: CertifySession,
    Kind.FILE_CONSENT: FileChoice,
    Kind.WITHDRAW_CONSENT: WithdrawChoice,
    Kind.ISSUE_TICKET: NewTicket,
    Kind.REVOKE_TICKET: EndTicket,
    Kind.FILE_CHALLENGE: NewChallenge,
    Kind.ADD_KEY: LetAct,
    Kind.ACCEPT_KEY: AcceptKey,
    Kind.REMOVE_KEY: StopActing,
    Kind.CANCEL_RECOVERY: StopRecovery,
    Kind.SET_RECOVERY: ChooseGuardians,
    Kind.CHANGE_RECOVERY: ChangeGuardians,
    Kind.UNDO_RECOVERY: KeepGuardians,
    Kind.START_RECOVERY: BeginRecovery,
    Kind.FINISH_RECOVERY: EndRecovery,
}


@dataclass(frozen=True)
class SigningRequest:
    """One request, from which both its bytes and what the answer must be follow.

    Args:
        account: 16 bytes by which the portal knows the person; the same for good.
        time_s: now, seconds.
        devices: of CREATE the new one; else those of the account, of which the person uses one.
        person: of CREATE what the passkey is to be called; else empty.
    """

    kind: Kind
    chain: str
    account: bytes
    time_s: int
    devices: tuple[DeviceKept, ...]
    items: tuple[Item, ...]
    language: str = "en"
    person: str = ""

    def __post_init__(self) -> None:
        assert all(isinstance(each, ITEM_OF[self.kind]) for each in self.items), f"items of another kind: {self.kind}"

    def encode(self, names: Mapping[OrganisationId, str]) -> bytes:
        """Return the JSON that the page fetches.

        Args:
            names: what organisations are called. The page takes plain names alone and each once; an organisation
                whose name is another is shown by its code.
        """
        return msgspec.json.encode(
            {
                "format": FORMAT,
                "kind": self.kind.value,
                "chain": self.chain,
                "language": self.language,
                "account": to_text(self.account),
                "time_s": self.time_s,
                "expires_at_s": self.time_s + REQUEST_S,
                "devices": [_device(each, is_new=self.kind is Kind.CREATE) for each in self.devices],
                "person": self.person,
                "organisations": _plain(names),
                "items": [_json(each) for each in self.items],
            }
        )


def to_text(data: bytes) -> str:
    """Return bytes in base64url without padding (RFC 4648 section 5)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _device(device: DeviceKept, *, is_new: bool) -> dict[str, str]:
    first = {"id": to_text(device.id), "share": to_text(device.share)}
    kept = {"credential": to_text(device.credential), "blob": to_text(device.blob)}
    return first if is_new else first | kept


def _plain(names: Mapping[OrganisationId, str]) -> Sequence[dict[str, str]]:
    plain: dict[str, dict[str, str]] = {}
    for code, name in names.items():
        if _NAME.fullmatch(name) and "_" not in name:
            plain.setdefault(name.strip().lower(), {"code": code, "name": name})
    return list(plain.values())


def _json(value: Any) -> Any:
    if isinstance(value, bytes):
        return to_text(value)
    if isinstance(value, Provision):
        return to_text(encode_tree(value))
    if isinstance(value, DelegateTerms):
        return to_text(encode(value))
    if is_dataclass(value):
        return {each.name: _json(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, tuple):
        return [_json(each) for each in value]
    return msgspec.to_builtins(value)
