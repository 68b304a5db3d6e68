"""Where a member stands in its network, as its own ledger has it."""

from dataclasses import dataclass

from salus.clinical.uk_time import uk_time
from salus.contracts import membership
from salus.contracts.membership import KeyUse, LedgerAccess
from salus.engines.base import Snapshot
from salus.engines.clock import SECOND_NS
from salus.engines.headers import newest_header
from salus.ledger.identifiers import OrganisationId
from salus.ledger.machine import read_meta

LET_GO_S = 20
"""Ten times as long as the pause between two blocks when nothing happens."""


@dataclass(frozen=True)
class Standing:
    """One member at one height.

    Args:
        access: None for who is no member any more.
        power: with which it signs the newest block; 0 for who signs none.
        header_time_s: of that block, seconds since 1970.
        suspended_until_s: 0 in good standing.
    """

    organisation: OrganisationId
    height: int
    access: LedgerAccess | None
    power: int
    header_time_s: int
    suspended_until_s: int

    def has_left(self, *, time_s: int, peers: int) -> bool:
        """Tell whether the others go on without it, so that it may stop.

        They may let go of it before it has the block that says so: then it has no peer and nothing new any more.

        Args:
            peers: how many nodes are connected to its own.
        """
        is_let_go = peers == 0 and time_s > self.header_time_s + LET_GO_S
        return self.access is None and (self.power == 0 or is_let_go)

    def words(self, *, time_s: int) -> str:
        """Return what its operator has to know; empty for a member in good standing."""
        if self.access is None and self.power:
            return f"{self.organisation} was removed and signs blocks for a moment still: do not stop it"
        if self.access is None:
            return f"{self.organisation} is no member any more: its node and others' share nothing more"
        if time_s < self.suspended_until_s:
            until = uk_time(self.suspended_until_s)
            return f"{self.organisation} is suspended until {until}: it neither asks others nor releases to them"
        return ""


def read_standing(snapshot: Snapshot, organisation: OrganisationId) -> Standing | None:
    """Return where an organisation stands; None before the ledger has begun and knows it."""
    meta = read_meta(snapshot)
    keys = membership.KEYS.get(snapshot, (organisation, KeyUse.CONSENSUS))
    if meta is None or meta.height == 0 or keys is None:
        return None
    row = membership.member(snapshot, organisation)
    sealed = newest_header(snapshot, meta.height)
    own = {keys.current, *(each.key for each in keys.retired)}
    power = sum(each.power for each in sealed.validators if each.public_key in own) if sealed else 0
    return Standing(
        organisation=organisation,
        height=meta.height,
        access=row.access if row is not None else None,
        power=power,
        header_time_s=sealed.signed.header.time_ns // SECOND_NS if sealed else 0,
        suspended_until_s=row.suspended_until_s if row is not None else 0,
    )
