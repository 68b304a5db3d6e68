"""The story, in its order."""

from salus.testing.story import checking, damage, sharing
from salus.testing.story.stage import Step

STEPS: tuple[Step, ...] = (
    sharing.enrolled,
    sharing.deposited,
    sharing.refused_without_a_choice,
    sharing.choice_made,
    sharing.permitted,
    sharing.released,
    sharing.receipt_verified,
    checking.letter_stayed,
    checking.ledger_knows_nothing,
    checking.history_complete,
    checking.withdrawn,
    damage.in_store,
    damage.in_transit,
    damage.in_receipt,
    damage.in_ledger,
)
