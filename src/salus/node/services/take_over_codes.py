"""Take-over codes: a custodian gives its patient a code, and by it their device at another member takes the key over.

The custodian believes no other member about who somebody is: whoever has the code is its patient, and it gave the code
to whoever was signed in here, or was checked at its desk (docs/decisions/0044). Promises: a code stands for one
relationship, works once and for a week, and a newer one ends it; it is used up only by what the ledger took; what a
member asks with a wrong one is counted, and answered like anything else that opens nothing.
"""

import secrets
from typing import Final

import msgspec

from salus.contracts import membership, patients
from salus.contracts.evidence import decode_outcome
from salus.contracts.patients import Holder, KeyTakenOver
from salus.crypto.hashing import sha256
from salus.ledger.identifiers import Digest, OrganisationId, Pseudonym, PublicKey
from salus.ledger.machine import stored_result
from salus.ledger.outcomes import DONE, decode_leaf
from salus.ledger.state import Reader
from salus.node import tallies
from salus.node.assemble import Node
from salus.node.bearers import Bearer, BearerKind, Bearers
from salus.node.errors import NotNow, Refusal, Refused
from salus.node.exchange import Done, Peers, TakeOverAsk, TakeOverOffer, TakeOverSigned
from salus.node.members import read_time_s
from salus.node.sealed_rows import SealedRows
from salus.node.services.accounts import AccountId
from salus.node.services.deliver import require_seen
from salus.node.services.enrol import custodian_held_key
from salus.node.services.patient_helpers import CODE_LENGTH, CODE_LETTERS, written
from salus.node.services.signer_answers import HalfSigned, NewBlob, read_take_over
from salus.node.services.signer_devices import DeviceKey, SignerDevices
from salus.node.services.signer_requests import BeginTakeOver, Kind, SigningRequest
from salus.node.services.take_over import finish_take_overs, take_over_signed
from salus.node.tallies import Counted, Tally

CODE_S: Final = 7 * 86_400
"""How long a code is good for."""
TRIES_S: Final = 3_600
WRONG_MAX: Final = 1_000
"""Wrong codes of one member within TRIES_S; one of 78 bits is not guessed by that."""
TRIES_MAX: Final = 10
"""Codes that one account tries within TRIES_S, so that nobody uses up what their organisation has."""
NOTHING: Final = TakeOverOffer(b"", b"")
_WRONG: Final = "this code is not right, was used before, or is too old: ask for a new one where you got it"


class _Code(msgspec.Struct, frozen=True, array_like=True):
    """What a code is for, when it was made in Unix seconds, and how who asked was checked; empty at the portal."""

    pseudonym: bytes
    made_s: int
    checked: str

    def __repr__(self) -> str:
        """Hide whose it is."""
        return "_Code(…)"


# The custodian's side


def make(node: Node, pseudonym: Pseudonym, *, checked: str = "") -> str:
    """Make a code for a patient's device at another member; those made before for the same patient end.

    Args:
        checked: at a desk, how it was checked who asks; empty for whoever is signed in.

    Raises:
        Refused: CHOICE_UNFIT: the patient holds the key already.
    """
    if _held_by(node, pseudonym) is None:
        raise Refused(Refusal.CHOICE_UNFIT, "expected a key that is held here: the patient's own device has it")
    bearers, now_s = _bearers(node), node.clock()
    value, until_s = _Code(pseudonym, now_s, checked), now_s + CODE_S
    token = "".join(secrets.choice(CODE_LETTERS) for _ in range(CODE_LENGTH))
    return bearers.issue(
        BearerKind.TAKE_OVER, value, until_s=until_s, grant=pseudonym, pseudonym=pseudonym, token=token, is_only=True
    )


def is_good(node: Node, pseudonym: Pseudonym, code: str) -> bool:
    """Tell whether a code of a patient's opens something; of two that were made at one moment, one does."""
    found = _bearers(node).find(BearerKind.TAKE_OVER, written(code), _Code)
    return found is not None and found.is_first and found.grant == pseudonym


def made_s(node: Node, pseudonym: Pseudonym) -> int | None:
    """Return when the code was made that a patient has; None where there is none that is good. Unix seconds."""
    good = [each for each in _bearers(node).of(BearerKind.TAKE_OVER, pseudonym, _Code) if each.is_first]
    return max((each.value.made_s for each in good), default=None)


