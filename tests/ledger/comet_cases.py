"""Reads CometBFT values from test files: the golden vectors and the light-client traces."""

import base64
import json
from datetime import datetime
from pathlib import Path
from typing import Any

from salus.ledger.comet.types import (
    ABSENT,
    NO_TIME_NS,
    BlockID,
    Commit,
    CommitSig,
    Header,
    PartSetHeader,
    SignedHeader,
    Validator,
    Version,
)

Json = Any
VECTORS: Json = json.loads((Path(__file__).parent / "vectors" / "comet.json").read_bytes())
CHAIN: str = VECTORS["commit_chain_id"]


def named(group: str, name: str) -> Json:
    """Return the vector of this name."""
    return next(each for each in VECTORS[group] if each["name"] == name)


def header(raw: Json) -> Header:
    """Return the header of a golden vector."""
    hashes = {name: bytes.fromhex(raw[name]) for name in raw if name.endswith(("_hash", "_address"))}
    return Header(
        version=Version(int(raw["block_version"]), int(raw["app_version"])),
        chain_id=raw["chain_id"],
        height=int(raw["height"]),
        time_ns=time_ns(raw["time_ns"]),
        last_block_id=block_id(raw["last_block_id"]),
        **hashes,
    )


def commit(raw: Json) -> Commit:
    """Return the commit of a golden vector."""
    signatures = tuple(
        CommitSig(
            flag=each["flag"],
            validator_address=bytes.fromhex(each["validator_address"]),
            time_ns=time_ns(each["time_ns"]),
            signature=bytes.fromhex(each["signature"]),
        )
        for each in raw["signatures"] or ()
    )
    return Commit(int(raw["height"]), raw["round"], block_id(raw["block_id"]), signatures)


def validators(raw: Json) -> tuple[Validator, ...]:
    """Return the validators of a golden vector."""
    return tuple(Validator(bytes.fromhex(each["public_key"]), int(each["power"])) for each in raw)


def block_id(raw: Json) -> BlockID:
    """Return the block id of a golden vector."""
    return BlockID(bytes.fromhex(raw["hash"]), PartSetHeader(raw["total"], bytes.fromhex(raw["parts_hash"])))


def time_ns(text: str) -> int:
    """Return the time of a golden vector."""
    return NO_TIME_NS if text == "none" else int(text)


def rpc_signed_header(raw: Json) -> SignedHeader:
    """Return a signed header as CometBFT's RPC and the traces write it."""
    return SignedHeader(_rpc_header(raw["header"]), _rpc_commit(raw["commit"]))


def rpc_validators(raw: Json) -> tuple[Validator, ...]:
    """Return a validator set of the traces."""
    return tuple(
        Validator(base64.b64decode(each["pub_key"]["value"]), int(each["voting_power"])) for each in raw["validators"]
    )


def rpc_time_ns(text: str) -> int:
    """Return an RFC 3339 time with up to nine decimals."""
    whole, _, fraction = text.removesuffix("Z").partition(".")
    seconds = datetime.fromisoformat(f"{whole}+00:00").timestamp()
    return int(seconds) * 10**9 + int(fraction.ljust(9, "0"))


def _rpc_header(raw: Json) -> Header:
    hashes = {name: bytes.fromhex(raw[name]) for name in raw if name.endswith(("_hash", "_address"))}
    return Header(
        version=Version(int(raw["version"]["block"]), int(raw["version"]["app"])),
        chain_id=raw["chain_id"],
        height=int(raw["height"]),
        time_ns=rpc_time_ns(raw["time"]),
        last_block_id=_rpc_block_id(raw["last_block_id"]),
        **hashes,
    )


def _rpc_commit(raw: Json) -> Commit:
    signatures = tuple(
        CommitSig()
        if each["block_id_flag"] == ABSENT
        else CommitSig(
            flag=each["block_id_flag"],
            validator_address=bytes.fromhex(each["validator_address"]),
            time_ns=rpc_time_ns(each["timestamp"]),
            signature=base64.b64decode(each["signature"]),
        )
        for each in raw["signatures"] or ()
    )
    return Commit(int(raw["height"]), raw["round"], _rpc_block_id(raw["block_id"]), signatures)


def _rpc_block_id(raw: Json) -> BlockID:
    if raw is None:
        return BlockID()
    parts = raw["part_set_header"]
    return BlockID(bytes.fromhex(raw["hash"]), PartSetHeader(parts["total"], bytes.fromhex(parts["hash"])))
