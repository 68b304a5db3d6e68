"""docs/spec/proofs.md is enough: a verifier written from it alone answers the golden file, step by step (L5)."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.ledger import second_verifier
from tests.ledger.second_verifier import No

pytestmark = pytest.mark.promise("L5")

VECTORS = json.loads((Path(__file__).parent / "vectors" / "proofs.json").read_bytes())


def named(group: str) -> list[Any]:
    return [pytest.param(case, id=case["name"]) for case in VECTORS[group]]


def verify(case: dict[str, Any]) -> None:
    trust_file = VECTORS["trust_files"][case["trust_file"]]
    second_verifier.verify(bytes.fromhex(case["file"]), trust_file, case["now_s"])


@pytest.mark.parametrize("case", named("holds"))
def test_holds(case: dict[str, Any]) -> None:
    verify(case)


@pytest.mark.parametrize("case", named("refused"))
def test_is_refused_at_the_same_step(case: dict[str, Any]) -> None:
    with pytest.raises(No) as refused:
        verify(case)
    assert list(refused.value.args) == [case["checklist"], case["step"]]


def test_shares_no_code() -> None:
    source = Path(second_verifier.__file__).read_text(encoding="utf-8")
    assert "salus." not in source.replace('"salus/', "").replace("docs/spec", "")
