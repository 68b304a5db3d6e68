"""An OpenID Connect provider of our own, served over HTTP: in the shape of CIS2, or in that of NHS login.

It believes whoever comes, as tests want, and checks what this node owes it: client authentication, PKCE, redirect URI.
"""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import uvicorn
from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from salus.node.listen_settings import SignInProvider
from salus.node.services.grants import challenge_of

SECRET = "a secret of this node"


@dataclass
class OutsideProvider:
    """A running provider; `claims` and the other fields change what its next answer says."""

    issuer: str
    client_id: str
    level_claim: str
    node_key: RSAKey | None
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "p1"}))
    signs_with: RSAKey | None = None
    algorithm: str = "RS512"
    claims: dict[str, Any] = field(default_factory=dict)
    subject: str = "910000000001"
    level: str = "3"
    status: int = 200
    seen: list[dict[str, str]] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def settings(self, folder: Path, name: str, *, levels: tuple[str, ...] = ()) -> SignInProvider:
        """As the operator of the hospital writes it down."""
        file = folder / name
        file.touch(mode=0o600)
        file.write_text(self.node_key.as_pem(private=True).decode() if self.node_key else SECRET + "\n")
        return SignInProvider(
            name=name,
            title=name.upper(),
            issuer=self.issuer,
            client_id=self.client_id,
            authorization_endpoint=f"{self.issuer}/authorize",
            token_endpoint=f"{self.issuer}/token",
            jwks_uri=f"{self.issuer}/jwks",
            secret="" if self.node_key else str(file),
            key=str(file) if self.node_key else "",
            level_claim=self.level_claim,
            levels=levels,
        )

    def app(self) -> Starlette:
        routes = [
            Route("/authorize", self.authorize),
            Route("/token", self.token, methods=["POST"]),
            Route("/jwks", self.jwks),
        ]
        return Starlette(routes=routes)

    async def authorize(self, http: Request) -> Response:
        asked = dict(http.query_params)
        code = f"code-{len(self.codes)}"
        self.codes[code] = asked
        said = {"code": code, "state": asked["state"], "iss": self.issuer}
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode(said)}", 302)

    async def token(self, http: Request) -> Response:
        form = dict(parse_qsl((await http.body()).decode()))
        self.seen.append(form)
        asked = self.codes.pop(form.get("code", ""), None)
        is_fit = (
            asked is not None
            and form["redirect_uri"] == asked["redirect_uri"]
            and challenge_of(form["code_verifier"]) == asked["code_challenge"]
            and self._knows(form)
        )
        if asked is None or not is_fit or self.status != 200:
            return JSONResponse({"error": "invalid_grant"}, self.status if self.status != 200 else 400)
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "sub": self.subject,
            "aud": self.client_id,
            "iat": now,
            "exp": now + 300,
            "nonce": asked["nonce"],
            self.level_claim: self.level,
            **self.claims,
        }
        kept = {name: value for name, value in claims.items() if value is not None}
        key = self.signs_with or self.key
        signed = jwt.encode({"alg": self.algorithm, "kid": "p1"}, kept, key, algorithms=[self.algorithm])
        return JSONResponse({"access_token": "x", "token_type": "Bearer", "id_token": signed})

    async def jwks(self, http: Request) -> Response:
        return JSONResponse({"keys": [self.key.as_dict(private=False)]})

    def _knows(self, form: dict[str, str]) -> bool:
        if self.node_key is None:
            return form.get("client_secret") == SECRET
        claims = jwt.decode(form["client_assertion"], self.node_key, algorithms=["RS512"]).claims
        return claims["iss"] == claims["sub"] == self.client_id and claims["aud"] == f"{self.issuer}/token"


@contextmanager
def running(*, level_claim: str, signs: bool) -> Iterator[OutsideProvider]:
    """Serve a provider on a free port until the block ends."""
    listening = socket.create_server(("127.0.0.1", 0))
    issuer = f"http://127.0.0.1:{listening.getsockname()[1]}"
    node_key = RSAKey.generate_key(2048, {"kid": "node"}) if signs else None
    made = OutsideProvider(issuer, "salus-node", level_claim, node_key)
    server = uvicorn.Server(uvicorn.Config(made.app(), log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield made
    finally:
        server.should_exit = True
        thread.join()
        listening.close()
