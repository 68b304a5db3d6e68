"""Who has looked: each look of a line can be opened, and a patient's own tell nothing of what is withheld."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from salus.clinical import labels
from salus.contracts.provisions import Provision, ProvisionType, Purpose, RoleClass
from salus.ledger.bundles import ReceiptBundle, decode_bundle
from salus.ledger.receipts import WithheldField, decode_field
from salus.node.people import certify_person, open_session
from salus.node.services.choices import file_by_custodian, withdraw_by_custodian
from salus.node.services.request import Granted, Wish, request
from salus.testing.world import PRACTICE
from tests.portal.portal_world import Hospital, portal, staff
from tests.portal.test_patient_looked import DETAILS, _links, _reads


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    with portal(tmp_path_factory.mktemp("portal")) as made:
        yield made


@pytest.mark.promise("R2")
def test_each_look_of_a_line_has_its_details_and_none_is_behind_the_newest(here: Hospital) -> None:
    """Somebody who looks for a bad reason, and then for a good one, is one line; both reasons can be read."""
    here.accounts["twice"] = staff(here, "Dr Twice", "Registrar", RoleClass.CLINICAL)
    reasons = ["Out of curiosity", "For the clinic", "For the letter"]
    for reason in reasons:
        _reads(here, "twice", reason)
    page = here.signed_in("eleanor").get("/looked").text
    (line,) = re.findall(r"<li class=\"app-entry\">(?:(?!<li).)*Dr Twice.*?</li>", page, re.DOTALL)
    assert "(3 times)" in line
    (newest,) = DETAILS.findall(line)
    browser, seen, waiting = here.signed_in("eleanor"), {}, [newest]
    while waiting:
        path = waiting.pop()
        seen[path] = browser.get(path).text
        waiting += [each for each in DETAILS.findall(seen[path]) if each not in seen]
    assert sorted(reason for reason in reasons for each in seen.values() if reason in each) == sorted(reasons)
    assert len(seen) == 3


@pytest.mark.promise("R4")
def test_what_is_withheld_from_the_patient_is_not_hinted_at_in_their_own_looks(here: Hospital) -> None:
    """Neither on the page nor in the receipt, whatever they did: what they may not see is beyond what they ask for."""
    tree = Provision(type=ProvisionType.DENY, labels=(labels.label("PSY"),), role_classes=(RoleClass.PATIENT_SIDE,))
    choice = file_by_custodian(here.node, here.patient, tree)
    browser, before = here.signed_in("eleanor"), set(_links(here, "?own=yes"))
    browser.get("/record")
    browser.get("/record/letters")
    browser.post("/record/download", {"format": "zip"})
    withdraw_by_custodian(here.node, here.patient, choice)
    mine = set(_links(here, "?own=yes")) | before
    assert mine
    for each in mine:
        page = browser.get(each).text
        assert "kept back by the rules" not in page
        for part in re.findall(rf'href="{each}/check/(\d+)"', page):
            bundle = decode_bundle(browser.get(f"{each}/receipt/{part}").content)
            assert isinstance(bundle, ReceiptBundle)
            fields = [decode_field(field.value) for field in bundle.opened.fields]
            assert not [field for field in fields if isinstance(field, WithheldField)]


@pytest.mark.promise("R2")
def test_so_it_is_with_looks_at_what_another_organisation_keeps(tmp_path: Path) -> None:
    with portal(tmp_path, is_joined=True) as here:
        node = here.made.practice
        person = certify_person(node, name="Dr Pym", role="GP", registration="GMC 9", role_class=RoleClass.CLINICAL)
        for _ in range(2):
            session = open_session(person.key, person.certificate, custodian=PRACTICE, from_s=node.clock())
            assert isinstance(
                request(node, session, Wish(here.there, PRACTICE, RoleClass.CLINICAL, Purpose.TREAT)), Granted
            )
        browser = here.signed_in("eleanor")
        page = browser.get("/looked").text  # type: ignore[attr-defined]
        (line,) = [each for each in page.split('<li class="app-entry">') if "(2 times)" in each]
        (newest,) = DETAILS.findall(line)
        (other,) = DETAILS.findall(browser.get(newest).text)  # type: ignore[attr-defined]
        assert DETAILS.findall(browser.get(other).text) == [newest]  # type: ignore[attr-defined]
