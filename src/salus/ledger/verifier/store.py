"""The trust store: a trust root and the newest header that was reached from it, kept by `salus follow`.

A JSON file, written as the trust root is, and as good as the trust root that it grew from: whoever can write it decides
what is believed. Nothing in it is secret.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from salus.ledger.comet.commit import decode_signed_header
from salus.ledger.comet.header import header_hash
from salus.ledger.comet.types import COMMIT, SignedHeader
from salus.ledger.comet.validators import check_validators, validators_hash
from salus.ledger.encoding import EncodingInvalid
from salus.ledger.identifiers import SecondsField
from salus.ledger.proofs import LightBlock
from salus.ledger.verifier.trust import (
    FORMAT,
    SEEK_ANOTHER,
    EngineKind,
    TrustRoot,
    TrustRootInvalid,
    check_engine,
    decode_trust,
    format_of,
)

STORE_FORMAT = 2
"""Follows the trust root's, so that a program which knows only roots calls the file newer."""
STORE_BYTES_MAX = 16 << 20
CONFLICTS_MAX = 16
SOURCE_SIZE_MAX = 1000


class Conflict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Two headers for one height, from two sources: evidence, kept until a person has looked at it.

    Args:
        height: of both.
        followed: what the source showed; it follows from what was trusted.
        witnessed: what the witness showed instead.
        refusal: why the witness's does not follow from what was trusted; empty when it does, and then validators with
            more than a third of the trusted power signed for two histories.
    """

    height: Annotated[int, Meta(ge=1)]
    followed: LightBlock
    witnessed: LightBlock
    refusal: str

    def signed_both(self) -> tuple[bytes, ...]:
        """Return the keys that voted for both headers, in the order of the first; none unless the witness's follows."""
        if self.refusal:
            return ()
        others = set(voters(self.witnessed))
        return tuple(key for key in voters(self.followed) if key in others)


class TrustStore(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is trusted now, and from what it follows.

    Args:
        root: what it began with; its validators give keys their organisations' names.
        newest: the trusted header: the newest one that was verified, with its validators.
        followed_at_s: when that was, by the clock of whoever followed, seconds since 1970.
        source: where its headers came from, for people.
        witness: who confirmed them, for people; empty when nobody did.
        conflicts: what was found on the way, oldest first.
    """

    format: int
    root: TrustRoot
    newest: LightBlock
    followed_at_s: SecondsField
    source: Annotated[str, Meta(max_length=SOURCE_SIZE_MAX)]
    witness: Annotated[str, Meta(max_length=SOURCE_SIZE_MAX)]
    conflicts: Annotated[tuple[Conflict, ...], Meta(max_length=CONFLICTS_MAX)]

    @property
    def chain(self) -> str:
        """The chain id that every header must name."""
        return self.root.chain

    @property
    def engine(self) -> EngineKind:
        """What puts the network's transactions in order."""
        return self.root.engine

    def organisation_of(self, public_key: bytes) -> str:
        """Return whose key it is; empty when the root does not name it."""
        return self.root.organisation_of(public_key)

    def signed_header(self) -> SignedHeader:
        """Return the trusted header."""
        return decode_signed_header(self.newest.header)


def voters(block: LightBlock) -> list[bytes]:
    """Return the keys whose places in the commit have a vote for the block."""
    votes = decode_signed_header(block.header).commit.signatures
    return [each.public_key for each, vote in zip(block.validators, votes, strict=False) if vote.flag == COMMIT]


def block_hash(block: LightBlock) -> bytes:
    """Return the hash of a light block's header."""
    return header_hash(decode_signed_header(block.header).header)


_DECODER = msgspec.json.Decoder(TrustStore)


def encode_store(store: TrustStore) -> bytes:
    """Return the file's bytes: indented JSON with one line end at its end."""
    return msgspec.json.format(msgspec.json.encode(store), indent=2) + b"\n"


def decode_trust_file(data: bytes) -> TrustRoot | TrustStore:
    """Parse a trust file: a root or a store, told apart by their format.

    Raises:
        TrustRootInvalid: neither, or damaged.
    """
    if len(data) <= STORE_BYTES_MAX and format_of(data) == STORE_FORMAT:
        return _decode_store(data)
    return decode_trust(data)


def _decode_store(data: bytes) -> TrustStore:
    try:
        store = _DECODER.decode(data)
        check_validators(store.root.validator_set())
        check_engine(store.root)
        _check_block(store.newest, store.chain)
        for conflict in store.conflicts:
            _check_conflict(conflict)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise TrustRootInvalid(f"expected the fields of a trust store: {error}: {SEEK_ANOTHER}") from error
    except EncodingInvalid as error:
        raise TrustRootInvalid(f"the trust store is damaged: {error}: begin it again from a trust file") from error
    if store.root.format != FORMAT:
        raise TrustRootInvalid(f"expected a root of format {FORMAT}, came {store.root.format}: {SEEK_ANOTHER}")
    if msgspec.json.format(data, indent=-1) != msgspec.json.encode(store):
        raise TrustRootInvalid(f"expected each field once, in the order of the format: {SEEK_ANOTHER}")
    return store


def _check_conflict(conflict: Conflict) -> None:
    # What the witness showed may be anything, unless it is said to follow from what was trusted.
    decode_signed_header(conflict.followed.header)
    if not conflict.refusal:
        decode_signed_header(conflict.witnessed.header)


def _check_block(block: LightBlock, chain: str) -> None:
    header = decode_signed_header(block.header).header
    check_validators(block.validators)
    if header.chain_id != chain:
        raise EncodingInvalid(f"expected a header of {chain!r}, it is one of {header.chain_id!r}")
    if header.validators_hash != validators_hash(block.validators):
        raise EncodingInvalid("the header names other validators than the store")
