"""The portal as an application: each request becomes a call of a page, by whoever is signed in.

Promises: what a person acts by is looked up at each request (R3); a page of another kind of person is not there; a form
counts only from its own page; a failure says what to do and nothing about anybody.
"""

import base64
import dataclasses
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from typing import Final

import msgspec
import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from salus.node.acting import Patient
from salus.node.answer import plainly
from salus.node.assemble import Node
from salus.node.bearers import Bearers
from salus.node.errors import NotNow, Refusal, Refused
from salus.node.exchange import Peers
from salus.node.listen_settings import Launcher, SignInProvider
from salus.node.pool import Pool
from salus.node.sealed_rows import SealedRows
from salus.node.services import ledger_reads, quiet
from salus.node.services.accounts import Account, AccountId, Accounts
from salus.node.services.collect import Collections
from salus.node.services.health_links import HealthLinks
from salus.node.services.launches import Launches
from salus.node.services.link_openings import LinkOpenings
from salus.node.services.outside_sign_in import Fetch, OutsideSignIn, fetch
from salus.node.services.passkeys import Passkeys
from salus.node.services.patient_helpers import Helpers
from salus.node.services.quiet import Hidden
from salus.node.services.respond import Responder
from salus.node.services.signer_devices import SignerDevices
from salus.node.services.signings import Signings
from salus.portal.assets import assets
from salus.portal.call import Call, Page, Person, fields_once, local, read_query
from salus.portal.helping import may_open
from salus.portal.pages import PAGES
from salus.portal.refusals import words_for
from salus.portal.rendering import KEPT_OUT, go
from salus.portal.sessions import COOKIE, PortalSession, PortalState, Sessions
from salus.portal.settings import PortalSettings
from salus.portal.shared_link import VIEWER, shared_link_routes
from salus.portal.signing import signing_routes
from salus.portal.telling import telling_of
from salus.portal.uploads import Pairs, Room, Upload, read_form
from salus.portal.verifier.links import VERIFIER
from salus.portal.verifier.routes import verifier_routes
from salus.portal.words import words_of

THREADS: Final = 8
WAITING_MAX: Final = 64
KEPT_S: Final = 31_536_000
SIGN_IN: Final = "/sign-in"
HELPING: Final = "/helping"
OPENING: Final = "/opening"
REFERENCE_LENGTH: Final = 6
STRANGER: Final = PortalState("")

log = structlog.get_logger("salus.portal")


