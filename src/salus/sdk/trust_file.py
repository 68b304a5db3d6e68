"""Trust files on disk, a root or a store, and the trust root that follows from a genesis document."""

import os
from pathlib import Path

from salus.contracts.genesis import Genesis, genesis_hash
from salus.ledger.verifier import EngineKind, Trust, TrustedValidator, TrustRoot, TrustRootInvalid, TrustStore
from salus.ledger.verifier.store import STORE_BYTES_MAX, decode_trust_file, encode_store
from salus.ledger.verifier.trust import FORMAT, TRUSTING_PERIOD_S, encode_trust


def trust_of(genesis: Genesis, *, engine: EngineKind, trusted_at_s: int, trusting_period_s: int = 0) -> TrustRoot:
    """Return the trust root of a network whose validators are those of its genesis.

    Args:
        trusted_at_s: now, by whoever looked, seconds since 1970.
        trusting_period_s: 0 for the engine's default.
    """
    return TrustRoot(
        format=FORMAT,
        chain=genesis.chain,
        genesis_hash=genesis_hash(genesis),
        engine=engine,
        validators=tuple(TrustedValidator(each.organisation, each.key, each.power) for each in genesis.validators),
        trusted_at_s=trusted_at_s,
        trusting_period_s=trusting_period_s or TRUSTING_PERIOD_S[engine],
    )


def write_trust(path: Path, trust: TrustRoot) -> None:
    """Write a trust file; it holds nothing secret."""
    path.write_bytes(encode_trust(trust))


def write_store(path: Path, store: TrustStore) -> None:
    """Write a trust store in the place of the one before, whole or not at all."""
    part = path.with_name(f"{path.name}.part")
    with part.open("wb") as file:
        file.write(encode_store(store))
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def read_trust(path: Path) -> Trust:
    """Read a trust file: a root or a store.

    Raises:
        TrustRootInvalid: it is missing, cannot be read, or is none; the message says what to do.
    """
    try:
        with path.open("rb") as file:
            return decode_trust_file(file.read(STORE_BYTES_MAX + 1))
    except OSError as error:
        raise TrustRootInvalid(
            f"expected a trust file at {path}: {error.strerror}: name the one that you keep"
        ) from error
