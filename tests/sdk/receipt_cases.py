"""The receipt that most tests look at, how they check one, and the words of its rules and records."""

from functools import cache
from typing import Any

import msgspec

from salus.contracts.access import End
from salus.ledger.bundles import ReceiptBundle
from salus.sdk.receipt_check import check_receipt
from salus.sdk.verified import VerifiedReceipt
from tests.ledger.proof_world import NOW_S
from tests.sdk.receipt_network import Released
from tests.sdk.receipt_world import Story, chart, trust

replace = msgspec.structs.replace


CHOICE = "your sharing choice of 15 June 2025, 16:06:50 BST, rule 1.1: “But not: records about mental health.”"
POLICY = (
    "the custodian’s policy, rule 1: “Anybody may not see records about HIV, for your care or breaking the glass in an "
    "emergency.”"
)
LETTER, TEST = "“Letter from psychiatry” (letters and documents)", "“HIV test” (test results)"
BLOOD = "“Haemoglobin” (test results)"


@cache
def usual() -> tuple[Story, Released, ReceiptBundle]:
    """A release that both ends anchored, and its receipt."""
    story = chart()
    part = story.release()
    story.anchor(part, End.CUSTODIAN)
    story.anchor(part, End.REQUESTER)
    return story, part, story.bundle(part)


def check(bundle: ReceiptBundle, story: Story | None = None) -> VerifiedReceipt:
    return check_receipt(trust(story or usual()[0]), bundle, now_s=NOW_S)


def released(story: Story, **asked: Any) -> VerifiedReceipt:
    """Release, anchor at both ends, check."""
    part = story.release(**asked)
    story.anchor(part, End.CUSTODIAN)
    if part.receipt.requester:
        story.anchor(part, End.REQUESTER)
    return check(story.bundle(part), story)
