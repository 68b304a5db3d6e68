"""Requests that the page takes, and those that it refuses before anything is shown: what a portal that lies may try."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from salus.contracts.patients import AddKey, KeyKind
from salus.contracts.provisions import Provision, ProvisionType, Purpose, encode_tree
from salus.ledger import transactions
from salus.ledger.encoding import encode
from salus.ledger.identifiers import Digest, Pseudonym, PublicKey
from salus.sdk.choice_presets import share
from tests.contracts.network import BEGIN_S, CHAIN
from tests.portal.signer.signer_world import Device, Portal, text
from tests.portal.signer.test_vectors import NODE, PAGE, TIMEOUT_S

RUNNER = Path(__file__).parent / "requests_in_node.mjs"
PSEUDONYM, OTHER, KEY = bytes(16), bytes([1]) * 16, bytes(range(32))
TREE = text(encode_tree(share(["A81001"], except_labels=["PSY"])))
TWO = text(
    encode_tree(
        Provision(
            ProvisionType.DENY,
            provisions=(
                Provision(ProvisionType.PERMIT, organisations=("RX1",), purposes=(Purpose.TREAT,)),
                Provision(ProvisionType.PERMIT, organisations=("A81001",), purposes=(Purpose.HRESCH,)),
            ),
        )
    )
)
"""Rules that come down to two conditions: no ticket has them."""
WITH_DIRECTION = text(encode(Provision(ProvisionType.DENY, labels=("s|\u202eYSP",))))
ADDED = AddKey(Pseudonym(PSEUDONYM), PublicKey(KEY), KeyKind.DEVICE, 0, Digest(bytes(32)))
AT = {"custodian": "RX1", "pseudonym": text(PSEUDONYM)}
ENDED = {"choice": text(bytes(16)), "tree": TREE, "voucher": text(bytes(32))}


def body(*messages: transactions.Message, **other: Any) -> str:
    """The body that another device made."""
    terms: dict[str, Any] = {"chain": CHAIN, "signers": [PublicKey(bytes(32)), PublicKey(KEY)], "nonce": bytes(16)}
    return text(transactions.unsigned(messages, **terms | {"expires_at_s": BEGIN_S + 300} | other))


def terms(*bands: tuple[int, tuple[int, ...], tuple[str, ...]], name: str = "Bob", relation: int = 2) -> str:
    """How far a helper may act."""
    return text(encode([name, relation, list(bands or [(0, (1, 2), ())])]))


ITEMS: dict[str, dict[str, Any]] = {
    "create": AT,
    "new-key": AT,
    "enrol": {"custodian": "RX1", "key": text(KEY)},
    "take-over": AT | {"key": text(KEY)},
    "session": AT | {"key": text(KEY), "from_s": BEGIN_S, "until_s": BEGIN_S + 12 * 3600},
    "file-consent": AT | {"tree": TREE, "replaces": None},
    "withdraw-consent": AT | ENDED,
    "issue-ticket": AT
    | {
        "tree": TREE,
        "audience": "https://riverside.example/FHIR/R4",
        "resources": [
            {"type": "*", "interactions": ["read"], "code": {"code": "8480-6", "system": "http://loinc.org"}}
        ],
        "uses_max": 1,
        "expires_at_s": BEGIN_S + 60,
    },
    "revoke-ticket": AT | {"ticket": text(KEY)},
    "file-challenge": AT | {"permit": text(bytes(16)), "words": "Nobody asked me.\nI was away."},
    "add-key": AT | {"key": text(KEY), "key_kind": 2, "expires_at_s": BEGIN_S + 60, "name": "Bob", "terms": None},
    "accept-key": {"custodian": "RX1", "body": body(ADDED)},
    "remove-key": AT | {"key": text(KEY), "name": "Bob's phone"},
    "cancel-recovery": AT,
    "set-recovery": AT | {"threshold": 2, "second": 3, "guardians": ["Tom", "Ida", "Dr Rao"]},
    "change-recovery": AT | {"recovery": text(KEY), "threshold": 2, "second": 0, "guardians": ["Tom", "Ida"]},
    "undo-recovery": AT | {"recovery": text(KEY)},
    "start-recovery": AT,
    "finish-recovery": AT,
}


def fitting(kind: str) -> dict[str, Any]:
    """A request of a kind that fits."""
    device = Device() if kind == "create" else Device(credential=b"passkey", blob=bytes(100))
    return Portal().request(kind, [ITEMS[kind]], device)


def changed(kind: str, **members: Any) -> dict[str, Any]:
    """A request of a kind with other members."""
    return fitting(kind) | members


def item(kind: str, **members: Any) -> dict[str, Any]:
    """A request of a kind whose item has other members."""
    return changed(kind, items=[ITEMS[kind] | members])


def without(name: str) -> dict[str, Any]:
    """A request that lacks a member."""
    return {key: value for key, value in fitting("session").items() if key != name}


def named(*names: tuple[str, str]) -> dict[str, Any]:
    """A request with these names of organisations."""
    return changed("session", organisations=[{"code": code, "name": name} for code, name in names])


REFUSED: dict[str, dict[str, Any] | str] = {
    "not JSON": "{",
    "null": "null",
    "an array": "[]",
    "another format": changed("session", format=2),
    "an unknown kind": fitting("session") | {"kind": "sign-anything"},
    "a kind that every object has": fitting("session") | {"kind": "constructor"},
    "another chain": changed("session", chain="salus-other"),
    "an unknown language": changed("session", language="__proto__"),
    "a member too many": changed("session", bytes=text(KEY)),
    "a member too few": without("account"),
    "an end before its begin": changed("session", expires_at_s=BEGIN_S),
    "an end after an hour": changed("session", expires_at_s=BEGIN_S + 3600),
    "no device": changed("session", devices=[]),
    "a blob that is too large": changed("session", devices=[Device(credential=b"x", blob=bytes(70_000)).shown()]),
    "a person where none is made": changed("session", person="Mary Green"),
    "a person with a direction": changed("create", person="Mary \u202eneerG"),
    "no items": changed("session", items=[]),
    "33 items": changed("new-key", items=[AT | {"pseudonym": text(bytes([n]) * 16)} for n in range(33)]),
    "one item twice": changed("revoke-ticket", items=[ITEMS["revoke-ticket"]] * 2),
    "one session key for two relationships": changed(
        "session", items=[ITEMS["session"], ITEMS["session"] | {"pseudonym": text(OTHER)}]
    ),
    "a custodian that is no code": item("session", custodian="Riverside"),
    "a pseudonym of another size": item("session", pseudonym=text(bytes(15))),
    "a pseudonym that is a number": item("session", pseudonym=16),
    "an item that is null": changed("session", items=[None]),
    "an item that is an array": changed("create", items=[[]]),
    "bytes with padding": item("session", pseudonym=text(PSEUDONYM) + "=="),
    "bytes in another form": item("session", pseudonym=text(PSEUDONYM)[:-1] + "B"),
    "a name with the code of another": named(("RX1", "Elm Practice (A81001)")),
    "a name with a direction": named(("RX1", "Riverside\u202eHospital")),
    "a name in two lines": named(("RX1", "Riverside\nHospital")),
    "an empty name": named(("RX1", "")),
    "one name for two codes": named(("RX1", "Elm Practice"), ("A81001", "Elm practice ")),
    "two names for one code": named(("RX1", "Riverside"), ("RX1", "Elm Practice")),
    "a session of more than 12 hours": item("session", until_s=BEGIN_S + 12 * 3600 + 1),
    "a session that ends first": item("session", until_s=BEGIN_S),
    "a session of later": item("session", from_s=BEGIN_S + 7200 + 1, until_s=BEGIN_S + 10_000),
    "rules in another encoding": item("file-consent", tree=text(encode_tree(Provision(ProvisionType.PERMIT)) + b"\0")),
    "rules with a direction": item("file-consent", tree=WITH_DIRECTION),
    "old rules that are none": item("file-consent", replaces=ENDED | {"tree": text(b"\x90")}),
    "a gate beside the rules": item("file-consent", gate=text(b"\x92\x90\x90")),
    "one guardian alone": item("set-recovery", threshold=1),
    "more guardians than there are": item("set-recovery", threshold=4),
    "a second time that takes fewer": item("set-recovery", second=2),
    "a second time that takes more than there are": item("set-recovery", second=4),
    "one guardian twice": item("set-recovery", guardians=["Tom", "tom ", "Ida"]),
    "a guardian without a name": item("set-recovery", guardians=["Tom", "", "Ida"]),
    "other guardians for another record": changed(
        "set-recovery",
        items=[
            ITEMS["set-recovery"],
            ITEMS["set-recovery"] | {"pseudonym": text(OTHER), "guardians": ["Eve", "Mal", "Bo"]},
        ],
    ),
    "other guardians than there can be": item("change-recovery", threshold=3),
    "a change by nobody": changed(
        "change-recovery", items=[{k: v for k, v in ITEMS["change-recovery"].items() if k != "recovery"}]
    ),
    "one recovery key for two relationships": changed(
        "undo-recovery", items=[ITEMS["undo-recovery"], ITEMS["undo-recovery"] | {"pseudonym": text(OTHER)}]
    ),
    "an undoing that chooses": item("undo-recovery", guardians=["Eve", "Mal"]),
    "a recovery key that comes along": item("start-recovery", key=text(KEY)),
    "a ticket of two years": item("issue-ticket", expires_at_s=BEGIN_S + 2 * 366 * 86_400),
    "a ticket that has ended": item("issue-ticket", expires_at_s=BEGIN_S),
    "a ticket of two conditions": item("issue-ticket", tree=TWO),
    "a ticket without uses": item("issue-ticket", uses_max=0),
    "a ticket that writes": item("issue-ticket", resources=[{"type": "*", "interactions": ["write"]}]),
    "a ticket with an unknown limit": item("issue-ticket", resources=[{"type": "*", "interactions": ["read"], "x": 1}]),
    "a ticket for a server in clear": item("issue-ticket", audience="http://riverside.example"),
    "no words": item("file-challenge", words=""),
    "words with a direction": item("file-challenge", words="Nobody \u202edeksa"),
    "words without a line's end": item("file-challenge", words="Nobody asked\n"),
    "too many words": item("file-challenge", words="x" * 2_001),
    "words about no look": item("file-challenge", permit=text(bytes(15))),
    "a key that has ended": item("add-key", expires_at_s=BEGIN_S),
    "a key of another kind": item("add-key", key_kind=3),
    "terms of a device": item("add-key", key_kind=1, terms=terms()),
    "terms in another name": item("add-key", terms=terms(name="Eve")),
    "terms whose ages fall": item("add-key", terms=terms((13, (1,), ()), (11, (1,), ()))),
    "terms after those without an end": item("add-key", terms=terms((0, (1,), ()), (11, (1,), ()))),
    "a parent for good": item("add-key", terms=terms((0, (1,), ()), relation=1)),
    "an unknown relation": item("add-key", terms=terms(relation=5)),
    "an unknown ability": item("add-key", terms=terms((0, (3,), ()))),
    "terms about what is no type": item("add-key", terms=terms((0, (1,), ("observation",)))),
    "terms without bands": item("add-key", terms=text(encode(["Bob", 2, []]))),
    "terms that are none": item("add-key", terms=text(b"\x90")),
    "a body that does more": item("accept-key", body=body(ADDED, ADDED)),
    "a body of another chain": item("accept-key", body=body(ADDED, chain="salus-other")),
    "a body that is none": item("accept-key", body=text(b"\x96")),
    "a body of next week": item("accept-key", body=body(ADDED, expires_at_s=BEGIN_S + 7 * 86_400)),
}


CLOCKS: dict[str, dict[str, Any] | str] = {
    f"a clock that is {words}": changed("remove-key", time_s=BEGIN_S + by_s, expires_at_s=BEGIN_S + by_s + 60)
    for words, by_s in (("three hours fast", 3 * 3600), ("three hours slow", -3 * 3600), ("a day slow", -86_400))
}
FITTING: dict[str, dict[str, Any] | str] = {
    "terms": item("add-key", terms=terms()),
    "terms of two ages": item("add-key", terms=terms((11, (1,), ("Observation",)), (13, (1, 2), ()))),
    "terms without an end at last": item("add-key", terms=terms((11, (), ()), (0, (1,), ()))),
    "a parent until 16": item("add-key", terms=terms((16, (1,), ()), relation=1)),
}


@pytest.fixture(scope="module")
def answers() -> dict[str, tuple[str, list[str]]]:
    """What the page does with each row, and what it says to the person: Node is asked once."""
    rows: dict[str, dict[str, Any] | str] = {**{kind: fitting(kind) for kind in ITEMS}, **FITTING, **REFUSED, **CLOCKS}
    given = {"chain": CHAIN, "now_s": BEGIN_S}
    texts = [row if isinstance(row, str) else json.dumps(row) for row in rows.values()]
    done = subprocess.run(
        [NODE, "--no-warnings", RUNNER, PAGE],
        input=json.dumps(given | {"rows": texts}),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    assert done.returncode == 0, done.stderr
    return dict(zip(rows, json.loads(done.stdout), strict=True))


@pytest.fixture(scope="module")
def said(answers: dict[str, tuple[str, list[str]]]) -> Callable[[str], str]:
    """What the page does with a row, by its name."""
    return lambda name: answers[name][0]


SAID = {
    "session": ["Until 1 March 2026, 21:00:00 GMT."],
    "add-key": ["“Bob” may act for you until 1 March 2026, 09:01:00 GMT."],
    "accept-key": ["This device may act as you do."],
    "remove-key": ["“Bob's phone” may no longer act for you."],
    "file-challenge": ["Nobody asked me.", "I was away."],
    "cancel-recovery": ["Your key stays."],
    "terms of two ages": [
        "“Bob” may act for you until 1 March 2026, 09:01:00 GMT.",
        "As your carer.",
        "They may see test results until the age of 11.",
        "They may see your records and decide who sees your records from the age of 11 until the age of 13.",
        "After that they may do nothing.",
    ],
    "terms without an end at last": [
        "“Bob” may act for you until 1 March 2026, 09:01:00 GMT.",
        "As your carer.",
        "They may do nothing until the age of 11.",
        "They may see your records from the age of 11.",
    ],
}


@pytest.mark.parametrize("name", SAID)
def test_what_the_page_says(answers: dict[str, tuple[str, list[str]]], name: str) -> None:
    assert answers[name][1] == SAID[name]


@pytest.mark.parametrize("kind", ITEMS)
def test_a_request_that_fits_is_shown(said: Callable[[str], str], kind: str) -> None:
    assert said(kind) == "fits"


def test_terms_that_fit_are_taken(said: Callable[[str], str]) -> None:
    """Each of those that are refused above differs from these in one thing."""
    assert [said(name) for name in FITTING] == ["fits"] * len(FITTING)


@pytest.mark.parametrize("name", REFUSED)
def test_a_request_that_does_not_fit_is_refused(said: Callable[[str], str], name: str) -> None:
    assert said(name) == "RequestUnfit"


@pytest.mark.parametrize("name", CLOCKS)
def test_clocks_that_are_apart_are_not_said_to_be_the_websites_fault(said: Callable[[str], str], name: str) -> None:
    assert said(name) == "ClocksApart"
