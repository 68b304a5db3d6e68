"""What membership does with whole blocks: whose rules they follow, evidence, which validators change."""

from collections.abc import Iterator

import msgspec

from salus.contracts.membership.actions import fold_upgrade, put_seat
from salus.contracts.membership.queries import member, rules_version, seats
from salus.contracts.membership.state import (
    BEFORE,
    CASES,
    CONTRACT,
    NETWORK_KEY,
    ORGANISATIONS,
    OWNERS,
    RULES_VERSION,
    Case,
    KeyUse,
    LedgerAccess,
)
from salus.ledger.contract import Context, Misbehaviour, RulesNewer, ValidatorUpdate
from salus.ledger.encoding import encode
from salus.ledger.state import Reader


@CONTRACT.checks_block
def check_rules(reader: Reader, height: int) -> None:
    """Raise RulesNewer when a block follows rules that this software does not know.

    *Rules by height.* The rules of a block are those of the row of `membership.upgrades` if it is there and its
    `height` is not after the block's, else those of `membership.network`. The header's application version is the same.
    Software that does not know them stops before that block.
    """
    needed = rules_version(reader, height=height)
    if needed > RULES_VERSION:
        raise RulesNewer(
            f"block {height} follows rules version {needed}, this software knows {RULES_VERSION}: run a newer release"
        )


@CONTRACT.ends_block
def end_block(context: Context, evidence: tuple[Misbehaviour, ...]) -> Iterator[ValidatorUpdate]:
    """Hear the evidence, and say which validators change from two heights later on.

    1. For each address of the evidence, in its order and the first of each: the organisation of the row in
       `membership.owners` whose key begins with the address and whose use is CONSENSUS, thus of a present or a former
       key. Without one, nothing. If the organisation's row of `membership.cases` has this address and height: nothing.
       Else write `membership.cases`, opened at the block's time, not closed; and if it has a seat and is not the last
       that has one: delete the seat, whatever power that moves, and its `access` becomes OBSERVER.
    2. If a row of `membership.upgrades` has its height at most one after this block's: write its version to
       `membership.network`, and delete the row.
    3. If `membership.before` is of this height: a key whose power is not what it was before changes to what it has
       now, 0 if it is gone. In ascending order of the keys.
    """
    firsts: dict[bytes, Misbehaviour] = {}
    for each in evidence:
        firsts.setdefault(each.address, each)
    for each in firsts.values():
        _open_case(context, each)  # 1
    fold_upgrade(context, height=context.height + 1)  # 2
    row = BEFORE.get(context, NETWORK_KEY)
    if row is not None and row.height == context.height:  # 3
        before = {each.key: each.power for each in row.validators}
        now = {each.key: each.power for each in seats(context).values()}
        for key in sorted({*before, *now}):
            if before.get(key, 0) != now.get(key, 0):
                yield key, now.get(key, 0)


def _open_case(context: Context, evidence: Misbehaviour) -> None:
    begins = encode(bytes(32))[:2] + evidence.address  # the key of an owner's row is the encoding of 32 bytes
    owner = next((row for _, row in OWNERS.under(context, begins) if row.use is KeyUse.CONSENSUS), None)
    if owner is None:
        return
    case = CASES.get(context, owner.organisation)
    if case is not None and (case.address, case.height) == (evidence.address, evidence.height):
        return
    opened = Case(evidence.address, evidence.height, evidence.time_s, context.time_s, 0)
    CASES.put(context, owner.organisation, opened)
    row = member(context, owner.organisation)
    now = seats(context)
    if row is not None and owner.organisation in now and len(now) > 1:
        put_seat(context, owner.organisation, None)
        ORGANISATIONS.put(context, owner.organisation, msgspec.structs.replace(row, access=LedgerAccess.OBSERVER))
