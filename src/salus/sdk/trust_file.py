"""The trust file on disk, and the trust root that follows from a genesis document."""

from pathlib import Path

from salus.contracts.genesis import Genesis, genesis_hash
from salus.ledger.verifier import EngineKind, TrustedValidator, TrustRoot, TrustRootInvalid
from salus.ledger.verifier.trust import FORMAT, TRUST_BYTES_MAX, TRUSTING_PERIOD_S, decode_trust, encode_trust


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


def read_trust(path: Path) -> TrustRoot:
    """Read a trust file.

    Raises:
        TrustRootInvalid: it is missing, cannot be read, or is none; the message says what to do.
    """
    try:
        with path.open("rb") as file:
            return decode_trust(file.read(TRUST_BYTES_MAX + 1))
    except OSError as error:
        raise TrustRootInvalid(
            f"expected a trust file at {path}: {error.strerror}: name the one that you keep"
        ) from error
