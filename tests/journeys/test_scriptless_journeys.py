"""A patient without JavaScript: from signing in by name and password to what they came for."""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Iterator

import pytest

from salus.ledger.bundles import ReceiptBundle, decode_bundle
from salus.node.founding import trust_root
from salus.node.projections import resources
from salus.node.services.anchor import anchor
from salus.node.services.show import newest, show
from salus.portal.pages.entrance.leave import WEATHER
from salus.sdk.receipt_check import check_receipt
from tests.journeys.journey_world import Served, served
from tests.journeys.reader import Reader
from tests.portal.patient_charts import add, sodium
from tests.portal.portal_world import emergency
from tests.portal.test_patient_add import PDF

pytestmark = [pytest.mark.services, pytest.mark.promise("U4")]

RECORD, LOOKED = "Your record", "Who has looked"
LETTER = "Discharge summary: Acute medicine, 17/02/2026"
PASSCODE = "heddiw-2026"


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("portal")
    with served(folder) as made:
        add(made.here, folder, [sodium(each, value=140 + each) for each in range(3)])
        yield made


@pytest.mark.covers("GET /record", "GET /record/{kind}", "GET /record/letters/{letter}")
@pytest.mark.covers("GET /record/letters/{letter}/file/{part}")
def test_a_letter_is_read(reader: Reader) -> None:
    reader.sign_in("eleanor", "/record", RECORD)
    reader.reads("has written down about you", "Penicillin")
    reader.follow("Letters and documents", "Letters and documents")
    reader.follow(LETTER, LETTER)
    reader.reads("Written by")
    saved = reader.save("Open the letter (PDF, 1 kB)")
    assert (saved.content_type, saved.content[:5]) == ("application/pdf", b"%PDF-")


@pytest.mark.covers("GET /record/results/{code}")
def test_a_chart_is_read_as_its_table(reader: Reader) -> None:
    reader.sign_in("eleanor", "/record", RECORD)
    reader.follow("Test results", "Test results")
    reader.follow("Sodium (a salt in your blood)", "Sodium (a salt in your blood)")
    (table,) = reader.page.shown("table")
    head, *rows = [each.words() for each in table.all("tr")]
    assert head == "Date Result Where"
    values = [re.findall(r"[\d.]+ mmol/L", each)[0] for each in rows]
    assert values == ["130 mmol/L", "142 mmol/L", "141 mmol/L", "140 mmol/L"]
    assert "Lower than the usual range" in rows[0]
    reader.follow("Back", "Test results")


