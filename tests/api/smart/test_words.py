"""What people read on the pages: scopes in plain words, refusals as sentences, the organisation's name."""

import pytest

from salus.api.smart.pages import Pages, sentence
from salus.api.smart.words import words_of


@pytest.mark.parametrize(
    ("scope", "is_patient", "want"),
    [
        ("patient/Observation.rs", True, "see your test results and measurements"),
        ("patient/Observation.rs", False, "see this patient’s test results and measurements"),
        ("patient/*.r", True, "see your records of every kind"),
        ("user/Condition.cud", False, "add, change and delete conditions and diagnoses that you may see yourself"),
        ("user/DeviceMetric.cu", False, "add and change records of the kind device metric that you may see yourself"),
        (
            "patient/Observation.rs?category=laboratory",
            True,
            "see your test results and measurements, where category is laboratory",
        ),
        ("openid", True, "recognise you when you come back"),
    ],
)
def test_a_scope_in_words(scope: str, is_patient: bool, want: str) -> None:
    assert words_of((scope,), is_patient=is_patient) == [(scope, want)]


@pytest.mark.parametrize("words", ["this page is too old: begin again", "This page is too old: begin again."])
def test_a_refusal_is_a_sentence(words: str) -> None:
    assert sentence(words) == "This page is too old: begin again."


def test_every_page_says_whose_it_is_and_escapes_it() -> None:
    body = bytes(Pages("North <Trust>").message("no").body).decode()
    assert "<p>North &lt;Trust&gt;<span>" in body
    assert "<title>There is a problem – North &lt;Trust&gt;</title>" in body
