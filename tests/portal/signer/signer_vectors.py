"""What the Python side makes of given values, for the page's own code to be compared with (docs/spec/signer.md)."""

from __future__ import annotations

import base64
import hmac
import json
import random
from typing import Any

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from salus.clinical.uk_time import uk_time
from salus.contracts import access, consent, patients, residuals, tickets
from salus.contracts.patients import Holder, KeyKind
from salus.contracts.provisions import Provision, ProvisionInvalid, ProvisionType, as_set, encode_tree, gate
from salus.contracts.ticket_bearers import Coding, Resources, new_claims, write_bearer
from salus.crypto import merkle
from salus.crypto.derive import branch, hkdf
from salus.crypto.hashing import leaf_hash, tag_prefix, tagged
from salus.crypto.signing import SigningKey
from salus.ledger import transactions
from salus.ledger.encoding import KNOWN_ANSWERS, encode
from salus.ledger.fields import commit_fields
from salus.ledger.identifiers import Digest, Pseudonym, PublicKey
from salus.ledger.transactions import Message
from salus.sdk import guardians, wallet
from salus.sdk.choice_words import MEDICINES, sentences
from tests.contracts.provisions_world import FORTY_ORGANISATIONS, KINDS, accepted
from tests.contracts.trees import TREES

CHAIN = "salus-vectors"
TIME_S = 1_795_000_000
NAMES = {"RX1": "Riverside Hospital (RX1)", "A81001": "Elm Practice (A81001)"}
SEED = 20261129

PSEUDONYM, OTHER = Pseudonym(bytes(range(16))), Pseudonym(bytes(range(16, 32)))
SECRET, SALT, NONCE = bytes(range(32)), bytes(range(32, 64)), bytes(range(64, 80))
COMMITMENT = Digest(bytes(range(100, 132)))
KEYS = [SigningKey.from_seed(bytes([number]) * 32) for number in (1, 2)]
FIRST, SECOND = (PublicKey(key.public) for key in KEYS)
TREE = TREES["no-psychiatry"]
MEDICINE = Provision(ProvisionType.DENY, classes=as_set((*MEDICINES, "Encounter")))

LARGE = ["x" * 65_536, bytes(65_536), [0] * 65_536]
TOO_LARGE = encode(Provision(ProvisionType.PERMIT, codes=tuple(f"s|{each:02}{'c' * 252}" for each in range(64))))
REFUSED = [
    "cc7f", "cd00ff", "ce0000ffff", "cf00000000ffffffff", "d0ff", "d1ff80", "d2ffff8000", "d3ffffffff80000000",
    "0000", "", "c0", "c1", "cb3ff0000000000000", "ca3f800000", "80", "d4", "c700", "c5000161", "d90161",
    "a365cc81", "a1ff", "a3eda080", "c402", "92", "dc0001c3", "dd00000001c3", "ddffffffff", "cf0020000000000000",
    41 * "91" + "c3",
]  # fmt: skip
"""Longer than need be, two values, none, nil, floats, maps, extensions, not NFC or UTF-8, cut off, too large, deep."""


def vectors(*, trees: int, large: bool = True) -> dict[str, Any]:
    """All vectors, with this many trees that a seeded random source grows, and with values of 64 kB or without."""
    return {
        "chain": CHAIN,
        "names": list(NAMES.items()),
        "encoded": _encoded(LARGE if large else []),
        "refused": REFUSED,
        "base64": [{"text": _text(each), "encoded": each.hex()} for each in (b"", b"\xfb", b"\xfb\xff", SECRET)],
        "tagged": [_tagged("salus/one/1"), _tagged("salus/two/1", b"", b"a" * 300)],
        "branches": [
            {"seed": SECRET.hex(), "path": path, "secret": branch(SECRET, *path).hex()}
            for path in (["signing"], ["signing", PSEUDONYM.hex(), "0"], ["voucher", OTHER.hex()])
        ],
        "roots": [_root([bytes([place]) * place for place in range(count)]) for count in (0, 1, 2, 3, 5, 8, 13)],
        "fields": [_fields([TREE]), _fields(["withdrawn by the patient"]), _fields([b"", 5, "é", [TREE]])],
        "keys": [_key(key, message) for key in KEYS for message in (b"", b"salus")],
        "transactions": [_transaction(*row) for row in MESSAGES],
        "bodies": _bodies(),
        "sessions": [_session("RX1", 43_200), _session("A81001", 1)],
        "tickets": [_ticket("https://north.example/FHIR/R4"), _ticket("https://süd.example", Coding("8480-6", "http://loinc.org"))],
        "wallets": [_wallet()],
        "shares": [{"words": each, "seed": guardians.combine(each).hex()} for each in GUARDIANS],
        "refused_shares": [{"place": place, "words": words} for place, words in REFUSED_SHARES],
        "times": [{"time_s": each, "words": uk_time(each)} for each in TIMES],
        "trees": [*(_tree(accepted(each), words=True) for each in (*TREES.values(), MEDICINE)), *_grown(trees)],
        "refused_trees": [each.hex() for each in (*_refused_trees(), *([TOO_LARGE] if large else []))],
    }  # fmt: skip


