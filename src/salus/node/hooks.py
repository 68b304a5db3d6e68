"""Hooks: one HTTP request to an address that a client named, and nothing that only this machine should reach.

Promises: a name is resolved once, and the connection goes to an address that was looked at, so that a name that means
another place a moment later changes nothing; addresses that are not public are refused in every form, unless the
operator allows their network; no redirect is followed, no proxy asked, and little is read of an answer. Plain HTTP is
for networks that the operator allows.
"""

import http.client
import ipaddress
import socket
import ssl
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Final
from urllib.parse import urlsplit

import httpx2

from salus.crypto.hashing import sha256
from salus.node.config import SettingsUnfit

URL_CHARACTERS_MAX: Final = 2_000
CONNECT_S: Final = 5.0
LABEL: Final = "hook"
TAG: Final = "salus-hook-1"
PORTS: Final = {"https": 443, "http": 80}
_CARRIERS: Final = tuple(
    (ipaddress.IPv6Network(network), first_bit)
    for network, first_bit in (
        ("64:ff9b::/96", 0),  # RFC 6052
        ("::/96", 0),  # RFC 4291 2.5.5.1
        ("::ffff:0:0/96", 0),  # RFC 4291 2.5.5.2
        ("::ffff:0:0:0/96", 0),  # RFC 2765 2.1
        ("2002::/16", 80),  # RFC 3056
    )
)
"""Networks of IPv6 that stand for IPv4, and how far from the end the address of IPv4 is in them, in bits."""
_NEVER: Final = tuple(
    ipaddress.IPv6Network(each)
    for each in ("64:ff9b:1::/48", "2001::/32", "fec0::/10")  # RFC 8215, RFC 4380, RFC 3879
)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolve = Callable[[str, int], list[str]]
"""Returns the addresses of a name. Raises OSError."""


Sign = Callable[[Callable[[str], bytes]], bytes]
"""Signs what is made with the id of the key that signs it."""


class HookUnfit(Exception):
    """An address that nothing is sent to; the words say what was expected."""


class HookAway(Exception):
    """What was to be told did not arrive, as far as is known here; the word says at which step."""


@dataclass(frozen=True)
class Hook:
    """An address that may be asked, parsed; `target` is its path with its query."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """Host and port as the Host field has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"


def resolve(name: str, port: int) -> list[str]:
    """Ask the machine's resolver."""
    return [str(each[4][0]) for each in socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)]


@dataclass(frozen=True)
class Hooks:
    """Where a node may send what others subscribed to.

    Args:
        networks: that are not public and allowed all the same.
        tls: how certificates are checked; None checks them as browsers do.
    """

    networks: tuple[Network, ...] = ()
    tls: ssl.SSLContext | None = None
    resolve: Resolve = resolve

    def parsed(self, url: str) -> Hook:
        """Return an address that can be asked, as far as it can be told without its name's addresses.

        Raises:
            HookUnfit: no address of the web, a name or password in it, or HTTP without TLS where nothing is allowed.
        """
        try:
            parts = urlsplit(url)
            port = parts.port or PORTS.get(parts.scheme, 0)
        except ValueError as error:
            raise HookUnfit("expected an endpoint as https://host/path") from error
        is_plain = url.isascii() and url.isprintable() and " " not in url and "\\" not in url
        if not is_plain or len(url) > URL_CHARACTERS_MAX or not parts.hostname or "@" in parts.netloc or parts.fragment:
            raise HookUnfit("expected an endpoint as https://host/path, without a name or a password")
        if parts.scheme not in (("https", "http") if self.networks else ("https",)):
            raise HookUnfit("expected an endpoint that begins with https://")
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return Hook(parts.scheme, parts.hostname, port, target)

    def require_reachable(self, hook: Hook) -> str:
        """Return the address to connect to.

        Raises:
            HookUnfit: every address of the name is one that nothing is sent to.
            HookAway: the name has none at this moment.
        """
        try:
            found = [_address(each) for each in self.resolve(hook.host, hook.port)]
        except (OSError, UnicodeError) as error:
            raise HookAway("resolving") from error
        fit = [each for each in found if self._is_fit(each, hook.scheme)]
        if found and not fit:
            raise HookUnfit("expected an endpoint at a public address, or in a network that the operator allows")
        if not fit:
            raise HookAway("resolving")
        return str(fit[0])

    @contextmanager
    def connected(self, hook: Hook, *, timeout_s: float) -> Iterator["Connection"]:
        """Connect to a hook; nothing is said yet.

        Args:
            timeout_s: for everything, from here to the answer.

        Raises:
            HookUnfit, HookAway.
        """
        address = self.require_reachable(hook)
        try:
            raw = socket.create_connection((address, hook.port), timeout=min(CONNECT_S, timeout_s))
        except OSError as error:
            raise HookAway("connecting") from error
        with _Timed(raw, timeout_s) as timed:
            if hook.scheme == "https":
                self._secure(timed, hook)
            yield Connection(hook, timed.connected)

    def _secure(self, timed: "_Timed", hook: Hook) -> None:
        context = self.tls or _as_browsers_do()
        try:
            secured = context.wrap_socket(timed.connected, server_hostname=hook.host, do_handshake_on_connect=False)
            timed.connected = secured
            secured.do_handshake()
        except (OSError, ValueError) as error:
            raise HookAway("tls") from error

    def _is_fit(self, address: Address, scheme: str) -> bool:
        is_allowed = any(address.version == each.version and address in each for each in self.networks)
        return is_allowed or (scheme == "https" and is_public(address))


