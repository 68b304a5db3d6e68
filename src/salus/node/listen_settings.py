"""Where a node answers: the tables of `node.toml` that name a socket, whom it is for, and who else signs people in."""

from typing import Annotated

import msgspec
from msgspec import Meta

PortField = Annotated[int, Meta(ge=0, le=65_535)]
NameField = Annotated[str, Meta(pattern=r"^([A-Za-z0-9-]{1,40})?$")]
CountField = Annotated[int, Meta(ge=1, le=1024)]


class Listen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a node answers, and with how many processes."""

    host: str = "127.0.0.1"
    port: PortField = 0
    workers: CountField = 1


class SignInProvider(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An outside OpenID Connect provider whose sign-ins count here, such as CIS2 or NHS login.

    Args:
        name: a short word for it, which is in addresses; title: as people read it.
        issuer: as its tokens name it, compared whole.
        client_id: under which it knows this node.
        authorization_endpoint, token_endpoint, jwks_uri: of its discovery document, written here by the operator.
        secret: a file with what this node shows itself by, as at CIS2; empty where it signs instead.
        key: a file with an RSA key in PEM with which it signs (private_key_jwt, RS512), as at NHS login; or empty.
        scope: what is asked for.
        level_claim: the claim that says how well it knows the person; levels: those that are good enough here, or any.
    """

    name: Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,32}$")]
    title: str
    issuer: str
    client_id: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    secret: str = ""
    key: str = ""
    scope: str = "openid"
    level_claim: str = ""
    levels: tuple[str, ...] = ()


class Launcher(SignInProvider, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Another system, such as a practice's own, whose users open records here (SMART App Launch, EHR launch).

    Args:
        fhir: the address of its FHIR server, which it names as `iss`; compared whole.
    """

    fhir: str
    scope: str = "launch openid fhirUser patient/Patient.r"


class FhirListen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a node's FHIR server answers; without this table there is none, and nothing is indexed for it.

    Args:
        base: the address under which clients know it, `https://…/FHIR/R4`, without a slash at its end.
        certificate, key: files in PEM for TLS; empty only on loopback, where something else ends TLS.
        caller_field: in which that names who calls, such as `X-Forwarded-For`; its last address counts; or empty.
        needs_request_id: refuse writes without `X-Request-ID`, as NHS APIs do.
        body_bytes_max, entries_max: of one request, of one bundle of requests; page_count_max: hits on one page.
        providers: where else people sign in.
        profiles: a folder of definitions beside FHIR's own, by which whatever claims them is validated; or empty.
        demanded_profiles: addresses of those that every resource of their type must conform to.
        hook_networks: networks that are not public and to which subscriptions may tell, such as `10.1.2.0/24`.
        hook_authorities: a file in PEM of who else signs certificates of their endpoints; or empty.
    """

    base: str
    host: str = "127.0.0.1"
    port: PortField = 0
    certificate: str = ""
    key: str = ""
    caller_field: NameField = ""
    needs_request_id: bool = False
    body_bytes_max: Annotated[int, Meta(ge=1_000, le=50_000_000)] = 50_000_000
    entries_max: Annotated[int, Meta(ge=1, le=10_000)] = 10_000
    page_count_max: Annotated[int, Meta(ge=1, le=1_000)] = 1_000
    providers: tuple[SignInProvider, ...] = ()
    profiles: str = ""
    demanded_profiles: tuple[str, ...] = ()
    hook_networks: tuple[str, ...] = ()
    hook_authorities: str = ""


class MailRelay(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The mail server through which patients are told that something has changed.

    Args:
        sender: the address that mail is from.
        starttls: whether TLS is begun (RFC 3207); only a server on this machine is spoken to without.
        name: by which it knows this node, with a file that has the password as `secret`; both empty for none.
        authorities: a file in PEM of who else signs its certificate; or empty.
    """

    host: str
    sender: str
    port: PortField = 587
    starttls: bool = True
    name: str = ""
    secret: str = ""
    authorities: str = ""


class PushSender(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """By what browsers are told that something has changed (Web Push).

    Args:
        key: the file of the key by which push services know this portal; it is made where there is none.
        contact: whom their operators ask, `mailto:…` or `https://…`.
    """

    contact: str
    key: str = "push.key"


class PortalListen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a node's portal answers; without this table there is none. It needs `[fhir]`, which keeps the index.

    Args:
        origin: the address under which browsers know it, `https://…`, without a path; passkeys are bound to its name.
            On one's own machine `http://localhost:…`, which browsers treat as they treat TLS.
        certificate, key: files in PEM for TLS; empty only on loopback, where something else ends TLS.
        caller_field: in which that names who calls, such as `X-Forwarded-For`; its last address counts; or empty.
        service_name: what people call it.
        theme: a file with a style sheet that comes after ours; or empty.
        signer: the origin at which `salus signer serve` gives out the page where patients' own keys open; or empty.
        trust: a trust file that the verifier page begins with; or empty.
        providers: where else people sign in.
        launchers: from where else clinicians open records.
        mail, push: by what patients are told outside of the portal that something has changed; None for neither.
    """

    origin: str
    host: str = "127.0.0.1"
    port: PortField = 0
    certificate: str = ""
    key: str = ""
    caller_field: NameField = ""
    service_name: Annotated[str, Meta(min_length=1, max_length=60)] = "My health record"
    theme: str = ""
    signer: str = ""
    trust: str = ""
    providers: tuple[SignInProvider, ...] = ()
    launchers: tuple[Launcher, ...] = ()
    mail: MailRelay | None = None
    push: PushSender | None = None
