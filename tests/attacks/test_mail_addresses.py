"""Addresses that a mail program reads as other ones: whom a message goes to is who was looked at, and one person."""

from __future__ import annotations

import random
import smtplib
from email.utils import getaddresses
from io import BytesIO
from typing import ClassVar

import pytest

from salus.node.outgoing_mail import Mailer, is_address

SEED = 20261129
PIECES = [*"ab=?_-.*!#$%&'+/^`{|}~0Q", "=?utf-8?q?", "?=", "=?utf-8?b?YUBiLmM=?=", "=40", "=2c"]
OTHERS = {
    "another header": "=?utf-8?q?x=0d=0aBcc=3a_evil=40evil.example?=@example.com",
    "two people": "=?utf-8?q?victim=40bank.example=2c_a?=@example.com",
    "another domain": "=?utf-8?b?YUBiLmM=?=@example.com",
    "nothing": "=?utf-8?q??=@example.com",
    "a blank": "=?utf-8?q?_?=@example.com",
    "half of a pair": "=?utf-7?q?+2AA-?=@example.com",
    "a codec that is none of text": "=?zip?b?a?=@example.com",
    "an encoded word in the middle": "a.=?utf-8?q?b?=@example.com",
    "a line break": "a@example.com\r\nBcc: evil@evil.example",
    "a comment": "a(b)@example.com",
    "a name beside it": "Eleanor <a@example.com>",
    "a quoted part": '"a b"@example.com',
    "a route": "@evil.example:a@example.com",
    "a group": "x:a@example.com;",
    "two at once": "a@example.com,b@example.com",
    "a place behind another": "a%evil.example@example.com@evil.example",
    "a bang path and a number": "a@[127.0.0.1]",
    "a letter that looks like another": "a@ex\u0430mple.com",
}


class Server:
    """A mail server that keeps who a message is for, and its head."""

    seen: ClassVar[list[tuple[list[str], str]]] = []

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def sendmail(self, _sender: str, to: list[str], content: bytes, *_: object) -> dict[str, object]:
        """Take a message."""
        self.seen.append((to, BytesIO(content).read().decode("latin-1").partition("\r\n\r\n")[0]))
        return {}

    send_message = smtplib.SMTP.send_message
    ehlo_or_helo_if_needed = has_extn = lambda *_: None


@pytest.mark.parametrize("address", OTHERS.values(), ids=OTHERS)
def test_what_could_be_read_as_another_is_no_address(address: str) -> None:
    assert not is_address(address)


@pytest.mark.promise("P4")
def test_a_message_goes_to_the_very_address_that_was_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is an address here is that address to what writes the message, and nobody else's beside it."""
    monkeypatch.setattr(smtplib, "SMTP", Server)
    chance, mailer, sent = random.Random(SEED), Mailer("mail", 25, "us@example.com", "Us", has_tls=False), 0
    for _ in range(4_000):
        local = "".join(chance.choice(PIECES) for _ in range(chance.randint(1, 16)))
        address = f"{local}@example.com"
        if not is_address(address):
            continue
        sent += 1
        mailer.send(address, subject="s", body="b")
        to, head = Server.seen.pop()
        assert to == [address], (SEED, address)
        (line,) = [each for each in head.split("\r\n") if each.startswith("To:")]
        assert [each for _, each in getaddresses([line.removeprefix("To:")])] == [address], (SEED, address)
    assert sent > 500
