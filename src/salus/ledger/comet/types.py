"""CometBFT's values, as Salus holds them: what a block, a header and a commit consist of.

Times are nanoseconds since 1970 as one integer; Go's zero time, which absent signatures carry, is `NO_TIME_NS`.
"""

import msgspec

BLOCK_PROTOCOL = 11
"""The version of all these structures (CometBFT `version.BlockProtocol`)."""

NO_TIME_NS = -62_135_596_800 * 10**9
"""The year 1: "no time"."""

ABSENT, COMMIT, NIL = 1, 2, 3
"""What a signature says: no vote came, a vote for the block, a vote for none (CometBFT `BlockIDFlag`)."""


class Version(msgspec.Struct, frozen=True):
    """Versions of the block structures and of the application's rules."""

    block: int = BLOCK_PROTOCOL
    app: int = 0


class PartSetHeader(msgspec.Struct, frozen=True):
    """How many parts a block was cut into, and the Merkle root over them."""

    total: int = 0
    hash: bytes = b""


class BlockID(msgspec.Struct, frozen=True):
    """A block by the hash of its header and by its parts; empty for none."""

    hash: bytes = b""
    parts: PartSetHeader = PartSetHeader()


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """A block's header; hashes have 32 bytes or none, the address 20."""

    version: Version
    chain_id: str
    height: int
    time_ns: int
    last_block_id: BlockID
    last_commit_hash: bytes
    data_hash: bytes
    validators_hash: bytes
    next_validators_hash: bytes
    consensus_hash: bytes
    app_hash: bytes
    last_results_hash: bytes
    evidence_hash: bytes
    proposer_address: bytes


class CommitSig(msgspec.Struct, frozen=True):
    """One validator's precommit."""

    flag: int = ABSENT
    validator_address: bytes = b""
    time_ns: int = NO_TIME_NS
    signature: bytes = b""


class Commit(msgspec.Struct, frozen=True):
    """The precommits for a block, in the order of the validator set; all fields empty below the first block."""

    height: int = 0
    round: int = 0
    block_id: BlockID = BlockID()
    signatures: tuple[CommitSig, ...] = ()


class SignedHeader(msgspec.Struct, frozen=True):
    """A header with the commit for it."""

    header: Header
    commit: Commit


class Validator(msgspec.Struct, frozen=True, array_like=True):
    """A member of a validator set: Ed25519 key (32 bytes) and voting power."""

    public_key: bytes
    power: int


class Block(msgspec.Struct, frozen=True):
    """A whole block; evidence is kept as encoded `Evidence` messages."""

    header: Header
    transactions: tuple[bytes, ...]
    evidence: tuple[bytes, ...]
    last_commit: Commit


class TxResult(msgspec.Struct, frozen=True):
    """The part of a transaction's result that all validators agree on."""

    code: int
    data: bytes = b""
    gas_wanted: int = 0
    gas_used: int = 0
