"""A call: one request for a page, with whoever makes it; and a page, a row of the route table.

Each page is a file in the folder of the person it is for: it reads what was asked, calls one service, has a presenter
choose words and links, and renders its template.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, Final

from starlette.requests import Request
from starlette.responses import Response

from salus.node.acting import Capacity, Delegate
from salus.node.services.accounts import Account
from salus.node.services.notices import PatientNoticeKind, unread_count
from salus.node.services.quiet import NOTHING, Hidden
from salus.node.services.respond import Login
from salus.portal.open_patients import AboutPatient, about, whose
from salus.portal.recovery_alarms import Alarms, alarms
from salus.portal.rendering import go, rendered
from salus.portal.sessions import PortalSession
from salus.portal.settings import BODY_BYTES_MAX
from salus.portal.uploads import Upload
from salus.portal.words import LANGUAGES, Words, words_of

if TYPE_CHECKING:
    from salus.portal.app import Portal

_LOCAL: Final = re.compile(r"/(?:[A-Za-z0-9_.~-]+(?:/[A-Za-z0-9_.~-]+)*/?)?(?:\?[A-Za-z0-9_.~=&%+-]*)?")


class Person(Enum):
    """For whom a page is."""

    ANYBODY = "anybody"
    SIGNED_IN = "signed-in"
    PATIENT = "patient"
    CLINICIAN = "clinician"
    HELPER = "helper"
    OFFICER = "officer"
    OPERATOR = "operator"


HOMES: Final = {
    Person.PATIENT: "/record",
    Person.CLINICIAN: "/patients",
    Person.OFFICER: "/reviews",
    Person.OPERATOR: "/network",
    Person.HELPER: "/helping",
}


NOTICES: Final = "/notices"
_LOOKED, _SHARING, _DEVICES = "/looked", "/sharing", "/devices"
NOTICE_PATHS: Final = {
    PatientNoticeKind.EMERGENCY: _LOOKED,
    PatientNoticeKind.LINK: _LOOKED,
    PatientNoticeKind.CHOICE_MADE: _SHARING,
    PatientNoticeKind.CHOICE_STOPPED: _SHARING,
    PatientNoticeKind.CHALLENGED: _LOOKED,
    PatientNoticeKind.REVIEWED: _LOOKED,
    PatientNoticeKind.DEVICE_ADDED: _DEVICES,
    PatientNoticeKind.DEVICE_REMOVED: _DEVICES,
    PatientNoticeKind.RECOVERY: _DEVICES,
}
"""Which page says more about each notice."""


def person_of(account: Account) -> Person:
    """Return for which pages an account is; SIGNED_IN for one that has none of its own."""
    return Person.SIGNED_IN if account.capacity is Capacity.OTHER else Person(account.capacity.value)


@dataclass(frozen=True)
class Error:
    """Something that a form's field has to be instead."""

    field: str
    words: str


