"""Device keys: what a patient's own devices are asked to sign about keys and sessions, and what is done with it.

The ledger decides whether who signed may do it; why is kept before the ledger knows of it, and no longer if that says
no (P2). How further devices come to act, and cease to, is in `device_steps`.
"""

from collections.abc import Sequence
from typing import Final

from salus.contracts.patients import AddKey, CancelRecovery, KeyKind, RemoveKey
from salus.crypto.signing import SigningKey
from salus.ledger.fields import CommittedFields
from salus.ledger.identifiers import OrganisationId, Pseudonym, PublicKey
from salus.ledger.outcomes import TransactionResult
from salus.node.assemble import Node
from salus.node.documents import Kind
from salus.node.people import NOBODY, HeldSession
from salus.node.services import delegations, deliveries, take_over
from salus.node.services.accounts import AccountId
from salus.node.services.enrol import custodian_held_key
from salus.node.services.identify import check_patient_session
from salus.node.services.signer_answers import HalfSigned, KeyMade, NewBlob, SessionSigned
from salus.node.services.signer_devices import DeviceKey, SignerDevices
from salus.node.services.signer_requests import BeginTakeOver, CertifySession, Item, NewKey, SigningRequest

SEED_BYTES: Final = 32


def to_make(reached: Sequence[DeviceKey]) -> tuple[NewKey, ...]:
    """Return what a new device is asked for: a key for each relationship in which one's devices act already."""
    return tuple(NewKey(OrganisationId(each.custodian), Pseudonym(each.pseudonym)) for each in reached)


def to_take_over(node: Node, pseudonym: Pseudonym) -> BeginTakeOver:
    """Return what a device is asked to take over. Raises Refused (CHOICE_UNFIT): the patient holds the key already."""
    present = custodian_held_key(node, pseudonym)
    return BeginTakeOver(node.organisation, pseudonym, PublicKey(present.public))


def to_open(reached: Sequence[DeviceKey], *, from_s: int, until_s: int) -> tuple[tuple[CertifySession, ...], bytes]:
    """Return the sessions that a device is asked for, one with each custodian, and the seeds of their keys.

    Args:
        from_s, until_s: when they begin and end, Unix seconds.
    """
    keys = [SigningKey.generate() for _ in reached]
    items = tuple(
        CertifySession(
            OrganisationId(each.custodian), Pseudonym(each.pseudonym), PublicKey(key.public), from_s, until_s
        )
        for each, key in zip(reached, keys, strict=True)
    )
    return items, b"".join(key.seed for key in keys)


def opened(
    node: Node, request: SigningRequest, signed: Sequence[SessionSigned], seeds: bytes
) -> tuple[HeldSession, ...]:
    """Return the sessions that a device certified, in the order in which they were asked for.

    Raises:
        Refused: SESSION_UNFIT: the key that certified one does not act there at this moment.
    """
    held, now_s = [], node.clock()
    with node.engine.snapshot() as reader:
        for number, (item, each) in enumerate(zip(request.items, signed, strict=True)):
            custodian, seed = item.custodian, seeds[number * SEED_BYTES : (number + 1) * SEED_BYTES]
            check_patient_session(reader, each.pseudonym, each.session, custodian=custodian, time_s=now_s)
            held.append(HeldSession(custodian, each.pseudonym, seed, each.session, NOBODY))
    return tuple(held)


def keys_of(items: Sequence[Item], made: Sequence[KeyMade]) -> tuple[DeviceKey, ...]:
    """Return the keys that a device made, each for the relationship for which it was asked."""
    pairs = zip(items, made, strict=True)
    return tuple(DeviceKey(item.custodian, each.pseudonym, each.key) for item, each in pairs)


def take_over_with(node: Node, devices: SignerDevices, account: AccountId, half: HalfSigned, new: NewBlob) -> None:
    """Hand a relationship to a patient whose device signed for it; the old wallet comes back if the ledger says no.

    Raises:
        Refused: NOT_YOURS; or as `take_over.take_over_signed`.
        NotNow: the ledger is away; both wallets stay.
    """
    key = DeviceKey(node.organisation, half.message.pseudonym, half.message.key)
    with devices.trying(account, new, key):
        take_over.take_over_signed(node, half)


def take(
    node: Node, raw: bytes, message: AddKey | RemoveKey | CancelRecovery, residual: CommittedFields
) -> TransactionResult:
    """Let a key act or take it away, or cancel a recovery, as a device of the patient's signed it.

    Raises:
        Refused: CHOICE_UNFIT: no key that acts for the patient here signed it; DELEGATE_UNFIT; or what the ledger says.
        NotNow: the ledger is away.
    """
    deliveries.require_acting(node, raw, message.pseudonym)
    if isinstance(message, AddKey) and message.kind is KeyKind.DELEGATE:
        deliveries.require_opens(message.commitment, residual)
        delegations.read_terms(residual)
    else:
        deliveries.require_reason_behind(message.commitment, residual)
    with deliveries.kept_before(node, message.pseudonym, Kind.REASON, message.commitment, residual):
        return node.submit_raw(raw)