@dataclass(frozen=True)
class Message:
    """What is sent to a hook; `target` is path and query, `media_type` is empty where there is no body."""

    method: str
    target: str
    body: bytes = field(repr=False)
    media_type: str


class Connection:
    """A connection to a hook, for one request."""

    def __init__(self, hook: Hook, connected: socket.socket) -> None:
        self._hook = hook
        self._http = http.client.HTTPConnection(hook.host, hook.port)
        self._http.sock = connected

    def send(self, method: str, target: str, fields: Mapping[str, str], body: bytes) -> int:
        """Send a request and return the status of the answer, of which nothing else is read.

        Args:
            target: path and query.

        Raises:
            HookAway: it was cut off, or was no HTTP.
        """
        try:
            self._http.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
            for name, value in {"host": self._hook.authority, **fields, "content-length": str(len(body))}.items():
                self._http.putheader(name, value)
            self._http.putheader("connection", "close")
            self._http.endheaders(body or None)
            return self._http.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            raise HookAway("answering") from error


def hooks_of(networks: Sequence[str], authorities: str) -> Hooks:
    """Return where may be sent to, as an operator's settings say.

    Args:
        authorities: a file in PEM of who else signs certificates; empty for none.

    Raises:
        SettingsUnfit.
    """
    tls = _as_browsers_do() if not authorities else httpx2.create_ssl_context()
    try:
        if authorities:
            tls.load_verify_locations(authorities)
        return Hooks(tuple(ipaddress.ip_network(each) for each in networks), tls)
    except (OSError, ValueError) as error:
        words = "expected networks such as 10.1.2.0/24 as hook_networks under [fhir], and hook_authorities in PEM"
        raise SettingsUnfit(words) from error


def signed_fields(hook: Hook, message: Message, sign: Sign, *, created_s: int) -> dict[str, str]:
    """Return the header fields that say what a request's body is, and who signed where it goes and what it says.

    Source: RFC 9421 2.5, over a content digest (RFC 9530).
    """
    uri = f"{hook.scheme}://{hook.authority}{message.target}"
    said = {"content-digest": f"sha-256=:{b64encode(sha256(message.body)).decode()}:"}
    if message.media_type:
        said["content-type"] = message.media_type
    covered = {"@method": message.method, "@target-uri": uri, **said}
    names = " ".join(f'"{each}"' for each in covered)
    parameters = ""

    def base(key: str) -> bytes:
        nonlocal parameters
        parameters = f'({names});created={created_s};keyid="{key}";alg="ed25519";tag="{TAG}"'
        lines = [f'"{name}": {value}' for name, value in covered.items()]
        return "\n".join([*lines, f'"@signature-params": {parameters}']).encode()

    signature = b64encode(sign(base)).decode()
    return {**said, "signature-input": f"{LABEL}={parameters}", "signature": f"{LABEL}=:{signature}:"}


def is_public(address: Address) -> bool:
    """Tell whether an address is one of the open Internet, also when it is written as IPv6."""
    if isinstance(address, ipaddress.IPv6Address):
        for network, from_end in _CARRIERS:
            if address in network:
                return is_public(ipaddress.IPv4Address((int(address) >> from_end) & 0xFFFF_FFFF))
        if any(address in each for each in _NEVER) or address.scope_id:
            return False
    return address.is_global and not address.is_multicast


def _address(text: str) -> Address:
    return ipaddress.ip_address(text)


@cache  # reading the machine's certificates takes longer than asking
def _as_browsers_do() -> ssl.SSLContext:
    return httpx2.create_ssl_context()


class _Timed:
    """A socket that is cut off when its time is over, however slowly bytes come, and closed at the end."""

    def __init__(self, connected: socket.socket, timeout_s: float) -> None:
        self.connected = connected
        self._timer = threading.Timer(timeout_s, self._cut)
        self._timer.daemon = True

    def __enter__(self) -> "_Timed":
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self.connected.close()

    def _cut(self) -> None:
        with suppress(OSError):  # it has ended by itself
            self.connected.shutdown(socket.SHUT_RDWR)
