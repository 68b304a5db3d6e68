"""A patient of whom it is not written down who they are: the pages say so, and not that the patient hid anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from salus.node.projections import resources
from salus.node.services import sharing
from salus.node.services.sharing import Wanted
from salus.node.services.store import Deletion, store
from tests.portal.patient_charts import somebody_else
from tests.portal.portal_world import portal

UNKNOWN, HIDDEN = "has not written down yet who you are", "You hid your record"


def test_a_page_says_why_there_is_nothing_on_it(tmp_path: Path) -> None:
    with portal(tmp_path) as here:
        pseudonym = somebody_else(here, tmp_path, [])
        browser, patient = here.signed_in("other"), resources.patient_of(here.node, pseudonym)
        assert patient is not None
        for path in ("/looked", "/sharing"):
            assert UNKNOWN not in browser.get(path).text
        store(here.node, [Deletion("Patient", patient.logical_id)])
        for path in ("/looked", "/sharing"):
            page = browser.get(path).text
            assert UNKNOWN in page, path
            assert HIDDEN not in page, path
        assert "Make a choice" not in browser.get("/sharing").text


@pytest.mark.promise("U1")
def test_who_hid_all_from_themself_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "EVERYBODY_ELSE", ())  # a rule that nobody can make here: it is about the patient, too
    with portal(tmp_path) as here:
        account = here.portal.accounts.find(here.accounts["eleanor"])
        assert account is not None
        login = here.portal.accounts.login_of(account, here.portal.accounts.hold(account)[0])
        sharing.file(here.node, login, here.patient, Wanted(is_permit=False))
        for path in ("/looked", "/sharing"):
            page = here.signed_in("eleanor").get(path).text
            assert HIDDEN in page, path
            assert UNKNOWN not in page, path
