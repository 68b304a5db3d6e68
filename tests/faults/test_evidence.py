"""The evidence of all rows can fail: a lost outcome, another log and another header are each noticed."""

import time

import pytest

from tests.faults import network as harness
from tests.faults.network import FourValidators, Load, header_of, leaves_of, publish
from tests.faults.validator import Validator

pytestmark = [pytest.mark.services, pytest.mark.long]


def test_what_did_not_hold_is_noticed(network: FourValidators, monkeypatch: pytest.MonkeyPatch) -> None:
    with Load(network.all) as load:
        time.sleep(1.0)
    network.agree(load)
    liar = network.all[3]

    def other_log(validator: Validator) -> list[bytes]:
        return leaves_of(validator)[::-1] if validator is liar else leaves_of(validator)

    def other_header(validator: Validator, height: int) -> bytes:
        return header_of(validator, 2 if height == 3 and validator is liar else height)

    for name, other in (("leaves_of", other_log), ("header_of", other_header)):
        with monkeypatch.context() as patched:
            patched.setattr(harness, name, other)
            with pytest.raises(AssertionError):
                network.agree(load)
    load.told.append((publish(liar, "never"), load.told[0][1]))
    with pytest.raises(AssertionError, match="lost or twice"):
        network.agree(load)
