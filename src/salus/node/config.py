"""Settings: of a node, of a ledger process, of a whole network, each a TOML file read once and passed on as a value.

A relative path means relative to the file that names it, so that a folder can be moved. No secret is in these files:
keys and credentials are in files of their own, which only their owner may read.
"""

import tomllib
from pathlib import Path
from typing import Annotated, Final, TypeVar
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from salus.contracts.genesis import Genesis, GenesisInvalid, decode_genesis
from salus.ledger.encoding import EncodingInvalid
from salus.ledger.identifiers import OrganisationIdField
from salus.node.listen_settings import (
    CountField,
    FhirListen,
    Listen,
    MailRelay,
    PortalListen,
    PortField,
    SignInProvider,
)
from salus.node.toml_text import table, text

LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
NODE_FILE = "node.toml"
LEDGER_FILE = "ledger.toml"
NETWORK_FILE = "network.toml"

RateField = Annotated[int, Meta(ge=1, le=10_000_000)]


class SettingsUnfit(Exception):
    """A settings file is missing or not what it must be; the message says what was expected, what came, what to do."""


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a node lets others ask of it; threads and streams are for each worker, rates for the node.

    Args:
        threads: asks that are answered at one time.
        waiting_max: asks that may wait for a thread.
        streams_max: streams at one time.
        asks_per_minute: of one member, all kinds together.
        matches_per_minute: of one member.
    """

    threads: CountField = 8
    waiting_max: CountField = 64
    streams_max: CountField = 8
    asks_per_minute: RateField = 30_000
    matches_per_minute: RateField = 600


class PersonLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one certified person may do, whatever the sessions; a registration joins a person's certificates.

    Args:
        emergencies_max: of one person within the window: asked for from here, and released from here.
        sessions_max: sessions of one person of this organisation that it asks in, within the window.
        window_h: the window, in hours.
    """

    emergencies_max: RateField = 12
    sessions_max: RateField = 200
    window_h: Annotated[int, Meta(ge=1, le=744)] = 24


PERSON_LIMITS: Final = PersonLimits()
"""Where no settings file says otherwise."""