def stop(node: Node, pseudonym: Pseudonym) -> None:
    """End whatever codes a patient has."""
    bearers = _bearers(node)
    for each in bearers.of(BearerKind.TAKE_OVER, pseudonym, _Code):
        bearers.drop(each.lookup)


def answer_ask(node: Node, sender: OrganisationId, ask: TakeOverAsk) -> TakeOverOffer:
    """Say what a code stands for, without using it; nothing where that is nothing that can be taken over.

    Raises:
        Refused: SENDER_UNKNOWN; TOO_MANY wrong codes of this member.
    """
    found = _found(node, sender, ask.code)
    if found is None:
        return NOTHING
    held = _held_by(node, Pseudonym(found.value.pseudonym))
    return NOTHING if held is None else TakeOverOffer(found.value.pseudonym, held)


def answer_signed(node: Node, sender: OrganisationId, signed: TakeOverSigned) -> Done:
    """Hand the relationship over for which a code stands; the same once more is done already.

    1. What the ledger has done by this very body is done: its answer was lost, whatever became of the code since.
    2. The code is known here; else count it.
    3. What was signed is one TakeOverKey of its relationship, by the key held here and the device's, and nothing else.
    4. The ledger takes it, and the key held here is destroyed; then the code is used up.

    Raises:
        Refused: SENDER_UNKNOWN, TOO_MANY; CHOICE_UNFIT: the code opens nothing; MESSAGE_UNFIT, SIGNATURE_UNFIT: the
            body is not that; or what the ledger says.
        NotNow: the ledger is away; the code stays good.
    """
    _require_standing(node, sender)
    if _is_done(node, signed):  # 1
        finish_take_overs(node)  # whoever submitted it may have been killed before
        return Done(0)
    found = _found(node, sender, signed.code)  # 2
    held = None if found is None else _held_by(node, Pseudonym(found.value.pseudonym))
    if found is None or held is None:
        raise Refused(Refusal.CHOICE_UNFIT, _WRONG)
    item = BeginTakeOver(node.organisation, Pseudonym(found.value.pseudonym), held)
    take_over_signed(node, _half(node, item, signed))  # 3, 4
    _bearers(node).take(BearerKind.TAKE_OVER, written(signed.code), _Code)
    return Done(0)


# The side of the member where the device is


def could_be(code: str) -> bool:
    """Tell whether what somebody typed has the form of a code."""
    plain = written(code)
    return len(plain) == CODE_LENGTH and set(plain) <= set(CODE_LETTERS)


def offered(node: Node, peers: Peers, account: AccountId, member: str, code: str) -> BeginTakeOver | None:
    """Ask a custodian what a device may take over with a code; None for a code that opens nothing.

    Args:
        member: the custodian's ODS code.

    Raises:
        Refused: CHOICE_UNFIT: the custodian is this node; TOO_MANY codes of this account; or what the custodian says.
        NotNow: the custodian is away or says something else, or this node's ledger does not have yet what it says.
    """
    custodian = OrganisationId(member)
    if custodian == node.organisation:
        words = "expected another organisation: for this one, use the page of your devices"
        raise Refused(Refusal.CHOICE_UNFIT, words)
    if not could_be(code):
        return None
    _count_try(node, account)
    came = peers.ask(custodian, TakeOverAsk(written(code)))
    if not isinstance(came, TakeOverOffer):
        raise NotNow(f"{custodian} answered something else than what the code stands for: try again later")
    if not came.pseudonym:
        return None
    item = BeginTakeOver(custodian, Pseudonym(came.pseudonym), PublicKey(came.key))
    with node.engine.snapshot() as reader:
        row = patients.relationship_of(reader, item.pseudonym)
    if row is None or (row.custodian, row.key, row.holder) != (custodian, item.key, Holder.CUSTODIAN):
        raise NotNow(f"the ledger here does not say of {custodian}'s patient what {custodian} says: try again later")
    return item


