"""What follows from a trusted validator set: every reason for a refusal, and the published traces step by step."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from salus.crypto.signing import SigningKey, verify_zip215
from salus.ledger.comet.commit import decode_signed_header, encode_signed_header, vote_sign_bytes
from salus.ledger.comet.header import header_hash
from salus.ledger.comet.light import (
    NotVerified,
    Reason,
    verify_adjacent,
    verify_commit,
    verify_signed_header,
    verify_skipping,
)
from salus.ledger.comet.types import (
    COMMIT,
    NIL,
    BlockID,
    Commit,
    CommitSig,
    Header,
    PartSetHeader,
    SignedHeader,
    Validator,
    Version,
)
from salus.ledger.comet.validators import in_order, validator_address, validators_hash
from salus.ledger.encoding import EncodingInvalid
from tests.ledger import comet_cases as cases

pytestmark = pytest.mark.promise("L3", "L5")

SECOND_NS = 10**9
CHAIN = "salus-test"
KEYS = {key.public: key for key in (SigningKey.from_seed(bytes([number]) * 32) for number in range(5))}
FOUR = in_order(Validator(public, 10) for public in list(KEYS)[:4])
OTHERS = in_order(Validator(public, 10) for public in list(KEYS)[1:])


def header_at(height: int, **fields: Any) -> Header:
    usual: dict[str, Any] = {
        "version": Version(),
        "chain_id": CHAIN,
        "height": height,
        "time_ns": height * SECOND_NS,
        "last_block_id": BlockID(),
        "validators_hash": validators_hash(FOUR),
        "next_validators_hash": validators_hash(FOUR),
        "proposer_address": validator_address(FOUR[0].public_key),
    }
    hashes = ("last_commit_hash", "data_hash", "consensus_hash", "app_hash", "last_results_hash", "evidence_hash")
    return Header(**(dict.fromkeys(hashes, b"h" * 32) | usual | fields))


def signed_by(
    header: Header, validators: tuple[Validator, ...] = FOUR, *, flags: str = "CCCC", chain: str = CHAIN, **fields: Any
) -> SignedHeader:
    """The header with a commit: C votes for it, N for none, - is absent."""
    block_id = BlockID(header_hash(header), PartSetHeader(1, b"p" * 32))
    signatures = tuple(
        CommitSig()
        if flag == "-"
        else CommitSig(COMMIT if flag == "C" else NIL, validator_address(validator.public_key), header.time_ns + 1)
        for flag, validator in zip(flags, validators, strict=True)
    )
    commit = Commit(**({"height": header.height, "block_id": block_id, "signatures": signatures} | fields))
    return SignedHeader(header, with_signatures(commit, validators, chain))


def with_signatures(commit: Commit, validators: tuple[Validator, ...], chain: str) -> Commit:
    signed = tuple(
        msgspec.structs.replace(vote, signature=KEYS[validator.public_key].sign(vote_sign_bytes(chain, commit, index)))
        if vote.validator_address
        else vote
        for index, (vote, validator) in enumerate(zip(commit.signatures, validators, strict=True))
    )
    return msgspec.structs.replace(commit, signatures=signed)


def changed(signed: SignedHeader, index: int, **fields: Any) -> SignedHeader:
    signatures = list(signed.commit.signatures)
    signatures[index] = msgspec.structs.replace(signatures[index], **fields)
    return SignedHeader(signed.header, msgspec.structs.replace(signed.commit, signatures=tuple(signatures)))


def short(signed: SignedHeader) -> SignedHeader:
    """The same without the last place of the commit."""
    commit = msgspec.structs.replace(signed.commit, signatures=signed.commit.signatures[:-1])
    return SignedHeader(signed.header, commit)


TRUSTED = header_at(1)
NEXT = signed_by(header_at(2))


def step(untrusted: SignedHeader = NEXT, validators: tuple[Validator, ...] = FOUR, **fields: Any) -> None:
    usual: dict[str, Any] = {
        "trusted": TRUSTED,
        "trusting_period_ns": 100 * SECOND_NS,
        "now_ns": 10 * SECOND_NS,
        "clock_drift_ns": SECOND_NS,
    }
    verify_adjacent(untrusted=untrusted, validators=validators, **(usual | fields))


def test_the_next_header_is_verified() -> None:
    step()
    step(signed_by(header_at(2), flags="CC-C"))
    step(signed_by(header_at(2), flags="CNCC"))


def test_a_new_validator_set_that_was_announced_is_verified() -> None:
    announced = header_at(1, next_validators_hash=validators_hash(OTHERS))
    new = signed_by(header_at(2, validators_hash=validators_hash(OTHERS)), OTHERS)
    step(new, OTHERS, trusted=announced)


REFUSED: dict[str, tuple[Reason, dict[str, Any]]] = {
    "two heights further": (Reason.NOT_ADJACENT, {"untrusted": signed_by(header_at(3))}),
    "the same height": (Reason.NOT_ADJACENT, {"untrusted": signed_by(header_at(1))}),
    "trusted header one nanosecond too old": (Reason.EXPIRED, {"now_ns": 101 * SECOND_NS}),
    "not later": (Reason.TIME_NOT_AFTER, {"untrusted": signed_by(header_at(2, time_ns=SECOND_NS))}),
    "from the future": (Reason.FROM_THE_FUTURE, {"now_ns": SECOND_NS}),
    "validators that were not announced": (
        Reason.NEXT_VALIDATORS,
        {"untrusted": signed_by(header_at(2, validators_hash=validators_hash(OTHERS)), OTHERS), "validators": OTHERS},
    ),
    "other validators given than named": (Reason.VALIDATORS, {"validators": OTHERS}),
    "validators in another order": (Reason.VALIDATORS, {"validators": FOUR[::-1]}),
    "nobody": (Reason.VALIDATORS, {"validators": ()}),
    "header breaks its rules": (Reason.HEADER_MALFORMED, {"untrusted": signed_by(header_at(2, version=Version(12)))}),
    "another chain": (Reason.CHAIN, {"untrusted": signed_by(header_at(2, chain_id="other"))}),
    "commit breaks its rules": (Reason.COMMIT_MALFORMED, {"untrusted": signed_by(header_at(2), round=-1)}),
    "commit for another header": (
        Reason.COMMIT_BLOCK,
        {"untrusted": SignedHeader(header_at(2, app_hash=b"x" * 32), NEXT.commit)},
    ),
    "commit for another height": (Reason.COMMIT_HEIGHT, {"untrusted": signed_by(header_at(2), height=3)}),
    "a signature too few": (Reason.SIGNATURE_COUNT, {"untrusted": short(NEXT)}),
    "a signer out of place": (
        Reason.SIGNER,
        {"untrusted": changed(NEXT, 3, validator_address=validator_address(FOUR[0].public_key))},
    ),
    "last signature damaged, two thirds before it": (
        Reason.SIGNATURE,
        {"untrusted": changed(NEXT, 3, signature=bytes(64))},
    ),
    "time of a vote changed": (Reason.SIGNATURE, {"untrusted": changed(NEXT, 0, time_ns=5)}),
    "vote for the block turned into one for none": (Reason.SIGNATURE, {"untrusted": changed(NEXT, 0, flag=NIL)}),
    "signed for another chain": (Reason.SIGNATURE, {"untrusted": signed_by(header_at(2), chain="other")}),
    "round changed": (
        Reason.SIGNATURE,
        {"untrusted": SignedHeader(NEXT.header, msgspec.structs.replace(NEXT.commit, round=1))},
    ),
    "half of the power": (Reason.POWER, {"untrusted": signed_by(header_at(2), flags="CC--")}),
    "votes for none do not count": (Reason.POWER, {"untrusted": signed_by(header_at(2), flags="CCNN")}),
    "nobody voted": (Reason.POWER, {"untrusted": signed_by(header_at(2), flags="----")}),
}


@pytest.mark.parametrize("name", REFUSED)
def test_step_is_refused(name: str) -> None:
    reason, fields = REFUSED[name]
    with pytest.raises(NotVerified) as caught:
        step(**fields)
    assert caught.value.reason is reason


def skip(untrusted: SignedHeader, validators: tuple[Validator, ...] = FOUR, **fields: Any) -> None:
    usual: dict[str, Any] = {
        "trusted": TRUSTED,
        "trusted_validators": FOUR,
        "trusting_period_ns": 100 * SECOND_NS,
        "now_ns": 10 * SECOND_NS,
        "clock_drift_ns": SECOND_NS,
    }
    verify_skipping(untrusted=untrusted, validators=validators, **(usual | fields))


def with_set(validators: tuple[Validator, ...], flags: str, **fields: Any) -> dict[str, Any]:
    header = header_at(5, validators_hash=validators_hash(validators), **fields)
    return {"untrusted": signed_by(header, validators, flags=flags), "validators": validators}


HALF_NEW = in_order((FOUR[0], FOUR[1], Validator(list(KEYS)[4], 20)))
ONE_STRONG = in_order(Validator(key, power) for key, power in zip(KEYS, (60, 5, 5, 5), strict=False))
"""The first key of all, which is not among the others."""
ONE_OLD_STRONG = in_order((Validator(FOUR[0].public_key, 1000), Validator(list(KEYS)[4], 10)))


def test_a_later_header_is_verified() -> None:
    skip(signed_by(header_at(5)))
    skip(signed_by(header_at(5), flags="CC-C"))
    skip(**with_set(OTHERS, "CCCC"))
    skip(**with_set(HALF_NEW, "CCC"))


def test_the_set_that_was_announced_may_be_trusted_in_place_of_the_own_one() -> None:
    announced = header_at(1, next_validators_hash=validators_hash(OTHERS))
    skip(**with_set(OTHERS, "CCCC"), trusted=announced, trusted_validators=OTHERS)


REFUSED_SKIPPING: dict[str, tuple[Reason, dict[str, Any]]] = {
    "the next height": (Reason.NOT_LATER, {"untrusted": NEXT}),
    "the same height": (Reason.NOT_LATER, {"untrusted": signed_by(header_at(1))}),
    "trusted header too old": (Reason.EXPIRED, {"now_ns": 101 * SECOND_NS}),
    "not later": (Reason.TIME_NOT_AFTER, {"untrusted": signed_by(header_at(5, time_ns=SECOND_NS))}),
    "from the future": (Reason.FROM_THE_FUTURE, {"now_ns": 4 * SECOND_NS}),
    "trusted validators of another header": (Reason.TRUSTED_VALIDATORS, {"trusted_validators": OTHERS}),
    "another chain": (Reason.CHAIN, {"untrusted": signed_by(header_at(5, chain_id="other"))}),
    "other validators given than named": (Reason.VALIDATORS, {"validators": OTHERS}),
    "a third of the trusted power, not more": (
        Reason.NOT_ENOUGH_TRUST,
        with_set(in_order((FOUR[0], Validator(list(KEYS)[4], 10))), "CC"),
    ),
    "trusted power is counted, not what the new set says": (Reason.NOT_ENOUGH_TRUST, with_set(ONE_OLD_STRONG, "CC")),
    "three of four trusted validators, with a fifth of the trusted power": (
        Reason.NOT_ENOUGH_TRUST,
        with_set(OTHERS, "CCCC")
        | {"trusted": header_at(1, validators_hash=validators_hash(ONE_STRONG)), "trusted_validators": ONE_STRONG},
    ),
    "votes for none are no trust": (Reason.NOT_ENOUGH_TRUST, {"untrusted": signed_by(header_at(5), flags="CNNN")}),
    "trust enough, but not two thirds of its own": (Reason.POWER, {"untrusted": signed_by(header_at(5), flags="CC--")}),
    "a trusted vote that is not signed": (
        Reason.SIGNATURE,
        {"untrusted": changed(signed_by(header_at(5)), 0, signature=bytes(64))},
    ),
    "trust enough, but a signature too few": (Reason.SIGNATURE_COUNT, {"untrusted": short(signed_by(header_at(5)))}),
}


@pytest.mark.parametrize("name", REFUSED_SKIPPING)
def test_skip_is_refused(name: str) -> None:
    reason, fields = REFUSED_SKIPPING[name]
    with pytest.raises(NotVerified) as caught:
        skip(**({"untrusted": signed_by(header_at(5))} | fields))
    assert caught.value.reason is reason


def test_every_reason_has_a_row() -> None:
    rows = [*REFUSED.values(), *REFUSED_SKIPPING.values()]
    assert {reason for reason, _ in rows} | {Reason.VALIDATORS_MALFORMED} == set(Reason)


def test_edges_of_time() -> None:
    step(now_ns=101 * SECOND_NS - 1)
    step(now_ns=SECOND_NS + 1)


def test_exactly_two_thirds_is_not_enough() -> None:
    three = in_order(Validator(public, 10) for public in list(KEYS)[:3])
    header = header_at(2, validators_hash=validators_hash(three))
    for flags, reason in (("CC-", Reason.POWER), ("CCC", None)):
        signed = signed_by(header, three, flags=flags)
        found = None
        try:
            verify_signed_header(chain_id=CHAIN, signed=signed, validators=three)
        except NotVerified as error:
            found = error.reason
        assert found == reason


def test_a_set_that_cannot_be_one() -> None:
    twice = (FOUR[0], FOUR[0])
    with pytest.raises(NotVerified) as caught:
        verify_commit(chain_id=CHAIN, validators=twice, block_id=NEXT.commit.block_id, height=2, commit=NEXT.commit)
    assert caught.value.reason is Reason.VALIDATORS_MALFORMED


def test_a_commit_for_another_block() -> None:
    with pytest.raises(NotVerified) as caught:
        verify_commit(chain_id=CHAIN, validators=FOUR, block_id=BlockID(b"x" * 32), height=2, commit=NEXT.commit)
    assert caught.value.reason is Reason.COMMIT_BLOCK


def test_no_byte_of_a_signed_header_can_be_changed() -> None:
    good = encode_signed_header(NEXT)
    for at in range(len(good)):
        data = good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :]
        with pytest.raises((EncodingInvalid, NotVerified)):
            step(decode_signed_header(data))


# The published traces (tendermint-rs): model-based single steps; `test_verifier_follow` runs the bisections


def traces(shared_data: Path, folder: str) -> Iterator[tuple[str, Any]]:
    for path in sorted((shared_data / "ledger" / "light-client" / folder).glob("**/*.json")):
        yield path.name, json.loads(path.read_bytes())


def test_published_steps_have_their_exact_verdicts(shared_data: Path) -> None:
    counts: Counter[tuple[str, str]] = Counter()
    for name, trace in traces(shared_data, "model_based/single_step"):
        trusted = cases.rpc_signed_header(trace["initial"]["signed_header"]).header
        trusted_next = in_order(cases.rpc_validators(trace["initial"]["next_validator_set"]))
        period_ns = int(trace["initial"]["trusting_period"])
        for number, given in enumerate(trace["input"]):
            signed = cases.rpc_signed_header(given["block"]["signed_header"])
            # The traces list validators as their generator made them, and hash them in the order of a set.
            validators = in_order(cases.rpc_validators(given["block"]["validator_set"]))
            got = verdict(trusted, trusted_next, signed, validators, period_ns, cases.rpc_time_ns(given["now"]))
            assert got == given["verdict"], f"{name} step {number}"
            kind = "adjacent" if signed.header.height == trusted.height + 1 else "skipping"
            counts[kind, got] += 1
            if got == "SUCCESS":
                trusted = signed.header
                trusted_next = in_order(cases.rpc_validators(given["block"]["next_validator_set"]))
    assert counts == {
        ("adjacent", "SUCCESS"): 22,
        ("adjacent", "INVALID"): 4,
        ("skipping", "SUCCESS"): 2,
        ("skipping", "NOT_ENOUGH_TRUST"): 21,
        ("skipping", "INVALID"): 2,
    }


def verdict(
    trusted: Header,
    trusted_next: tuple[Validator, ...],
    signed: SignedHeader,
    validators: tuple[Validator, ...],
    period_ns: int,
    now_ns: int,
) -> str:
    terms = {"trusting_period_ns": period_ns, "now_ns": now_ns, "clock_drift_ns": 0}
    try:
        if signed.header.height == trusted.height + 1:
            verify_adjacent(trusted=trusted, untrusted=signed, validators=validators, **terms)
        else:
            verify_skipping(
                trusted=trusted, trusted_validators=trusted_next, untrusted=signed, validators=validators, **terms
            )
    except NotVerified as error:
        return "NOT_ENOUGH_TRUST" if error.reason is Reason.NOT_ENOUGH_TRUST else "INVALID"
    return "SUCCESS"


def test_published_signatures_hold_one_by_one(shared_data: Path) -> None:
    count = 0
    for _, trace in traces(shared_data, "model_based/single_step"):
        for given in trace["input"]:
            signed = cases.rpc_signed_header(given["block"]["signed_header"])
            keys = {validator_address(each.public_key): each for each in rpc_validators_of(given)}
            for index, vote in enumerate(signed.commit.signatures):
                if vote.validator_address in keys:
                    message = vote_sign_bytes(signed.header.chain_id, signed.commit, index)
                    verify_zip215(keys[vote.validator_address].public_key, message, vote.signature)
                    count += 1
    assert count > 100


def rpc_validators_of(given: Any) -> tuple[Validator, ...]:
    return cases.rpc_validators(given["block"]["validator_set"])
