"""The verifier page in Chromium: what it says of genuine and altered files, offline, asking nobody for anything."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from starlette.applications import Starlette
from starlette.testclient import TestClient

from salus.contracts.access import End
from salus.contracts.provisions import Purpose, RoleClass
from salus.ledger.bundles import encode_bundle
from salus.ledger.receipts import Delivery
from salus.ledger.verifier.trust import encode_trust
from salus.portal.verifier.build import FILE_NAME, script, single_file
from salus.portal.verifier.links import receipt_link
from salus.portal.verifier.routes import verifier_routes
from tests.ledger.proof_world import NOW_S
from tests.portal.verifier.pages import HOME, PREFIX, Opened, opened
from tests.portal.verifier.test_checks import FOLDER, anchored, continuity
from tests.sdk import test_history_check, test_receipt_check
from tests.sdk.receipt_cases import usual
from tests.sdk.receipt_network import HOSPITAL, Changes
from tests.sdk.receipt_world import Story, chart, trust
from tests.sdk.test_receipt_false import FALSE
from tests.sdk.test_receipt_kinds import NOT_CURRENT, own_doctor, signed_by

pytestmark = [pytest.mark.promise("R5", "L5"), pytest.mark.services]

ALTERED_MIN = 30
GENUINE = "This receipt is genuine"
REFUSED = "Do not rely on this file"


@pytest.fixture(scope="module")
def at(browser: Browser, file: Path) -> Iterator[Opened]:
    """The page for many files, one after the other; it has asked for nothing but itself when it closes."""
    with opened(browser, file) as one:
        yield one
        assert (one.requests, one.complaints) == ([file.as_uri()], [])


def golden(name: str) -> bytes:
    return (FOLDER / name).read_bytes()


# What genuine files show


@cache
def kinds() -> dict[str, tuple[Story, bytes, tuple[str, ...]]]:
    """Each kind of release: the network it is of, its file, and words that it must show."""
    patient = {"purpose": Purpose.PATRQT, "role_class": RoleClass.PATIENT_SIDE}
    tls = Changes(delivery=Delivery.TLS)
    made: dict[str, tuple[Story, Any, tuple[str, ...]]] = {
        "two-sided": (
            story := chart(),
            anchored(story),
            (
                "Dr Jones, GP, GMC 1234567, at Dr Jones's Surgery (A81001), as one of the clinicians there",
                "15 June 2025, 4:06pm. The permission lasted 15 minutes.",
                "To see your records, for your care",
                "“Allergy to penicillin” (allergies)",
                "“Letter from psychiatry” (letters and documents). Kept back by your sharing choice of 15 June 2025",
                "rule 1.1: not allowed: about mental health",
                "Both organisations signed this receipt.",
                "put it on the ledger on 15 June 2025, 4:07pm: the records were opened.",
                "gave the same result.",
                "signed by St Mary's Hospital (RVJ) alone, which you trust since 15 June 2025",
            ),
        ),
        "over TLS": (
            story := chart(),
            anchored(story, changes=tls),
            ("Only St Mary's Hospital (RVJ) signed this receipt. The records were shown over a protected connection",),
        ),
        "by own staff": (
            story := own_doctor(),
            anchored(story, requester=HOSPITAL, changes=tls),
            ("Care by the organisation’s own staff",),
        ),
        "an emergency": (
            story := chart(),
            anchored(story, purpose=Purpose.BTG),
            ("for emergency access", "“found unconscious”", "An emergency, which is reviewed afterwards"),
        ),
        "the patient's own": (
            story := chart(),
            anchored(story, **patient),
            ("You, or somebody who holds your key", "Your own right to your records"),
        ),
        "in continuity": (
            (story_and_bundle := continuity())[0],
            story_and_bundle[1],
            ("while the ledger was out of reach", "The rules were not applied again"),
        ),
        "one end silent": (
            story := chart(),
            one_end(story),
            ("That Dr Jones's Surgery (A81001) put this receipt on the ledger is not shown.",),
        ),
    }
    return {name: (story, encode_bundle(bundle), words) for name, (story, bundle, words) in made.items()}


def one_end(story: Story) -> Any:
    part = story.release()
    story.anchor(part, End.CUSTODIAN)
    return story.bundle(part)


@pytest.mark.promise("R2", "U1", "U2")
def test_what_a_genuine_receipt_shows(at: Opened) -> None:
    files = [each for story, data, _ in kinds().values() for each in (encode_trust(trust(story)), data)]
    for (name, (_, _, words)), (title, text) in zip(kinds().items(), at.drop(files)[1::2], strict=True):
        assert (name, title) == (name, GENUINE)
        assert [each for each in words if each not in text] == [], name


@pytest.mark.promise("R2", "U1")
def test_a_receipt_that_shows_a_wrong(at: Opened) -> None:
    at.trust(golden("embedded.trust.json"))
    at.give(golden("leak.salus-receipt"))
    assert at.title() == "This receipt is genuine, and it shows that something went wrong"
    wrong = "“Letter from psychiatry” (letters and documents) was given to them, although it should have been kept back"
    assert wrong in at.text()
    assert "privacy officer" in at.text()


@pytest.mark.promise("R2", "U2")
def test_a_history_is_complete(at: Opened) -> None:
    at.trust(golden("embedded.trust.json"))
    at.give(golden("history.salus-history"))
    assert at.title() == "This history is genuine and complete"
    for words in (
        "12 of 12 events are shown. None is left out.",
        "Dr Jones's Surgery (A81001) asked whether there are records of you here, and was told yes.",
        "to see your records, for emergency access. It was allowed.",
        "St Mary's Hospital (RVJ) put its receipts of event 8 on the ledger.",
    ):
        assert words in at.text()
    assert at.page.locator("#result ol > li").count() == 12


@pytest.mark.promise("L3", "L5")
def test_four_validators_are_counted(at: Opened) -> None:
    at.trust(golden("four.trust.json"))
    at.give(golden("four-validators.salus-receipt"))
    assert at.title() == GENUINE
    assert "signed by 4 of 4 organisations that run it (FA002, St Mary's Hospital (RVJ), RX8 and" in at.text()


@pytest.mark.promise("U1")
def test_hashes_stand_in_technical_details_alone(at: Opened) -> None:
    at.trust(golden("embedded.trust.json"))
    at.give(golden("history.salus-history"))
    shown = at.page.locator("#result").inner_text()
    assert not any(len(word) > 24 and set(word) <= set("0123456789abcdef") for word in shown.split())
    assert any(len(word) == 64 for word in at.page.locator("#result details dd").all_text_contents())


def test_what_a_receipt_says_is_text_and_never_markup(at: Opened) -> None:
    words = "<img src=x onerror=alert(1)><script>alert(2)</script>"
    story = chart()
    at.trust(encode_trust(trust(story)))
    at.give(encode_bundle(anchored(story, residual_changes={"justification": words})))
    assert (at.title(), f"“{words}”" in at.text()) == (GENUINE, True)
    assert at.page.locator("#result img, #result script").count() == 0


# Altered files

REASONS = {
    "bundle 0": "This file is not a receipt or a history, or it was changed or cut short.",
    "bundle 3": "An event in this history is somebody else’s",
    "bundle 4": "A receipt in this history is somebody else’s",
    "bundle 5": "A note in this history is not the one that is on the ledger.",
    "state 2": "The part that says how the ledger stood is damaged.",
    "state 3": "It was signed by others than those you trust.",
    "state 4": "The signatures of those who run the ledger do not hold.",
    "state 6": "It says something else about the ledger than what was signed.",
    "outcome 1": "Something that it shows is not on the ledger, or was changed.",
    "outcome 2": "Something that it shows is not on the ledger, or was changed.",
    "row 1": "What it shows about an organisation, a rule or you is not what stands on the ledger.",
    "row 2": "What it shows about an organisation, a rule or you is not what stands on the ledger.",
    "history 1": "An event of this history was left out, added, changed or moved.",
    "history 3": "An event of this history was left out, added, changed or moved.",
    "history 4": "An event of this history was left out, added, changed or moved.",
    "receipt 2": "What the receipt says was changed, or a part of it is missing.",
    "receipt 3": "The receipt does not fit the permission that is shown with it.",
    "receipt 4": "The request that is shown is not the one that was permitted.",
    "receipt 5": "It does not show who asked.",
    "receipt 6": "The request was not signed as it should be",
    "receipt 7": "What it must show about the two organisations is not complete.",
    "receipt 8": "The receipt is not the one that the organisations put on the ledger.",
    "receipt 9": "An organisation’s signature under the receipt does not hold.",
    "receipt 10": "The sharing choices that it shows are not those that applied.",
    "receipt 11": "A record that it shows is not the one that the receipt names.",
}


@cache
def altered() -> list[tuple[str, Story, bytes, str]]:
    """Every altered file of the tests of the SDK, and two that both ends signed falsely; `test_checks` has them all."""
    rows: list[tuple[str, Story, Any, str]] = []
    tables: tuple[tuple[dict[str, Any], Story], ...] = (
        (test_receipt_check.REFUSED, usual()[0]),
        (test_history_check.REFUSED, test_history_check.usual()[0]),
    )
    for table, story in tables:
        rows += [(name, story, make(), step) for name, (make, step) in table.items() if name != "another trust root"]
    for name in ("another person", "a session that had ended"):
        asked, number = FALSE[name]
        story = chart()
        rows.append((name, story, anchored(story, **asked(story)), f"receipt {number}"))
    bundle, story = signed_by(next(iter(NOT_CURRENT.values())))
    rows.append(("a key that was not current", story, bundle, "receipt 9"))
    files = [(name, story, encode_bundle(made), step) for name, story, made, step in rows]
    whole = golden("receipt.salus-receipt")
    cut = [("cut short", whole[:-1]), ("one byte more", whole + b"\x00"), ("a picture", b"\x89PNG\r\n"), ("empty", b"")]
    return [*files, *((name, usual()[0], data, "bundle 0") for name, data in cut)]


def test_each_altered_file_is_refused_with_its_reason(at: Opened) -> None:
    files = [each for _, story, data, _ in altered() for each in (encode_trust(trust(story)), data)]
    for (name, _, _, step), (title, text) in zip(altered(), at.drop(files)[1::2], strict=True):
        checklist, _, number = step.partition(" ")
        assert (name, title) == (name, REFUSED)
        for words in (REASONS[step], "What to do", f"{checklist} check, step {number}"):
            assert words in text, (name, text)
    assert len(altered()) >= ALTERED_MIN


# Who is trusted


@pytest.mark.promise("L5")
def test_nothing_is_said_before_somebody_is_trusted(browser: Browser, tmp_path: Path) -> None:
    bare = tmp_path / FILE_NAME
    bare.write_bytes(single_file())
    with opened(browser, bare) as one:
        assert one.page.locator("#trusted").inner_text() == "No trust file has been chosen yet."
        one.give(golden("receipt.salus-receipt"))
        assert one.text() == "Choose a trust file first. Your receipt is then checked at once."
        one.trust(golden("embedded.trust.json"))
        expect(one.page.locator("#result h2")).to_contain_text(GENUINE)
        one.page.set_input_files("#trust", {"name": "a", "mimeType": "", "buffer": b'{"format":1}'})
        expect(one.page.locator("#result h2")).to_contain_text("This trust file cannot be used")
        assert "Get the trust file again from somebody you trust." in one.text()
        assert one.page.locator("#trusted").inner_text() == "No trust file has been chosen yet."


@pytest.mark.promise("L5")
@pytest.mark.parametrize(
    ("days", "reason", "action"),
    [
        (4000, "Your trust file is too old.", "Get a newer trust file from somebody you trust"),
        (-4000, "It says that it was made in the future.", "Check the date and time of this device"),
    ],
)
def test_another_day(at: Opened, days: int, reason: str, action: str) -> None:
    at.trust(golden("embedded.trust.json"))
    at.page.clock.set_fixed_time(NOW_S + 86_400 * days)
    at.give(golden("receipt.salus-receipt"))
    at.page.clock.set_fixed_time(NOW_S)
    assert (at.title(), reason in at.text(), action in at.text()) == (REFUSED, True, True)


def test_another_network(at: Opened) -> None:
    at.trust(golden("four.trust.json"))
    at.give(golden("receipt.salus-receipt"))
    assert REASONS["state 3"] in at.text()
    assert "Check that the trust file is that of the network that holds your records." in at.text()


# Ways in


def test_a_link_opens_the_receipt(browser: Browser, file: Path) -> None:
    fragment = receipt_link("", golden("receipt.salus-receipt"))
    with opened(browser, file, address=fragment) as one:
        expect(one.page.locator("#result h2")).to_contain_text(GENUINE)
        assert one.requests == [file.as_uri()]


def test_a_pasted_link_and_one_that_was_cut_short(at: Opened) -> None:
    at.trust(golden("embedded.trust.json"))
    link = receipt_link("https://portal.salus.example/check/", golden("receipt.salus-receipt"))
    for text, title in ((link, GENUINE), (link[:-40], REFUSED), ("https://portal.salus.example/", REFUSED)):
        at.page.get_by_label("Or paste the link of a receipt").fill(text)
        at.page.get_by_role("button", name="Check this link").click()
        expect(at.page.locator("#result h2")).to_contain_text(title)
    assert "Copy the whole link again" in at.text()
    at.trust(golden("embedded.trust.json"))
    assert at.text() == "", "the file before is forgotten"


# No request


def test_it_cannot_ask_for_anything(browser: Browser, file: Path) -> None:
    with opened(browser, file) as one:
        fetched = "fetch('https://elsewhere.example/').then(() => 'came', error => error.name)"
        assert one.page.evaluate(fetched) == "TypeError"
        blocked = [each for each in one.complaints if "Content Security Policy" in each]
        assert len(blocked) >= 1


def test_as_served_it_has_its_own_two_files_and_nothing_else(browser: Browser) -> None:
    with opened(browser) as one:
        one.trust(golden("embedded.trust.json"))
        one.give(golden("receipt.salus-receipt"))
        assert one.title() == GENUINE
        assert one.requests == [f"{HOME}{PREFIX}", f"{HOME}{PREFIX}check.css", f"{HOME}{PREFIX}check.js"]
        assert one.complaints == []
        link = one.page.get_by_role("link", name="Download this page")
        assert (link.get_attribute("href"), link.get_attribute("download")) == (FILE_NAME, "")
    saved = TestClient(Starlette(routes=verifier_routes(PREFIX, lambda: b"{}")), base_url=HOME).get(PREFIX + FILE_NAME)
    assert saved.content == single_file(b"{}")
    assert saved.headers["content-disposition"] == f'attachment; filename="{FILE_NAME}"'
    assert script() in saved.text


# For everybody


def test_without_javascript_it_says_what_to_use(browser: Browser, file: Path) -> None:
    with opened(browser, file, java_script_enabled=False) as one:
        expect(one.page.get_by_role("heading", name="Check a receipt yourself")).to_be_visible()
        expect(one.page.get_by_text("use the program: salus verify")).to_be_visible()


UNFIT = "This browser cannot check receipts here. Download this page and open it as a file"


def test_where_the_browser_has_no_hashes_it_says_so(browser: Browser, file: Path) -> None:
    """Browsers give hashes to pages over TLS and from files alone."""
    with opened(browser, home=HOME.replace("https:", "http:")) as one:
        expect(one.page.get_by_text(UNFIT)).to_be_visible()
    with opened(browser, file) as one:
        one.give(golden("receipt.salus-receipt"))
        assert one.title() == GENUINE
        one.page.evaluate("void (crypto.subtle.digest = () => Promise.reject(new Error('not known here')))")
        one.give(golden("receipt.salus-receipt"))
        expect(one.page.get_by_text(UNFIT)).to_be_visible()
        assert (one.text(), one.complaints) == ("", ["not known here"])


def test_by_keyboard_alone(browser: Browser, file: Path) -> None:
    with opened(browser, file) as one:
        names = []
        for _ in range(6):
            one.page.keyboard.press("Tab")
            names.append(focused(one.page))
        assert names == ["Skip to main content", "language", "receipt", "link", "Check this link", "trust"]
        one.page.focus("#link")
        one.page.keyboard.insert_text(receipt_link("", golden("receipt.salus-receipt")))
        one.page.keyboard.press("Enter")
        expect(one.page.locator("#result h2")).to_be_focused()
        one.page.keyboard.press("Tab")
        one.page.keyboard.press("Enter")
        expect(one.page.locator("#result details")).to_have_attribute("open", "")


def focused(page: Page) -> str:
    return page.evaluate("document.activeElement.id || document.activeElement.textContent")  # type: ignore[no-any-return]
