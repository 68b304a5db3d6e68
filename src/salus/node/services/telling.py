"""Telling: that there is a notice, by e-mail and to browsers, in words that say nothing of whom or what.

Promises: whoever is told learns that something has changed and where to sign in; what was not taken is tried again,
later and later, and at last not at all; after a crash it is sent once more rather than never. No address is logged.
Several notices at one time are told once. While a patient hides anything, nothing is told.
"""

import hmac
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

import msgspec
import structlog
from sqlalchemy import Connection

from salus.crypto.hashing import sha256
from salus.crypto.web_push import PushKey, PushUnfit, recipient, seal
from salus.ledger.identifiers import Pseudonym
from salus.node.assemble import Node
from salus.node.errors import NotNow, Refusal, Refused
from salus.node.hooks import HookAway, Hooks, HookUnfit
from salus.node.outgoing_mail import MailAway, Mailer, is_address
from salus.node.sealed_rows import SealedRows
from salus.node.services import notices
from salus.node.services.notices import PatientNotice
from salus.node.services.wishes import (
    NEVER_S,
    Change,
    Due,
    MailWay,
    PushWay,
    Wishes,
    change,
    lease_due,
    wishes_of,
)
from salus.node.tallies import Counted, Tally, count

AT_ONCE: Final = 20
LEASE_S: Final = 300
TRIES_MAX: Final = 8
RETRY_S: Final = 60
RETRY_S_MAX: Final = 3_600
PUSH_S: Final = 10.0
PUSH_KEPT_S: Final = 86_400
PUSHES_MAX: Final = 5
CODE_DIGITS: Final = 6
CODE_S: Final = 1_800
CODE_TRIES_MAX: Final = 5
CODES_MAX: Final = 5
CODES_WITHIN_S: Final = 3_600
"""So many codes are sent for one patient within an hour, to whatever addresses."""
MAIL: Final = b"mail"
GONE: Final = (404, 410)

log = structlog.get_logger("salus.telling")


@dataclass(frozen=True)
class Text:
    """What is said in one language: of a notice, and with a code, which stands at `%(code)s`."""

    subject: str
    body: str
    code_subject: str
    code_body: str


@dataclass(frozen=True)
class PushService:
    """By which browsers are told: our key, whom their makers may ask, and where may be sent to."""

    key: PushKey
    contact: str
    hooks: Hooks = field(default_factory=Hooks)


