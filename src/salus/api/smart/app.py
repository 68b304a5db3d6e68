"""Signing in and letting apps in, as routes beside the FHIR server's own.

Each route reads what came, calls one service in a thread, and renders. A page says in plain words what went wrong; an
endpoint for programs says it as OAuth does; neither repeats what came.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from salus.api.smart import authorization, discovery, pages
from salus.api.smart.access import Gate
from salus.api.smart.answers import ANY_ORIGIN, OAuthFailure, as_json, failed, pairs_once, read_form
from salus.api.smart.authorization import Asked, SentBack
from salus.api.smart.browsers import Browser, Browsers
from salus.api.smart.client_authentication import ClientAuthentication
from salus.api.smart.desk import Desk, Manager
from salus.api.smart.pages import Pages
from salus.api.smart.settings import SmartSettings
from salus.api.smart.signing_keys import SigningKeys
from salus.api.smart.token_endpoint import PatientId, TokenEndpoint
from salus.node.answer import plainly
from salus.node.assemble import Node
from salus.node.bearers import Bearers
from salus.node.errors import NotNow, Refusal, Refused
from salus.node.pool import Pool
from salus.node.sealed_rows import SealedRows
from salus.node.services.accounts import AccountId, Accounts
from salus.node.services.apps import Apps
from salus.node.services.grants import Grants
from salus.node.services.outside_sign_in import Begun, Fetch, OutsideSignIn, fetch

SIGN_IN_PATH: Final = "/oauth/sign-in"
PATIENT_PATH: Final = "/oauth/patient"
CONSENT_PATH: Final = "/oauth/consent"
THREADS: Final = 4
WAITING_MAX: Final = 32
PREFLIGHT: Final = {
    **ANY_ORIGIN,
    "access-control-allow-methods": "POST",
    "access-control-allow-headers": "authorization, content-type",
    "access-control-max-age": "600",
}

T = TypeVar("T")
Handler = Callable[[Request], Awaitable[Response]]

log = structlog.get_logger("salus.smart")


class Smart:
    """The routes of one node, and the gate that its FHIR server asks."""

    def __init__(self, node: Node, settings: SmartSettings, patient_id: PatientId, *, fetching: Fetch = fetch) -> None:
        rows = SealedRows(node.vault, node.chain)
        self._settings = settings
        self._pages = Pages(node.title())
        self.apps, self.accounts, bearers = Apps(node, rows), Accounts(node, rows), Bearers(node, rows)
        self.grants = Grants(node, rows, apps=self.apps, accounts=self.accounts, bearers=bearers)
        self.gate = Gate(self.grants)
        self.keys = SigningKeys(node, rows)
        clients = ClientAuthentication(node, self.apps, audience=settings.at(discovery.TOKEN_PATH))
        self._tokens = TokenEndpoint(
            node, settings, grants=self.grants, clients=clients, keys=self.keys, patient_id=patient_id
        )
        self._browsers = Browsers(node, bearers, issuer=settings.issuer)
        self.desk = Desk(node, settings, apps=self.apps, accounts=self.accounts, grants=self.grants, bearers=bearers)
        self._manager = Manager(apps=self.apps, accounts=self.accounts, grants=self.grants)
        self._outside = OutsideSignIn(
            node,
            settings.providers,
            back=lambda name: settings.at(f"/oauth/outside/{name}/back"),
            fetching=fetching,
        )
        self._pool = Pool(THREADS, waiting_max=WAITING_MAX)

    def routes(self, fhir_prefixes: Sequence[str]) -> list[Route]:
        """Return the routes; SMART's configuration is under each address of the FHIR server as well."""
        well_known = [prefix + discovery.SMART_PATH for prefix in ("", *fhir_prefixes)]
        configured = [*well_known, discovery.OPENID_PATH, discovery.OAUTH_PATH]
        for_programs = {
            discovery.TOKEN_PATH: self.token,
            discovery.INTROSPECT_PATH: self.introspect,
            discovery.REVOKE_PATH: self.revoke,
        }
        for_people: list[tuple[str, Handler, str]] = [
            (discovery.AUTHORIZE_PATH, self.authorize, "GET"),
            (discovery.AUTHORIZE_PATH, self.authorize, "POST"),
            (SIGN_IN_PATH, self.show_sign_in, "GET"),
            (SIGN_IN_PATH, self.sign_in, "POST"),
            ("/oauth/outside/{provider}", self.begin_outside, "POST"),
            ("/oauth/outside/{provider}/back", self.finish_outside, "GET"),
            (PATIENT_PATH, self.show_patient, "GET"),
            (PATIENT_PATH, self.choose_patient, "POST"),
            (CONSENT_PATH, self.show_consent, "GET"),
            (CONSENT_PATH, self.consent, "POST"),
            (discovery.MANAGE_PATH, self.show_apps, "GET"),
            (discovery.MANAGE_PATH, self.end_app, "POST"),
            ("/oauth/sign-out", self.sign_out, "POST"),
        ]
        return [
            *(Route(path, self.configuration, methods=["GET"]) for path in configured),
            Route(discovery.JWKS_PATH, self.jwks, methods=["GET"]),
            Route(pages.STYLE_PATH, _style, methods=["GET"]),
            *(Route(path, _for_programs(handler), methods=["POST"]) for path, handler in for_programs.items()),
            *(Route(path, _preflight, methods=["OPTIONS"]) for path in for_programs),
            *(Route(path, self._for_people(handler), methods=[method]) for path, handler, method in for_people),
        ]

    def close(self) -> None:
        """Let running work finish."""
        self._pool.close()

    async def configuration(self, _http: Request) -> Response:
        """What apps find out by themselves."""
        return as_json(discovery.configuration(self._settings))

    async def jwks(self, _http: Request) -> Response:
        """The public keys."""
        return as_json(await self._run(self.keys.jwks), headers={"cache-control": "public, max-age=3600"})

    async def token(self, http: Request) -> Response:
        """Tokens (RFC 6749 3.2)."""
        form, shown = await self._form(http), http.headers.get("authorization", "")
        return as_json(await self._run(lambda: self._tokens.token(form, shown)))

    async def introspect(self, http: Request) -> Response:
        """What a token is (RFC 7662)."""
        form, shown = await self._form(http), http.headers.get("authorization", "")
        return as_json(await self._run(lambda: self._tokens.introspect(form, shown)))

    async def revoke(self, http: Request) -> Response:
        """End of a token (RFC 7009)."""
        form, shown = await self._form(http), http.headers.get("authorization", "")
        await self._run(lambda: self._tokens.revoke(form, shown))
        return as_json({})

    async def authorize(self, http: Request) -> Response:
        """An app asks to be let in (RFC 6749 3.1)."""
        if http.method == "POST":
            fields = await self._form(http)
        else:
            fields = pairs_once(http.scope["query_string"].decode("ascii", "replace"))
        asked = await self._run(lambda: authorization.read(fields, self.apps, self._settings))
        old = await self._run(lambda: self._browsers.find(http))
        response = pages.go(CONSENT_PATH if old is not None and old.account else SIGN_IN_PATH)
        await self._run(lambda: self._browsers.begin(response, old, asked=(asked,), patient=b"", outside=()))
        return response

    async def show_sign_in(self, http: Request) -> Response:
        """The page on which people sign in; somebody who comes by themselves gets a cookie first."""
        browser = await self._run(lambda: self._browsers.find(http))
        if browser is None:
            response = pages.go(SIGN_IN_PATH)
            await self._run(lambda: self._browsers.begin(response, None))
            return response
        return await self._sign_in_page(browser)

    async def sign_in(self, http: Request) -> Response:
        """A name and a password come."""
        browser, form = await self._own(http)
        address = http.client.host if http.client is not None else ""
        name, password = form.get("name", ""), form.get("password", "")
        try:
            account = await self._run(lambda: self.accounts.sign_in(name, password, address=address))
        except Refused as refused:
            status = 429 if refused.refusal is Refusal.TOO_MANY else 400
            return await self._sign_in_page(browser, error=refused.words, status=status)
        return await self._signed_in(browser, account, level="")

    async def begin_outside(self, http: Request) -> Response:
        """Somebody wants to sign in at an outside provider."""
        browser, _ = await self._own(http)
        begun, location = self._outside.begin(http.path_params["provider"])
        await self._run(lambda: self._browsers.change(browser, outside=(begun,)))
        return pages.go(location)

    async def finish_outside(self, http: Request) -> Response:
        """Somebody comes back from an outside provider."""
        fields = pairs_once(http.scope["query_string"].decode("ascii", "replace"))
        browser = await self._run(lambda: self._browsers.require(http))
        provider, begun = http.path_params["provider"], browser.state.outside
        await self._run(lambda: self._browsers.change(browser, outside=()))
        address = http.client.host if http.client is not None else ""
        account, level = await self._run(lambda: self._finished_outside(address, provider, begun, fields))
        return await self._signed_in(browser, account, level=level)

    async def show_patient(self, http: Request) -> Response:
        """The page on which staff says which patient it is about."""
        browser = await self._signed(http)
        return await self._patient_page(browser)

    async def choose_patient(self, http: Request) -> Response:
        """A number and a date of birth come."""
        browser, form = await self._own(http)
        number, born = form.get("number", ""), _date(form)
        try:
            found = await self._run(lambda: self.desk.find_patient(browser.account, number=number, born=born))
        except Refused as refused:
            status = 429 if refused.refusal is Refusal.TOO_MANY else 400
            return await self._patient_page(browser, error=refused.words, status=status)
        await self._run(lambda: self._browsers.change(browser, patient=found))
        return pages.go(CONSENT_PATH)

    async def show_consent(self, http: Request) -> Response:
        """The page on which somebody lets an app in, or does not."""
        browser = await self._signed(http)
        proposal = await self._run(lambda: self.desk.propose(browser.account, browser.asked, browser.state.patient))
        if proposal.needs_choice:
            return pages.go(PATIENT_PATH)
        if proposal.patient != browser.state.patient:
            await self._run(lambda: self._browsers.change(browser, patient=proposal.patient))
        return self._pages.page(
            "consent",
            goes_to=browser.asked.redirect_uri,
            app=proposal.app.name,
            name=proposal.account.name,
            form=browser.state.form,
            scopes=proposal.words,
            place=proposal.place,
        )

    async def consent(self, http: Request) -> Response:
        """Somebody has answered."""
        browser, form = await self._own(http)
        if not browser.account:
            return pages.go(SIGN_IN_PATH)
        asked = browser.asked
        ticked = {value for name, value in form.items() if name.startswith("s") and name[1:].isdecimal()}
        await self._run(lambda: self._browsers.change(browser, asked=(), patient=b""))
        if form.get("answer") != "allow":
            raise SentBack(self._refusal(asked, "access_denied", "the person did not let this app in"))
        state = browser.state
        code = await self._run(
            lambda: self.desk.allow(browser.account, asked, state.patient, ticked, level=state.level)
        )
        if not await self._run(lambda: self._browsers.stands(browser)):  # what ends grants has not ended this one
            await self._run(lambda: self.grants.take_back(code))
            raise SentBack(self._refusal(asked, "access_denied", "the person was signed out meanwhile"))
        log.info("smart.let_in", app=asked.app)
        return pages.go(authorization.accepted(self._settings, asked, code))

    async def show_apps(self, http: Request) -> Response:
        """The page of those who were let in."""
        browser = await self._run(lambda: self._browsers.find(http))
        if browser is None or not browser.account:
            return pages.go(SIGN_IN_PATH)
        name, given = await self._run(lambda: self._manager.given_by(browser.account))
        return self._pages.page("apps", name=name, given=given, form=browser.state.form)

    async def end_app(self, http: Request) -> Response:
        """Somebody ends an app's access."""
        browser, form = await self._own(http)
        await self._run(lambda: self._manager.end(browser.account, form.get("grant", "")))
        return pages.go(discovery.MANAGE_PATH)

    async def sign_out(self, http: Request) -> Response:
        """Somebody signs out."""
        browser, _ = await self._own(http)
        response = self._pages.message("you can close this page", heading="You are signed out", status=200)
        await self._run(lambda: self._browsers.end(response, browser))
        return response

    def _finished_outside(
        self, address: str, provider: str, begun: tuple[Begun, ...], fields: dict[str, str]
    ) -> tuple[AccountId, str]:
        with self.accounts.tried_from(address):
            who = self._outside.finish(provider, begun, fields)
            return self.accounts.sign_in_linked(issuer=who.issuer, subject=who.subject), who.level

    async def _signed_in(self, browser: Browser, account: bytes, *, level: str) -> Response:
        """Give a browser that has signed in a new cookie: one that was planted before opens nothing."""
        response = pages.go(CONSENT_PATH if browser.state.asked else discovery.MANAGE_PATH)
        await self._run(
            lambda: self._browsers.begin(response, browser, account=account, level=level, patient=b"", outside=())
        )
        return response

    async def _signed(self, http: Request) -> Browser:
        browser = await self._run(lambda: self._browsers.require(http))
        if not browser.account:
            raise OAuthFailure("access_denied", "sign in first: go back to the app and begin again")
        return browser

    async def _own(self, http: Request) -> tuple[Browser, dict[str, str]]:
        form = await self._form(http)
        return await self._run(lambda: self._browsers.require_form(http, form)), form

    async def _sign_in_page(self, browser: Browser, *, error: str = "", status: int = 200) -> Response:
        asked = browser.state.asked
        app = await self._run(lambda: self.apps.find(asked[0].app)) if asked else None
        providers = [(each.name, each.title) for each in self._settings.providers]
        return self._pages.page(
            "sign_in",
            status=status,
            app=app.name if app is not None else "",
            providers=providers,
            form=browser.state.form,
            error=error,
        )

    async def _patient_page(self, browser: Browser, *, error: str = "", status: int = 200) -> Response:
        app = await self._run(lambda: self.desk.require_app(browser.asked))
        return self._pages.page("patient", status=status, app=app.name, form=browser.state.form, error=error)

    async def _form(self, http: Request) -> dict[str, str]:
        return await read_form(http, bytes_max=self._settings.body_bytes_max)

    async def _run(self, work: Callable[[], T]) -> T:
        def said_plainly() -> T:
            with plainly():
                return work()

        return await self._pool.run(said_plainly)

    def _for_people(self, handler: Handler) -> Handler:
        async def answer(http: Request) -> Response:
            try:
                return await handler(http)
            except SentBack as sent:
                return pages.go(sent.location)
            except OAuthFailure as failure:
                return self._pages.message(failure.words, status=failure.status)
            except Refused as refused:
                return self._pages.message(refused.words, status=429 if refused.refusal is Refusal.TOO_MANY else 403)
            except NotNow:
                return self._pages.message("this does not work at this moment: try again in a minute", status=503)

        return answer

    def _refusal(self, asked: Asked, error: str, words: str) -> str:
        return authorization.refusal(self._settings, asked.redirect_uri, asked.state, OAuthFailure(error, words))


def _date(form: dict[str, str]) -> str:
    """The date of three fields, as ISO 8601 writes it; whether there is such a day is for others to say."""
    day, month, year = (form.get(name, "").strip() for name in ("day", "month", "year"))
    return f"{year}-{month:0>2}-{day:0>2}"


def _for_programs(handler: Handler) -> Handler:
    async def answer(http: Request) -> Response:
        try:
            return await handler(http)
        except OAuthFailure as failure:
            log.info("smart.refused", error=failure.error)
            return failed(failure)
        except Refused as refused:
            return failed(OAuthFailure("invalid_request", refused.words))
        except NotNow as error:
            return failed(OAuthFailure("temporarily_unavailable", str(error), status=503))

    return answer


async def _style(_http: Request) -> Response:
    return Response(pages.STYLE, headers={"cache-control": "public, max-age=3600"}, media_type="text/css")


async def _preflight(_http: Request) -> Response:
    return Response(status_code=204, headers=PREFLIGHT)
