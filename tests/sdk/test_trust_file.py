"""The trust file on disk, and the trust root of a genesis document."""

from pathlib import Path

import pytest

from salus.contracts.genesis import DEFAULT_NETWORK, FirstValidator, Founder, FounderKey, Genesis, genesis_hash
from salus.contracts.membership import KeyUse, LedgerAccess
from salus.ledger.identifiers import PublicKey
from salus.ledger.verifier import EngineKind, TrustRootInvalid
from salus.sdk.trust_file import read_trust, trust_of, write_trust
from tests.sdk.receipt_network import HOSPITAL, ROLES, key

CONSENSUS = PublicKey(key("consensus").public)
GENESIS = Genesis(
    1,
    "salus-test",
    1_750_000_000,
    DEFAULT_NETWORK,
    (Founder(HOSPITAL, "Hospital", ROLES, LedgerAccess.VALIDATOR, "", (FounderKey(KeyUse.CONSENSUS, CONSENSUS),)),),
    (),
    (FirstValidator(HOSPITAL, CONSENSUS, 7),),
)


@pytest.mark.promise("L5")
@pytest.mark.parametrize(("engine", "days"), [(EngineKind.EMBEDDED, 3650), (EngineKind.COMETBFT, 14)])
def test_trust_root_of_a_genesis(tmp_path: Path, engine: EngineKind, days: int) -> None:
    trust = trust_of(GENESIS, engine=engine, trusted_at_s=1_750_000_100)
    assert (trust.chain, trust.genesis_hash) == ("salus-test", genesis_hash(GENESIS))
    assert [(each.organisation, each.public_key, each.power) for each in trust.validators] == [(HOSPITAL, CONSENSUS, 7)]
    assert trust.trusting_period_s == days * 86_400
    write_trust(tmp_path / "trust.json", trust)
    assert read_trust(tmp_path / "trust.json") == trust


def test_a_missing_trust_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrustRootInvalid, match=r"expected a trust file at .*nowhere\.json: No such file"):
        read_trust(tmp_path / "nowhere.json")
    with pytest.raises(TrustRootInvalid, match="Is a directory"):
        read_trust(tmp_path)