TIMES = [
    0, 825_555_599, 825_555_600, 846_378_000 - 1, 846_378_000, TIME_S, 1_806_195_599, 1_806_195_600,
    -62_135_596_800, 253_402_300_799,
]  # fmt: skip


GUARDIANS = [
    [
        (
            "center crush academic acid afraid perfect inmate pink roster liquid walnut flame slim privacy valuable "
            "cricket exhaust survive boring decorate merchant scene ancient voter divorce ultimate traffic therapy "
            "prune punish crystal agency sugar"
        ),
        (
            "center crush academic agency always shaft slow jewelry airline prospect crush dive dream duckling "
            "symbolic finance average elevator welcome general amuse rebuild parcel snake paid grant slice glance "
            "hazard solution branch admit artwork"
        ),
    ],
    [
        (
            "umbrella buyer academic axle admit smear emission dish hospital emerald grocery capital axle failure "
            "dictate unhappy traveler frozen large curly swimming nuclear true mixed mortgage alpha parcel frequent "
            "beard much gesture salt mountain"
        ),
        (
            "umbrella buyer academic acne analysis random knife force lilac slice sharp briefing yoga webcam webcam "
            "float erode course dictate national stilt fatigue spew puny genius faint ordinary sunlight mobile echo "
            "amount bedroom crucial"
        ),
        (
            "umbrella buyer academic amazing alarm false permit crush galaxy forward black class voting rebound "
            "punish rich episode typical garlic industry being omit estimate object video costume style priority bike "
            "eyebrow axis hamster ancestor"
        ),
    ],
]
"""Shares of two circles, two of three and three of five, drawn once: their seeds are what `guardians` makes of them."""
REFUSED_SHARES = [
    (0, []),
    (0, GUARDIANS[0][:1]),
    (0, [GUARDIANS[0][0], GUARDIANS[1][0], GUARDIANS[1][1]]),
    (0, GUARDIANS[1][:2]),
    (0, GUARDIANS[0][:1] * 2),
    (1, [GUARDIANS[0][0].replace("liquid", "walnut"), GUARDIANS[0][1]]),
    (2, [GUARDIANS[0][0], GUARDIANS[0][1].replace("shaft", "shafts")]),
    (2, [GUARDIANS[0][0], GUARDIANS[0][1].rpartition(" ")[0]]),
]
"""None, too few, of two circles, one twice; a word for another, a word that is none, a word too few: place, shares."""
GATE = gate(TREE)
CONDITION = gate(TREES["practice"]).may_permit[0]
CHOICE = NONCE
MESSAGES = [
    ("enrol", [PSEUDONYM, "RX1", SECOND, COMMITMENT],
     patients.Enrol(PSEUDONYM, "RX1", SECOND, Holder.PATIENT, b"", COMMITMENT), KEYS),
    ("takeOverKey", [PSEUDONYM, SECOND, COMMITMENT], patients.TakeOverKey(PSEUDONYM, SECOND, b"", COMMITMENT), KEYS),
    ("addKey", [PSEUDONYM, SECOND, 1, 0, COMMITMENT],
     patients.AddKey(PSEUDONYM, SECOND, KeyKind.DEVICE, 0, COMMITMENT), KEYS),
    ("removeKey", [PSEUDONYM, SECOND, COMMITMENT], patients.RemoveKey(PSEUDONYM, SECOND, COMMITMENT), KEYS[:1]),
    ("cancelRecovery", [PSEUDONYM, COMMITMENT], patients.CancelRecovery(PSEUDONYM, COMMITMENT), KEYS[:1]),
    ("startRecovery", [PSEUDONYM, SECOND, COMMITMENT], patients.StartRecovery(PSEUDONYM, SECOND, COMMITMENT), KEYS),
    ("finishRecovery", [PSEUDONYM, COMMITMENT], patients.FinishRecovery(PSEUDONYM, COMMITMENT), KEYS[:1]),
    ("changeRecoveryKey", [PSEUDONYM, FIRST, SECOND, COMMITMENT],
     patients.ChangeRecoveryKey(PSEUDONYM, FIRST, Digest(SECOND), COMMITMENT), KEYS[:1]),
    ("undoRecoveryKey", [PSEUDONYM, COMMITMENT], patients.UndoRecoveryKey(PSEUDONYM, COMMITMENT), KEYS[:1]),
    ("fileConsent", [PSEUDONYM, CHOICE, GATE, COMMITMENT],
     consent.FileConsent(PSEUDONYM, CHOICE, GATE, COMMITMENT, 0), KEYS[:1]),
    ("withdrawConsent", [PSEUDONYM, CHOICE, COMMITMENT],
     consent.WithdrawConsent(PSEUDONYM, CHOICE, COMMITMENT, 0), KEYS[:1]),
    ("issueTicket", [PSEUDONYM, SECOND, CONDITION, 3, TIME_S + 60, COMMITMENT],
     tickets.IssueTicket(PSEUDONYM, SECOND, CONDITION, 3, TIME_S + 60, COMMITMENT), KEYS),
    ("challenge", [PSEUDONYM, NONCE, COMMITMENT], access.Challenge(PSEUDONYM, NONCE, COMMITMENT), KEYS[:1]),
    ("revokeTicket", [PSEUDONYM, SECOND, COMMITMENT], tickets.RevokeTicket(PSEUDONYM, SECOND, COMMITMENT), KEYS[:1]),
]  # fmt: skip


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _json(value: Any) -> Any:
    """A value with its bytes in hexadecimal, as `check.js` reads it."""
    if isinstance(value, bytes):
        return {"hex": value.hex()}
    if isinstance(value, msgspec.Struct):
        return _json(msgspec.structs.astuple(value))
    if isinstance(value, tuple | list):
        return [_json(each) for each in value]
    return value