def bring(
    node: Node,
    peers: Peers,
    devices: SignerDevices,
    account: AccountId,
    custodian: OrganisationId,
    code: str,
    half: HalfSigned,
    new: NewBlob,
) -> None:
    """Give what a device signed to the custodian that gave the code; the old wallet comes back if that says no.

    Raises:
        Refused: NOT_YOURS; or what the custodian says.
        NotNow: the custodian or its ledger is away, or says something else, or what the ledger here does not have; both
            wallets stay, and the code is good for as long as it was.
    """
    key = DeviceKey(custodian, half.message.pseudonym, half.message.key)
    with devices.trying(account, new, key):
        came = peers.ask(custodian, TakeOverSigned(written(code), half.body, half.signature, half.residual))
        if not isinstance(came, Done):
            raise NotNow(f"{custodian} answered something else than what became of it: look again later")
        require_seen(node, custodian, lambda reader: _has_key(reader, half))


def _has_key(reader: Reader, half: HalfSigned) -> bool:
    row = patients.relationship_of(reader, half.message.pseudonym)
    return row is not None and row.key == half.message.key


def _bearers(node: Node) -> Bearers:
    return Bearers(node, SealedRows(node.vault, node.chain))


def _found(node: Node, sender: OrganisationId, code: str) -> Bearer[_Code] | None:
    """Return a code that this member may ask for; None for a wrong one, which is counted."""
    bearers, token, who, now_s = _bearers(node), written(code), sender.encode(), _require_standing(node, sender)
    found, tally, most = bearers.find(BearerKind.TAKE_OVER, token, _Code), Tally.TAKE_OVER_CODE, WRONG_MAX
    if found is None:
        what = bearers.lookup(BearerKind.TAKE_OVER, token)
        counted = tallies.count(node, tally, who=who, what=what, now_s=now_s, within_s=TRIES_S, most=most)
        is_allowed = counted is not Counted.TOO_MANY
    else:
        is_allowed = tallies.has_room(node, tally, who=who, now_s=now_s, within_s=TRIES_S, most=most)
    if not is_allowed:
        raise Refused(Refusal.TOO_MANY, f"expected at most {most} wrong codes in {TRIES_S // 60} minutes: wait")
    return found


def _require_standing(node: Node, sender: OrganisationId) -> int:
    """Check that a member is in good standing; return the present, Unix seconds."""
    with node.engine.snapshot() as reader:
        time_s = read_time_s(reader, node.clock)
        if membership.is_suspended(membership.require_organisation(reader, sender), time_s=time_s):
            raise Refused(Refusal.SENDER_UNKNOWN, f"{sender} is suspended: nothing is answered until that ends")
    return time_s


def _held_by(node: Node, pseudonym: Pseudonym) -> PublicKey | None:
    """The relationship's key, if it is held here; None where there is nothing to take over."""
    with node.engine.snapshot() as reader:
        row = patients.relationship_of(reader, pseudonym)
    try:
        held = PublicKey(custodian_held_key(node, pseudonym).public)
    except Refused:
        return None
    return held if row is not None and not row.closed_at_s and held == row.key else None


def _is_done(node: Node, signed: TakeOverSigned) -> bool:
    """Whether the ledger has what was signed of a relationship here."""
    with node.engine.snapshot() as reader:
        result = stored_result(reader, Digest(sha256(signed.body)))
    if result is None or result.code != DONE:
        return False
    outcome = decode_outcome(decode_leaf(result.leaves[0]))
    if not isinstance(outcome, KeyTakenOver):
        return False
    with node.engine.snapshot() as reader:
        row = patients.relationship_of(reader, outcome.pseudonym)
    return row is not None and row.custodian == node.organisation


def _half(node: Node, item: BeginTakeOver, signed: TakeOverSigned) -> HalfSigned:
    with node.engine.snapshot() as reader:
        time_s = read_time_s(reader, node.clock)
    request = SigningRequest(Kind.TAKE_OVER, node.chain, b"", time_s, (), (item,))
    return read_take_over(request, body=signed.body, signature=signed.signature, residual=signed.residual)


def _count_try(node: Node, account: AccountId) -> None:
    what, now_s = secrets.token_bytes(16), node.clock()
    counted = tallies.count(
        node, Tally.TAKE_OVER_TRY, who=account, what=what, now_s=now_s, within_s=TRIES_S, most=TRIES_MAX
    )
    if counted is Counted.TOO_MANY:
        raise Refused(Refusal.TOO_MANY, f"expected at most {TRIES_MAX} codes in {TRIES_S // 60} minutes: wait")
