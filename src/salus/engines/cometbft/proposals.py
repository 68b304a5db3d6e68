"""What a block may hold, and in which order: the proposer and those who judge it use the same functions.

Order: in turns, one transaction of each paying member after the other, members by their ids; within a member as they
came, at most `MEMBER_TRANSACTIONS_MAX`. So a member that sends much delays nobody else, and a transaction that needs an
earlier one of the same member comes after it. Everything here is a pure function of the last committed state and of the
block.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from salus.engines.base import Payer
from salus.engines.intake import BLOCK_MESSAGES_MAX
from salus.ledger import transactions
from salus.ledger.comet.wire import varint
from salus.ledger.machine import SEEN
from salus.ledger.state import Reader
from salus.ledger.transactions import NotATransaction, Transaction

MEMBER_TRANSACTIONS_MAX = 256
"""Of one paying member in one block: its signatures are checked in less time than a round takes."""
CALM_TURNS = 64
"""So many of one member delay nobody; a proposer takes more of it when others have as much, or nothing."""

Candidate = Transaction | NotATransaction


@dataclass(frozen=True)
class Terms:
    """On which a block is made and judged.

    Args:
        reader: the last committed state.
        time_s: time of the proposed block, seconds since 1970.
        payer: whose turn a transaction takes.
    """

    reader: Reader
    time_s: int
    payer: Payer


def prepare(candidates: Sequence[Candidate], terms: Terms, *, size_bytes_max: int) -> list[Transaction]:
    """Choose a block's transactions among what waits.

    1. Leave out what is no transaction, has expired, was executed before, or stands twice. 2. Put the rest in order,
    and leave out what one member has far more of than all others. 3. Take from the front while the block has room, in
    bytes and in messages.
    """
    fit: dict[bytes, Transaction] = {}
    for candidate in candidates:
        if not why_unfit(candidate, terms):  # 1
            assert isinstance(candidate, Transaction)
            fit.setdefault(candidate.hash, candidate)
    queues = _queues(list(fit.values()), terms)
    return list(_while_room(_turn_by_turn(queues, _turns(queues)), size_bytes_max))  # 2, 3


def why_refused(block: Sequence[Candidate], terms: Terms) -> str:
    """Say why a proposed block is none; empty when it is one. What `prepare` makes is never refused."""
    fit: list[Transaction] = []
    for place, candidate in enumerate(block):
        words = why_unfit(candidate, terms)
        if words:
            return f"transaction {place}: {words}"
        assert isinstance(candidate, Transaction)
        fit.append(candidate)
    if len({each.hash for each in fit}) != len(fit):
        return "a transaction stands twice"
    if len(fit) > 1 and sum(len(each.messages) for each in fit) > BLOCK_MESSAGES_MAX:
        return f"more than {BLOCK_MESSAGES_MAX} messages"
    if in_turns(fit, terms) != fit:
        return f"the transactions are not in turns of at most {MEMBER_TRANSACTIONS_MAX} of a member"
    return ""


def why_unfit(candidate: Candidate, terms: Terms) -> str:
    """Say why bytes cannot be in the next block; empty when they can."""
    if isinstance(candidate, NotATransaction):
        return str(candidate)
    if SEEN.get(terms.reader, candidate.hash) is not None:
        return "it was executed before"
    try:
        transactions.check_expiry(candidate, time_s=terms.time_s)
    except NotATransaction as error:
        return str(error)
    return ""


def in_turns(fit: Sequence[Transaction], terms: Terms) -> list[Transaction]:
    """Put transactions in the order of turns, as far as there are turns.

    What nobody pays for takes turns as one member before all others.
    """
    return _turn_by_turn(_queues(fit, terms), MEMBER_TRANSACTIONS_MAX)


def _queues(fit: Sequence[Transaction], terms: Terms) -> dict[str, list[Transaction]]:
    queues: dict[str, list[Transaction]] = {}
    for each in fit:
        queues.setdefault(terms.payer(terms.reader, each) or "", []).append(each)
    return queues


def _turns(queues: dict[str, list[Transaction]]) -> int:
    """Return how many turns a proposer gives: twice what the second longest queue has, within bounds."""
    lengths = sorted(map(len, queues.values()))
    if len(lengths) < 2:
        return MEMBER_TRANSACTIONS_MAX
    return min(MEMBER_TRANSACTIONS_MAX, max(CALM_TURNS, 2 * lengths[-2]))


def _turn_by_turn(queues: dict[str, list[Transaction]], turns: int) -> list[Transaction]:
    members = sorted(queues)
    longest = min(max(map(len, queues.values()), default=0), turns)
    return [queues[member][turn] for turn in range(longest) for member in members if turn < len(queues[member])]


def _while_room(ordered: Sequence[Transaction], size_bytes_max: int) -> Iterator[Transaction]:
    messages = size_bytes = 0
    for place, each in enumerate(ordered):
        messages += len(each.messages)
        size_bytes += 1 + len(varint(len(each.raw))) + len(each.raw)  # a field of CometBFT's `Data`
        if size_bytes > size_bytes_max or (place and messages > BLOCK_MESSAGES_MAX):
            return
        yield each
