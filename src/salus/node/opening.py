"""Open what a settings file describes: a node on its folder, the ledger that it reads, the engine that writes it.

One node folder may be open in several processes at once, each a worker of its own: the server's, and a command's.
"""

import time
import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

from salus.contracts import CONTRACTS, membership, payer
from salus.contracts.adoption import adoption_rows, awaiting_rows
from salus.contracts.genesis import AdoptingGenesis, Genesis, GenesisInvalid, genesis_rows
from salus.contracts.membership import KeyUse
from salus.crypto.signing import SigningKey
from salus.engines.base import Adopted, Engine, Founding, StartRefused
from salus.engines.beginning import check_goes_on
from salus.engines.client import LedgerClient
from salus.engines.cometbft.engine import CometEngine
from salus.engines.cometbft.engine import Node as CometNode
from salus.engines.cometbft.home import Network, StateSync, parse_peer
from salus.engines.cometbft.installing import installed
from salus.engines.embedded import EmbeddedEngine, verifying_processes
from salus.engines.sealing import sealed_at
from salus.engines.served import ServedEngine
from salus.ledger.comet.types import Validator
from salus.ledger.comet.validators import in_order
from salus.ledger.identifiers import OrganisationId
from salus.ledger.machine import FirstRow
from salus.ledger.state import Lister
from salus.node import config
from salus.node.assemble import Node
from salus.node.config import Bucket, CometSettings, LedgerSettings, NodeSettings, SettingsUnfit, SyncSettings
from salus.node.journal import Journal, State
from salus.node.keys import read_keys, read_node_key
from salus.node.line_keys import LineKeys
from salus.node.network.agreement import AGREEMENT, check_agreed
from salus.vault.database import Database
from salus.vault.drivers.folder import Folder
from salus.vault.drivers.object_driver import ObjectDriver
from salus.vault.root_files import RootFiles
from salus.vault.vault import Vault

RELEASED = "released"
RECEIVED = "received"
SEALED = "sealed"
"""The file of the ledger of one key that a network goes on with, in the folder of what it adopted."""


