"""Bytes of the ledger for each relationship and each access, as the contracts' tests count them (DESIGN §9)."""

import contextlib
import io
import re

from bench.measure import Line
from tests.contracts import test_sizes


def run() -> list[Line]:
    """Count."""
    access = _total(test_sizes.test_bytes_per_access)
    relationship = _total(lambda: test_sizes.test_bytes_per_relationship_with_one_choice("practice"))
    return [
        Line(
            "ledger bytes per access, both ends' anchors 16 to a transaction",
            "≤ 900",
            f"{access}",
            access <= 900,
            {"bytes": access},
        ),
        Line(
            "ledger bytes per relationship with one choice",
            "< 1,500",
            f"{relationship:,}",
            relationship < 1500,
            {"bytes": relationship},
        ),
    ]


def _total(count: object) -> int:
    told = io.StringIO()
    with contextlib.redirect_stdout(told):
        count()  # type: ignore[operator]
    found = re.search(r": (\d+) bytes", told.getvalue())
    assert found is not None, "the account prints its total"
    return int(found.group(1))
