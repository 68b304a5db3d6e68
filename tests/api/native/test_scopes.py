"""Who can give an app the scopes of the native API: patients their history, staff the ledger, both tickets."""

from collections.abc import Iterator
from urllib.parse import urlencode

import pytest

from salus.api.smart.words import OTHERS
from tests.api.smart.smart_world import Hall, cheap_passwords, hall

ALL = "salus/history salus/tickets salus/ledger"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hall]:
    with pytest.MonkeyPatch.context() as patched:
        cheap_passwords(patched)
        with hall(tmp_path_factory.mktemp("hall")) as made:
            yield made
            made.smart.close()


def test_a_patient_gives_history_and_tickets_and_is_told_so(here: Hall) -> None:
    browser = here.client()
    browser.get("/oauth/authorize?" + urlencode(here.asked(scope=ALL)))
    here.sign_in(browser, here.patient)
    page = browser.get("/oauth/consent").text
    assert OTHERS["salus/history"] in page
    assert OTHERS["salus/ledger"] not in page
    assert here.tokens(here.patient, scope=ALL)["scope"] == "salus/history salus/tickets"


def test_staff_gives_the_ledger_and_says_whose_tickets_they_are(here: Hall) -> None:
    browser = here.client()
    browser.get("/oauth/authorize?" + urlencode(here.asked(scope=ALL)))
    here.sign_in(browser, here.staff)
    assert browser.get("/oauth/consent").headers["location"] == "/oauth/patient"
    assert here.tokens(here.staff, scope="salus/ledger salus/history")["scope"] == "salus/ledger"


@pytest.mark.parametrize(("asked", "granted"), [("salus/ledger", "salus/ledger"), (ALL, "salus/ledger")])
def test_a_service_reads_the_ledger_and_nothing_of_a_patients(here: Hall, asked: str, granted: str) -> None:
    assert here.as_backend(here.assertion(), scope=asked).json()["scope"] == granted
