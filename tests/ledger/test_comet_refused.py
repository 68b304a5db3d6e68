"""Golden refusals for a second verifier: bytes that are no header, commit or block, and steps that do not follow."""

import json
from pathlib import Path
from typing import Any

import pytest

from salus.ledger.comet.block import decode_block
from salus.ledger.comet.commit import decode_commit, decode_signed_header
from salus.ledger.comet.header import decode_header
from salus.ledger.comet.light import NotVerified, verify_adjacent
from salus.ledger.comet.types import Validator
from salus.ledger.encoding import EncodingInvalid

pytestmark = pytest.mark.promise("L3", "L5")

Case = dict[str, Any]
VECTORS = json.loads((Path(__file__).parent / "vectors" / "comet_refused.json").read_bytes())
DECODERS = {"Header": decode_header, "Commit": decode_commit, "Block": decode_block}


@pytest.mark.parametrize("case", VECTORS["bytes"], ids=lambda case: f"{case['message']}: {case['name']}")
def test_bytes_are_refused(case: Case) -> None:
    with pytest.raises(EncodingInvalid, match=case["failure"]):
        DECODERS[case["message"]](bytes.fromhex(case["encoded"]))


@pytest.mark.parametrize("case", VECTORS["steps"], ids=lambda case: case["name"])
def test_step_has_its_verdict(case: Case) -> None:
    reason = None
    try:
        verify_adjacent(
            trusted=decode_header(bytes.fromhex(case["trusted"])),
            untrusted=decode_signed_header(bytes.fromhex(case["untrusted"])),
            validators=[Validator(bytes.fromhex(key), power) for key, power in case["validators"]],
            trusting_period_ns=int(case["trusting_period_ns"]),
            now_ns=int(case["now_ns"]),
            clock_drift_ns=int(case["clock_drift_ns"]),
        )
    except NotVerified as error:
        reason = error.reason
    assert reason == case["reason"]
