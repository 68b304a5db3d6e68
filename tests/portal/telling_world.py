"""A portal that tells patients by mail and in their browsers, and who takes what it sends."""

from __future__ import annotations

import ipaddress
import re
import secrets
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
from sqlalchemy import delete, update

from salus.contracts.patients import AddKey, KeyKind, RemoveKey
from salus.contracts.provisions import Provision, ProvisionType
from salus.crypto.signing import SigningKey
from salus.crypto.web_push import new_push_key, read_push_key
from salus.ledger.identifiers import Digest, PublicKey
from salus.node import schema
from salus.node.hooks import Hooks
from salus.node.outgoing_mail import Mailer
from salus.node.services.challenges import send_by_custodian
from salus.node.services.choices import file_by_custodian, withdraw_by_custodian
from salus.node.services.enrol import custodian_held_key
from salus.node.services.telling import PushService
from tests.api.fhir.receiver import Receiver, receiver
from tests.api.fhir.served import self_signed
from tests.portal.links_world import Desk
from tests.portal.mail_server import NAME, PASSWORD, MailServer, mail_server
from tests.portal.patient_charts import somebody_else
from tests.portal.portal_world import Browser, Hospital, emergency, portal

ADDRESS = "eleanor.moss@mail.example"
SUBJECT = "My health record: something has changed"
BODY = "Something has changed in your record. Sign in to see it: https://portal.example\n"
WHY = Digest(b"\1" * 32)


@dataclass
class Around:
    """The portal, and who takes what it sends."""

    here: Hospital
    mail: MailServer
    browsers: Receiver

    def tell(self) -> None:
        """What the portal does every few seconds."""
        self.here.portal.telling.follow()
        self.here.portal.telling.tell()

    def later(self) -> None:
        """Whatever waits is due."""
        waits = schema.wishes.c.due_s < schema.NEVER_S
        with self.here.node.vault.database.writing() as connection:
            connection.execute(update(schema.wishes).where(waits).values(due_s=0))

    def forget(self) -> None:
        """Nobody wanted, was told, or asked for anything yet."""
        self.here.portal.telling.follow()
        with self.here.node.vault.database.writing() as connection:
            for table in (schema.wishes, schema.patient_notices, schema.tallies):
                connection.execute(delete(table))
        while not self.mail.came.empty():
            self.mail.came.get()
        while not self.browsers.came.empty():
            self.browsers.came.get()


@pytest.fixture(scope="module")
def around(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Around]:
    folder = tmp_path_factory.mktemp("portal")
    certificate, key = self_signed(folder)
    new_push_key(folder / "push.key")
    trust = ssl.create_default_context(cafile=str(certificate))
    hooks = Hooks((ipaddress.ip_network("127.0.0.0/8"),), trust)
    push = PushService(read_push_key((folder / "push.key").read_text()), "mailto:it@hospital.example", hooks)
    with ExitStack() as stack:
        mail = stack.enter_context(mail_server(certificate, key))
        browsers = stack.enter_context(receiver(certificate, key))
        mailer = Mailer(
            "127.0.0.1",
            mail.port,
            "no-reply@hospital.example",
            "My health record",
            name=NAME,
            password=PASSWORD,
            authorities=str(certificate),
        )
        here = stack.enter_context(portal(folder, mailer=mailer, push=push))
        somebody_else(here, folder, [])
        yield Around(here, mail, browsers)


@pytest.fixture
def quiet(around: Around) -> Around:
    """Nothing has happened."""
    around.forget()
    return around


def denying(here: Hospital) -> bytes:
    return file_by_custodian(here.node, here.patient, Provision(type=ProvisionType.DENY))


def chosen(here: Hospital) -> None:
    withdraw_by_custodian(here.node, here.patient, denying(here))


def challenged(here: Hospital) -> None:
    send_by_custodian(here.node, here.patient, emergency(here).permit, "who was that?")


def link_opened(here: Hospital) -> None:
    """Twice within a moment, which is one notice."""
    desk = Desk(here)
    made = desk.make()
    for _ in range(2):
        desk.read(made)
    desk.links.stop(desk.login(), here.patient, made.name)


def device(here: Hospital) -> None:
    held, new = custodian_held_key(here.node, here.patient), SigningKey.from_seed(secrets.token_bytes(32))
    key = PublicKey(new.public)
    until_s = here.node.clock() + 86_400
    here.node.submit_signed((AddKey(here.patient, key, KeyKind.DELEGATE, until_s, WHY),), (held, new))
    here.node.submit_signed((RemoveKey(here.patient, key, WHY),), (held,))


def confirmed(around: Around, address: str = ADDRESS) -> Browser:
    """Eleanor's browser, once her address is confirmed."""
    browser = around.here.signed_in("eleanor")
    assert browser.post("/notices/mail", {"address": address}).headers["location"] == "/notices/code"
    code = re.findall(r"\b[0-9]{6}\b", around.mail.next().get_content())[0]
    assert browser.post("/notices/code", {"code": f"{code[:3]} {code[3:]}"}).headers["location"] == "/notices/ways"
    return browser
