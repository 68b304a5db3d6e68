"""What CometBFT's RPC writes as JSON, and the values that it stands for."""

import base64
import binascii
from datetime import datetime

import msgspec

from salus.ledger.comet.types import (
    ABSENT,
    BlockID,
    Commit,
    CommitSig,
    Header,
    PartSetHeader,
    SignedHeader,
    Validator,
    Version,
)

SECOND_NS = 10**9


class _Parts(msgspec.Struct, frozen=True):
    total: int
    hash: str


class _BlockID(msgspec.Struct, frozen=True):
    hash: str
    parts: _Parts

    def value(self) -> BlockID:
        return BlockID(bytes.fromhex(self.hash), PartSetHeader(self.parts.total, bytes.fromhex(self.parts.hash)))


class _Version(msgspec.Struct, frozen=True):
    block: str
    app: str = "0"


class _Header(msgspec.Struct, frozen=True):
    version: _Version
    chain_id: str
    height: str
    time: str
    last_block_id: _BlockID
    last_commit_hash: str
    data_hash: str
    validators_hash: str
    next_validators_hash: str
    consensus_hash: str
    app_hash: str
    last_results_hash: str
    evidence_hash: str
    proposer_address: str

    def value(self) -> Header:
        return Header(
            version=Version(int(self.version.block), int(self.version.app)),
            chain_id=self.chain_id,
            height=int(self.height),
            time_ns=time_ns(self.time),
            last_block_id=self.last_block_id.value(),
            last_commit_hash=bytes.fromhex(self.last_commit_hash),
            data_hash=bytes.fromhex(self.data_hash),
            validators_hash=bytes.fromhex(self.validators_hash),
            next_validators_hash=bytes.fromhex(self.next_validators_hash),
            consensus_hash=bytes.fromhex(self.consensus_hash),
            app_hash=bytes.fromhex(self.app_hash),
            last_results_hash=bytes.fromhex(self.last_results_hash),
            evidence_hash=bytes.fromhex(self.evidence_hash),
            proposer_address=bytes.fromhex(self.proposer_address),
        )


class _Signature(msgspec.Struct, frozen=True):
    block_id_flag: int
    validator_address: str
    timestamp: str
    signature: str | None

    def value(self) -> CommitSig:
        if self.block_id_flag == ABSENT:
            return CommitSig()
        return CommitSig(
            flag=self.block_id_flag,
            validator_address=bytes.fromhex(self.validator_address),
            time_ns=time_ns(self.timestamp),
            signature=base64.b64decode(self.signature or ""),
        )


class _Commit(msgspec.Struct, frozen=True):
    height: str
    round: int
    block_id: _BlockID
    signatures: list[_Signature]

    def value(self) -> Commit:
        signatures = tuple(each.value() for each in self.signatures)
        return Commit(int(self.height), self.round, self.block_id.value(), signatures)


class _SignedHeader(msgspec.Struct, frozen=True):
    header: _Header
    commit: _Commit


class CommitAnswer(msgspec.Struct, frozen=True):
    """Of `commit`; `canonical` when the next block carries the commit."""

    signed_header: _SignedHeader
    canonical: bool

    def signed(self) -> SignedHeader:
        """Return the value. Raises msgspec.DecodeError."""
        try:
            return SignedHeader(self.signed_header.header.value(), self.signed_header.commit.value())
        except (ValueError, binascii.Error) as error:
            raise msgspec.DecodeError(str(error)) from error


class _Key(msgspec.Struct, frozen=True):
    value: str


class _Validator(msgspec.Struct, frozen=True):
    pub_key: _Key
    voting_power: str


class ValidatorsAnswer(msgspec.Struct, frozen=True):
    """Of `validators`."""

    validators: list[_Validator]

    def validator_set(self) -> list[Validator]:
        """Return the values."""
        return [Validator(base64.b64decode(each.pub_key.value), int(each.voting_power)) for each in self.validators]


class _SyncInfo(msgspec.Struct, frozen=True):
    earliest_block_height: str


class StatusAnswer(msgspec.Struct, frozen=True):
    """Of `status`."""

    sync_info: _SyncInfo


class _NodeInfo(msgspec.Struct, frozen=True):
    id: str


class _Monitor(msgspec.Struct, frozen=True):
    idle_ns: str = msgspec.field(name="Idle")


class _ConnectionStatus(msgspec.Struct, frozen=True):
    received: _Monitor = msgspec.field(name="RecvMonitor")


class _Peer(msgspec.Struct, frozen=True):
    node_info: _NodeInfo
    connection_status: _ConnectionStatus

    @property
    def silent_ns(self) -> int:
        """How long nothing has come from it."""
        return int(self.connection_status.received.idle_ns)


class NetInfoAnswer(msgspec.Struct, frozen=True):
    """Of `net_info`."""

    peers: list[_Peer]


def time_ns(text: str) -> int:
    """Parse an RFC 3339 time in UTC with up to nine decimals into nanoseconds since 1970. Raises ValueError."""
    whole, _, fraction = text.removesuffix("Z").partition(".")
    seconds = datetime.fromisoformat(f"{whole}+00:00").timestamp()
    return int(seconds) * SECOND_NS + int(fraction.ljust(9, "0"))
