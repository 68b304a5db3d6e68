"""Quiet: what somebody hides is nowhere on the pages, and nothing on them tells that anything is hidden."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator

import pytest
from sqlalchemy import delete

from salus.contracts.provisions import Provision, ProvisionType
from salus.crypto.hashing import sha256
from salus.node import schema
from salus.node.services import quiet
from salus.node.services.choices import file_by_custodian, withdraw_by_custodian
from salus.node.services.quiet import TRIES_MAX
from salus.portal.call import HOMES, NOTICE_PATHS, Person
from salus.portal.pages.entrance.leave import WEATHER
from salus.portal.pages.patient.quiet import AREAS
from salus.testing.world import HOSPITAL
from tests.portal.patient_charts import letter, somebody_else
from tests.portal.portal_world import Browser, Hospital, emergency, portal
from tests.portal.telling_world import Around, around, confirmed
from tests.portal.test_markup import crawl

__all__ = ["around"]

WORD = "a word of hers"
SECRET = "Liaison psychiatry"
COUNT = re.compile(r'Letters and documents</a> <span class="app-kind__count">\((\d+)\)')
FORM = re.compile(r'name="form" value="[^"]+"|from=[^"]+')


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    folder = tmp_path_factory.mktemp("portal")
    with portal(folder) as made:
        somebody_else(made, folder, letter("hers", content_type="text/plain", content=b"Hers", title="Hers"))
        emergency(made)
        made.portal.telling.follow()
        yield made


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """A word costs what scrypt costs in `test_accounts`; here it would only take time."""
    monkeypatch.setattr(quiet, "stretched", lambda word, cost: sha256(word.encode() + cost.salt))


@pytest.fixture
def eleanor(here: Hospital) -> Browser:
    """She hides nothing, and has tried no word."""
    with here.node.vault.database.writing() as connection:
        for table in (schema.wishes, schema.tallies):
            connection.execute(delete(table))
    return here.signed_in("eleanor")


def hide(browser: Browser, *what: str, records: tuple[str, ...] = (), word: str = WORD) -> None:
    """Answer the questions."""
    came = browser.post("/private/choose", {"what": list(what)})  # type: ignore[dict-item]
    if came.headers["location"] == "/private/records":
        browser.post("/private/records", {"records": list(records)})  # type: ignore[dict-item]
    assert browser.post("/private/word", {"word": word}).headers["location"] == "/record"


def enter(browser: Browser, word: str) -> str:
    """Enter a word; return the page that comes then."""
    came = browser.post("/private", {"word": word})
    assert (came.status_code, came.headers["location"]) == (303, "/record")
    return FORM.sub("", browser.get("/record").text)


def everything(browser: Browser) -> str:
    """Every page that links lead to."""
    found = crawl(browser, HOMES[Person.PATIENT])
    return "\n".join(f"{path} {text}" for path, (_, text) in sorted(found.items()))


def listed(browser: Browser) -> str:
    """What the lists have of letters and results."""
    return "".join(browser.get(f"/record{each}").text for each in ("", "/letters", "/results"))


def downloaded(browser: Browser) -> dict[str, bytes]:
    """What is in the folder that a patient downloads."""
    came = browser.post("/record/download", {"format": "zip"})
    with zipfile.ZipFile(io.BytesIO(came.content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def named(browser: Browser, title: str) -> str:
    """The name of a record in the list of those that can be hidden."""
    before, found, _ = browser.get("/private/records").text.partition(title)
    assert found, title
    return re.findall(r'value="([0-9]+)"', before)[-1]


def test_a_record_that_is_hidden_is_on_no_page_in_no_count_and_in_no_file(eleanor: Browser) -> None:
    before = listed(eleanor)
    assert SECRET in before
    preview = counts(eleanor)
    hide(eleanor, records=(named(eleanor, SECRET),))
    after = everything(eleanor)
    assert SECRET not in after
    number = [int(COUNT.findall(each)[0]) for each in (before, after)]
    assert number[1] == number[0] - 1
    assert counts(eleanor) == [preview[0] - 1, *preview[1:]]
    files = downloaded(eleanor)
    assert not [name for name, content in files.items() if SECRET.encode() in content]
    held = [each["resource"] for each in json.loads(files["record.json"])["entry"]]
    attached = {one["attachment"].get("url") for each in held for one in each.get("content", [])}
    assert {f"Binary/{each['id']}" for each in held if each["resourceType"] == "Binary"} <= attached
    assert "history.salus" not in files, "it names every record that anybody was given"
    enter(eleanor, WORD)
    assert SECRET in listed(eleanor)
    assert "history.salus" in downloaded(eleanor)


def counts(browser: Browser) -> list[int]:
    """How many letters somebody at the hospital would see."""
    page = browser.get(f"/sharing/preview?at={HOSPITAL}").text.split("Letters and documents")[1]
    return [int(each) for each in re.findall(r"numeric\">([0-9]+)<", page)][:1]


def test_a_kind_that_is_hidden_looks_like_one_of_which_there_is_nothing(eleanor: Browser) -> None:
    empty = eleanor.get("/record/vaccinations").text
    hide(eleanor, "results")
    page = eleanor.get("/record").text
    assert 'href="/record/results"' in page.split("Nothing written down here")[1]
    assert "Sodium" not in listed(eleanor)
    assert eleanor.get("/record/results/2951-2").status_code == 404
    shape = [FORM.sub("", each).count("<p") for each in (empty, eleanor.get("/record/results").text)]
    assert shape[0] == shape[1]


@pytest.mark.parametrize("area", AREAS)
def test_a_page_that_is_hidden_is_in_no_menu_and_not_there(eleanor: Browser, area: str) -> None:
    assert eleanor.get(area).status_code == 200
    missing = eleanor.get("/not-a-page").text
    hide(eleanor, area)
    came = eleanor.get(area)
    assert came.status_code == 404
    assert FORM.sub("", came.text) == FORM.sub("", eleanor.get("/not-a-page").text)
    assert missing
    pages = listed(eleanor) + eleanor.get("/devices").text
    assert f'href="{area}"' not in pages.replace("from=" + area, "")
    assert AREAS[area] not in eleanor.get("/private/choose").text.split("<main")[1]


def test_notices_of_a_hidden_page_are_hidden_too(here: Hospital, eleanor: Browser) -> None:
    assert "opened by somebody in an emergency" in eleanor.get("/notices").text
    assert "Notices (1 new)" in eleanor.get("/record").text
    hide(eleanor, "/looked")
    page = eleanor.get("/notices").text
    assert "There are no notices" in page
    assert "new)" not in page
    eleanor.post("/notices", {})
    enter(eleanor, WORD)
    assert "Notices (1 new)" in eleanor.get("/record").text


def test_with_everything_hidden_there_is_a_record_with_nothing_in_it(eleanor: Browser) -> None:
    hide(eleanor, "all")
    page = eleanor.get("/record").text
    assert "There is nothing here yet" in page
    assert "Download your record" not in page
    menu = re.findall(r'nhsuk-header__navigation-link" href="([^"]+)"', page)
    assert menu == ["/record", "/add"]
    assert json.loads(downloaded(eleanor)["record.json"])["entry"] == []


def test_nothing_on_the_pages_of_quiet_tells_whether_anything_is_hidden(eleanor: Browser) -> None:
    paths = ("/private", "/private/choose", "/private/word", "/devices", "/notices/ways")
    before = [FORM.sub("", eleanor.get(each).text) for each in paths]
    hide(eleanor, "results", records=(named(eleanor, SECRET),))
    assert [FORM.sub("", eleanor.get(each).text) for each in paths] == before
    assert SECRET not in eleanor.get("/private/records").text


def test_a_wrong_word_looks_as_a_right_one_and_does_nothing(eleanor: Browser) -> None:
    plain = FORM.sub("", eleanor.get("/record").text)
    assert enter(eleanor, "anything") == plain  # with nothing hidden
    hide(eleanor, "letters")
    hidden = FORM.sub("", eleanor.get("/record").text)
    for wrong in ("", "another word", WORD.upper(), WORD + " ", "é" * 400):
        assert enter(eleanor, wrong) == hidden
    assert enter(eleanor, WORD) == plain
    assert enter(eleanor, WORD) == plain


def test_a_word_takes_the_same_work_whatever_is_hidden(eleanor: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    stretched: list[str] = []
    monkeypatch.setattr(quiet, "stretched", lambda word, cost: (stretched.append(word), word.encode() + cost.salt)[1])
    counts = []
    for _ in range(3):
        stretched.clear()
        enter(eleanor, "wrong")
        counts.append(len(stretched))
        hide(eleanor, "letters", word=f"word number {len(counts)}")
    assert counts == [1, 1, 1]


def test_who_hides_something_too_finds_nothing_that_was_hidden_before(eleanor: Browser) -> None:
    """The other one, who uses the same sign-in, hides something with a word of their own, and shows it again."""
    hide(eleanor, "letters")
    hide(eleanor, "results", word="a word of his")
    assert "Sodium" not in listed(eleanor)
    enter(eleanor, "a word of his")
    pages = listed(eleanor)
    assert "Sodium" in pages
    assert SECRET not in pages
    enter(eleanor, WORD)
    assert SECRET in listed(eleanor)


def test_words_are_not_guessed(eleanor: Browser) -> None:
    hide(eleanor, "letters")
    hidden = FORM.sub("", eleanor.get("/record").text)
    for number in range(TRIES_MAX):
        enter(eleanor, f"guess {number}")
    assert enter(eleanor, WORD) == hidden, "one too many looks like a wrong one"


def test_too_many_words_are_taken_and_do_nothing(here: Hospital, eleanor: Browser) -> None:
    for number in range(quiet.SETS_MAX + 1):
        hide(eleanor, "letters" if number < quiet.SETS_MAX else "results", word=f"word number {number}")
    assert "Sodium" in listed(eleanor)


def test_a_short_word_is_said_to_be_one(eleanor: Browser) -> None:
    eleanor.post("/private/choose", {"what": "letters"})
    assert eleanor.post("/private/word", {"word": "short"}).status_code == 400
    assert SECRET in listed(eleanor)


def test_what_shows_what_somebody_else_has_done_cannot_be_hidden(eleanor: Browser) -> None:
    """So that nobody hides with it that they use an account, or take somebody's place."""
    for area in ("/devices", "/private", "/record", "/sign-out"):
        hide(eleanor, area)
        assert eleanor.get(area if area != "/sign-out" else "/record").status_code == 200
    assert set(NOTICE_PATHS.values()) - set(AREAS) == {"/devices"}


