"""Adoption: what changes in the tables of a ledger of one key when a network of several goes on with it.

Rights, people, policies and votes stay as they are. What the new founders are, and who signs blocks, is written over
it, once, before the network's first block. A member that is no founder stays a member.
"""

from collections.abc import Iterator

import msgspec

from salus.contracts import membership
from salus.contracts.genesis import AdoptingGenesis, Founder, Genesis, GenesisInvalid, founder_rows
from salus.contracts.membership import LedgerAccess, Organisation
from salus.ledger.identifiers import OrganisationId
from salus.ledger.machine import FirstRow
from salus.ledger.state import Lister


def awaiting_rows(genesis: Genesis) -> Iterator[FirstRow]:
    """Yield what stands until the adopted tables are here: the limits, and no member, so that nobody is served."""
    yield membership.CONTRACT, membership.NETWORK, membership.NETWORK_KEY, genesis.network


def adoption_rows(lister: Lister, genesis: AdoptingGenesis) -> list[FirstRow]:
    """Return (contract, table, key, value or None to delete) of what the founders change in the adopted tables.

    1. The document's `network` is the row of the tables.
    2. The founders that are members are more than two thirds of all members.
    3. For each founder that is a member: it has the same role classes and, for each use, the same current key; its row
       of `membership.organisations` gets the document's name, access and endpoint. For each other: it never was a
       member, and none of its keys was ever registered; then its rows as in a genesis without adoption.
    4. Keys that sign blocks in the tables have at most a third of the power in the document: nothing is believed by
       them alone, not even by who skips from a header to a later one.
    5. Each validator of the document has its row of `membership.validators`; every other row there is deleted, and its
       member, if it is no founder, becomes an OBSERVER.

    Args:
        lister: the tables as the ledger of one key left them.

    Raises:
        GenesisInvalid: 1, 2, 3 or 4 does not hold.
    """
    if membership.network(lister) != genesis.network:
        raise GenesisInvalid("expected the limits of the ledger that goes on: make the genesis of its sealed file")  # 1
    _check_majority(lister, genesis)  # 2
    rows: list[FirstRow] = []
    for founder in genesis.founders:
        member = membership.member(lister, founder.organisation)
        rows += _new(lister, founder, genesis.time_s) if member is None else _known(lister, founder, member)  # 3
    _check_power(lister, genesis)  # 4
    return [*rows, *_seats(lister, genesis)]  # 5


def _check_majority(lister: Lister, genesis: AdoptingGenesis) -> None:
    members = set(membership.members(lister))
    agreed = members & {founder.organisation for founder in genesis.founders}
    if not membership.is_super_majority(len(agreed), of=len(members)):
        missing = ", ".join(sorted(members - agreed))
        raise GenesisInvalid(
            f"expected more than two thirds of the {len(members)} members among the founders, came {len(agreed)}: "
            f"name others too ({missing})"
        )


def _check_power(lister: Lister, genesis: AdoptingGenesis) -> None:
    old = {seat.key for seat in membership.seats(lister).values()}
    power = sum(each.power for each in genesis.validators if each.key in old)
    total = sum(each.power for each in genesis.validators)
    if 3 * power > total:
        raise GenesisInvalid(
            f"expected at most a third of the power with the old ledger's key, came {power} of {total}: name more "
            "founders that sign blocks"
        )


def _known(lister: Lister, founder: Founder, member: Organisation) -> Iterator[FirstRow]:
    if founder.role_classes != member.role_classes:
        raise GenesisInvalid(f"expected the kind that {founder.organisation} has on the ledger, came another: name it")
    for row in founder.keys:
        if membership.current_key(lister, founder.organisation, row.use) != row.key:
            words = f"expected the {row.use.name} key that {founder.organisation} has on the ledger"
            raise GenesisInvalid(f"{words}, came another: make its folder with the node that it has")
    changed = msgspec.structs.replace(member, name=founder.name, access=founder.access, endpoint=founder.endpoint)
    yield membership.CONTRACT, membership.ORGANISATIONS, founder.organisation, changed


def _new(lister: Lister, founder: Founder, time_s: int) -> Iterator[FirstRow]:
    uses = [use for use in membership.KeyUse if membership.KEYS.get(lister, (founder.organisation, use)) is not None]
    if uses or any(membership.owner_of(lister, row.key) is not None for row in founder.keys):
        raise GenesisInvalid(f"expected a new member with new keys, {founder.organisation} or a key of it was removed")
    yield from founder_rows(founder, joined_at_s=time_s)


def _seats(lister: Lister, genesis: AdoptingGenesis) -> Iterator[FirstRow]:
    contract = membership.CONTRACT
    founders = {founder.organisation for founder in genesis.founders}
    seats = {each.organisation: membership.Validator(each.key, each.power) for each in genesis.validators}
    for organisation in sorted(set(membership.seats(lister)) - set(seats)):
        yield contract, membership.VALIDATORS, organisation, None
        member = membership.member(lister, organisation)
        if member is not None and organisation not in founders:
            observer = msgspec.structs.replace(member, access=LedgerAccess.OBSERVER)
            yield contract, membership.ORGANISATIONS, organisation, observer
    for organisation, seat in seats.items():
        yield contract, membership.VALIDATORS, OrganisationId(organisation), seat
