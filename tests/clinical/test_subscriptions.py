"""What is said of subscriptions: every entry of a Bundle has an address and an id of its own."""

import json
from uuid import UUID

from salus.clinical.fhir.subscriptions import Status, statuses
from salus.clinical.fhir.validation import base_validator

NAME = "00000000-0000-4000-8000-000000000001"


def test_each_status_has_an_address_and_an_id() -> None:
    found = [Status(f"https://a.example/Subscription/{each}", "", "active", count=each) for each in (1, 2)]
    told = json.loads(statuses(found, name=NAME, at_s=0))
    assert [each for each in base_validator().validate(told) if each.severity == "error"] == []
    names = [each["resource"]["id"] for each in told["entry"]]
    assert [each["fullUrl"] for each in told["entry"]] == [UUID(each).urn for each in names]
    assert len({*names, NAME}) == 3