def test_another_patient_hides_nothing_of_hers(here: Hospital, eleanor: Browser) -> None:
    other = here.signed_in("other")
    hide(other, "all")
    assert SECRET in listed(eleanor)
    enter(eleanor, WORD)
    assert "Hers" not in other.get("/record").text
    enter(other, WORD)
    assert "Hers" in other.get("/record").text


def test_who_is_not_the_patient_has_no_such_page(here: Hospital) -> None:
    for name in ("rao", "officer", "operator"):
        assert here.signed_in(name).get("/private").status_code == 404
        assert "/private" not in here.signed_in(name).get("/devices").text


def test_who_leaves_is_signed_out_and_elsewhere(here: Hospital, eleanor: Browser) -> None:
    came = eleanor.post("/leave", {}, page="/private")
    assert (came.status_code, came.headers["location"]) == (303, "/left")
    assert "storage" in came.headers["clear-site-data"]
    left = eleanor.get("/left")
    assert left.headers["refresh"] == f"0; url={WEATHER}"
    assert left.headers["referrer-policy"] == "same-origin"
    assert "record" not in left.text
    assert eleanor.get("/record").headers["location"] == "/sign-in"


def test_nothing_is_sent_while_something_is_hidden(around: Around) -> None:
    browser = confirmed(around)
    file_by_custodian(around.here.node, around.here.patient, Provision(type=ProvisionType.DENY))
    around.here.portal.telling.follow()
    hide(browser, "/notices")  # also what waited already
    around.later()
    around.tell()
    choice = file_by_custodian(around.here.node, around.here.patient, Provision(type=ProvisionType.DENY))
    withdraw_by_custodian(around.here.node, around.here.patient, choice)
    around.tell()
    browser.post("/notices/ways", {"stop": "mail"}, page="/private")
    assert around.mail.came.empty()