def _encoded(more: list[Any]) -> list[dict[str, Any]]:
    numbers = [2**53 - 1, -1, -32, -33, -128, -129, -32768, -32769, -(2**31), -(2**31) - 1, -62_135_596_800]
    texts = ["x" * 31, "x" * 256, "Ŵy n 𝒳"]
    known = [value for value, _ in KNOWN_ANSWERS if not isinstance(value, msgspec.Struct)]
    values = [*known, *numbers, *texts, (), [[b""], [True, "a"]], *more]
    return [{"value": _json(each), "encoded": encode(each).hex()} for each in values]


def _tagged(tag: str, *parts: bytes) -> dict[str, Any]:
    return {"tag": tag, "parts": _json(parts), "hash": tagged(tag, *parts).hex()}


def _root(leaves: list[bytes]) -> dict[str, Any]:
    return {"leaves": _json(leaves), "root": merkle.root([leaf_hash(each) for each in leaves]).hex()}


def _fields(values: list[Any]) -> dict[str, Any]:
    made = commit_fields(values, secret=SECRET)
    return {
        "secret": SECRET.hex(),
        "values": _json(made.values),
        "root": made.root().hex(),
        "encoded": encode(made).hex(),
    }


def _key(key: SigningKey, message: bytes) -> dict[str, Any]:
    signature = key.sign_tagged("salus/vector/1", message).hex()
    known = {"seed": key.seed.hex(), "public": key.public.hex(), "tag": "salus/vector/1"}
    return known | {"message": message.hex(), "signature": signature}