@dataclass(frozen=True)
class Call:
    """One request.

    Args:
        path: the route's variables; query: of the address; form: what was posted, each field once.
        files: what was uploaded, by field.
        is_fragment: whether a script asks for a part of a page only.
    """

    portal: "Portal"
    session: PortalSession | None
    account: Account | None = field(repr=False)
    location: str
    path: Mapping[str, str]
    query: Mapping[str, str] = field(repr=False)
    form: Mapping[str, str] = field(default_factory=dict, repr=False)
    files: Mapping[str, Upload] = field(default_factory=dict, repr=False)
    address: str = ""
    agent: str = ""
    is_fragment: bool = False

    @property
    def words(self) -> Words:
        """The reader's language."""
        return words_of(self.session.state.language if self.session else "en")

    @property
    def signed_in(self) -> PortalSession:
        """The session of whoever is signed in."""
        assert self.session is not None, "the page is for people who are signed in"
        return self.session

    @property
    def owner(self) -> Account:
        """The account of whoever is signed in."""
        assert self.account is not None, "the page is for people who are signed in"
        return self.account

    @property
    def person(self) -> Person:
        """Who is here."""
        return Person.ANYBODY if self.account is None else person_of(self.account)

    @property
    def helped(self) -> str:
        """What the patient is called for whom somebody else acts; empty for whoever acts for themself."""
        return self.account.acts_as.patient if self.account and isinstance(self.account.acts_as, Delegate) else ""

    @cached_property
    def hidden(self) -> Hidden:
        """What is hidden on the pages of the patient, whoever reads them."""
        owner = self.account
        return NOTHING if owner is None or not owner.pseudonym else self.portal.hidden(owner.pseudonym)

    @property
    def login(self) -> Login:
        """As whom records of this organisation are asked for."""
        return self.portal.accounts.login_of(self.owner, self.signed_in.state.held[0])

    def page(
        self,
        template: str,
        *,
        title: str,
        back: str = "",
        errors: Sequence[Error] = (),
        status: int = 200,
        goes_to: str = "",
        **view: object,
    ) -> Response:
        """Render a page.

        Args:
            title: of the page, unique among pages; its heading as well unless the template says otherwise.
            back: where its back link leads; none without.
            errors: what is wrong with the form that came; the page says so at its top and at each field.
        """
        state = self.session.state if self.session else None
        words = self.words
        known: dict[str, object] = {
            "title": title,
            "back": back,
            "errors": list(errors),
            "error_of": {each.field: each.words for each in errors},
            "service": self.portal.settings.service_name,
            "organisation": self.portal.title,
            "language": words.language,
            "other_languages": {code: name for code, name in LANGUAGES.items() if code != words.language},
            "here": self.location,
            "person": self.person.value,
            "home": HOMES.get(self.person, "/"),
            "name": self.account.name if self.account else "",
            "navigation": self.portal.navigation(self),
            "form": state.form if state else "",
            "about": (patient := self._about()),
            "helped": self.helped,
            "recovery": self._recovery(),
            "bell": self._bell(),
            "has_theme": bool(self.portal.settings.theme),
            "gettext": words,
            "_": words,
            "ngettext": words.many,
            "words": words,
        }
        if self.person is Person.PATIENT:  # whose forms may lead to their own device
            goes_to = f"{goes_to} {self.portal.settings.signer}".strip()
        known |= self._said()
        status = 400 if errors and status == 200 else status
        return _gone_in_time(rendered(template, known | view, status=status, goes_to=goes_to), patient)

    def go(self, path: str, *, notice: str = "", not_done: str = "", **known: object) -> Response:
        """Send the browser to another page of ours.

        Args:
            notice: what that page says at its top: what was done; not_done: what was not, and why.
            known: of the session from here on.
        """
        if self.session is not None and (notice or not_done or known):
            self.portal.sessions.change(self.session, notice=notice, not_done=not_done, **known)
        return go(local(path))

    def _about(self) -> AboutPatient | None:
        """Whom every page is about while a clinician has somebody open."""
        now_s, state = self.portal.node.clock(), self.session.state if self.session else None
        if state is None or not state.patient or state.patient[0].is_over(now_s):
            return None
        return replace(about(state.patient[0], self.words, now_s=now_s), of=whose(state.form, state.patient))

    def _recovery(self) -> Alarms | None:
        """What somebody else may be taking over from the patient; None on a page of anybody else."""
        if self.person is not Person.PATIENT or self.helped:
            return None
        return alarms(self.portal, self.signed_in.account, self.owner, self.words)

    @property
    def unseen_notices(self) -> tuple[PatientNoticeKind, ...]:
        """Kinds of notices that would tell of a page that is hidden."""
        return tuple(kind for kind, path in NOTICE_PATHS.items() if self.hidden.hides_page(path))

    def _bell(self) -> str:
        """What a patient's bell says."""
        if self.person is not Person.PATIENT or self.helped or self.hidden.hides_page(NOTICES):
            return ""
        count = unread_count(self.portal.node, self.owner.pseudonym, without=self.unseen_notices)
        return self.words("Notices (%(count)s new)") % {"count": count} if count else self.words("Notices")

    def _said(self) -> dict[str, str]:
        """What this page says at its top; the next one does not say it again."""
        if self.session is None or self.is_fragment:
            return {"notice": "", "not_done": ""}
        state = self.session.state
        if state.notice or state.not_done:
            self.portal.sessions.change(self.session, notice="", not_done="")
        return {"notice": state.notice, "not_done": state.not_done}


Handler = Callable[[Call], Response]


@dataclass(frozen=True)
class Page:
    """A row of the route table.

    Args:
        show: what GET is answered with; answer: what POST is, or None.
        is_listed: its title in the menu of its person's pages, in English, or empty.
        body_bytes_max: of what is posted.
        takes_files: whether its form may bring files.
        needs_session: of a patient's page: whether it shows or does what only a session with a custodian lets see.
    """

    path: str
    person: Person
    show: Handler | None
    answer: Handler | None = None
    listed: str = ""
    body_bytes_max: int = BODY_BYTES_MAX
    takes_files: bool = False
    needs_session: bool = True


def _gone_in_time(response: Response, patient: AboutPatient | None) -> Response:
    """Have what emergency access shows leave the screen with its hour, also where nobody presses anything."""
    if patient is not None and patient.emergency_left_s:
        response.headers["refresh"] = f"{patient.emergency_left_s + 1}; url=/patient?of={patient.of}"
    return response


def local(path: str) -> str:
    """Return a path if it is one of ours, else the first page: no address from outside leads on (open redirects)."""
    return path if _LOCAL.fullmatch(path) else "/"


def fields_once(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Return fields by name; of one that comes several times, all values with a line break between them."""
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return {name: "\n".join(values) for name, values in found.items()}


def read_query(http: Request) -> dict[str, str]:
    """Return the parameters of an address."""
    return fields_once(http.query_params.multi_items())
