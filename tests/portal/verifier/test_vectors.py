"""The golden files of trees, logs and CometBFT's headers: what the page's parts answer to each (L5)."""

import json
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest

from tests.portal.verifier.asking import Question, ask, disagreements

pytestmark = [pytest.mark.promise("L5"), pytest.mark.services]

FOLDER = Path(__file__).parents[2] / "ledger" / "vectors"
TREE, LOG, COMET, REFUSED = (
    json.loads((FOLDER / f"{name}.json").read_bytes()) for name in ("tree", "log", "comet", "comet_refused")
)
Case = dict[str, Any]


def fields(data: bytes) -> tuple[bytes, bytes]:
    """The two messages of a SignedHeader."""
    parts = []
    while data:
        size, after = varint(data[1:])
        parts.append(after[:size])
        data = after[size:]
    first, second = parts
    return first, second


def varint(data: bytes) -> tuple[int, bytes]:
    number, place = 0, 0
    while True:
        number |= (data[place] & 0x7F) << (7 * place)
        place += 1
        if data[place - 1] < 0x80:
            return number, data[place:]


def wrapped(number: int, data: bytes) -> bytes:
    size = len(data)
    head = bytearray([8 * number + 2])
    while size >= 0x80:
        head.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([*head, size]) + data


def row(case: Case) -> Question:
    return {"key": case["key"], "row": case["value"] or "", "proof": case["proof"], "root": case["root"]}


def test_rows_present_and_absent() -> None:
    # An empty row stands for absence in a bundle, so that nobody can claim one is no case here.
    refused = [case for case in TREE["refused"] if case["name"] != "empty value"]
    cases = [*TREE["proofs"], *refused]
    want = ["accept"] * len(TREE["proofs"]) + [f"refuse row {1 if case['value'] else 2}" for case in refused]
    assert disagreements([each["name"] for each in cases], ask([row(each) for each in cases]), want) == []
    assert len(refused) > 20


def test_paths_lead_to_the_roots_of_every_size() -> None:
    whole = [
        {"leaf": LOG["leaves"][case["index"]], "index": case["index"], "size": case["size"], "path": case["path"]}
        for case in LOG["inclusion"]
    ]
    longer = [{**each, "path": [*each["path"], "00" * 32]} for each in whole]
    shorter = [{**each, "path": each["path"][:-1]} for each in whole if each["path"]]
    beyond = [{**each, "index": each["size"]} for each in whole]
    assert ask(whole) == [LOG["roots"][each["size"]] for each in whole]
    nowhere = [*longer, *shorter, *beyond]
    assert ask(nowhere) == ["nowhere"] * len(nowhere)
    sizes = accumulate([1] * len(LOG["leaves"]), initial=0)
    roots = ask([{"leaves": LOG["leaves"][:size]} for size in sizes])
    assert roots == LOG["roots"]


def test_headers_commits_and_sets_of_cometbft() -> None:
    signed = COMET["signed_header"]["encoded"]
    sets = COMET["validator_sets"]
    asked = [{"signed_header": signed}, *({"set": each["validators"]} for each in sets)]
    assert ask(asked) == ["accept", *(each["hash"] for each in sets)]


def test_what_is_no_header_or_commit_is_refused() -> None:
    """Each refused Header and Commit of the golden file, beside a good one of the other."""
    good = bytes.fromhex(COMET["signed_header"]["encoded"])
    header, commit = fields(good)
    assert ask([{"signed_header": (wrapped(1, header) + wrapped(2, commit)).hex()}]) == ["accept"]
    bad = {
        case["name"]: case["encoded"] if case["message"] == "SignedHeader" else beside(case, header, commit)
        for case in REFUSED["bytes"]
        if case["message"] in ("Header", "Commit", "SignedHeader")
    }
    assert (
        disagreements(list(bad), ask([{"signed_header": each} for each in bad.values()]), ["refuse"] * len(bad)) == []
    )
    assert len(bad) > 25


OF_A_LATER_HEADER = {"not-adjacent", "expired", "time-not-after", "from-the-future", "next-validators"}
"""Refusals that rest on a header that is trusted; the golden proofs under a trust store have them (`skip`)."""


@pytest.mark.promise("L3")
def test_commits_are_counted_and_verified() -> None:
    cases = [each for each in REFUSED["steps"] if each["reason"] not in OF_A_LATER_HEADER]
    asked = [
        {
            "commit": each["untrusted"],
            "validators": [{"public_key": key, "power": power} for key, power in each["validators"]],
            "chain": "salus-test",
        }
        for each in cases
    ]
    want = ["accept" if each["reason"] is None else "refuse" for each in cases]
    assert disagreements([each["name"] for each in cases], ask(asked), want) == []
    assert {"accept", "refuse"} == set(want)
    assert len(cases) > 15


NO_TIME = bytes.fromhex("088092b8c398feffffff01")
ABSENT = bytes.fromhex("0801")
PARTS_OF_A_HEADER = {
    "nanoseconds of a second": (4, b"\x08\x01\x10" + bytes.fromhex("8094ebdc03")),
    "nanoseconds below zero": (4, b"\x08\x01\x10" + b"\xff" * 9 + b"\x01"),
    "after the year 9999": (4, b"\x08" + bytes.fromhex("8083d1ffaf07")),
    "before the year 1": (4, b"\x08" + bytes.fromhex("ff91b8c398feffffff01")),
}
PARTS_OF_A_COMMIT = {
    "absent, with an address": ABSENT + wrapped(2, bytes(20)) + wrapped(3, NO_TIME),
    "absent, with a time": ABSENT + wrapped(3, b"\x08\x01"),
    "absent, with nanoseconds": ABSENT + wrapped(3, NO_TIME + b"\x10\x01"),
    "absent, with a signature": ABSENT + wrapped(3, NO_TIME) + wrapped(4, bytes(64)),
}


def test_one_part_of_a_good_header_or_commit_is_not_of_its_form() -> None:
    header, commit = fields(bytes.fromhex(COMET["signed_header"]["encoded"]))
    whole = {"nothing": (header, commit), "absent": (header, replaced(commit, 4, ABSENT + wrapped(3, NO_TIME)))}
    whole |= {name: (replaced(header, *part), commit) for name, part in PARTS_OF_A_HEADER.items()}
    whole |= {name: (header, replaced(commit, 4, part)) for name, part in PARTS_OF_A_COMMIT.items()}
    asked = [{"signed_header": (wrapped(1, one) + wrapped(2, two)).hex()} for one, two in whole.values()]
    want = ["accept", "accept", *["refuse"] * (len(whole) - 2)]
    assert disagreements(list(whole), ask(asked), want) == []


def replaced(message: bytes, number: int, content: bytes) -> bytes:
    """The message with the first field of this number, which has bytes, holding others."""
    parts, is_done = [], False
    while message:
        tag, after = varint(message)
        if tag & 7 == 0:
            end = len(message) - len(varint(after)[1])
        else:
            size, rest = varint(after)
            end = len(message) - len(rest) + size
        is_it = tag == 8 * number + 2 and not is_done
        parts.append(wrapped(number, content) if is_it else message[:end])
        is_done, message = is_done or is_it, message[end:]
    return b"".join(parts)


def beside(case: Case, header: bytes, commit: bytes) -> str:
    data = bytes.fromhex(case["encoded"])
    pair = (data, commit) if case["message"] == "Header" else (header, data)
    return (wrapped(1, pair[0]) + wrapped(2, pair[1])).hex()
