"""Bring a trust store up to date from sources of headers, and say in plain words what is trusted then.

The checking is `ledger.verifier.follow`; here a source is asked for what that wants. A source is believed for nothing:
it may be a file from a stranger.
"""

import dataclasses
from typing import Protocol, TypeVar

import msgspec

from salus.clinical.uk_time import uk_time
from salus.ledger.comet.types import Validator
from salus.ledger.proofs import LightBlock
from salus.ledger.verifier import (
    Conflict,
    Conversation,
    EngineKind,
    Followed,
    Source,
    Trust,
    TrustStore,
    Wanted,
    begin,
    follow,
)
from salus.ledger.verifier.trust import key_text

T = TypeVar("T")
SECOND_NS = 10**9


class HeaderAbsent(Exception):
    """A source does not have a header that is needed; the message says which, and what to do."""


class HeaderSource(Protocol):
    """Where headers come from."""

    @property
    def name(self) -> str:
        """What a person calls it."""

    def heights(self) -> tuple[int, int]:
        """Return the lowest and the newest height that it has. Raises HeaderAbsent when it has none."""

    def light_block(self, height: int) -> LightBlock | None:
        """Return a height's header with its validators; None when it is not here."""


def bring_up_to_date(
    trust: Trust, source: HeaderSource, witness: HeaderSource | None, *, height: int, now_s: int
) -> Followed:
    """Follow the chain from what is trusted to a height.

    Args:
        trust: a root, from which a store is begun, or a store.
        witness: the second source; None when there is none.
        height: 0 for the newest that both have.
        now_s: the verifier's clock, seconds since 1970.

    Raises:
        VerificationFailed: what the source shows does not follow from what is trusted.
        HeaderAbsent: a header is needed that the source or the witness does not have.
    """
    lowest, newest = source.heights()
    target = height or (newest if witness is None else min(newest, witness.heights()[1]))
    sources = {Source.PRIMARY: source, Source.WITNESS: witness}
    if isinstance(trust, TrustStore):
        store = trust
    else:
        store = _converse(begin(trust, lowest=lowest, newest=target, now_s=now_s), sources)
    trusted_height = store.signed_header().header.height
    followed = _converse(
        follow(store, height=max(target, trusted_height), has_witness=witness is not None, now_s=now_s), sources
    )
    return _named(followed, source, witness)


def followed_lines(followed: Followed, *, before: int) -> list[str]:
    """Say what following has shown, and who is trusted now.

    Args:
        before: the height trusted before, 0 for none.
    """
    header = followed.store.signed_header().header
    block = f"block {header.height} of {uk_time(header.time_ns // SECOND_NS)}"
    if followed.conflict is not None:
        moved = f"The trust store stays at {block}."
    elif header.height == before:
        moved = f"The trust store is at {block}: there is nothing newer."
    else:
        moved = f"The trust store is now at {block}; {_count(len(followed.heights), 'header')} checked on the way."
    return [moved, *trust_lines(followed.store)]


def trust_lines(store: TrustStore) -> list[str]:
    """Say who is trusted, on what that rests, until when, and what is in conflict."""
    header = store.signed_header().header
    validators = store.newest.validators
    power = sum(each.power for each in validators)
    until_s = header.time_ns // SECOND_NS + store.root.trusting_period_s
    names = ", ".join(_validator_words(store, each) for each in validators)
    lines = [f"Trusted: {_count(len(validators), 'validator')} with {power} votes together: {names}."]
    if store.engine is EngineKind.EMBEDDED:
        lines.append("Embedded ledger: trust is one key, and following it shows no more than that this key signed.")
    else:
        lines.append(
            "Each header on the way was signed by more than two thirds of its own votes; among them were more than a "
            "third of those trusted before, or the header before had announced them. A false one takes more than a "
            "third of the votes, signed for two histories."
        )
    lines.append(_witness_words(store))
    lines.append(f"This may be built on until {uk_time(until_s)}.")
    return [*lines, *(_conflict_words(store, each) for each in store.conflicts)]


def _converse(conversation: Conversation[T], sources: dict[Source, HeaderSource | None]) -> T:
    try:
        wanted = next(conversation)
        while True:
            wanted = conversation.send(_fetch(wanted, sources[wanted.source]))
    except StopIteration as ended:
        value: T = ended.value
        return value


def _fetch(wanted: Wanted, source: HeaderSource | None) -> LightBlock:
    assert source is not None, "a witness is asked only where there is one"
    block = source.light_block(wanted.height)
    if block is None:
        raise HeaderAbsent(
            f"the {wanted.source} {source.name} has no header of block {wanted.height}: name one that has, or --height"
        )
    return block


def _named(followed: Followed, source: HeaderSource, witness: HeaderSource | None) -> Followed:
    if followed.conflict is not None:
        return followed
    confirmed = "" if witness is None else witness.name
    return dataclasses.replace(
        followed, store=msgspec.structs.replace(followed.store, source=source.name, witness=confirmed)
    )


def _validator_words(store: TrustStore, validator: Validator) -> str:
    name = store.organisation_of(validator.public_key) or f"key {key_text(validator.public_key)}"
    return f"{name} ({validator.power})"


def _witness_words(store: TrustStore) -> str:
    if store.witness:
        return f"{store.witness} has the same header as {store.source or 'the source'}."
    return "Nobody else was asked: name a second source with --witness, so that one alone cannot show another history."


def _conflict_words(store: TrustStore, conflict: Conflict) -> str:
    if conflict.refusal:
        return (
            f"Conflict at block {conflict.height}: the witness showed another header, which does not follow from "
            f"what is trusted ({conflict.refusal}). It accuses no validator."
        )
    both = ", ".join(store.organisation_of(key) or f"key {key_text(key)}" for key in conflict.signed_both())
    return (
        f"Conflict at block {conflict.height}: two headers follow from what is trusted, so more than a third of the "
        f"votes broke the rules. Signed both: {both or 'nobody; different validators signed them'}."
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
