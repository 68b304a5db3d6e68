"""Recovery deliveries: what was signed about recovery for several custodians at once goes to each of them.

Promises: what one has taken stays, whether or not another answers or takes it; only if none took anything is that an
error, and then nothing has changed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from salus.contracts.patients import Rejection, StartRecovery
from salus.ledger.contract import SIGNATURE_MISSING
from salus.node.assemble import Node
from salus.node.errors import NotNow, Refusal, Refused
from salus.node.exchange import Peers
from salus.node.services import deliveries, recoveries
from salus.node.services.accounts import AccountId
from salus.node.services.deliver import ToDeliver, deliver_at_once
from salus.node.services.signer_answers import NewBlob, Signed
from salus.node.services.signer_devices import DeviceKey, SignerDevices


class WhyNot(Enum):
    """Why the ledger does not take what was signed, as far as it is for people to know what to do."""

    WORDS = "guardians' words are not those that are needed"
    SPENT = "a recovery was cancelled: it takes the second circle and the custodian"
    FINAL = "the custodian has checked who asks: nobody cancels it"
    RUNS = "a recovery runs"
    EARLY = "the time lock has not run"
    OVER = "there is nothing of the kind any more"
    OTHER = "something else, or a custodian elsewhere that does not say which"


_WHY_NOT: Final[Mapping[int, WhyNot]] = {
    SIGNATURE_MISSING: WhyNot.WORDS,
    Rejection.RECOVERY_SPENT: WhyNot.SPENT,
    Rejection.RECOVERY_FINAL: WhyNot.FINAL,
    Rejection.RECOVERY_STARTED: WhyNot.RUNS,
    Rejection.RECOVERY_EARLY: WhyNot.EARLY,
    Rejection.RECOVERY_UNKNOWN: WhyNot.OVER,
    Rejection.CHANGE_UNKNOWN: WhyNot.OVER,
}


@dataclass(frozen=True)
class Delivered:
    """Custodians by what they did with it: took it, said no, or did not answer."""

    taken: tuple[str, ...]
    refused: tuple[str, ...] = ()
    away: tuple[str, ...] = ()


def deliver_each(node: Node, peers: Peers, signed: Sequence[tuple[str, Signed]]) -> Delivered:
    """Give each to its custodian.

    Args:
        signed: with the custodian that each is for.

    Raises:
        NotNow: none took anything, and one did not answer.
        Refused: all said no: what the first of them says.
    """
    asked = [ToDeliver(each.message.pseudonym, each.raw, each.residual) for _, each in signed]
    came = list(zip((custodian for custodian, _ in signed), deliver_at_once(node, peers, asked), strict=True))
    taken = [custodian for custodian, error in came if error is None]
    refusals = {custodian: error for custodian, error in came if isinstance(error, Refused)}
    absences = {custodian: error for custodian, error in came if isinstance(error, NotNow)}
    if not taken:
        raise next(iter((*absences.values(), *refusals.values())))
    return Delivered(tuple(taken), tuple(refusals), tuple(absences))


def begin(
    node: Node,
    peers: Peers,
    devices: SignerDevices,
    account: AccountId,
    signed: Sequence[tuple[str, Signed]],
    new: NewBlob,
) -> Delivered:
    """Begin recoveries by what a new device and guardians signed; its old wallet comes back if all say no.

    A wallet that nobody's guardians vouch for takes no place, also where a custodian is away: whoever has the id of a
    request can answer with any.

    Raises:
        Refused: NOT_YOURS; LEDGER_REJECTED: none is signed by the recovery key that the ledger has; or as
            `deliver_each`.
        NotNow: as `deliver_each`; both wallets stay.
    """
    if not any(_is_by_guardians(node, each) for _, each in signed):
        words = "expected the signature of the recovery key that the ledger here has: ask those who are its guardians"
        raise Refused(Refusal.LEDGER_REJECTED, words, number=SIGNATURE_MISSING)
    keys = []
    for custodian, each in signed:
        assert isinstance(each.message, StartRecovery), "what was asked for"
        keys.append(DeviceKey(custodian, each.message.pseudonym, each.message.key))
    with devices.trying(account, new, *keys):
        return deliver_each(node, peers, signed)


def why_not(refused: Refused) -> WhyNot | None:
    """Return why the ledger said no; None where it was not the ledger that did."""
    return _WHY_NOT.get(refused.number, WhyNot.OTHER) if refused.refusal is Refusal.LEDGER_REJECTED else None


def _is_by_guardians(node: Node, signed: Signed) -> bool:
    signers = deliveries.signers_of(node, signed.raw)
    return recoveries.standing(node, signed.message.pseudonym).first_key in signers
