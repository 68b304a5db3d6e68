"""Following a chain: which headers a verifier needs next, and what it trusts after them (CometBFT spec, light client).

A conversation without input or output: each function here is a generator that yields what it wants, gets it sent, and
returns what follows. Whoever drives it fetches from a file, a socket or a list. So a trust store can be brought up to
date over any number of changes of the validators, from two sources that are believed for nothing.
"""

from collections.abc import Generator
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

import msgspec

from salus.ledger.comet.commit import decode_signed_header
from salus.ledger.comet.light import NotVerified, Reason, verify_signed_header
from salus.ledger.comet.types import Header
from salus.ledger.encoding import EncodingInvalid
from salus.ledger.proofs import LightBlock
from salus.ledger.verifier.failure import Checklist, Steps
from salus.ledger.verifier.skipping import SECOND_NS, failed, verify_later
from salus.ledger.verifier.state import verify_header
from salus.ledger.verifier.store import CONFLICTS_MAX, STORE_FORMAT, Conflict, TrustStore, block_hash
from salus.ledger.verifier.trust import TrustRoot

T = TypeVar("T")
_STATE = Steps(Checklist.STATE)


class Source(StrEnum):
    """Who is asked."""

    PRIMARY = "source"
    WITNESS = "witness"


@dataclass(frozen=True)
class Wanted:
    """The header that is needed next, and from whom."""

    source: Source
    height: int


Conversation = Generator[Wanted, LightBlock, T]
"""Yields what is wanted, is sent it, returns what follows."""


@dataclass(frozen=True)
class Followed:
    """What came of following.

    Args:
        store: the trust store, moved on; after a conflict it has stayed where it was, and has the conflict.
        heights: of the headers that were verified, each from the one before it; the first was trusted already.
        conflict: what source and witness disagree about; None when they agree, or nobody was asked.
    """

    store: TrustStore
    heights: tuple[int, ...]
    conflict: Conflict | None


def begin(root: TrustRoot, *, lowest: int, newest: int, now_s: int) -> Conversation[TrustStore]:
    """Begin a trust store: find a header that the validators of the trust root signed.

    The newest one when they still are the validators; else the last one that is not later than the moment at which the
    root was trusted, found by halving.

    Args:
        lowest, newest: heights that the source has.
        now_s: the verifier's clock, seconds since 1970.

    Raises:
        VerificationFailed: the header that was found does not hold under the root.
    """
    block = yield Wanted(Source.PRIMARY, newest)
    if block.validators != root.validator_set():
        block = yield from _at_time(root.trusted_at_s * SECOND_NS, lowest, newest)
    verify_header(root, block.header, block.validators, now_s=now_s)
    return TrustStore(
        format=STORE_FORMAT, root=root, newest=block, followed_at_s=now_s, source="", witness="", conflicts=()
    )


def follow(store: TrustStore, *, height: int, has_witness: bool, now_s: int) -> Conversation[Followed]:
    """Bring a trust store to a height, and have it confirmed.

    1. From the trusted header to the one wanted, by as few headers in between as the skipping rule needs: when trust is
       not enough for a header, the one half way is verified first (bisection).
    2. The witness has the same header for that height.
    3. If not: both are kept as evidence, and the store stays where it was. For the first height of those verified at
       which the two differ, the witness's header is verified from the last one that both have.

    Args:
        height: to be reached; not below the trusted one.
        has_witness: whether there is a second source.
        now_s: the verifier's clock, seconds since 1970.

    Raises:
        VerificationFailed: what the source showed does not follow from the trusted header; names the step of `skip`.
    """
    assert height >= _header(store.newest).height, "a trust store only moves on"
    walk = _Walk(store, now_s)
    try:
        trace = yield from walk.to_height(height)  # 1
    except NotVerified as error:
        raise failed(error) from error
    heights = tuple(_header(each).height for each in trace)
    conflict = (yield from _compare(walk, trace)) if has_witness else None  # 2, 3
    if conflict is not None:
        kept = (*store.conflicts, conflict) if conflict not in store.conflicts else store.conflicts
        return Followed(msgspec.structs.replace(store, conflicts=kept[-CONFLICTS_MAX:]), heights, conflict)
    return Followed(msgspec.structs.replace(store, newest=trace[-1], followed_at_s=now_s), heights, None)