@pytest.mark.covers("GET /record/download", "POST /record/download")
def test_the_record_is_downloaded_in_three_clicks_and_checked(reader: Reader) -> None:
    reader.sign_in("eleanor", "/record", RECORD)
    reader.follow("Download your record", "Download your record")
    reader.press("Download", "Download your record")
    reader.reads("There is a problem", "Choose what you want to download")
    reader.choose("Everything in one folder (ZIP)")
    saved = reader.press_to_save("Download")
    assert saved.name.endswith(".zip")
    with zipfile.ZipFile(io.BytesIO(saved.content)) as archive:
        contents = {each: archive.read(each) for each in archive.namelist()}
    listed = {each["name"]: each["sha256"] for each in json.loads(contents.pop("manifest.json"))["files"]}
    assert listed == {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    assert {"record.json", "record.pdf", "history.salus"} <= listed.keys()


@pytest.mark.promise("R5")
@pytest.mark.covers("GET /looked", "GET /looked/{number}", "POST /looked/{number}")
@pytest.mark.covers("GET /looked/{number}/check/{part}", "GET /looked/{number}/receipt/{part}")
def test_a_look_is_found_checked_and_questioned(reader: Reader) -> None:
    looks(reader.served)
    reader.sign_in("eleanor", "/record", RECORD)
    reader.follow(LOOKED, LOOKED)
    reader.reads("Dr Anita Rao (Consultant)")
    reader.pick("Who looked", "Dr Anita Rao (Consultant)")
    reader.fill_date(31, 2, 2026, group="From this day on")
    reader.press("Show", LOOKED)
    reader.reads("There is a problem", "Enter a real date")
    reader.fill_date(1, 2, 2026, group="From this day on")
    reader.press("Show", LOOKED)
    reader.follow("Details", "Details", within="Dr Anita Rao")
    reader.reads("What they were given")
    reader.follow("Check the proof, part 1", "Check this yourself", shows_receipt=True)
    reader.reads("That needs JavaScript", "You can check a saved proof on any computer")
    bundle = decode_bundle(reader.save("Save the proof").content)
    assert isinstance(bundle, ReceiptBundle)
    here = reader.served.here
    receipt = check_receipt(trust_root(here.made.genesis), bundle, now_s=here.node.clock())
    assert (receipt.asker.name, receipt.faults) == ("Dr Anita Rao", ())
    reader.follow("Back", "Details")
    reader.fill("What does not look right?", "I was not there that day")
    reader.press("Tell the privacy officer", LOOKED)
    reader.reads("The privacy officer was told")


def looks(at: Served) -> None:
    """Dr Rao looks at the record, by a program of hers."""
    here, accounts = at.here, at.here.portal.accounts
    account = accounts.find(here.accounts["rao"])
    patient = resources.patient_of(here.node, here.patient)
    assert account is not None, "she works here"
    assert patient is not None, "she was filed"
    show(here.node, here.portal.responder, accounts.login_of(account, accounts.hold(account)[0]), [newest(patient)])
    anchor(here.node)


@pytest.mark.covers("GET /sharing", "GET /sharing/direction", "POST /sharing/direction", "GET /sharing/who")
@pytest.mark.covers("POST /sharing/who", "GET /sharing/what", "POST /sharing/what", "GET /sharing/kinds")
@pytest.mark.covers("POST /sharing/kinds", "GET /sharing/until", "POST /sharing/until", "GET /sharing/check")
@pytest.mark.covers("POST /sharing/check", "GET /sharing/stop", "POST /sharing/stop", "GET /sharing/preview")
def test_a_choice_is_made_looked_at_and_stopped(reader: Reader) -> None:
    """In assisted mode the custodian signs, so a choice needs no script."""
    reader.sign_in("eleanor", "/sharing", "Who can see your record")
    reader.press("Make a choice", "What do you want to do?")
    reader.press("Continue", "What do you want to do?")
    reader.reads("There is a problem")
    reader.choose("Hide something from people")
    reader.press("Continue", "Who is it about?")
    reader.choose("Everyone who treats me, anywhere")
    reader.press("Continue", "What is it about?")
    reader.choose("Only some kinds")
    reader.press("Continue", "Which kinds?")
    reader.choose("Allergies")
    reader.press("Continue", "Until when?")
    reader.fill_date(1, 3, 2099)
    reader.press("Continue", "Check your choice")
    reader.reads("They would not know of: Penicillin")
    reader.press("Make this choice", "Who can see your record")
    reader.reads("allergies", "until 1 March 2099")
    reader.follow("See what somebody would see now", "What somebody would see now")
    reader.choose(reader.page.shown("label")[0].words())
    reader.press("Show me", "What somebody would see now")
    reader.reads("would see now", "Allergies")
    reader.go("/sharing", "Who can see your record")
    reader.follow("Stop this choice", "Stop this choice?")
    reader.press("Yes, stop it", "Who can see your record")
    reader.reads("Your choice has ended. Since", "You have made no choices")


@pytest.mark.covers("GET /notices", "POST /notices", "GET /notices/ways", "POST /notices/ways")
def test_notices_are_read(reader: Reader) -> None:
    emergency(reader.served.here)
    reader.served.here.portal.telling.follow()
    reader.sign_in("eleanor", "/notices", "Notices")
    said = "Your record was opened by somebody in an emergency"
    reader.reads(said)
    reader.press("Mark all as read", "Notices")
    reader.misses("Mark all as read")
    reader.follow("See more", LOOKED, within=said)
    reader.go("/notices", "Notices")
    reader.follow("Choose how we tell you", "How we tell you")
    reader.clear("A choice of yours began or ended")
    reader.press("Save", "How we tell you")
    assert "checked" not in reader.page.field("A choice of yours began or ended").attributes


@pytest.mark.covers("GET /add", "POST /add", "GET /add/reading/{kind}", "POST /add/reading/{kind}")
@pytest.mark.covers("GET /add/when", "POST /add/when", "GET /add/check", "POST /add/check", "GET /add/done")
def test_a_reading_is_added(reader: Reader) -> None:
    reader.sign_in("eleanor", "/add", "What do you want to add?")
    reader.choose("Blood pressure")
    reader.press("Continue", "Blood pressure")
    reader.fill("Upper number", "15")
    reader.fill("Lower number", "91")
    reader.press("Continue", "Blood pressure")
    reader.reads("Upper number: enter a number from 50 to 280")
    reader.fill("Upper number", "152")
    reader.press("Continue", "When did you measure it?")
    reader.press("Continue", "Check what you add")
    reader.reads("152", "91")
    reader.press("Add it to my record", "It is in your record")
    reader.follow("Go to your record", RECORD)
    reader.reads("You added this yourself")


@pytest.mark.covers("GET /add/file", "POST /add/file")
def test_a_document_is_added_and_comes_back(reader: Reader) -> None:
    reader.sign_in("eleanor", "/add/file", "Add a document or a photo")
    reader.press("Add it", "Add a document or a photo")
    reader.reads("There is a problem")
    reader.fill("What is it?", "From my physio")
    reader.attach("Choose a file", "physio.pdf", PDF, "application/pdf")
    reader.press("Add it", "It is in your record")
    reader.go("/record/letters", "Letters and documents")
    reader.follow("From my physio", "From my physio")
    reader.reads("You added this yourself")
    (link,) = [each.words() for each in reader.page.shown("a") if each.words().startswith("Open the letter")]
    assert reader.save(link).content == PDF


@pytest.mark.covers("GET /links", "GET /links/what", "POST /links/what", "GET /links/until", "POST /links/until")
@pytest.mark.covers("GET /links/name", "POST /links/name", "GET /links/make", "POST /links/make")
@pytest.mark.covers("GET /links/link", "GET /link", "GET /links/stop", "POST /links/stop")
def test_a_link_is_made_and_its_own_page_says_what_it_needs(reader: Reader) -> None:
    reader.sign_in("eleanor", "/links", "Share by link")
    reader.press("Make a link", "What may they see?")
    reader.choose("Everything")
    reader.press("Continue", "How long is the link to work?")
    reader.choose("1 day")
    reader.press("Continue", "What do you call this link?")
    reader.fill(reader.page.shown("label")[0].words(), "Dr Jones")
    reader.press("Continue", "Choose a passcode")
    reader.fill("Passcode", PASSCODE)
    reader.press("Make the link", "Your link")
    reader.reads("Your link is made", "Save or print this now", "The code of your link", "Nobody has opened it yet.")
    address = reader.page.field("The link itself").words()
    assert address.startswith(f"{reader.served.origin}/link#shlink:/")
    with Reader(reader.served) as somebody:
        somebody.go("/link", "Open a shared record")
        somebody.reads("This page needs JavaScript", "open the link on another device")
        assert not somebody.page.shown("form")
    reader.press("Stop this link", "Stop this link?")
    reader.press("Yes, stop it", "Share by link")
    reader.reads("Your link has ended. Since")


@pytest.mark.covers("GET /helpers", "GET /helpers/who", "POST /helpers/who", "GET /helpers/doing")
@pytest.mark.covers("POST /helpers/doing", "GET /helpers/until", "POST /helpers/until", "GET /helpers/check")
@pytest.mark.covers("POST /helpers/check", "GET /helpers/code", "GET /helping/new", "POST /helping/new")
@pytest.mark.covers("GET /helping", "POST /helping", "POST /helping/stop", "GET /helpers/stop", "POST /helpers/stop")
def test_somebody_is_let_help_and_stopped(reader: Reader) -> None:
    reader.sign_in("eleanor", "/helpers", "Who helps you")
    reader.press("Let somebody help", "Who is to help you?")
    reader.fill("Their name", "Ben Moss")
    reader.choose("My carer")
    reader.press("Continue", "What may they do?")
    reader.choose("See everything in my record")
    reader.press("Continue", "For how long?")
    reader.press("Continue", "Check what you have said")
    reader.press("Let them help", "Give them this code")
    (code,) = [each.words() for each in reader.page.shown("p") if "app-code" in each.get("class")]
    with Reader(reader.served) as ben:
        ben.go("/sign-in", "Sign in")
        ben.follow("I have a code to help somebody", "Start helping somebody")
        for label, value in (("Code", code), ("A name for signing in", "ben"), ("A password", "three odd words here")):
            ben.fill(label, value)
        ben.press("Start helping", "People you help")
        ben.press("Help now Eleanor Moss", "The record of Eleanor Moss")
        ben.reads("You are helping Eleanor Moss", "Penicillin")
        ben.press("Stop helping", "People you help")
        ben.press("Help now Eleanor Moss", "The record of Eleanor Moss")
        reader.go("/helpers", "Who helps you")
        reader.follow("Stop this help", "Stop this help?", within="Ben Moss")
        reader.press("Yes, stop it", "Who helps you")
        ben.go("/record", "People you help")
        ben.reads("You can no longer help this person")
        ben.misses("Help now")


@pytest.mark.covers("GET /private", "POST /private", "GET /private/choose", "POST /private/choose")
@pytest.mark.covers("GET /private/records", "POST /private/records", "GET /private/word", "POST /private/word")
@pytest.mark.covers("POST /leave")
def test_a_page_is_hidden_shown_by_a_word_and_left_at_once(reader: Reader) -> None:
    title = "Privacy on this device"
    reader.sign_in("eleanor", "/devices", "Your devices")
    reader.follow("Does somebody else use this device?", title)
    reader.misses("Shift")
    reader.follow("Choose what to hide", "What do you want to hide?")
    reader.choose("Notices")
    reader.press("Continue", "Do you want to hide single records?")
    reader.press("Continue", "Choose a word")
    reader.fill("Your word", "a word of hers")
    reader.press("Hide it", RECORD)
    reader.misses("Notices")
    reader.go("/notices", "Page not found")
    reader.go("/private", title)
    reader.fill("Your word", "a word of hers")
    reader.press("Go to your record", RECORD)
    reader.reads("Notices")
    reader.go("/private", title)
    assert reader.press_to_leave("Leave this page") == WEATHER
    reader.go("/record", "Sign in")


@pytest.mark.covers("GET /devices", "POST /sign-out", "GET /signed-out", "GET /language/{language}")
@pytest.mark.covers("POST /sign-in", "GET /sign-in", "GET /acting-devices")
def test_somebody_signs_in_and_out_and_reads_what_needs_a_script(reader: Reader) -> None:
    reader.go("/sign-in", "Sign in")
    reader.press("Sign in", "Sign in")
    reader.reads("There is a problem", "Enter your password")
    reader.misses("Sign in with this device")
    reader.follow("Cymraeg", "Mewngofnodi")
    reader.follow("English", "Sign in")
    reader.sign_in("eleanor", "/devices", "Your devices")
    reader.reads("this device", "To add a device, turn JavaScript on.")
    reader.misses("Add this device")
    reader.follow("Devices that act for you", "Devices that act for you")
    reader.reads("acts for you")
    reader.press("Sign out", "You are signed out")
    reader.go("/devices", "Sign in")
