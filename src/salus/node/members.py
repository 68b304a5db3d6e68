"""Members as the exchange sees them: where each node is and with which keys, from the ledger and from nowhere else."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import urlsplit

from salus.contracts import membership
from salus.contracts.membership import KeyUse
from salus.engines.base import Engine, Unavailable
from salus.ledger.identifiers import OrganisationId
from salus.ledger.machine import read_meta
from salus.ledger.state import Reader
from salus.node.assemble import Node
from salus.node.errors import NotNow, Refusal, Refused

__all__ = [
    "Directory",
    "LedgerDirectory",
    "Member",
    "OrganisationId",
    "Standing",
    "read_member",
    "read_time_s",
    "standing",
]


@dataclass(frozen=True)
class Member:
    """A member at one height of the ledger.

    Args:
        endpoint: base URL of its node, without a slash at its end.
        http_key: the current one; those before it are worth nothing.
        suspended_until_s: 0 in good standing.
    """

    organisation: OrganisationId
    endpoint: str
    http_key: bytes
    hpke_key: bytes = field(repr=False)
    suspended_until_s: int

    def path(self, route: str) -> str:
        """Return the path of a route as callers see it: a gateway may publish a node below a path of its own."""
        return urlsplit(self.endpoint).path.rstrip("/") + route


@dataclass(frozen=True)
class Standing:
    """Where a node stands: all that anybody may know of it."""

    organisation: OrganisationId
    chain: str
    height: int
    header_age_ms: int


class Directory(Protocol):
    """Where to find members; a node asks its ledger, a patient's device whatever it trusts."""

    chain: str

    def look_up(self, organisation: OrganisationId) -> tuple[Member, int]:
        """Return a member, and the present: Unix seconds. Raises Refused (SENDER_UNKNOWN) or NotNow."""


class LedgerDirectory:
    """Members by the newest block of a ledger; the present is the later of its time and the local clock."""

    def __init__(self, chain: str, engine: Engine, clock: Callable[[], int]) -> None:
        self.chain = chain
        self._engine = engine
        self._clock = clock

    def look_up(self, organisation: OrganisationId) -> tuple[Member, int]:
        """Return a member and the present. Raises Refused (SENDER_UNKNOWN) or NotNow."""
        try:
            with self._engine.snapshot() as reader:
                return read_member(reader, organisation), read_time_s(reader, self._clock)
        except Unavailable as error:
            raise NotNow(f"the ledger does not answer ({error}): try later") from error


def standing(node: Node) -> Standing:
    """Tell where a node stands. Raises NotNow."""
    try:
        status = node.engine.status()
    except Unavailable as error:
        raise NotNow(f"the ledger does not answer ({error}): try later") from error
    return Standing(node.organisation, node.chain, status.height, status.header_age_ms)


def read_member(reader: Reader, organisation: OrganisationId) -> Member:
    """Return a member. Raises Refused (SENDER_UNKNOWN) when it is none, or has no keys for the exchange."""
    row = membership.ORGANISATIONS.get(reader, organisation)
    http_key = membership.current_key(reader, organisation, KeyUse.HTTP)
    hpke_key = membership.current_key(reader, organisation, KeyUse.HPKE)
    if row is None or http_key is None or hpke_key is None:
        raise Refused(Refusal.SENDER_UNKNOWN, "expected a member with registered keys for http and HPKE")
    return Member(organisation, row.endpoint.rstrip("/"), http_key, hpke_key, row.suspended_until_s)


def read_time_s(reader: Reader, clock: Callable[[], int]) -> int:
    """Return the later of block time and local clock, so that neither can be held back alone; Unix seconds."""
    meta = read_meta(reader)
    assert meta is not None, "a node reads a ledger that has begun"
    return max(clock(), meta.time_s)