def _transaction(make: str, given: list[Any], message: Message, keys: list[SigningKey]) -> dict[str, Any]:
    raw = transactions.sign([message], chain=CHAIN, keys=keys, expires_at_s=TIME_S + 300, nonce=NONCE)
    known = {"make": make, "given": _json(given), "seeds": [key.seed.hex() for key in keys]}
    return known | {"time_s": TIME_S, "nonce": NONCE.hex(), "raw": raw.hex()}


def _bodies() -> list[dict[str, Any]]:
    """Bodies that another device may have made: only that which adds one key and does nothing else is read."""
    add = patients.AddKey(PSEUDONYM, SECOND, KeyKind.DELEGATE, TIME_S + 99, COMMITMENT)
    remove = patients.RemoveKey(PSEUDONYM, SECOND, COMMITMENT)
    fine: dict[str, Any] = {"chain": CHAIN, "signers": [FIRST, SECOND], "expires_at_s": TIME_S + 300, "nonce": NONCE}
    added = [PSEUDONYM.hex(), SECOND.hex(), 2, TIME_S + 99]
    rows = {
        "adds a key": ([add], {}, added),
        "of another chain": ([add], {"chain": "salus-other"}, None),
        "expired": ([add], {"expires_at_s": TIME_S}, None),
        "too far ahead": ([add], {"expires_at_s": TIME_S + 601}, None),
        "does more": ([add, remove], {}, None),
        "does something else": ([remove], {}, None),
        "signed by another key": ([add], {"signers": [FIRST, KEYS[0].public]}, None),
        "signed by a third": ([add], {"signers": [FIRST, SECOND, PublicKey(bytes(32))]}, None),
    }
    return [
        {"name": name, "time_s": TIME_S, "body": transactions.unsigned(messages, **fine | other).hex(), "added": want}
        for name, (messages, other, want) in rows.items()
    ]


def _session(custodian: str, duration_s: int) -> dict[str, Any]:
    session = residuals.Session(SECOND, custodian, TIME_S, TIME_S + duration_s)
    certified = encode(residuals.certify_session(session, KEYS[0])).hex()
    known = {"seed": KEYS[0].seed.hex(), "custodian": custodian, "key": SECOND.hex()}
    return known | {"from_s": session.from_s, "until_s": session.until_s, "certified": certified}


def _ticket(audience: str, code: Coding | None = None) -> dict[str, Any]:
    resources = (Resources("*", ("read",)), Resources("Observation", ("read", "search"), code=code))
    times = {"time_s": TIME_S, "expires_at_s": TIME_S + 86_400}
    claims = new_claims(
        chain=CHAIN, audience=audience, pseudonym=PSEUDONYM, resources=resources, secret=SECRET, **times
    )
    bearer, key = write_bearer(claims)
    known = {"audience": audience, "pseudonym": PSEUDONYM.hex(), "secret": SECRET.hex(), "bearer": bearer}
    return known | times | {"resources": msgspec.to_builtins(resources), "public": key.public.hex()}


def _wallet() -> dict[str, Any]:
    rows = (
        wallet.Relationship(CHAIN, "RX1", PSEUDONYM, 0),
        wallet.Relationship(CHAIN, "A81001", OTHER, 3),
    )
    held = wallet.Wallet(wallet.FORMAT, SECRET, rows)
    account, device, share, prf, nonce = NONCE, bytes(16), bytes(32), SALT[::-1], bytes(12)
    head = b"\x01" + SALT
    tag = tag_prefix("salus/signer/wrap/1")
    key = hkdf(prf + share, salt=SALT, info=tag, length=32)
    sealed = AESGCM(key).encrypt(nonce, encode(held), tag + account + device + head)
    tree = encode_tree(TREE)
    own = branch(SECRET, "voucher", PSEUDONYM.hex())
    voucher = hmac.digest(own, tag_prefix("salus/voucher/1") + CHOICE + tree, "sha256")
    code = tagged("salus/signer/code/1", PSEUDONYM, PSEUDONYM, OTHER, OTHER)[:10]
    spelt = base64.b32encode(code).decode()
    known = {"account": account, "device": device, "share": share, "prf": prf, "salt": SALT, "nonce": nonce}
    known |= {"seed": SECRET, "encoded": encode(held), "blob": head + nonce + sealed, "choice": CHOICE, "tree": tree}
    known |= {"voucher": voucher, "public": wallet.signing_key(held, rows[0]).public}
    relationships = [[each.chain, each.custodian, each.pseudonym.hex(), each.key_number] for each in rows]
    spelt = " ".join(spelt[place : place + 4] for place in range(0, 16, 4))
    return {name: each.hex() for name, each in known.items()} | {"relationships": relationships, "code": spelt}


