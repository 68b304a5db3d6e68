"""Somebody with a browser without JavaScript: they follow links, fill in fields and press buttons that they see."""

from __future__ import annotations

import ssl
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from urllib.parse import urlencode, urljoin, urlsplit

import httpx2

from tests.journeys.journey_world import MACHINE_WORDS, Served
from tests.journeys.shown_page import Element, ShownPage, choose
from tests.portal.portal_world import PASSWORD

HOPS_MAX = 5


@dataclass(frozen=True)
class Saved:
    """A file that came."""

    name: str
    content_type: str
    content: bytes


class Reader(AbstractContextManager["Reader"]):
    """Somebody who reads; each page that they come to has to be whole without a script.

    A page is what every page must be: one heading, no control that only a script serves, nothing that only machines
    understand (U1). Where the portal sends them elsewhere, they stay, and `left_for` says where.
    """

    def __init__(self, served: Served) -> None:
        self.served = served
        self.address = "/"
        self.page = ShownPage("")
        self.left_for = ""
        self._client = httpx2.Client(verify=_whoever(), headers={"host": urlsplit(served.origin).netloc})
        self._port = urlsplit(served.origin).port

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._client.close()

    def go(self, path: str, heading: str, *, shows_receipt: bool = False) -> None:
        """Type an address of the portal, and read what is there."""
        self._shown(self._asked("GET", path), heading, shows_receipt=shows_receipt)

    def sign_in(self, name: str, wanted: str, heading: str) -> None:
        """Ask for a page, and sign in by name and password on the way."""
        self.go(wanted, "Sign in")
        self.fill("Name", name)
        self.fill("Password", PASSWORD)
        self.press("Sign in", heading)

    def follow(self, link: str, heading: str, *, within: str = "", shows_receipt: bool = False) -> None:
        """Follow a link and read the page to which it leads."""
        came = self._asked("GET", self._href(link, within))
        self._shown(came, heading, shows_receipt=shows_receipt)

    def save(self, link: str) -> Saved:
        """Follow a link to a file."""
        return _saved(self._asked("GET", self._href(link, "")))

    def press(self, button: str, heading: str, *, within: str = "") -> None:
        """Press a button, and read the page to which it leads, which may be the same once more."""
        self._shown(self._pressed(button, within), heading)

    def press_to_save(self, button: str) -> Saved:
        """Press a button to which a file is the answer."""
        return _saved(self._pressed(button, ""))

    def press_to_leave(self, button: str) -> str:
        """Press a button that leads away from the portal; return where to."""
        self._pressed(button, "")
        assert self.left_for, "the portal sends nobody elsewhere"
        return self.left_for

    def fill(self, label: str, value: str, *, group: str = "") -> None:
        """Write in a field."""
        self.page.field(label, group=group).attributes["value"] = value

    def fill_date(self, day: int, month: int, year: int, *, group: str = "") -> None:
        """Write a day in its three fields."""
        for label, value in (("Day", day), ("Month", month), ("Year", year)):
            self.fill(label, str(value), group=group)

    def choose(self, *labels: str) -> None:
        """Mark one of several, or tick boxes."""
        for label in labels:
            choose(self.page.field(label))

    def clear(self, label: str) -> None:
        """Take the tick out of a box."""
        del self.page.field(label).attributes["checked"]

    def pick(self, label: str, option: str) -> None:
        """Pick from a list that opens."""
        options = list(self.page.field(label).all("option"))
        (wanted,) = [each for each in options if each.words() == option]
        for each in options:
            each.attributes.pop("selected", None)
        wanted.attributes["selected"] = ""

    def attach(self, label: str, name: str, content: bytes, content_type: str) -> None:
        """Choose a file of one's own."""
        self.page.files[self.page.field(label)] = (name, content, content_type)

    def reads(self, *words: str) -> None:
        """All of this stands on the page."""
        said = self.page.words()
        missing = [each for each in words if each not in said]
        assert not missing, f"{self.address} does not say {missing}: {said}"

    def misses(self, *words: str) -> None:
        """None of this stands on the page."""
        said = self.page.words()
        assert not [each for each in words if each in said], f"{self.address} says {words}: {said}"

    def _href(self, link: str, within: str) -> str:
        return self.page.named(link, "a", within=within).get("href")

    def _pressed(self, name: str, within: str) -> httpx2.Response:
        """Send the form of a button; a link that looks like a button is followed."""
        button = self.page.named(name, "button", "a", within=within)
        if button.tag == "a":
            return self._asked("GET", button.get("href"))
        form = button.around("form")
        assert form is not None, f"{name} belongs to no form"
        action, fields = form.get("action") or self.address, self.page.sends(form, button)
        if form.get("method") != "post":
            return self._asked("GET", f"{action.partition('?')[0]}?{urlencode(fields)}")
        return self._asked("POST", action, fields, files=self._files(form))

    def _files(self, form: Element) -> list[tuple[str, tuple[str, bytes, str]]]:
        """What is sent as files: without one, an empty one (HTML 4.10.21.4); only where the form says that it may."""
        if form.get("enctype") != "multipart/form-data":
            return []
        inputs = [each for each in form.all("input") if each.get("type") == "file"]
        return [(each.get("name"), self.page.files.get(each, ("", b"", "application/octet-stream"))) for each in inputs]

    def _asked(self, method: str, path: str, fields: Fields = (), *, files: Files = ()) -> httpx2.Response:
        """Send a request, and follow where it leads, as far as that is the portal."""
        self.address, self.left_for = urljoin(self.address, path), ""
        for _ in range(HOPS_MAX):
            came = self._sent(method, fields, files)
            due_s, _, leads = came.headers.get("refresh", "").partition("; url=")
            refreshed = leads if due_s == "0" else ""  # one that is due later finds a person who reads
            if not came.is_redirect and not refreshed:
                return came
            where = (refreshed or came.headers["location"]).removeprefix(self.served.origin)
            if not where.startswith("/"):
                self.left_for = where
                return came
            self.address, method, fields, files = urljoin(self.address, where), "GET", (), ()
        raise AssertionError(f"{self.address} leads on and on")

    def _sent(self, method: str, fields: Fields, files: Files) -> httpx2.Response:
        url = f"https://127.0.0.1:{self._port}{self.address.partition('#')[0]}"
        if method == "GET":
            return self._client.get(url)
        data: dict[str, list[str]] = {}
        for name, value in fields:
            data.setdefault(name, []).append(value)
        return self._client.post(url, data=data, files=list(files) or None, headers={"origin": self.served.origin})

    def _shown(self, came: httpx2.Response, heading: str, *, shows_receipt: bool = False) -> None:
        assert came.headers["content-type"].startswith("text/html"), came.headers["content-type"]
        self.page = ShownPage(came.text)
        assert self.page.heading() == heading, self.page.words()
        found = self.page.faults()
        if not shows_receipt:
            found += [f"words of machines: {each}" for each in MACHINE_WORDS.findall(self.page.words())]
        assert not found, f"{self.address}: {found}"


Fields = list[tuple[str, str]] | tuple[()]
Files = list[tuple[str, tuple[str, bytes, str]]] | tuple[()]


def _whoever() -> ssl.SSLContext:
    """Trust the test's own certificate, as the tests' browsers do."""
    trust = ssl.create_default_context()
    trust.check_hostname = False
    trust.verify_mode = ssl.CERT_NONE
    return trust


def _saved(came: httpx2.Response) -> Saved:
    assert came.status_code == 200, came.text
    name = came.headers.get("content-disposition", "").partition('filename="')[2].partition('"')[0]
    return Saved(name, came.headers["content-type"], came.content)
