"""Ledger reads: what this node's ledger says to programs of its own organisation: members, headers, own outcomes.

Headers and members are everybody's who is let in; outcomes are this organisation's own, by the rule of `own_proofs`.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from salus.contracts import membership
from salus.engines.base import Unavailable
from salus.ledger.bundles import encode_bundle
from salus.ledger.identifiers import Digest
from salus.node.assemble import Node
from salus.node.errors import NotNow
from salus.node.services import govern, own_proofs


class MemberRead(msgspec.Struct, frozen=True):
    """A member of the network, as the ledger has it now.

    Args:
        role_classes: in which it may ask.
        access: how much of the ledger it holds.
        endpoint: where its node is; empty for none.
    """

    organisation: str
    name: str
    role_classes: tuple[str, ...]
    access: str
    endpoint: str
    is_suspended: bool


class ValidatorRead(msgspec.Struct, frozen=True):
    """With which key, and how much power, somebody signed a header."""

    public_key: bytes
    power: int


class HeaderRead(msgspec.Struct, frozen=True):
    """A signed header (CometBFT's SignedHeader, canonical) and the validators that signed it."""

    header: bytes
    validators: tuple[ValidatorRead, ...]


class OutcomeRead(msgspec.Struct, frozen=True):
    """What the ledger answered to a transaction: 0 done, 1 denied, else the permanent number of a rejection.

    Args:
        leaves: of each message, as they are in the log from `first_leaf` on (docs/spec/log.md).
    """

    code: int
    first_leaf: int
    leaves: tuple[bytes, ...]
    reason: str


class ProofsRead(msgspec.Struct, frozen=True):
    """A proof file for each outcome of a transaction: `salus verify` and the SDK check them offline."""

    proofs: Annotated[tuple[bytes, ...], Meta(min_length=1)]


def members(node: Node) -> tuple[MemberRead, ...]:
    """Return the members, by their codes. Raises NotNow."""
    try:
        rows, time_s = govern.see_members(node).members, node.clock()
    except Unavailable as error:
        raise NotNow(f"the ledger does not answer ({error}): try later") from error
    return tuple(
        MemberRead(
            organisation=organisation,
            name=row.name,
            role_classes=tuple(each.name.lower() for each in row.role_classes),
            access=row.access.name.lower(),
            endpoint=row.endpoint,
            is_suspended=membership.is_suspended(row, time_s=time_s),
        )
        for organisation, row in sorted(rows.items())
    )


def header(node: Node, height: int) -> HeaderRead:
    """Return a signed header; the newest for height 0. Raises Refused (NOT_YOURS) or NotNow."""
    block = own_proofs.header(node, height)
    return HeaderRead(block.header, tuple(ValidatorRead(each.public_key, each.power) for each in block.validators))


def outcome(node: Node, transaction: bytes) -> OutcomeRead:
    """Return the outcome of a transaction that this organisation signed or that names it.

    Raises:
        Refused: NOT_YOURS, also for what never was.
        NotNow: the ledger is away.
    """
    told = own_proofs.outcome(node, node.organisation, Digest(transaction))
    return OutcomeRead(told.code, told.first_leaf, told.leaves, told.reason)


def proofs(node: Node, transaction: bytes) -> ProofsRead:
    """Return the proof of each outcome of such a transaction. Raises as `outcome`."""
    bundles = own_proofs.proofs(node, node.organisation, Digest(transaction))
    return ProofsRead(tuple(encode_bundle(each) for each in bundles))