class Portal:
    """What the pages of one node's portal share."""

    def __init__(
        self,
        node: Node,
        settings: PortalSettings,
        *,
        peers: Peers,
        providers: Sequence[SignInProvider] = (),
        launchers: Sequence[Launcher] = (),
        fetching: Fetch = fetch,
    ) -> None:
        self._rows = rows = SealedRows(node.vault, node.chain)
        self.node = node
        self.settings = settings
        self.peers = peers
        self.title = node.title()
        self.providers = tuple(providers)
        self.responder = Responder(node)
        self.accounts = Accounts(node, rows)
        self.collections = Collections(node, rows, peers)
        self.telling = telling_of(node, rows, settings)
        self.links = HealthLinks(node, rows)
        base = f"{settings.origin}{VIEWER}/shown"
        self._for_links = Collections(node, rows, peers)  # who opens links keeps no thread of a clinician's look
        self.openings = LinkOpenings(node, rows, self.responder, self.links, self._for_links, base=base)
        self.devices = SignerDevices(node, rows)
        self.signings = Signings(node, rows, self.devices)
        self.passkeys = Passkeys(node, rows, host=settings.host, origin=settings.origin, title=settings.service_name)
        bearers = Bearers(node, rows)
        self.sessions = Sessions(node, bearers, origin=settings.origin)
        self.helpers = Helpers(node, rows, self.accounts, bearers)
        self.outside = OutsideSignIn(
            node, providers, back=lambda name: f"{settings.origin}/sign-in/with/{name}/back", fetching=fetching
        )
        self.launches = Launches(
            node, launchers, back=lambda name: f"{settings.origin}/launch/{name}/back", fetching=fetching
        )
        self.threads = Pool(THREADS, waiting_max=WAITING_MAX)
        self._room = Room()

    def close(self) -> None:
        """Let running work finish."""
        self.threads.close()
        self.collections.close()
        self._for_links.close()

    def app(self) -> Starlette:
        """Return the application."""
        routes = [route for page in PAGES for route in self._routes(page)]
        return Starlette(
            routes=[
                Route("/assets/{stamp}/{name:path}", _asset, methods=["GET"]),
                Route("/theme.css", self._theme, methods=["GET"]),
                Route("/push.js", _push_worker, methods=["GET"]),
                *verifier_routes(VERIFIER, self.settings.trust),
                *signing_routes(self),
                *shared_link_routes(self),
                *routes,
                Route("/{anything:path}", self._nothing_here),
            ],
            exception_handlers={404: self._no_such_way, 405: self._no_such_way, 500: self._failed},
        )

    def sign_in(
        self,
        response: Response,
        account: AccountId,
        known: Account,
        before: PortalSession | None,
        *,
        way: str,
        level: str = "",
        agent: str = "",
        passkey: bytes = b"",
    ) -> PortalSession:
        """Begin a session as an account, under a new cookie: one that was planted before opens nothing.

        Args:
            before: what is known of the browser; of it the language stays.
            way: by what the person signed in; level: how well an outside provider knows them, in its words.
            passkey: by which, if it was one.

        Raises:
            Refused: what the account acts by does not stand, or the passkey was removed meanwhile.
        """
        if before is not None:
            self._forget_answers(before)
        fresh = PortalState("", language=before.state.language if before else "en")
        known_of_it = msgspec.structs.replace(
            fresh,
            account=account,
            way=way,
            level=level,
            agent=agent,
            passkey=passkey,
            signed_in_s=self.node.clock(),
            held=() if self.devices.are_awaited(known) else self.accounts.hold(known),
        )
        session = self.sessions.begin(response, before, known_of_it, pseudonym=known.pseudonym)
        if passkey and all(each.lookup != passkey for each in self.passkeys.of(account)):  # it ends what there is by it
            self.sessions.drop(session)
            raise Refused(Refusal.SIGN_IN_UNFIT, "expected a passkey that is kept here: sign in another way")
        return session

    def end(self, response: Response, session: PortalSession) -> None:
        """End a session, and forget what others answered to it."""
        self._forget_answers(session)
        self.sessions.end(response, session)

    def _forget_answers(self, session: PortalSession) -> None:
        state = session.state
        asked = (state.collected, state.histories, state.choices)
        for collection in (*asked, *(each.collection for each in state.patient)):
            self.collections.drop(collection)

    def name_of(self, organisation: str) -> str:
        """Return what people call a member; its code where the ledger has none of that name."""
        found = (each.name for each in ledger_reads.members(self.node) if each.organisation == organisation)
        return next(found, organisation)

    def hidden(self, pseudonym: bytes) -> Hidden:
        """Return what a patient's pages do not show."""
        return quiet.hidden_of(self.node, self._rows, pseudonym)

    def hide(self, pseudonym: bytes, word: str, hidden: Hidden) -> None:
        """Hide something on a patient's pages; see `quiet.hide`."""
        sets = {"areas": sorted(hidden.areas), "types": sorted(hidden.types), "records": sorted(hidden.records)}
        quiet.hide(self.node, self._rows, pseudonym, word, **sets)

    def enter_word(self, pseudonym: bytes, word: str) -> None:
        """Show again what is hidden by a word; see `quiet.enter`."""
        quiet.enter(self.node, self._rows, pseudonym, word)

    def reference(self, kind: str, name: bytes) -> str:
        """Return a few letters by which people call something that has a name for machines only."""
        return base64.b32encode(self._rows.lookup("reference", kind, name)).decode()[:REFERENCE_LENGTH]

    def navigation(self, call: Call) -> list[dict[str, object]]:
        """Return the menu of whoever is here."""
        mine = [each for each in PAGES if each.listed and each.person is call.person]
        listed = [each for each in mine if not (self._is_beyond(call, each) or call.hidden.hides_page(each.path))]
        return [
            {"href": each.path, "text": call.words(each.listed), "current": call.location.startswith(each.path)}
            for each in listed
        ]

    def _routes(self, page: Page) -> list[Route]:
        routes = []
        if page.show is not None:
            routes.append(Route(page.path, self._handler(page, page.show, "GET"), methods=["GET"]))
        if page.answer is not None:
            routes.append(Route(page.path, self._handler(page, page.answer, "POST"), methods=["POST"]))
        return routes

    def _handler(
        self, page: Page, handler: Callable[[Call], Response], method: str
    ) -> Callable[[Request], Awaitable[Response]]:
        async def answer(http: Request) -> Response:
            try:
                with ExitStack() as held:
                    pairs, files = await self._posted(http, page, held) if method == "POST" else ([], {})
                    form = fields_once(pairs)
                    return await self.threads.run(lambda: self._answered(http, page, handler, form, files))
            except Refused as refused:
                return self._problem(http, refused.words, status=400)
            except NotNow:
                return self._problem(http, "", status=503)

        return answer

    async def _posted(self, http: Request, page: Page, held: ExitStack) -> tuple[Pairs, dict[str, Upload]]:
        """Return what was posted. Of files, which stay in memory, nothing is read of whoever is not signed in.

        Raises:
            Refused: FORM_UNFIT.
            NotNow: others' files, or theirs, are on their way in.
        """
        if page.takes_files:
            session = await self.threads.run(lambda: self._known(http))
            if session is None or not session.account:
                return [], {}
            held.enter_context(self._room.taken(session.account))
        return await read_form(http, bytes_max=page.body_bytes_max, takes_files=page.takes_files)

    def _known(self, http: Request) -> PortalSession | None:
        with plainly():
            return self.sessions.find(http)

    def _answered(
        self,
        http: Request,
        page: Page,
        handler: Callable[[Call], Response],
        form: dict[str, str],
        files: dict[str, Upload],
    ) -> Response:
        """Answer one request.

        1. Find the session; a browser that is new here gets one, so that forms can carry its token.
        2. Who is signed in acts by something that stands at this moment (R3); the page is for such a person.
        3. A form is this session's own.
        4. Do it.
        """
        fresh = Response()
        with plainly():
            session = self.sessions.find(http)  # 1
            if session is None and page.person is Person.ANYBODY:
                session = self.sessions.begin(fresh, None, STRANGER)
            account = self._standing(session)  # 2
            if account is not None and session is not None and session.state.helping:
                account = self._acting(session, account)
                if account is None:
                    return go(HELPING)
            call = _call(self, http, session, account, form=form, files=files)
            if page.show is None:
                call = dataclasses.replace(call, location="/")  # nobody comes back to an address without a page
            if (elsewhere := self._elsewhere(http, page, call)) is not None:
                return elsewhere
            try:
                if http.method == "POST":
                    self.sessions.require_form(http, session, form)  # 3
                response = handler(call)  # 4
            except Refused as refused:
                return _refused(call, refused)
            except NotNow:
                return call.page("layouts/not_now.html", title=call.words("Sorry, there is a problem"), status=503)
        response.raw_headers.extend(each for each in fresh.raw_headers if each[0] == b"set-cookie")
        return response

    def _elsewhere(self, http: Request, page: Page, call: Call) -> Response | None:
        """Return where somebody is sent instead of a page that is not for them, or not yet; None to go on."""
        if page.person is Person.ANYBODY:
            return None
        if call.account is None:
            return self._to_sign_in(http, call.session)
        is_hidden = page.person is Person.PATIENT and call.hidden.hides_page(page.path)
        if page.person not in (Person.SIGNED_IN, call.person) or self._is_beyond(call, page) or is_hidden:
            return call.page("layouts/missing.html", title=call.words("Page not found"), status=404)
        if page.person is Person.PATIENT and page.needs_session and not call.signed_in.state.held:
            return call.go(OPENING, next=http.url.path if http.method == "GET" else "")
        return None

    def _standing(self, session: PortalSession | None) -> Account | None:
        """Return the account that is signed in, if what it acts by stands; else end the session."""
        if session is None or not session.account:
            return None
        account = self.accounts.find(session.account)
        try:
            if account is not None and (session.own or not isinstance(account.acts_as, Patient)):
                self.accounts.require_held(account, session.own)
            elif account is not None:
                self.devices.require_known(account)
        except Refused as refused:
            log.info("portal.ended", refusal=refused.refusal)
            account = None
        if account is None:
            self.sessions.drop(session)
        return account

    def _acting(self, session: PortalSession, own: Account) -> Account | None:
        """Return as whom somebody acts for a patient, under their own name; None, and no more of it, once it ended."""
        acting = self.helpers.acting(session.account, session.state.helping[0].account)
        try:
            if acting is not None:
                self.accounts.require_held(acting, session.state.held)
                return msgspec.structs.replace(acting, name=own.name)
        except Refused as refused:
            log.info("portal.help_ended", refusal=refused.refusal)
        said = words_of(session.state.language)("You can no longer help this person. Ask them if you should")
        self.sessions.change(session, helping=(), held=session.own, not_done=said)
        return None

    def _is_beyond(self, call: Call, page: Page) -> bool:
        """Tell whether a patient's page is not for somebody who acts for one."""
        is_helper = bool(call.helped) and page.person is Person.PATIENT
        return is_helper and not may_open(self.accounts, call.owner, page.path)

    def _to_sign_in(self, http: Request, session: PortalSession | None) -> Response:
        response = go(SIGN_IN)
        wanted = http.url.path if http.method == "GET" else ""
        old = session if session is not None and not session.account else None
        before = old.state if old is not None else STRANGER
        if old is None and COOKIE in http.cookies:
            before = _signed_out(session.state.language if session is not None else STRANGER.language)
        wanted = local(wanted) if wanted else ""
        self.sessions.begin(response, old, msgspec.structs.replace(before, next=wanted))
        return response

    def _problem(self, http: Request, words: str, *, status: int) -> Response:
        call = _call(self, http, None, None)
        if status >= 500:
            return call.page("layouts/not_now.html", title=call.words("Sorry, there is a problem"), status=status)
        return call.page(
            "layouts/refused.html", title=call.words("There is a problem"), words_of_it=words, status=status
        )

    async def _nothing_here(self, http: Request) -> Response:
        def missing() -> Response:
            session = self.sessions.find(http)
            call = _call(self, http, session, self._standing(session))
            return call.page("layouts/missing.html", title=call.words("Page not found"), status=404)

        try:
            return await self.threads.run(missing)
        except NotNow:
            return self._problem(http, "", status=503)

    async def _no_such_way(self, http: Request, error: Exception) -> Response:
        """A method that an address does not have, or an address that is none; said to whoever it is."""
        assert isinstance(error, HTTPException), "what Starlette's routes raise"
        call = _call(self, http, None, None)
        response = call.page("layouts/missing.html", title=call.words("Page not found"), status=error.status_code)
        response.headers.update(error.headers or {})
        return response

    async def _failed(self, http: Request, _error: Exception) -> Response:
        """We are wrong, and say so; what was wrong goes to the log, without its words (P4)."""
        return self._problem(http, "", status=500)

    async def _theme(self, _http: Request) -> Response:
        return Response(self.settings.theme, headers=KEPT_OUT, media_type="text/css")


