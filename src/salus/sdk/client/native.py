"""Plans for the native API (docs/native.md): a patient's history and receipts, tickets, proofs, members, headers.

What comes as a file is verified here, offline, under the trust that the caller keeps: no word of the server's is
believed.
"""

import base64
from typing import Any, Final, Literal

import msgspec

from salus.ledger.encoding import encode
from salus.ledger.verifier import Trust, VerifiedOutcome
from salus.sdk.client.errors import Unavailable
from salus.sdk.client.plans import JSON, Ask, Came, Plan, asked
from salus.sdk.verified import VerifiedHistoryBundle, VerifiedReceipt
from salus.sdk.verify import verify_file
from salus.sdk.wallet import SignedTicket

API: Final = "//api/1"


class Status(msgspec.Struct, frozen=True):
    """Where a node's ledger stands."""

    organisation: str
    chain: str
    height: int
    header_age_ms: int


class Member(msgspec.Struct, frozen=True):
    """A member of the network; `access` says how much of the ledger it holds."""

    organisation: str
    name: str
    role_classes: tuple[str, ...]
    access: str
    endpoint: str
    is_suspended: bool


class ReceiptName(msgspec.Struct, frozen=True):
    """By what a receipt is fetched."""

    permit: str
    part: int


class Condition(msgspec.Struct, frozen=True):
    """Who may use a ticket and for what; a list that is empty means any."""

    organisations: tuple[str, ...]
    role_classes: tuple[str, ...]
    purposes: tuple[str, ...]
    verbs: tuple[str, ...]


class Ticket(msgspec.Struct, frozen=True):
    """A ticket that the ledger has; `ticket` is its public key in hexadecimal, by which nobody can use it."""

    ticket: str
    state: Literal["in force", "spent", "revoked", "over"]
    issuer: Literal["patient", "custodian"]
    conditions: tuple[Condition, ...]
    uses_max: int
    uses_left: int
    expires_at_s: int


class GivenTicket(msgspec.Struct, frozen=True):
    """A ticket in force, and its text where the server made it."""

    ticket: str
    bearer: str

    def __repr__(self) -> str:
        """Hide the bearer."""
        return "GivenTicket(…)"


class _Receipts(msgspec.Struct):
    receipts: tuple[ReceiptName, ...]


class _Tickets(msgspec.Struct):
    tickets: tuple[Ticket, ...]


class _Proofs(msgspec.Struct):
    proofs: tuple[bytes, ...]


def status() -> Plan[Status]:
    """Return where the node's ledger stands, by its own word."""
    found: Status = yield from _got("/status", Status)
    return found


def members() -> Plan[tuple[Member, ...]]:
    """Return the members of the network, by the node's word."""
    found: tuple[Member, ...] = yield from _got("/members", tuple[Member, ...])
    return found


def history(trust: Trust, *, now_s: int) -> Plan[VerifiedHistoryBundle]:
    """Return the patient's whole history, verified.

    Args:
        trust: a trust root or store (`sdk.trust_file.read_trust`).
        now_s: the verifier's own clock, Unix seconds.

    Raises:
        VerificationFailed: the file proves nothing.
    """
    came = yield from asked(Ask("GET", f"{API}/history"), 200)
    value = verify_file(came.body, trust, now_s=now_s).value
    if not isinstance(value, VerifiedHistoryBundle):
        raise Unavailable("expected a history, came another file: ask again")
    return value


def receipt_names() -> Plan[tuple[ReceiptName, ...]]:
    """Return which receipts there are, by the node's word; a history shows that none is missing."""
    found: _Receipts = yield from _got("/receipts", _Receipts)
    return found.receipts


def receipt(name: ReceiptName, trust: Trust, *, now_s: int) -> Plan[VerifiedReceipt]:
    """Return one receipt, verified. Raises VerificationFailed; arguments as of `history`."""
    came = yield from asked(Ask("GET", f"{API}/receipts/{name.permit}/{name.part}"), 200)
    value = verify_file(came.body, trust, now_s=now_s).value
    if not isinstance(value, VerifiedReceipt) or (value.permit.hex(), value.part) != (name.permit, name.part):
        raise Unavailable("expected the receipt that was asked for, came another: ask again")
    return value


def proved_outcomes(transaction: bytes, trust: Trust, *, now_s: int) -> Plan[list[VerifiedOutcome]]:
    """Return each outcome of a transaction of the caller's organisation, verified.

    Args:
        transaction: the hash of its body, 32 bytes.

    Raises:
        VerificationFailed: a proof does not hold.
    """
    found: _Proofs = yield from _got(f"/proofs/{transaction.hex()}", _Proofs)
    values = [verify_file(each, trust, now_s=now_s).value for each in found.proofs]
    outcomes = [each for each in values if isinstance(each, VerifiedOutcome) and each.leaf.transaction == transaction]
    if len(outcomes) != len(values):
        raise Unavailable("expected proofs of the transaction that was asked for, came others: ask again")
    return outcomes


def tickets() -> Plan[tuple[Ticket, ...]]:
    """Return the tickets of the patient whom the token is about, the newest first."""
    found: _Tickets = yield from _got("/tickets", _Tickets)
    return found.tickets


def ticket(name: str) -> Plan[Ticket]:
    """Return one ticket by its public key in hexadecimal."""
    found: Ticket = yield from _got(f"/tickets/{name}", Ticket)
    return found


def deliver_ticket(signed: SignedTicket) -> Plan[GivenTicket]:
    """Put a ticket in force that the patient's own wallet signed; its text stays with the wallet."""
    said = {"kind": "signed", "transaction": _text(signed.raw), "rules": _text(encode(signed.residual))}
    given = yield from _give(said)
    return given


def give_care_ticket(
    *,
    organisations: tuple[str, ...],
    role_class: Literal["clinical", "pharmacy", "administrative"],
    resources: tuple[dict[str, Any], ...],
    uses_max: int,
    expires_at_s: int,
    thumbprint: str = "",
) -> Plan[GivenTicket]:
    """Put a ticket for direct care in force, with the custodian's right.

    Args:
        organisations: ODS codes of whom it is for.
        resources: what it is about, such as `{"type": "Observation", "interactions": ["read", "search"]}`.
        uses_max: how many permits may be asked for with it.
        expires_at_s: Unix seconds.
        thumbprint: of a key of the one program that may show it (RFC 7638).
    """
    said = {
        "kind": "care",
        "organisations": organisations,
        "role_class": role_class,
        "resources": resources,
        "uses_max": uses_max,
        "expires_at_s": expires_at_s,
        "thumbprint": thumbprint,
    }
    given = yield from _give(said)
    return given


def end_ticket(name: str) -> Plan[None]:
    """End a ticket by its public key in hexadecimal, and all that were made from it."""
    yield from asked(Ask("DELETE", f"{API}/tickets/{name}"), 204)


def _give(said: dict[str, Any]) -> Plan[GivenTicket]:
    ask = Ask("POST", f"{API}/tickets", msgspec.json.encode(said), {"content-type": JSON})
    came = yield from asked(ask, 201)
    given: GivenTicket = _decoded(came, GivenTicket)
    return given


def _got(path: str, kind: Any) -> Plan[Any]:
    came = yield from asked(Ask("GET", API + path), 200)
    return _decoded(came, kind)


def _decoded(came: Came, kind: Any) -> Any:
    try:
        return msgspec.json.decode(came.body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Unavailable("the server answers in what this release does not know: use a newer one") from error


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