class Bucket(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A bucket of an S3 server for large sealed objects.

    Args:
        credentials: a TOML file with `access_key` and `secret_key` that only its owner may read.
    """

    name: str
    endpoint: str
    credentials: str
    region: str = "eu-west-2"


class NodeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A node's settings as they stand in `node.toml`.

    Args:
        database: `sqlite:///node.db` (relative to the file), `sqlite:////path`, or `postgresql+psycopg://…`.
        objects: the folder of large sealed objects; not used when there is a `bucket`.
        root_keys: the two key files of the epoch root, in two folders, on two disks where there are two.
        key_backup: a file that gets the key table at each renewal of the root; empty leaves backups to the operator.
    """

    organisation: OrganisationIdField
    genesis: str
    keys: str
    ledger_folder: str
    ledger_socket: str
    root_keys: tuple[str, str]
    database: str = "sqlite:///node.db"
    objects: str = "objects"
    bucket: Bucket | None = None
    key_backup: str = ""
    listen: Listen = Listen()
    limits: Limits = Limits()
    person_limits: PersonLimits = PERSON_LIMITS
    fhir: FhirListen | None = None
    portal: PortalListen | None = None
    metrics_port: PortField = 0


class SyncSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a ledger process without a ledger begins: with a snapshot after a header that a member has named.

    Args:
        servers: where members hand out signed headers, `http://host:port`, at least two.
        height: of the trusted header; `hash` is its hash in hexadecimal.
    """

    servers: tuple[str, ...]
    height: int
    hash: str


class CometSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The CometBFT node beside a ledger process, where several organisations keep one ledger.

    Args:
        home: its own folder; the path is short, because two sockets are in it.
        node_key: the file of the key by which its peers know it.
        host: of the address on which it listens for its peers; with `port`.
        peers: the other members' nodes, each `id@host:port`, and nobody else's.
        headers_port: where members that join ask for signed headers, at `host`; 0 gives none.
        snapshot_blocks: a snapshot for those that join is made at each height that this divides.
        sync: None begins with the first block.
        adopted: the folder with the sealed ledger that the network goes on with, and the founders' agreements; empty
            where there is none.
    """

    port: PortField
    peers: tuple[str, ...]
    home: str = "cometbft"
    node_key: str = "node.key"
    host: str = "127.0.0.1"
    headers_port: PortField = 0
    snapshot_blocks: Annotated[int, Meta(ge=1, lt=1 << 31)] = 1_000
    sync: SyncSettings | None = None
    adopted: str = ""


class LedgerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A ledger process's settings as they stand in `ledger.toml`; `keys` has the consensus key of its organisation.

    Args:
        cometbft: None for the embedded engine.
        metrics_port: of loopback, where figures for operators are read; 0 for none.
    """

    genesis: str
    keys: str
    folder: str
    socket: str
    cometbft: CometSettings | None = None
    metrics_port: PortField = 0


class NetworkSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `salus serve` starts on one machine: a ledger process and the nodes beside it."""

    ledger: str
    nodes: tuple[str, ...]


S = TypeVar("S", NodeSettings, LedgerSettings, NetworkSettings)
P = TypeVar("P", bound=SignInProvider)


def read_node(folder: Path) -> NodeSettings:
    """Read a node's settings, every path made absolute. Raises SettingsUnfit."""
    found = _read(folder / NODE_FILE, NodeSettings)
    bucket = found.bucket
    if bucket is not None:
        bucket = msgspec.structs.replace(bucket, credentials=_beside(folder, bucket.credentials))
    return msgspec.structs.replace(
        found,
        fhir=_checked_fhir(folder, found.fhir),
        portal=_checked_portal(folder, found),
        genesis=_beside(folder, found.genesis),
        keys=_beside(folder, found.keys),
        ledger_folder=_beside(folder, found.ledger_folder),
        ledger_socket=_beside(folder, found.ledger_socket),
        root_keys=(_beside(folder, found.root_keys[0]), _beside(folder, found.root_keys[1])),
        database=_database(folder, found.database),
        objects=_beside(folder, found.objects),
        bucket=bucket,
        key_backup=_beside(folder, found.key_backup) if found.key_backup else "",
    )


def _checked_fhir(folder: Path, fhir: FhirListen | None) -> FhirListen | None:
    if fhir is None:
        return None
    if not fhir.base.startswith("https://") or fhir.base.endswith("/"):
        raise SettingsUnfit("expected base = https://…/FHIR/R4 under [fhir], without a slash at its end: correct it")
    if fhir.host not in LOOPBACK and not (fhir.certificate and fhir.key):
        words = "expected certificate and key under [fhir], since it answers beyond this machine"
        raise SettingsUnfit(f"{words}: records leave over TLS only")
    _check_caller_field("fhir", fhir)
    providers = tuple(_with_secrets(folder, each) for each in fhir.providers)
    return msgspec.structs.replace(
        fhir, **_files(folder, fhir, "certificate", "key", "profiles", "hook_authorities"), providers=providers
    )


def _checked_portal(folder: Path, node: NodeSettings) -> PortalListen | None:
    portal = node.portal
    if portal is None:
        return None
    scheme, _, place = portal.origin.partition("://")
    is_here = scheme == "http" and portal.host in LOOPBACK and place.partition(":")[0] == "localhost"
    if not (scheme == "https" or is_here) or not place or "/" in place:
        words = "expected origin = https://… under [portal], without a path and a slash"
        raise SettingsUnfit(f"{words} (or http://localhost:…, which browsers treat so): correct it")
    if node.fhir is None:
        raise SettingsUnfit("expected [fhir] beside [portal], since it keeps the index of records: add it")
    if portal.signer and not _is_apart(portal.signer, portal.origin):
        raise SettingsUnfit("expected signer = https://… under [portal], at another name than origin, without a path")
    if portal.host not in LOOPBACK and not (portal.certificate and portal.key):
        words = "expected certificate and key under [portal], since it answers beyond this machine"
        raise SettingsUnfit(f"{words}: records leave over TLS only")
    _check_caller_field("portal", portal)
    providers = tuple(_with_secrets(folder, each) for each in portal.providers)
    launchers = tuple(_with_secrets(folder, each) for each in portal.launchers)
    if min(len({each.name for each in launchers}), len({each.fhir for each in launchers})) < len(launchers):
        raise SettingsUnfit("expected another name and another fhir for each of launchers under [portal]: correct them")
    files = _files(folder, portal, "certificate", "key", "theme", "trust")
    push = portal.push and msgspec.structs.replace(portal.push, **_files(folder, portal.push, "key"))
    return msgspec.structs.replace(
        portal,
        **files,
        providers=providers,
        launchers=launchers,
        mail=_checked_mail(folder, portal.mail),
        push=push,
    )


def _check_caller_field(name: str, settings: FhirListen | PortalListen) -> None:
    if settings.caller_field and (settings.host not in LOOPBACK or settings.certificate):
        words = f"expected no caller_field under [{name}], since callers come here by themselves"
        raise SettingsUnfit(f"{words}: it is for what ends TLS on this machine")


def _is_apart(signer: str, origin: str) -> bool:
    """Tell whether this is an origin at another name than the portal's: cookies and passkeys go by names."""
    parts, scheme = urlsplit(signer), urlsplit(origin).scheme
    is_fit = signer == f"{scheme}://{parts.netloc}" and parts.hostname not in ("", None, urlsplit(origin).hostname)
    return is_fit and (scheme == "https" or str(parts.hostname).endswith(".localhost"))


def _checked_mail(folder: Path, mail: MailRelay | None) -> MailRelay | None:
    if mail is None:
        return None
    if not mail.starttls and mail.host not in LOOPBACK:
        raise SettingsUnfit("expected starttls = true under [portal.mail], since the mail server is another machine")
    return msgspec.structs.replace(mail, **_files(folder, mail, "secret", "authorities"))


def _with_secrets(folder: Path, provider: P) -> P:
    return msgspec.structs.replace(provider, **_files(folder, provider, "secret", "key"))


def _files(folder: Path, settings: msgspec.Struct, *names: str) -> dict[str, str]:
    return {name: _beside(folder, path) if (path := getattr(settings, name)) else "" for name in names}


def read_secret(path: Path) -> str:
    """Return the text of a file that only its owner may read, without the end of its line. Raises SettingsUnfit."""
    try:
        if path.stat().st_mode & 0o077:
            raise SettingsUnfit(f"expected {path} to be readable by its owner only: chmod 600 it")
        return path.read_text(encoding="utf-8").rstrip("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsUnfit(f"expected a secret in {path}, it cannot be read: write it there") from error


def read_ledger(folder: Path) -> LedgerSettings:
    """Read a ledger process's settings, every path made absolute. Raises SettingsUnfit."""
    found = _read(folder / LEDGER_FILE, LedgerSettings)
    comet = found.cometbft
    if comet is not None:
        home, node_key = _beside(folder, comet.home), _beside(folder, comet.node_key)
        adopted = _beside(folder, comet.adopted) if comet.adopted else ""
        comet = msgspec.structs.replace(comet, home=home, node_key=node_key, adopted=adopted)
    return msgspec.structs.replace(
        found,
        genesis=_beside(folder, found.genesis),
        keys=_beside(folder, found.keys),
        folder=_beside(folder, found.folder),
        socket=_beside(folder, found.socket),
        cometbft=comet,
    )


def change_comet(folder: Path, **changes: object) -> None:
    """Write other values into the table `[cometbft]` of a `ledger.toml`; they hold from the next start on.

    Raises:
        SettingsUnfit: the folder has no ledger process with a CometBFT node.
    """
    found = _read(folder / LEDGER_FILE, LedgerSettings)
    if found.cometbft is None:
        raise SettingsUnfit(f"expected a CometBFT node in {folder / LEDGER_FILE}: name a member's folder of a network")
    changed = msgspec.structs.replace(found, cometbft=msgspec.structs.replace(found.cometbft, **changes))
    part = folder / f"{LEDGER_FILE}.part"
    part.write_text(ledger_toml(changed), encoding="utf-8")
    part.rename(folder / LEDGER_FILE)


def change_node(folder: Path, **changes: object) -> None:
    """Write other values into a `node.toml`; they hold from the next start on. Raises SettingsUnfit."""
    changed = msgspec.structs.replace(_read(folder / NODE_FILE, NodeSettings), **changes)
    part = folder / f"{NODE_FILE}.part"
    part.write_text(node_toml(changed), encoding="utf-8")
    part.rename(folder / NODE_FILE)


def read_network(folder: Path) -> NetworkSettings:
    """Read which folders make a network on this machine, every path made absolute. Raises SettingsUnfit."""
    found = _read(folder / NETWORK_FILE, NetworkSettings)
    return NetworkSettings(_beside(folder, found.ledger), tuple(_beside(folder, node) for node in found.nodes))


def is_network(folder: Path) -> bool:
    """Tell whether a folder is a network's."""
    return (folder / NETWORK_FILE).is_file()


def is_ledger(folder: Path) -> bool:
    """Tell whether a folder is a ledger process's."""
    return (folder / LEDGER_FILE).is_file()


def is_node(folder: Path) -> bool:
    """Tell whether a folder is a node's."""
    return (folder / NODE_FILE).is_file()


def read_genesis(path: Path) -> Genesis:
    """Read a genesis document. Raises SettingsUnfit."""
    try:
        return decode_genesis(path.read_bytes())
    except OSError as error:
        raise SettingsUnfit(f"expected the network's genesis document at {path}: get it from a member") from error
    except (EncodingInvalid, GenesisInvalid) as error:
        raise SettingsUnfit(f"{path} is no genesis document ({error}): get it again from a member") from error


def node_toml(settings: NodeSettings) -> str:
    """Return the text of a `node.toml`, with a line of explanation where a choice is likely."""
    lines = [
        f"# The node of {settings.organisation}. Paths are relative to this file; `salus serve` reads it once.",
        f"organisation = {text(settings.organisation)}",
        f"genesis = {text(settings.genesis)}",
        f"keys = {text(settings.keys)}  # the organisation's own keys: in no data backup",
        f"ledger_folder = {text(settings.ledger_folder)}",
        f"ledger_socket = {text(settings.ledger_socket)}",
        f"database = {text(settings.database)}  # or postgresql+psycopg://user@host/name",
        f"objects = {text(settings.objects)}  # large sealed objects; or a [bucket] with name, endpoint, credentials",
        f"root_keys = [{', '.join(map(text, settings.root_keys))}]  # two folders, on two disks where there are two",
        f"key_backup = {text(settings.key_backup)}  # gets the key table at each renewal of the root",
        f"metrics_port = {settings.metrics_port}  # of 127.0.0.1: GET /metrics for Prometheus; 0 for none",
        "",
        "[listen]",
        *table(settings.listen),
        "",
        "[limits]",
        *table(settings.limits),
        "",
        "[person_limits]",
        *table(settings.person_limits),
        "",
        *(_tables("fhir", settings.fhir) if settings.fhir is not None else _NO_FHIR),
        "",
        *(_tables("portal", settings.portal) if settings.portal is not None else _NO_PORTAL),
    ]
    if settings.bucket is not None:
        lines += ["", "[bucket]", *table(settings.bucket)]
    return "\n".join(lines) + "\n"


_NO_FHIR: Final = (
    "# [fhir]  # a FHIR server with SMART sign-in, beside the exchange; loopback needs something that ends TLS",
    '# base = "https://fhir.example.nhs.uk/FHIR/R4"  # as clients know it',
    "# port = 8443",
)

_NO_PORTAL: Final = (
    "# [portal]  # pages for patients, clinicians, privacy officers and operators; needs [fhir]",
    '# origin = "https://records.example.nhs.uk"  # as browsers know it',
    "# port = 8444",
)


def ledger_toml(settings: LedgerSettings) -> str:
    """Return the text of a new `ledger.toml`."""
    heading = "# The ledger process of this machine. Its trust is one key: the consensus key in `keys`."
    if settings.cometbft is None:
        return "\n".join([heading, *table(settings)]) + "\n"
    heading = "# The ledger process of this member. CometBFT runs beside it and votes with the consensus key in `keys`."
    lines = [heading, *table(settings), "", "[cometbft]", *table(settings.cometbft)]
    if settings.cometbft.sync is not None:
        lines += ["", "[cometbft.sync]", *table(settings.cometbft.sync)]
    return "\n".join(lines) + "\n"


def network_toml(settings: NetworkSettings) -> str:
    """Return the text of a new `network.toml`."""
    heading = "# What `salus serve` starts here: a ledger process, and the nodes of this machine."
    return "\n".join([heading, *table(settings)]) + "\n"


def _read(path: Path, kind: type[S]) -> S:
    try:
        return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), kind)
    except OSError as error:
        raise SettingsUnfit(f"expected settings at {path}, there are none: name the folder that has them") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise SettingsUnfit(f"{path} does not say what it must ({error}): correct it") from error


def _beside(folder: Path, path: str) -> str:
    return str((folder / path).resolve())


def _database(folder: Path, url: str) -> str:
    scheme, separator, path = url.partition("///")
    if scheme != "sqlite:" or not separator or not path:
        if url.startswith("postgresql+psycopg://"):
            return url
        raise SettingsUnfit("expected database = sqlite:///FILE or postgresql+psycopg://…, came another: correct it")
    return f"sqlite:///{_beside(folder, path)}"


def _tables(name: str, settings: FhirListen | PortalListen) -> list[str]:
    launchers = settings.launchers if isinstance(settings, PortalListen) else ()
    others = [("providers", each) for each in settings.providers] + [("launchers", each) for each in launchers]
    lists = (["", f"[[{name}.{what}]]", *table(each)] for what, each in others)
    found = ((each, getattr(settings, each, None)) for each in ("mail", "push"))
    ways = (["", f"[{name}.{way}]", *table(value)] for way, value in found if value is not None)
    return [f"[{name}]", *table(settings), *(line for each in (*ways, *lists) for line in each)]