class Telling:
    """The ways to tell patients of one node's portal; None for a way that its operator did not set.

    Args:
        texts: by language; the one of English is there.
    """

    def __init__(
        self,
        node: Node,
        rows: SealedRows,
        *,
        mailer: Mailer | None,
        push: PushService | None,
        texts: Mapping[str, Text],
    ) -> None:
        self._node = node
        self._rows = rows
        self.mailer = mailer
        self.push = push
        self._texts = texts

    # What a patient wants

    def begin_mail(self, pseudonym: bytes, address: str, *, language: str) -> None:
        """Send a code to an address, which confirms it.

        Raises:
            Refused: FORM_UNFIT for what is no address; TOO_MANY.
            NotNow: the mail server did not take it.
        """
        if self.mailer is None or not is_address(address):
            raise Refused(Refusal.FORM_UNFIT, "expected an e-mail address")
        now_s, what = self._node.clock(), secrets.token_bytes(16)
        counted = count(
            self._node,
            Tally.MAIL_CODE,
            who=pseudonym,
            what=what,
            now_s=now_s,
            within_s=CODES_WITHIN_S,
            most=CODES_MAX,
        )
        if counted is Counted.TOO_MANY:
            raise Refused(Refusal.TOO_MANY, f"expected at most {CODES_MAX} codes an hour: wait, and try again")
        code = f"{secrets.randbelow(10**CODE_DIGITS):0{CODE_DIGITS}}"
        way = MailWay(address, self._code(pseudonym, code), now_s + CODE_S)

        def asked(was: Wishes) -> Wishes:
            confirmed = [each for each in was.mail if not each.code]
            return msgspec.structs.replace(was, mail=(*confirmed, way), language=language)

        self._change(pseudonym, asked)
        text = self._text(language)
        try:
            self.mailer.send(address, subject=text.code_subject, body=text.code_body % {"code": code})
        except MailAway as away:
            log.warning("telling.code_not_sent", step=str(away))
            raise NotNow("the mail server did not take it: try again later") from away

    def confirm_mail(self, pseudonym: bytes, code: str) -> bool:
        """Confirm an address by the code that was sent to it; tell whether it was that code.

        The address that it takes the place of hears of it.
        """
        given, now_s, before = self._code(pseudonym, code), self._node.clock(), self.wishes(pseudonym)

        def tried(was: Wishes) -> Wishes:
            mail = [_tried(each, given, now_s) for each in was.mail]
            is_new = [each for each, asked in zip(mail, was.mail, strict=True) if asked.code and not each.code]
            return msgspec.structs.replace(was, mail=tuple(is_new or mail))

        now = self._change(pseudonym, tried)
        is_confirmed = bool(before.pending and now.confirmed and not now.pending)
        if is_confirmed and before.confirmed != now.confirmed:
            self._say_goodbye(before)
        return is_confirmed

    def stop_mail(self, pseudonym: bytes) -> None:
        """Send a patient no mail any more; the address hears of that."""
        before = self.wishes(pseudonym)
        self._change(pseudonym, lambda was: msgspec.structs.replace(was, mail=()))
        self._say_goodbye(before)

    def begin_push(self, pseudonym: bytes, way: PushWay, *, language: str) -> None:
        """Tell a browser from now on; of too many the oldest is forgotten.

        Raises:
            Refused: FORM_UNFIT where it is no place that anything may be sent to.
        """
        try:
            if self.push is None:
                raise HookUnfit("expected a portal that tells browsers")
            self.push.hooks.parsed(way.endpoint)
            recipient(way.p256dh, way.auth)
        except (HookUnfit, PushUnfit) as error:
            raise Refused(Refusal.FORM_UNFIT, "expected a browser's own address for messages") from error

        def added(was: Wishes) -> Wishes:
            others = [each for each in was.pushes if each.endpoint != way.endpoint]
            return msgspec.structs.replace(was, pushes=(*others, way)[-PUSHES_MAX:], language=language)

        self._change(pseudonym, added)

    def stop_push(self, pseudonym: bytes, name: str) -> None:
        """Tell one browser nothing any more, by its name; none of that name is left as it is."""
        self._change(
            pseudonym,
            lambda was: msgspec.structs.replace(
                was, pushes=tuple(each for each in was.pushes if push_name(each).hex() != name)
            ),
        )

    def choose(self, pseudonym: bytes, unwanted: Sequence[int]) -> None:
        """Say of which kinds a patient is not told; of those of ALWAYS they are."""
        kept = tuple(sorted(set(unwanted) - notices.ALWAYS))
        self._change(pseudonym, lambda was: msgspec.structs.replace(was, unwanted=kept))

    def wishes(self, pseudonym: bytes) -> Wishes:
        """Return what a patient wants."""
        return wishes_of(self._node, self._rows, pseudonym)

    # What is told

    def follow(self) -> None:
        """Read what is new on the ledger, and note who is to be told of it."""
        notices.follow(self._node, self._hear)

    def tell(self) -> int:
        """Tell those who are due; return how many messages were taken."""
        taken = 0
        for pseudonym in lease_due(self._node, limit=AT_ONCE, until_s=self._node.clock() + LEASE_S):
            taken += self._tell(pseudonym)
        return taken

    def _hear(self, connection: Connection, notice: PatientNotice) -> None:
        wanted = self.wishes(notice.pseudonym)
        if not _ways(wanted) or notice.kind in wanted.unwanted:
            return
        change(
            self._node,
            self._rows,
            notice.pseudonym,
            lambda was: msgspec.structs.replace(was, number=was.number + 1, waiting=_ways(was), tries=0),
            due=lambda _: self._node.clock(),
            within=connection,
        )

    def _tell(self, pseudonym: Pseudonym) -> int:
        wanted = self.wishes(pseudonym)
        text = self._text(wanted.language)
        came = {each: self._by(each, wanted, text) for each in wanted.waiting if each in _ways(wanted)}
        tries = wanted.tries + 1
        late = tuple(each for each, status in came.items() if status is None) if tries < TRIES_MAX else ()
        gone = {each for each, status in came.items() if status is False}

        def told(was: Wishes) -> Wishes:
            pushes = tuple(each for each in was.pushes if push_name(each) not in gone)
            if was.number != wanted.number:  # something more happened meanwhile
                return msgspec.structs.replace(was, pushes=pushes)
            return msgspec.structs.replace(was, pushes=pushes, waiting=late, tries=tries)

        def due(now: Wishes) -> int:
            if not now.waiting:
                return NEVER_S
            return self._node.clock() + (min(RETRY_S << tries, RETRY_S_MAX) if now.number == wanted.number else 0)

        self._change(pseudonym, told, due=due)
        for status in came.values():
            log.info("telling.told", outcome={True: "taken", False: "gone", None: "later"}[status])
        return sum(status is True for status in came.values())

    def _say_goodbye(self, before: Wishes) -> None:
        if MAIL in _ways(before):
            self._mail(before.confirmed, self._text(before.language))

    def _by(self, way: bytes, wanted: Wishes, text: Text) -> bool | None:
        """Tell by one way: True where it was taken, False where there is nobody any more, None for later."""
        if way == MAIL:
            return self._mail(wanted.confirmed, text)
        push = next((each for each in wanted.pushes if push_name(each) == way), None)
        return False if push is None else self._push(push, text)

    def _mail(self, address: str, text: Text) -> bool | None:
        if self.mailer is None or not is_address(address):  # one that was kept may fit no more
            return False
        try:
            self.mailer.send(address, subject=text.subject, body=text.body)
        except MailAway:
            return None
        return True

    def _push(self, way: PushWay, text: Text) -> bool | None:
        if self.push is None:
            return False
        try:
            hook = self.push.hooks.parsed(way.endpoint)
            body = seal(f"{text.subject}\n{text.body}".encode(), recipient(way.p256dh, way.auth))
            parts = urlsplit(way.endpoint)
            signed = self.push.key.authorization(
                f"{parts.scheme}://{parts.netloc}", contact=self.push.contact, now_s=self._node.clock()
            )
            fields = {
                "authorization": signed,
                "content-encoding": "aes128gcm",
                "content-type": "application/octet-stream",
                "ttl": f"{PUSH_KEPT_S}",  # RFC 8030 5.2
                "urgency": "normal",
            }
            with self.push.hooks.connected(hook, timeout_s=PUSH_S) as connection:
                status = connection.send("POST", hook.target, fields, body)
        except (HookUnfit, PushUnfit):
            return False
        except HookAway:
            return None
        return False if status in GONE else True if status < 300 else None

    def _text(self, language: str) -> Text:
        return self._texts.get(language, self._texts["en"])

    def _code(self, pseudonym: bytes, code: str) -> bytes:
        return self._rows.lookup("mail-code", pseudonym, code)

    def _change(self, pseudonym: bytes, to: Change, *, due: Due | None = None) -> Wishes:
        return change(self._node, self._rows, pseudonym, to, due=due)


def push_name(way: PushWay) -> bytes:
    """Return by what a browser is told from others of the same patient."""
    return sha256(way.endpoint.encode())[:8]


def _ways(wanted: Wishes) -> tuple[bytes, ...]:
    if wanted.hidden:
        return ()
    mail = (MAIL,) if wanted.confirmed else ()
    return (*mail, *map(push_name, wanted.pushes))


def _tried(way: MailWay, given: bytes, now_s: int) -> MailWay:
    """An address after a try of its code."""
    if not way.code or way.tries >= CODE_TRIES_MAX or now_s > way.code_until_s:
        return way
    if hmac.compare_digest(way.code, given):
        return MailWay(way.address)
    return msgspec.structs.replace(way, tries=way.tries + 1)
