"""An address that is another one to what writes the message: given on the page, and kept since it was taken for one."""

from __future__ import annotations

import pytest

from salus.node.sealed_rows import SealedRows
from salus.node.services.wishes import MailWay, Wishes, change
from tests.portal.telling_world import Around, around, chosen, quiet

__all__ = ["around", "quiet"]
pytestmark = pytest.mark.services

TWO_PEOPLE = "=?utf-8?q?victim=40bank.example=2c_a?=@example.com"
NOTHING = "=?utf-8?q??=@example.com"


@pytest.mark.parametrize("address", [TWO_PEOPLE, NOTHING])
def test_a_page_takes_no_address_that_is_another_one(quiet: Around, address: str) -> None:
    came = quiet.here.signed_in("eleanor").post("/notices/mail", {"address": address})
    assert came.status_code == 400
    assert "There is a problem" in came.text
    assert quiet.mail.came.empty()


@pytest.mark.parametrize("address", [TWO_PEOPLE, NOTHING])
def test_one_that_was_kept_gets_nothing_and_ends_no_worker(quiet: Around, address: str) -> None:
    node = quiet.here.node
    change(node, SealedRows(node.vault, node.chain), quiet.here.patient, lambda _: Wishes(mail=(MailWay(address),)))
    chosen(quiet.here)
    quiet.tell()
    assert quiet.mail.came.empty()
    quiet.tell()