def _tree(tree: Provision, *, words: bool) -> dict[str, Any]:
    row: dict[str, Any] = {"tree": encode_tree(tree).hex(), "gate": encode(gate(tree)).hex()}
    return row | {"words": [[each.path, each.words] for each in sentences(tree, NAMES)]} if words else row


def _grown(count: int) -> list[dict[str, Any]]:
    """Trees of a seeded random source: small and deep ones, and wide ones that pass the bounds of a gate."""
    source = random.Random(SEED)
    grown: list[dict[str, Any]] = []
    while len(grown) < count:
        tree = _wide(source) if len(grown) % 4 == 0 else accepted(_small(source, levels=5))
        try:
            grown.append(_tree(tree, words=False))
        except ProvisionInvalid:  # a random tree may be larger than the language allows
            continue
    return grown


def _small(source: random.Random, *, levels: int) -> Provision:
    chosen = source.sample(sorted(KINDS), source.randrange(3))
    fields = {name: value for kind in chosen for name, value in source.choice(KINDS[kind]).items()}
    below = source.randrange(3) if levels > 1 else 0
    children = tuple(_small(source, levels=levels - 1) for _ in range(below))
    return Provision(source.choice(list(ProvisionType)), provisions=children, **fields)


def _wide(source: random.Random) -> Provision:
    def leaf() -> Provision:
        organisations = as_set(source.sample(FORTY_ORGANISATIONS, source.randrange(40)))
        day = source.randrange(40)
        kind = source.choice(list(ProvisionType))
        return Provision(kind, organisations, valid_from_day=day, valid_to_day=day + source.randrange(3))

    leaves = tuple(leaf() for _ in range(source.randrange(17, 60)))
    cut = source.randrange(len(leaves))
    middle = Provision(source.choice(list(ProvisionType)), valid_to_day=35, provisions=leaves[cut:])
    return Provision(source.choice(list(ProvisionType)), provisions=(*leaves[:cut], middle))


def _refused_trees() -> list[bytes]:
    """Bytes of trees that the language does not allow."""
    permit = ProvisionType.PERMIT
    deep = Provision(permit)
    for _ in range(8):
        deep = Provision(permit, provisions=(deep,))
    trees = [
        deep,
        Provision(permit, provisions=(Provision(permit),) * 64),
        Provision(permit, organisations=("RX1", "A81001")),
        Provision(permit, organisations=("RX1", "RX1")),
        Provision(permit, organisations=("rx1",)),
        Provision(permit, labels=("PSY",)),
        Provision(permit, labels=("http://unitsofmeasure.org|kg",)),
        Provision(permit, labels=("s|two  spaces",)),
        Provision(permit, labels=("s|\u202ePSY",)),
        Provision(permit, classes=("observation",)),
        Provision(permit, persons=(bytes(31),)),
        Provision(permit, valid_from_day=5, valid_to_day=4),
        Provision(permit, data_from_s=-62_135_596_801),
    ]
    numbers = [(1, (), (9,)), (1, (), (), (0,)), (2,)]
    whole = msgspec.structs.astuple(Provision(permit))
    shapes = [(*row, *whole[len(row) :]) for row in numbers] + [whole[:-1], (*whole, 0), (*whole[:-1], 5)]
    return [encode(each) for each in (*trees, *shapes)] + [encode(Provision(permit)) + b"\x00", b"\xc3"]


if __name__ == "__main__":
    from pathlib import Path

    page = Path(__file__).parent / "vectors.json"
    page.write_text(json.dumps(vectors(trees=12, large=False), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
