"""One node's answers to others: the only way in from outside, whoever carries the bytes.

`api/exchange` has authenticated the sender and opened the body before this is called. Every refusal goes back as a
number and words; what the world did goes back as *not now*.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from salus.contracts import membership
from salus.engines.base import Unavailable as LedgerUnavailable
from salus.ledger.contract import Rejected
from salus.ledger.identifiers import OrganisationId
from salus.node.assemble import Node
from salus.node.errors import Busy, NotNow, Refusal, Refused
from salus.node.exchange import (
    Answer,
    Ask,
    ChoicesAsk,
    Delivery,
    DeviceAsk,
    Done,
    ErasureAsk,
    HistoryAsk,
    KeepShareAsk,
    MatchAsk,
    NotNowAnswer,
    PartAccept,
    PartAsk,
    RefusedAnswer,
    SignedMatchAsk,
    StreamAsk,
    TakeOverAsk,
    TakeOverSigned,
)
from salus.node.services import (
    audit,
    choices_elsewhere,
    deliver,
    match,
    recovery_shares,
    release,
    statements,
    take_over_codes,
)
from salus.vault.errors import Damaged, NoSuchRecord, Unavailable


def answer(node: Node, sender: OrganisationId, ask: Ask) -> Answer:
    """Answer one message.

    Args:
        sender: the member whose http key signed the request; empty for a patient's own device.

    Raises:
        Busy: the ledger's queue is full.
    """
    try:
        with plainly():
            return _dispatch(node, sender, ask)
    except Refused as refused:
        return RefusedAnswer(refused.refusal, refused.words)
    except Busy:  # said before anything is sealed, as by a node that does not even look
        raise
    except NotNow as error:
        return NotNowAnswer(str(error))


def answer_stream(node: Node, sender: OrganisationId, ask: StreamAsk) -> Iterator[bytes]:
    """Answer with sealed segments. Raises Refused or NotNow, also half way through."""
    with plainly():
        yield from release.stream_record(node, sender, ask)


@contextmanager
def plainly() -> Iterator[None]:
    """Say what the rings below say in the two ways in which a node says no."""
    try:
        yield
    except Rejected as rejected:
        is_stranger = rejected.code == membership.Rejection.ORGANISATION_UNKNOWN
        refusal = Refusal.SENDER_UNKNOWN if is_stranger else Refusal.LEDGER_REJECTED
        raise Refused(refusal, rejected.detail, number=rejected.code) from rejected
    except LedgerUnavailable as error:
        raise NotNow(f"the ledger does not answer: {error}") from error
    except (Unavailable, Damaged, NoSuchRecord) as error:
        raise NotNow(f"the vault does not answer: {error}") from error


def _dispatch(node: Node, sender: OrganisationId, ask: Ask) -> Answer:
    if isinstance(ask, DeviceAsk):
        return _of_device(node, ask)
    if not sender:
        raise Refused(Refusal.SENDER_UNKNOWN, "expected a member's signature: only members ask for records")
    if isinstance(ask, SignedMatchAsk):
        return match.answer_match(node, sender, ask)
    if isinstance(ask, MatchAsk):
        raise Refused(Refusal.SIGNATURE_UNFIT, "expected a match that the session's key signed: use a newer release")
    if isinstance(ask, PartAsk | PartAccept | ChoicesAsk):
        return _under_permit(node, sender, ask)
    if isinstance(ask, ErasureAsk):
        return statements.answer_erasure(node, sender, ask)
    if isinstance(ask, TakeOverAsk):
        return take_over_codes.answer_ask(node, sender, ask)
    if isinstance(ask, TakeOverSigned):
        return take_over_codes.answer_signed(node, sender, ask)
    raise Refused(Refusal.MESSAGE_UNFIT, "expected a message that is answered, came one that is streamed")


def _under_permit(node: Node, sender: OrganisationId, ask: PartAsk | PartAccept | ChoicesAsk) -> Answer:
    if isinstance(ask, PartAsk):
        return release.offer_part(node, sender, ask)
    if isinstance(ask, ChoicesAsk):
        return choices_elsewhere.answer_choices(node, sender, ask)
    return release.accept_part(node, sender, ask)


def _of_device(node: Node, ask: DeviceAsk) -> Answer:
    if isinstance(ask, Delivery):
        return Done(deliver.take(node, ask.raw, ask.residual).code)
    if isinstance(ask, HistoryAsk):
        return audit.answer_history(node, ask)
    return recovery_shares.keep(node, ask) if isinstance(ask, KeepShareAsk) else recovery_shares.give(node, ask)