class _Credentials(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    access_key: str
    secret_key: str


def unix_now_s() -> int:
    """Seconds since 1970 by the machine's clock."""
    return int(time.time())


def founding(genesis: Genesis, sealed: Path | None = None) -> Founding:
    """Return what a ledger is before its first block.

    Args:
        sealed: the file of the ledger that it goes on with, where there is one.
    """
    adopting = genesis if isinstance(genesis, AdoptingGenesis) else None
    return Founding(
        chain=genesis.chain,
        contracts=CONTRACTS,
        time_s=genesis.time_s,
        rows=tuple(genesis_rows(genesis) if adopting is None else awaiting_rows(adopting)),
        adopted=_adopted(adopting, sealed) if adopting is not None else None,
        rules_version=membership.next_rules_version,
        validators=in_order(Validator(each.key, each.power) for each in genesis.validators),
    )


def _adopted(genesis: AdoptingGenesis, sealed: Path | None) -> Adopted:
    def rows(lister: Lister) -> Sequence[FirstRow]:
        try:
            return adoption_rows(lister, genesis)
        except GenesisInvalid as error:
            raise StartRefused(f"the founders cannot go on with this ledger: {error}") from error

    stands = genesis.adopted
    return Adopted(stands.height, stands.tree_root, stands.log_size, stands.log_root, rows, sealed)


def sealed_file(settings: LedgerSettings) -> Path | None:
    """Return the sealed ledger that a member's ledger begins with; None where it begins otherwise."""
    adopted = settings.cometbft.adopted if settings.cometbft is not None else ""
    return Path(adopted) / SEALED if adopted else None


def open_ledger(settings: LedgerSettings) -> ServedEngine:
    """Open the engine that the settings name, as a ledger process does.

    Raises:
        SettingsUnfit, KeysUnfit: files are not what they must be.
        StartRefused: the ledger cannot start here and now.
    """
    genesis = config.read_genesis(Path(settings.genesis))
    check_goes_on(sealed_at(Path(settings.folder)))  # before its keys, which have moved on with the node
    consensus = read_keys(Path(settings.keys)).signing(KeyUse.CONSENSUS)
    folder = Path(settings.folder)
    folder.mkdir(parents=True, exist_ok=True)
    if settings.cometbft is not None:
        node = _comet_node(settings.cometbft, consensus)
        every = settings.cometbft.snapshot_blocks
        sealed = sealed_file(settings)
        if sealed is not None:
            check_agreed(genesis, sealed.parent.glob(f"*{AGREEMENT}"))
        begins = founding(genesis, sealed)
        return CometEngine(folder, begins, node, payer=payer, own_process=True, snapshot_blocks=every)
    if {validator.key for validator in genesis.validators} != {consensus.public}:
        words = f"expected the keys of the only validator in {settings.keys}, came others: correct ledger.toml"
        raise SettingsUnfit(f"{words}, or name there the CometBFT node of a network with several")
    return EmbeddedEngine(folder, founding(genesis), consensus, verifiers=verifying_processes(), payer=payer)


def _comet_node(settings: CometSettings, consensus: SigningKey) -> CometNode:
    try:
        peers = tuple(parse_peer(each) for each in settings.peers)
    except ValueError as error:
        raise SettingsUnfit(f"the peers of the CometBFT node: {error}: correct ledger.toml") from error
    network = Network(
        key=read_node_key(Path(settings.node_key)),
        host=settings.host,
        port=settings.port,
        peers=peers,
        headers_port=settings.headers_port,
        state_sync=_state_sync(settings.sync),
    )
    return CometNode(installed(), Path(settings.home), consensus, network)


def _state_sync(settings: SyncSettings | None) -> StateSync | None:
    if settings is None:
        return None
    try:
        return StateSync(settings.servers, settings.height, bytes.fromhex(settings.hash))
    except ValueError as error:
        raise SettingsUnfit("the trusted header's hash is no hexadecimal number: correct ledger.toml") from error


@contextmanager
def open_node(folder: Path, *, engine: Engine | None = None, clock: Callable[[], int] = unix_now_s) -> Iterator[Node]:
    """Open a node's folder as one more worker; everything is let go at the end of the block.

    Args:
        engine: reads and writes the ledger; None connects to the ledger process that the settings name.
        clock: Unix seconds.

    Raises:
        SettingsUnfit, KeysUnfit: files are not what they must be.
        Unavailable: database, object store or ledger are away.
    """
    settings = config.read_node(folder)
    genesis = config.read_genesis(Path(settings.genesis))
    keys = read_keys(Path(settings.keys))
    with ExitStack() as stack:
        if engine is None:
            engine = stack.enter_context(ledger_client(settings, genesis.chain))
        organisation = _organisation_of(genesis, engine, OrganisationId(settings.organisation))
        vault = open_vault(settings, clock)
        stack.callback(vault.database.close)
        line_keys = LineKeys(vault, genesis.chain)
        released = Journal(folder / RELEASED, line_keys, unfinished=State.POSSIBLY_RELEASED, now_s=clock())
        stack.callback(released.close)
        received = Journal(folder / RECEIVED, line_keys, unfinished=State.SLOT_MISSING, now_s=clock())
        stack.callback(received.close)
        yield Node(
            organisation=organisation,
            chain=genesis.chain,
            keys=keys,
            engine=engine,
            vault=vault,
            custodian_journal=released,
            requester_journal=received,
            clock=clock,
            person_limits=settings.person_limits,
            has_index=settings.fhir is not None,
        )


def _organisation_of(genesis: Genesis, engine: Engine, organisation: OrganisationId) -> OrganisationId:
    """Return a founder, or who was a member ever after. Raises SettingsUnfit."""
    if organisation in {founder.organisation for founder in genesis.founders}:
        return organisation
    with engine.snapshot() as snapshot:
        was_member = membership.KEYS.get(snapshot, (organisation, KeyUse.TRANSACTION)) is not None
    if not was_member:
        raise SettingsUnfit(f"expected a member of {genesis.chain}, {organisation} is not admitted: correct node.toml")
    return organisation


@contextmanager
def ledger_client(settings: NodeSettings, chain: str) -> Iterator[LedgerClient]:
    """Connect to the ledger process of this machine; nothing is opened before it is first used."""
    client = LedgerClient(Path(settings.ledger_socket), Path(settings.ledger_folder), chain=chain)
    try:
        yield client
    finally:
        client.close()


def open_vault(settings: NodeSettings, clock: Callable[[], int] = unix_now_s) -> Vault:
    """Open a node's vault on its database, object store and key files. Raises like `Vault`."""
    return Vault(
        Database(settings.database),
        open_objects(settings),
        root_files(settings),
        clock=clock,
        key_backup=Path(settings.key_backup) if settings.key_backup else None,
    )


def root_files(settings: NodeSettings) -> RootFiles:
    """Return the two places of the epoch root."""
    first, second = settings.root_keys
    return RootFiles(Path(first), Path(second))


def open_objects(settings: NodeSettings) -> ObjectDriver:
    """Return the driver of large sealed objects. Raises SettingsUnfit."""
    return Folder(Path(settings.objects)) if settings.bucket is None else _open_bucket(settings.bucket)


def _open_bucket(bucket: Bucket) -> ObjectDriver:
    try:
        from salus.vault.drivers import s3
    except ImportError as error:
        raise SettingsUnfit("a bucket needs the extra s3: pip install 'salus[s3]'") from error
    path = Path(bucket.credentials)
    try:
        if path.stat().st_mode & 0o077:
            raise SettingsUnfit(f"expected {path} to be readable by its owner only: chmod 600 it")
        found = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), _Credentials)
    except (OSError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise SettingsUnfit(f"expected access_key and secret_key in {path}: write them there") from error
    return s3.Bucket.connect(
        bucket.name,
        endpoint=bucket.endpoint,
        access_key=found.access_key,
        secret_key=found.secret_key,
        region=bucket.region,
    )
