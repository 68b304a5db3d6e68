"""The member file: who an organisation is, its public keys and where its node is, signed by its own transaction key.

Everybody makes the same genesis document from the same member files, so founders compare one fingerprint instead of
trusting whoever sent them.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from salus.contracts.genesis import (
    DEFAULT_NETWORK,
    FirstPolicy,
    FirstValidator,
    Founder,
    FounderKey,
    Genesis,
    GenesisInvalid,
)
from salus.contracts.membership import KeyBytes, KeyUse, LedgerAccess
from salus.contracts.provisions import as_set
from salus.crypto.hashing import tagged
from salus.engines.cometbft.home import Peer
from salus.ledger.encoding import encode
from salus.ledger.identifiers import OrganisationIdField, PublicKey
from salus.node.config import SettingsUnfit
from salus.node.founding import OWN_PROOFS_ONLY, ROLE_CLASSES, checked_genesis
from salus.node.keys import OrganisationKeys
from salus.node.network import files

TAG: Final = "salus/member-file/1"
FORMAT: Final = 1
POWER: Final = 10
"""Of each founder that signs blocks: all are equal."""
WHAT: Final = "a member file"

HostField = Annotated[str, Meta(pattern=r"^([A-Za-z0-9.-]{1,253}|\[[0-9a-f:]{2,39}\])\Z")]
PortField = Annotated[int, Meta(ge=1, le=65_535)]


class MemberFile(files.Signed, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A member to be.

    Args:
        kind: one of `founding.ROLE_CLASSES`.
        is_validator: whether it signs blocks as a founder; else it follows.
        endpoint: base URL of its node for others.
        keys: its registered public keys by their use, in lower case.
        node: the id of its CometBFT node.
        port: of that node; `headers_port`: where it hands out signed headers.
        made_at_s: when, seconds since 1970; the latest of all founders is the time of genesis.
    """

    format: int
    chain: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,49}\Z")]
    organisation: OrganisationIdField
    kind: str
    name: Annotated[str, Meta(min_length=1, max_length=120)]
    is_validator: bool
    endpoint: Annotated[str, Meta(min_length=1, max_length=200)]
    keys: dict[str, KeyBytes]
    node: Annotated[str, Meta(pattern=r"^[0-9a-f]{40}\Z")]
    host: HostField
    port: PortField
    headers_port: PortField
    made_at_s: Annotated[int, Meta(ge=1, lt=1 << 40)]

    def key(self, use: KeyUse) -> PublicKey:
        """Return the public key of a use."""
        return PublicKey(self.keys[use.name.lower()])

    def registered(self) -> tuple[FounderKey, ...]:
        """Return the public keys as genesis and admission register them."""
        return tuple(FounderKey(use, self.key(use)) for use in _USES)

    def access(self) -> LedgerAccess:
        """Return how much of the ledger it holds as a founder."""
        if self.kind in OWN_PROOFS_ONLY:
            return LedgerAccess.OWN_PROOFS
        return LedgerAccess.VALIDATOR if self.is_validator else LedgerAccess.OBSERVER

    def peer(self) -> Peer:
        """Return where its CometBFT node is."""
        return Peer(self.node, self.host, self.port)

    def headers(self) -> str:
        """Return where it hands out signed headers."""
        return f"http://{self.host}:{self.headers_port}"

    def fingerprint(self) -> str:
        """Return what people compare."""
        return files.fingerprint(tagged(TAG, encode(tuple(msgspec.structs.asdict(self).values()))))


_USES = (KeyUse.TRANSACTION, KeyUse.HTTP, KeyUse.TICKET, KeyUse.RECEIPT, KeyUse.CONSENSUS, KeyUse.HPKE)


def public_keys(keys: OrganisationKeys) -> dict[str, bytes]:
    """Return an organisation's public keys by their use."""
    return {row.use.name.lower(): row.key for row in keys.registered()}


def read_member_file(path: Path) -> MemberFile:
    """Read a member file and check its signature. Raises SettingsUnfit."""
    return check(files.from_bytes(path.read_bytes(), MemberFile, what=WHAT))


def check(file: MemberFile) -> MemberFile:
    """Return a member file that is fit: its format, its kind, its keys and its signature. Raises SettingsUnfit."""
    if file.format != FORMAT:
        raise SettingsUnfit(f"expected {WHAT} of format {FORMAT}, came {file.format}: use the release that wrote it")
    check_kind(file.kind)
    if list(file.keys) != [use.name.lower() for use in _USES]:
        raise SettingsUnfit(f"expected a key for each use from {file.organisation}: ask for the file again")
    files.verify(file, TAG, file.key(KeyUse.TRANSACTION), who=file.organisation)
    return file


def check_kind(kind: str) -> None:
    """Raise SettingsUnfit for a kind of organisation that there is not."""
    if kind not in ROLE_CLASSES:
        raise SettingsUnfit(f"expected a kind among {', '.join(ROLE_CLASSES)}, came {kind}: name one of them")


def genesis_of(members: Sequence[MemberFile], *, policies: tuple[FirstPolicy, ...] = ()) -> Genesis:
    """Return the genesis document of these founders, in whatever order they come; their signatures were checked.

    Raises:
        GenesisInvalid: they do not name one chain, or their codes and keys do not fit together, or nobody signs blocks.
    """
    chains = sorted({each.chain for each in members})
    if len(chains) != 1:
        raise GenesisInvalid(f"expected member files of one chain, came {', '.join(chains) or 'none'}: agree on one")
    founders = sorted(members, key=lambda each: each.organisation)
    seats = [each for each in founders if each.access() is LedgerAccess.VALIDATOR]
    return checked_genesis(
        Genesis(
            format=1,
            chain=chains[0],
            time_s=max(each.made_at_s for each in founders),
            network=DEFAULT_NETWORK,
            founders=tuple(map(_founder, founders)),
            policies=policies,
            validators=tuple(FirstValidator(each.organisation, each.key(KeyUse.CONSENSUS), POWER) for each in seats),
        )
    )


def _founder(file: MemberFile) -> Founder:
    return Founder(
        organisation=file.organisation,
        name=file.name,
        role_classes=as_set(ROLE_CLASSES[file.kind]),
        access=file.access(),
        endpoint=file.endpoint,
        keys=file.registered(),
    )