def _call(
    portal: Portal,
    http: Request,
    session: PortalSession | None,
    account: Account | None,
    *,
    form: dict[str, str] | None = None,
    files: dict[str, Upload] | None = None,
) -> Call:
    return Call(
        portal,
        session,
        account,
        location=http.url.path,
        path=http.path_params,
        query=read_query(http),
        form=form or {},
        files=files or {},
        address=http.client.host if http.client is not None else "",
        agent=http.headers.get("user-agent", "")[:200],
        is_fragment=http.headers.get("hx-request") == "true",
    )


def _signed_out(language: str) -> PortalState:
    """What a browser has whose session ended: why, for its next page."""
    words = words_of(language)
    said = words("You were signed out because you were away, or because what you signed in with has ended.")
    return PortalState("", language=language, not_done=said)


def _refused(call: Call, refused: Refused) -> Response:
    status = 429 if refused.refusal is Refusal.TOO_MANY else 403
    log.info("portal.refused", refusal=refused.refusal, number=refused.number)
    title = call.words("There is a problem")
    return call.page("layouts/refused.html", title=title, words_of_it=words_for(call, refused), status=status)


async def _asset(http: Request) -> Response:
    found = assets().files.get(http.path_params["name"])
    if found is None:
        return Response(status_code=404, headers=KEPT_OUT)
    headers = {
        "cache-control": f"public, max-age={KEPT_S}, immutable",
        "vary": "accept-encoding",
        "x-content-type-options": "nosniff",
        "cross-origin-resource-policy": "same-origin",
    }
    if "gzip" in http.headers.get("accept-encoding", ""):
        return Response(found.compressed, headers={**headers, "content-encoding": "gzip"}, media_type=found.media_type)
    return Response(found.plain, headers=headers, media_type=found.media_type)


async def _push_worker(_http: Request) -> Response:
    """What shows notices in a browser; it is at the top, since a worker is for pages below it."""
    headers = {**KEPT_OUT, "content-security-policy": "default-src 'none'"}
    return Response(assets().files["push_worker.js"].plain, headers=headers, media_type="text/javascript")
