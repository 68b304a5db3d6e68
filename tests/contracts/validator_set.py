"""CometBFT's own rule for validator updates, from its source, and nothing of ours: what it takes and what halts it.

`validateValidatorUpdates` in state/execution.go and `updateWithChangeSet`, `processChanges`, `verifyUpdates` and
`verifyRemovals` in types/validator_set.go (0.38, 0.39): a block whose updates break it stops the whole chain.
"""

from collections.abc import Iterable

POWER_TOTAL_MAX = (2**63 - 1) // 8
KEY_BYTES = 32


class UpdatesUnfit(Exception):
    """CometBFT would stop."""


def updated(validators: dict[bytes, int], updates: Iterable[tuple[bytes, int]]) -> dict[bytes, int]:
    """Return the set after a block's updates. Raises UpdatesUnfit where CometBFT returns an error."""
    after, seen = dict(validators), set()
    for key, power in updates:
        if len(key) != KEY_BYTES:
            raise UpdatesUnfit("a key that is not ed25519")
        if power < 0:
            raise UpdatesUnfit("voting power can't be negative")
        if power > POWER_TOTAL_MAX:
            raise UpdatesUnfit("to prevent clipping/overflow, voting power can't be higher than the maximum")
        if key in seen:
            raise UpdatesUnfit("duplicate entry")
        seen.add(key)
        if power == 0 and key not in validators:
            raise UpdatesUnfit("failed to find validator to remove")
        after[key] = power
    after = {key: power for key, power in after.items() if power}
    if not after:
        raise UpdatesUnfit("applying the validator changes would result in empty set")
    if sum(after.values()) > POWER_TOTAL_MAX:
        raise UpdatesUnfit("total voting power of resulting valset exceeds max")
    return after
