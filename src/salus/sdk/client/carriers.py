"""The two clients: what carries plans out, in threads or in asyncio. All that is said and read is in the plans.

Promises: a token goes to its own server only, redirects are not followed, no proxy is read from the environment; an
answer above the bound is given up; a token that has ended is renewed once, where this can be done.
"""

import ssl
import time
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import httpx2

from salus.sdk.client.errors import Unavailable
from salus.sdk.client.plans import Ask, Came, Plan, resolved
from salus.sdk.client.signing_in import SigningIn, Token

TIMEOUT_S: Final = 60.0
ANSWER_BYTES_MAX: Final = 256 << 20
EARLY_S: Final = 20.0
"""So long before its end a token is renewed."""

T = TypeVar("T")


class Session:
    """Where a client is signed in: adds the token to what plans send; neither waits nor sends by itself."""

    def __init__(self, base: str, signing_in: SigningIn, clock: Callable[[], float]) -> None:
        self.base = base.rstrip("/")
        self._signing_in = signing_in
        self._clock = clock
        self._token: Token | None = None

    def signed(self, plan: Plan[T]) -> Plan[T]:
        """Return a plan that does the same with a token; once anew when it has ended."""
        try:
            ask = next(plan)
            while True:
                came = yield from self._signed(ask)
                ask = plan.send(came)
        except StopIteration as stop:
            done: T = stop.value
            return done

    def _signed(self, ask: Ask) -> Plan[Came]:
        token = yield from self._current()
        came = yield self._with(ask, token)
        if came.status == 401 and self._signing_in.can_renew:
            self._token = None
            token = yield from self._current()
            came = yield self._with(ask, token)
        return came

    def _current(self) -> Plan[Token]:
        if self._token is None or 0 < self._token.until_s <= self._clock() + EARLY_S:
            self._token = yield from self._signing_in.token(self.base, now_s=self._clock())
        return self._token

    def _with(self, ask: Ask, token: Token) -> Ask:
        headers = {**ask.headers, "authorization": f"Bearer {token.value}"}
        return replace(ask, url=resolved(self.base, ask.url), headers=headers)


def _settings(tls: ssl.SSLContext | None, timeout_s: float) -> dict[str, Any]:
    return {"verify": tls or True, "timeout": timeout_s, "trust_env": False, "follow_redirects": False}


def _came(response: httpx2.Response, body: bytes) -> Came:
    return Came(response.status_code, body, {name.lower(): value for name, value in response.headers.items()})


def _require_room(size_bytes: int) -> None:
    if size_bytes > ANSWER_BYTES_MAX:
        raise Unavailable(f"expected an answer of at most {ANSWER_BYTES_MAX} bytes, more came: ask for less at once")


def _lost(error: httpx2.HTTPError | httpx2.InvalidURL) -> Unavailable:
    return Unavailable(f"the server does not answer ({type(error).__name__}): try later")


class Client:
    """A client for programs with threads; one thread uses it at a time.

    Args:
        base: the address of the FHIR server.
        tls: whom to trust; None trusts as browsers do.
        clock: Unix seconds.
    """

    def __init__(
        self,
        base: str,
        signing_in: SigningIn,
        *,
        tls: ssl.SSLContext | None = None,
        timeout_s: float = TIMEOUT_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._session = Session(base, signing_in, clock)
        self._http = httpx2.Client(**_settings(tls, timeout_s))

    def run(self, plan: Plan[T]) -> T:
        """Carry a plan out. Raises Rejected, Unavailable, and what the plan says."""
        steps = self._session.signed(plan)
        try:
            ask = next(steps)
            while True:
                ask = steps.send(self._send(ask))
        except StopIteration as stop:
            done: T = stop.value
            return done

    def _send(self, ask: Ask) -> Came:
        try:
            with self._http.stream(ask.method, ask.url, content=ask.body, headers=dict(ask.headers)) as response:
                body = bytearray()
                for chunk in response.iter_bytes():
                    body += chunk
                    _require_room(len(body))
                return _came(response, bytes(body))
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise _lost(error) from error

    def close(self) -> None:
        """End every connection."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _where: TracebackType | None
    ) -> None:
        self.close()


class AsyncClient:
    """The same for programs with asyncio; one task uses it at a time."""

    def __init__(
        self,
        base: str,
        signing_in: SigningIn,
        *,
        tls: ssl.SSLContext | None = None,
        timeout_s: float = TIMEOUT_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._session = Session(base, signing_in, clock)
        self._http = httpx2.AsyncClient(**_settings(tls, timeout_s))

    async def run(self, plan: Plan[T]) -> T:
        """Carry a plan out. Raises Rejected, Unavailable, and what the plan says."""
        steps = self._session.signed(plan)
        try:
            ask = next(steps)
            while True:
                ask = steps.send(await self._send(ask))
        except StopIteration as stop:
            done: T = stop.value
            return done

    async def _send(self, ask: Ask) -> Came:
        try:
            async with self._http.stream(ask.method, ask.url, content=ask.body, headers=dict(ask.headers)) as response:
                body = bytearray()
                async for chunk in response.aiter_bytes():
                    body += chunk
                    _require_room(len(body))
                return _came(response, bytes(body))
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise _lost(error) from error

    async def close(self) -> None:
        """End every connection."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _where: TracebackType | None
    ) -> None:
        await self.close()