class _Walk:
    """Verifies headers, each from one that was verified before it."""

    def __init__(self, store: TrustStore, now_s: int) -> None:
        self._store = store
        self._now_s = now_s

    def to_height(self, height: int) -> Conversation[list[LightBlock]]:
        """Return the verified headers from the trusted one to a height. Raises NotVerified."""
        trusted = self._store.newest
        if _header(trusted).height == height:
            return [trusted]
        target = yield Wanted(Source.PRIMARY, height)
        return (yield from self.bisect(trusted, target, height=height, source=Source.PRIMARY))

    def bisect(
        self, trusted: LightBlock, target: LightBlock, *, height: int, source: Source
    ) -> Conversation[list[LightBlock]]:
        """Return the verified headers from a trusted one to one at a greater height. Raises NotVerified."""
        trace, pending = [trusted], [_of_height(target, height)]
        while pending:
            try:
                self._check(trace[-1], pending[-1])
            except NotVerified as error:
                if error.reason is not Reason.NOT_ENOUGH_TRUST:
                    raise
                half = (_header(trace[-1]).height + _header(pending[-1]).height) // 2
                pending.append(_of_height((yield Wanted(source, half)), half))
            else:
                trace.append(pending.pop())
        return trace

    def refusal(self, common: LightBlock, witnessed: LightBlock, *, height: int) -> Conversation[str]:
        """Return why a witness's header does not follow from one that both have; empty when it does."""
        try:
            if _header(common).height == height:  # the trusted header itself is in doubt
                signed = decode_signed_header(_of_height(witnessed, height).header)
                verify_signed_header(chain_id=self._store.chain, signed=signed, validators=common.validators)
            else:
                yield from self.bisect(common, witnessed, height=height, source=Source.WITNESS)
        except NotVerified as error:
            return str(error)
        return ""

    def _check(self, trusted: LightBlock, block: LightBlock) -> None:
        verify_later(
            self._store,
            _header(trusted),
            decode_signed_header(block.header),
            block.validators,
            trusted_validators=trusted.validators,
            now_s=self._now_s,
        )


def _compare(walk: _Walk, trace: list[LightBlock]) -> Conversation[Conflict | None]:
    said = yield Wanted(Source.WITNESS, _header(trace[-1]).height)
    if _is_same(said, trace[-1]):
        return None
    common, followed, witnessed = yield from _first_difference(trace, said)
    height = _header(followed).height
    refusal = yield from walk.refusal(common, witnessed, height=height)
    return Conflict(height, followed, witnessed, refusal)


def _first_difference(
    trace: list[LightBlock], said: LightBlock
) -> Conversation[tuple[LightBlock, LightBlock, LightBlock]]:
    # The last header that both have, the source's first that the witness has not, and what the witness has there.
    common = trace[0]
    for followed in trace[1:-1]:
        witnessed = yield Wanted(Source.WITNESS, _header(followed).height)
        if not _is_same(witnessed, followed):
            return common, followed, witnessed
        common = followed
    return common, trace[-1], said


def _is_same(witnessed: LightBlock, followed: LightBlock) -> bool:
    try:
        return block_hash(witnessed) == block_hash(followed)
    except EncodingInvalid:
        return False


def _of_height(block: LightBlock, height: int) -> LightBlock:
    try:
        header = _header(block)
    except EncodingInvalid as error:
        raise NotVerified(Reason.HEADER_MALFORMED, str(error)) from error
    if header.height != height:
        raise NotVerified(Reason.COMMIT_HEIGHT, f"asked for height {height}, came {header.height}")
    return block


def _at_time(time_ns: int, lowest: int, newest: int) -> Conversation[LightBlock]:
    # Nothing here is believed: the header that is found is verified like any other.
    block = yield Wanted(Source.PRIMARY, lowest)
    low, high = lowest, newest
    while high - low > 1:
        half = yield Wanted(Source.PRIMARY, (low + high) // 2)
        try:
            is_later = _header(half).time_ns > time_ns
        except EncodingInvalid as error:
            raise _STATE.fail(2, f"expected a signed header: {error}: ask another source") from error
        if is_later:
            high = (low + high) // 2
        else:
            low, block = (low + high) // 2, half
    return block


def _header(block: LightBlock) -> Header:
    return decode_signed_header(block.header).header
