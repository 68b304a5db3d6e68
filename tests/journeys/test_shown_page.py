"""What a browser without JavaScript shows and sends, and what it finds that only a script would serve."""

from __future__ import annotations

import pytest

from tests.journeys.shown_page import ShownPage, choose

FORM = """<h1>What is it?</h1><form action="/a" method="post"><input type="hidden" name="form" value="t">
<fieldset><legend>When?</legend><label for="day">Day</label><input id="day" name="day" value="3"></fieldset>
<input type="radio" id="x" name="which" value="1" checked><label for="x">The first</label>
<input type="radio" id="y" name="which" value="2"><label for="y">The second</label>
<input type="checkbox" id="z" name="also"><label for="z">Also</label>
<select id="s" name="list"><option value="">None</option><option selected>Some</option></select>
<label for="t">Why?</label><textarea id="t" name="why">
Because
of this</textarea><button name="do" value="go">Go <span class="nhsuk-u-visually-hidden">to the end</span></button>
<button name="do" value="stop">Stop</button></form><script>"<p>"</script><p hidden>Not <b>this</b></p>"""


def test_words_are_those_that_are_shown() -> None:
    page = ShownPage(FORM)
    assert page.heading() == "What is it?"
    assert "Not this" not in page.words()
    assert page.named("Go", "button") is page.named("Go to the end", "button")


def test_a_form_sends_what_was_filled_in_and_the_button_that_was_pressed() -> None:
    page = ShownPage(FORM)
    choose(page.field("The second"))
    choose(page.field("Also"))
    page.field("Day", group="When?").attributes["value"] = "4"
    button = page.named("Stop", "button")
    form = button.around("form")
    assert form is not None
    sent = [("form", "t"), ("day", "4"), ("which", "2"), ("also", "on"), ("list", "Some")]
    assert page.sends(form, button) == [*sent, ("why", "Because\r\nof this"), ("do", "stop")]


@pytest.mark.parametrize(
    ("markup", "fault"),
    [
        ('<button type="button">Copy</button>', "a button of no form: Copy"),
        ("<button>Copy</button>", "a button of no form: Copy"),
        ('<input id="a">', "a field of no form: a"),
        ('<form action="/a"><input id="a"></form>', "a field of no form: a"),
        ('<form data-passkey="get" action="/a"><button>Go</button></form>', "a form for a script: /a"),
        ('<a href="#">More</a>', "a link to nowhere: More"),
        ("<a>More</a>", "a link to nowhere: More"),
        ('<a href="#there">More</a>', "a link to nowhere: More"),
        ('<a href="javascript:void 0">More</a>', "a link to nowhere: More"),
        ('<p onclick="go()">More</p>', "p with onclick"),
        ('<div hx-get="/a" hx-trigger="every 1s"></div>', "nothing but a script asks /a"),
    ],
)
def test_what_only_a_script_serves_is_found(markup: str, fault: str) -> None:
    assert ShownPage(markup).faults() == [fault]


@pytest.mark.parametrize(
    "markup",
    [
        *('<button type="button" hidden>Copy</button>', '<div hidden><input id="a"></div>', '<input readonly id="a">'),
        *('<a href="#there">More</a><p id="there"></p>', '<form action="/a"><input id="a"><button>Go</button></form>'),
        '<div hx-get="/a" hx-trigger="every 1s"><a href="/a">Show</a></div>',
    ],
)
def test_what_works_without_a_script_is_no_fault(markup: str) -> None:
    assert ShownPage(markup).faults() == []
