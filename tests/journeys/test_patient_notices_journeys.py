"""A patient reads their notices in a browser, and has mail say that there are some."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from salus.crypto.web_push import new_push_key, read_push_key
from salus.node.outgoing_mail import Mailer
from salus.node.services.telling import PushService
from tests.api.fhir.served import self_signed
from tests.journeys import keyboard
from tests.journeys.journey_world import Served, Walker, served
from tests.portal.mail_server import NAME, PASSWORD, MailServer, mail_server
from tests.portal.portal_world import emergency

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def mail(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[MailServer, Mailer]]:
    certificate, key = self_signed(tmp_path_factory.mktemp("mail"))
    with mail_server(certificate, key) as server:
        given = {"name": NAME, "password": PASSWORD, "authorities": str(certificate)}
        yield server, Mailer("127.0.0.1", server.port, "no-reply@hospital.example", "My health record", **given)


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory, mail: tuple[MailServer, Mailer]) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("portal")
    new_push_key(folder / "push.key")
    push = PushService(read_push_key((folder / "push.key").read_text()), "mailto:it@hospital.example")
    with served(folder, mailer=mail[1], push=push) as made:
        yield made


@pytest.mark.covers("GET /notices", "POST /notices")
def test_a_patient_reads_that_somebody_opened_their_record(walker: Walker, at: Served) -> None:
    walker.sign_in("eleanor", "/notices", "Notices")
    expect(walker.page.get_by_text("There are no notices.")).to_be_visible()
    emergency(at.here)
    at.here.portal.telling.follow()
    walker.follow("Go back to your record", "Your record")
    walker.follow("Notices (1 new)", "Notices")
    expect(walker.page.get_by_text("Your record was opened by somebody in an emergency").first).to_be_visible()
    walker.press("Mark all as read", "Notices")
    expect(walker.page.get_by_role("link", name="Notices", exact=True)).to_be_visible()
    keyboard.press(walker.page.get_by_role("link", name="See more"))
    walker.look("Who has looked")


@pytest.mark.covers(
    "GET /notices/ways",
    "POST /notices/ways",
    "GET /notices/mail",
    "POST /notices/mail",
    "GET /notices/code",
    "POST /notices/code",
    "POST /notices/push",
)
def test_a_patient_chooses_how_they_are_told(walker: Walker, mail: tuple[MailServer, Mailer]) -> None:
    page = walker.page
    walker.sign_in("eleanor", "/notices/ways", "How we tell you")
    keyboard.untick(page.get_by_label("A choice of yours began or ended"))
    walker.press("Save", "How we tell you")
    walker.follow("Tell me by e-mail", "Your e-mail address")
    keyboard.write(page.get_by_label("Your e-mail address"), "eleanor")
    walker.press("Send me the code", "Your e-mail address")
    keyboard.write(page.get_by_label("Your e-mail address"), "eleanor@mail.example")
    walker.press("Send me the code", "Enter the code")
    code = re.findall(r"\b[0-9]{6}\b", mail[0].next().get_content())[0]
    keyboard.write(page.get_by_label("Enter the code"), code)
    walker.press("Continue", "How we tell you")
    expect(page.get_by_text("We write to eleanor@mail.example.")).to_be_visible()
    expect(page.get_by_label("A choice of yours began or ended")).not_to_be_checked()
    walker.press("Stop e-mails", "How we tell you")
    # No maker's service is reached from here: what a browser without one answers is refused.
    page.evaluate("document.querySelector('form[data-push]').submit()")
    walker.look("How we tell you")
    expect(page.get_by_text("This device did not let us. You can choose e-mail").first).to_be_visible()
