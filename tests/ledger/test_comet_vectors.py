"""CometBFT's bytes and hashes, equal to what its own Go code made of the same values (vectors/comet.go)."""

import hashlib
from typing import Any

import pytest

from salus.crypto.signing import verify_zip215
from salus.ledger.comet.block import (
    block_id,
    consensus_hash,
    data_hash,
    decode_block,
    encode_block,
    evidence_hash,
    part_set_header,
    results_hash,
)
from salus.ledger.comet.commit import (
    commit_hash,
    decode_commit,
    decode_signed_header,
    encode_commit,
    encode_signed_header,
    vote_sign_bytes,
)
from salus.ledger.comet.header import decode_header, encode_header, header_hash
from salus.ledger.comet.light import NotVerified, Reason, verify_commit, verify_signed_header
from salus.ledger.comet.types import ABSENT, Block, SignedHeader, TxResult, Validator
from salus.ledger.comet.validators import in_order, validator_address, validators_hash
from tests.ledger import comet_cases as cases

pytestmark = pytest.mark.promise("L1", "L5")

Case = dict[str, Any]


def vectors(group: str) -> list[Any]:
    return [pytest.param(case, id=case["name"]) for case in cases.VECTORS[group]]


def transactions(case: Case) -> tuple[bytes, ...]:
    if case["name"] == "three parts":
        return tuple(bytes([number % 256]) * (3 * number) for number in range(300))
    return tuple(bytes.fromhex(each) for each in case["transactions"])


def block_of(case: Case) -> Block:
    return Block(
        header=cases.header(case["header"]),
        transactions=transactions(case),
        evidence=tuple(bytes.fromhex(each) for each in case["evidence"]),
        last_commit=cases.commit(case["last_commit"]),
    )


@pytest.mark.parametrize("case", vectors("headers"))
def test_header(case: Case) -> None:
    header, encoded = cases.header(case["header"]), bytes.fromhex(case["encoded"])
    assert encode_header(header).hex() == case["encoded"]
    assert decode_header(encoded) == header
    assert header_hash(header).hex() == case["hash"]


@pytest.mark.parametrize("case", vectors("commits"))
def test_commit(case: Case) -> None:
    commit, encoded = cases.commit(case["commit"]), bytes.fromhex(case["encoded"])
    assert encode_commit(commit).hex() == case["encoded"]
    assert decode_commit(encoded) == commit
    assert commit_hash(commit).hex() == case["hash"]


@pytest.mark.parametrize("case", vectors("commits"))
def test_sign_bytes_and_signatures(case: Case) -> None:
    commit = cases.commit(case["commit"])
    for index, signature in enumerate(commit.signatures):
        if signature.flag == ABSENT:
            continue
        signed = vote_sign_bytes(cases.CHAIN, commit, index)
        assert signed.hex() == case["sign_bytes"][index]
        validator = cases.validators(cases.VECTORS["validator_sets"][case["set"]]["validators"])[index]
        verify_zip215(validator.public_key, signed, signature.signature)


@pytest.mark.promise("L3")
@pytest.mark.parametrize("case", [each for each in vectors("commits") if each.values[0]["set"] >= 0])
def test_commit_has_comets_own_verdict(case: Case) -> None:
    commit = cases.commit(case["commit"])
    validators = cases.validators(cases.VECTORS["validator_sets"][case["set"]]["validators"])
    reason = None
    try:
        verify_commit(
            chain_id=cases.CHAIN, validators=validators, block_id=commit.block_id, height=commit.height, commit=commit
        )
    except NotVerified as error:
        reason = error.reason
    insufficient = case["verdict"].startswith("invalid commit -- insufficient voting power")
    assert reason == (Reason.POWER if insufficient else None)
    assert (case["verdict"] == "ok") == (reason is None)


@pytest.mark.parametrize("case", cases.VECTORS["validator_sets"], ids=lambda case: f"{len(case['validators'])}")
def test_validator_set(case: Case) -> None:
    validators = cases.validators(case["validators"])
    assert validators_hash(validators).hex() == case["hash"]
    assert [validator_address(each.public_key).hex() for each in validators] == case["addresses"]
    assert in_order(reversed(validators)) == validators


def test_signed_header() -> None:
    encoded = bytes.fromhex(cases.VECTORS["signed_header"]["encoded"])
    signed = SignedHeader(
        cases.header(cases.named("headers", "usual")["header"]),
        cases.commit(cases.named("commits", "all four")["commit"]),
    )
    assert encode_signed_header(signed) == encoded
    assert decode_signed_header(encoded) == signed
    validators = cases.validators(cases.VECTORS["validator_sets"][1]["validators"])
    verify_signed_header(chain_id=cases.CHAIN, signed=signed, validators=validators)


@pytest.mark.parametrize("case", vectors("blocks"))
def test_block(case: Case) -> None:
    block = block_of(case)
    encoded = encode_block(block)
    assert hashlib.sha256(encoded).hexdigest() == case["encoded_sha256"]
    assert encoded.hex() == case.get("encoded", encoded.hex())
    assert decode_block(encoded) == block
    assert block_id(block).hash.hex() == case["hash"]
    parts = part_set_header(encoded)
    assert (parts.total, parts.hash.hex()) == (case["total"], case["parts_hash"])


@pytest.mark.parametrize("case", vectors("blocks"))
def test_hashes_of_what_is_in_a_block(case: Case) -> None:
    block = block_of(case)
    assert data_hash(block.transactions) == block.header.data_hash
    assert evidence_hash(block.evidence) == block.header.evidence_hash
    assert commit_hash(block.last_commit) == block.header.last_commit_hash


@pytest.mark.parametrize("case", cases.VECTORS["results"], ids=lambda case: f"{len(case['results'])}")
def test_results(case: Case) -> None:
    results = [
        TxResult(each["code"], bytes.fromhex(each["data"]), each["gas_wanted"], each["gas_used"])
        for each in case["results"]
    ]
    assert results_hash(results).hex() == case["hash"]


def test_a_result_has_no_gas_unless_it_is_said() -> None:
    assert results_hash([TxResult(7)]) == results_hash([TxResult(7, b"", gas_wanted=0, gas_used=0)])


@pytest.mark.parametrize("case", cases.VECTORS["consensus"], ids=lambda case: str(case["block_size_max_bytes"]))
def test_consensus_parameters(case: Case) -> None:
    found = consensus_hash(block_size_max_bytes=case["block_size_max_bytes"], gas_max=case["gas_max"])
    assert found.hex() == case["hash"]


def test_a_validator_set_of_ten_thousand_has_its_order() -> None:
    validators = [Validator(number.to_bytes(32, "big"), number % 7 + 1) for number in range(10_000)]
    ordered = in_order(validators)
    assert [each.power for each in ordered] == sorted((each.power for each in validators), reverse=True)
