"""Trees as values: what `check` refuses and how it says so, the one encoding, and the page that specifies them."""

import re
from pathlib import Path

import msgspec
import pytest

from salus.contracts.provisions import (
    EARLIEST_S,
    FIRST_DAY,
    LAST_DAY,
    LATEST_S,
    Condition,
    DataMeaning,
    DataReference,
    Effect,
    Gate,
    Provision,
    ProvisionInvalid,
    ProvisionType,
    Purpose,
    Record,
    Request,
    RoleClass,
    SureDenial,
    Verb,
    as_set,
    check,
    day_of,
    decode_tree,
    encode_tree,
)
from salus.contracts.provisions import gates as gate_bounds
from salus.contracts.provisions import tree as bounds

PAGE = Path(__file__).resolve().parents[2] / "docs" / "spec" / "provisions.md"
DENY, PERMIT = ProvisionType.DENY, ProvisionType.PERMIT
ID_16, ID_32 = b"p" * 16, b"q" * 32


def nested(levels: int) -> Provision:
    tree = Provision(DENY)
    for _ in range(levels - 1):
        tree = Provision(PERMIT, provisions=(tree,))
    return tree


def broad(nodes: int) -> Provision:
    return Provision(PERMIT, provisions=(Provision(DENY),) * (nodes - 1))


def numbered(count: int, text: str = "{:04}") -> tuple[str, ...]:
    return tuple(text.format(index) for index in range(count))


def of_size(size_bytes: int) -> Provision:
    """A tree whose encoding has exactly this size: 60 long labels, filled up by one more."""
    labels = numbered(60, "s|{:0248}")
    tree = Provision(DENY, labels=labels)
    missing = size_bytes - len(msgspec.msgpack.encode(tree))
    children = []
    while missing > 300:
        children.append(Provision(DENY, labels=("s|" + "x" * 198,)))
        missing = size_bytes - len(msgspec.msgpack.encode(Provision(DENY, labels=labels, provisions=tuple(children))))
    base = Provision(DENY, labels=labels, provisions=(*children, Provision(DENY, labels=("s|" + "y" * 38,))))
    missing = size_bytes - len(msgspec.msgpack.encode(base))
    last = Provision(DENY, labels=("s|" + "y" * (38 + missing),))
    return Provision(DENY, labels=labels, provisions=(*children, last))


ALLOWED = {
    "bare permit": Provision(PERMIT),
    "bare deny": Provision(DENY),
    "eight levels": nested(8),
    "64 provisions": broad(64),
    "64 labels": Provision(DENY, labels=numbered(64, "s|{:04}")),
    "64 organisations": Provision(DENY, organisations=numbered(64)),
    "shortest and longest organisation": Provision(DENY, organisations=("A1", "A23456789012")),
    "shortest label": Provision(DENY, labels=("s|N",)),
    "label of 256 characters": Provision(DENY, labels=("s|" + "é" * 254,)),
    "label with a space": Provision(DENY, labels=("s|two words",)),
    "code whose system has a bar": Provision(DENY, codes=("urn:a|b|c",)),
    "shortest and longest class": Provision(DENY, classes=("A", "B" * 64)),
    "person": Provision(DENY, persons=(ID_32,)),
    "one day": Provision(DENY, valid_from_day=9, valid_to_day=9),
    "one second": Provision(DENY, data_from_s=-9, data_to_s=-9),
    "16384 bytes": of_size(16_384),
    "record by name": Provision(DENY, data=(DataReference(DataMeaning.INSTANCE, ID_16),)),
}

REFUSED = {
    "nine levels": (nested(9), "expected at most 8 levels, came more below provision 1.1.1.1.1.1.1.1: nest less"),
    "65 provisions": (broad(65), "expected at most 64 provisions, came more: merge"),
    "65 provisions in two families": (
        Provision(PERMIT, provisions=(broad(32), broad(32))), "expected at most 64 provisions, came more: merge"),
    "65 labels": (
        Provision(DENY, labels=numbered(65, "s|{:04}")), "expected at most 64 labels, came 65 in provision 1: split"),
    "65 organisations": (Provision(DENY, organisations=numbered(65)), "at most 64 organisations, came 65"),
    "organisation of one character": (Provision(DENY, organisations=("A",)), "2 to 12 characters"),
    "organisation of 13 characters": (Provision(DENY, organisations=("A" * 13,)), "2 to 12 characters"),
    "organisation in lower case": (Provision(DENY, organisations=("rx1",)), "A-Z or 0-9"),
    "organisation with a line end": (Provision(DENY, organisations=("RX1\n",)), "A-Z or 0-9"),
    "organisation with a foreign digit": (Provision(DENY, organisations=("RX١",)), "A-Z or 0-9"),
    "bare label": (
        Provision(DENY, labels=("PSY",)),
        "system|code, 3 to 256 characters, came another at place 0 of labels in provision 1: write the code system"),
    "bare label below a permit": (
        Provision(PERMIT, provisions=(Provision(DENY, labels=("PSY",)),)), "place 0 of labels in provision 1.1"),
    "bare label among others": (Provision(DENY, labels=("a|b", "c")), "place 1 of labels"),
    "empty label": (Provision(DENY, labels=("",)), "system|code"),
    "label without a system": (Provision(DENY, labels=("|PSY",)), "system|code"),
    "label without a code": (Provision(DENY, labels=("http://s|",)), "system|code"),
    "label that is a code alone with a space before it": (Provision(DENY, labels=("s| PSY",)), "system|code"),
    "label with a space after it": (Provision(DENY, labels=("s|PSY ",)), "system|code"),
    "label with two spaces inside": (Provision(DENY, labels=("s|P  Y",)), "system|code"),
    "label whose system has a space": (Provision(DENY, labels=("a s|PSY",)), "system|code"),
    "label of 257 characters": (Provision(DENY, labels=("s|" + "x" * 255,)), "3 to 256"),
    "label that is not NFC": (Provision(DENY, labels=("s|e\u0301",)), "NFC"),
    "label with a control character": (Provision(DENY, labels=("s|a\x00",)), "system|code"),
    "label that cannot be encoded": (Provision(DENY, labels=("s|\ud800",)), "system|code"),
    "label that is a unit": (Provision(DENY, labels=("http://unitsofmeasure.org|mg",)), "system|code"),
    "empty class": (
        Provision(DENY, classes=("",)),
        "the first a capital, came another at place 0 of classes in provision 1: write the type as records do"),
    "class in lower case": (Provision(DENY, classes=("observation",)), "the first a capital"),
    "class with its system": (Provision(DENY, classes=("http://hl7.org/fhir/resource-types|Observation",)), "letters"),
    "class with a space after it": (Provision(DENY, classes=("Observation ",)), "letters"),
    "class in foreign letters": (Provision(DENY, classes=("Éncounter",)), "letters"),
    "class of 65 characters": (Provision(DENY, classes=("A" * 65,)), "up to 64"),
    "code without a bar": (Provision(DENY, codes=("44054006",)), "system|code"),
    "code without a system": (Provision(DENY, codes=("|44054006",)), "system|code"),
    "code without a code": (Provision(DENY, codes=("snomed|",)), "system|code"),
    "code that is a unit": (Provision(DENY, codes=("http://unitsofmeasure.org|mg",)), "system|code"),
    "code that is not NFC": (Provision(DENY, codes=("a|e\u0301",)), "system|code"),
    "person of 16 bytes": (Provision(DENY, persons=(ID_16,)), "identifiers of certificates, 32 bytes"),
    "person of 33 bytes": (Provision(DENY, persons=(b"p" * 33,)), "32 bytes"),
    "reference of no bytes": (Provision(DENY, data=(DataReference(DataMeaning.INSTANCE, b""),)), "of 16 bytes"),
    "reference of 32 bytes": (Provision(DENY, data=(DataReference(DataMeaning.INSTANCE, ID_32),)), "of 16 bytes"),
    **{
        f"reference with the meaning {meaning.name}": (
            Provision(DENY, data=(DataReference(meaning, ID_16),)),
            "identifiers of 16 bytes, came another at place 0 of data in provision 1: name each record that is meant")
        for meaning in (DataMeaning.RELATED, DataMeaning.DEPENDENTS, DataMeaning.AUTHORED_BY)
    },
    "labels out of order": (
        Provision(DENY, labels=("s|B", "s|A")), "labels sorted and each once, came place 1 out of order in"),
    "labels twice": (Provision(DENY, labels=("s|A", "s|A")), "sorted and each once"),
    "purposes out of order": (Provision(DENY, purposes=(Purpose.BTG, Purpose.TREAT)), "purposes sorted"),
    "role classes twice": (Provision(DENY, role_classes=(RoleClass.SYSTEM, RoleClass.SYSTEM)), "role_classes sorted"),
    "verbs out of order": (Provision(DENY, verbs=(Verb.EXPORT, Verb.READ)), "verbs sorted"),
    "persons out of order": (Provision(DENY, persons=(ID_32, b"p" * 32)), "persons sorted"),
    "references out of order": (
        Provision(DENY, data=tuple(DataReference(DataMeaning.INSTANCE, each * 16) for each in (b"q", b"p"))),
        "data sorted"),
    "validity that ends before it starts": (
        Provision(DENY, valid_from_day=10, valid_to_day=9),
        "a validity in days that starts before it ends, within 0 to 2932896, came 10 to 9 in provision 1: exchange"),
    "validity before 1970": (Provision(DENY, valid_from_day=-1), "within 0 to 2932896"),
    "validity after 9999": (Provision(DENY, valid_to_day=LAST_DAY + 1), "within 0 to 2932896"),
    "data period that ends before it starts": (Provision(DENY, data_from_s=1, data_to_s=0), "data period in seconds"),
    "data period before year 1": (Provision(DENY, data_from_s=EARLIEST_S - 1), "data period in seconds"),
    "data period after 9999": (Provision(DENY, data_to_s=LATEST_S + 1), "data period in seconds"),
    "16385 bytes": (of_size(16_385), "expected a tree of at most 16384 bytes, came 16385: use fewer"),
    "second exception of the first": (
        Provision(PERMIT, provisions=(
            Provision(DENY, provisions=(Provision(PERMIT), Provision(PERMIT, labels=("",)))), Provision(DENY))),
        "in provision 1.1.2"),
    "the first wrong one is named": (
        Provision(PERMIT, provisions=(Provision(DENY, labels=("",)), Provision(DENY, codes=("",)))),
        "labels in provision 1.1"),
}  # fmt: skip


@pytest.mark.parametrize("name", ALLOWED)
def test_allowed_trees_have_one_encoding(name: str) -> None:
    tree = ALLOWED[name]
    check(tree)
    assert decode_tree(encode_tree(tree)) == tree


@pytest.mark.parametrize("name", REFUSED)
def test_refused_trees_say_what_was_expected(name: str) -> None:
    tree, text = REFUSED[name]
    for refuse in (check, encode_tree):
        with pytest.raises(ProvisionInvalid, match=re.escape(text)):
            refuse(tree)


def test_a_refusal_has_three_parts_and_no_value_of_the_tree() -> None:
    with pytest.raises(ProvisionInvalid) as refused:
        check(Provision(DENY, labels=("SECRET\n",)))
    error = refused.value
    assert str(error) == f"expected {error.expected}, came {error.came}: {error.remedy}"
    assert "SECRET" not in str(error)


PLAIN = msgspec.msgpack.encode(Provision(DENY))
BYTES = {
    "nothing": b"",
    "another type": msgspec.msgpack.encode("deny"),
    "a field missing": b"\x9e" + PLAIN[1:-1],
    "a field more": b"\xdc\x00\x10" + PLAIN[1:] + b"\x90",
    "longer form of an integer": PLAIN.replace(b"\x9f\x00", b"\x9f\xcc\x00", 1),
    "type 2": PLAIN.replace(b"\x9f\x00", b"\x9f\x02", 1),
    "purpose 9": msgspec.msgpack.encode(Provision(DENY, purposes=(9,))),
    "something after it": PLAIN + b"\x00",
    "nil for a set": PLAIN[:-1] + b"\xc0",
}


@pytest.mark.parametrize("name", BYTES)
def test_bytes_that_are_not_a_tree_are_refused(name: str) -> None:
    with pytest.raises(ProvisionInvalid, match="expected the canonical encoding of a tree, came other bytes: encode"):
        decode_tree(BYTES[name])


LEVEL = b"\x9f\x00\x90\x90\x90\x90\x00\x00\x00\x00\x90\x90\x90\x90\x90\x91"


@pytest.mark.parametrize("end", [PLAIN, b""], ids=["whole", "cut off"])
def test_a_thousand_levels_are_refused_whatever_depth_this_python_decodes(end: bytes) -> None:
    with pytest.raises(ProvisionInvalid, match=r"expected (the canonical encoding of a tree|at most 8 levels), came"):
        decode_tree(LEVEL * 1_000 + end)


def test_bytes_are_measured_before_they_are_decoded() -> None:
    with pytest.raises(ProvisionInvalid, match="expected a tree of at most 16384 bytes, came 16385"):
        decode_tree(b"\xff" * 16_385)


def test_decoded_trees_are_checked() -> None:
    with pytest.raises(ProvisionInvalid, match="labels sorted"):
        decode_tree(msgspec.msgpack.encode(Provision(DENY, labels=("s|B", "s|A"))))


def test_golden_bytes() -> None:
    tree = Provision(
        PERMIT, organisations=("A81001",), purposes=(Purpose.TREAT,), valid_to_day=20_600,
        provisions=(Provision(DENY, labels=("s|HIV", "s|PSY"), persons=(ID_32,)),),
    )  # fmt: skip
    assert encode_tree(tree) == bytes.fromhex(
        "9f 01 91a6413831303031 90 9101 90 00 cd5078 d3fffffff1886e0900 cf0000003afff4417f 90 90 90 90 90 91"
        "9f 00 90 90 90 90 00 ce002cc0a0 d3fffffff1886e0900 cf0000003afff4417f 92a5737c484956a5737c505359 90 90"
        "91c420" + "71" * 32 + "90 90"
    )


@pytest.mark.parametrize(
    ("time_s", "day"), [(0, 0), (86_399, 0), (86_400, 1), (1_772_323_199, 20_512), (1_772_323_200, 20_513)]
)
def test_day_of(time_s: int, day: int) -> None:
    assert day_of(time_s) == day


def test_as_set_sorts_and_keeps_each_once() -> None:
    assert as_set(["b", "a", "b"]) == ("a", "b")
    assert as_set([]) == ()


def table(heading: str) -> list[list[str]]:
    """The cells of the first table after a heading of the page."""
    text = PAGE.read_text().split(f"{heading}\n", 1)[1]
    lines = text[text.index("|") :].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))] for line in lines]


def test_the_page_lists_the_fields_of_a_provision() -> None:
    rows = table("### Provision")
    assert [row[1] for row in rows] == list(Provision.__struct_fields__)
    assert [int(row[0]) for row in rows] == list(range(len(rows)))
    assert tuple(row[1] for row in rows if row[3] == "open") == Condition.__struct_fields__
    limits = {row[1]: int(row[4].split()[0]) for row in rows if row[4]}
    assert limits == {
        **dict.fromkeys(bounds._MEMBERS, bounds.SET_SIZE_MAX),
        "valid_from_day": FIRST_DAY, "valid_to_day": LAST_DAY, "data_from_s": EARLIEST_S, "data_to_s": LATEST_S,
    }  # fmt: skip


def test_the_page_lists_the_numbers() -> None:
    kinds = (ProvisionType, Purpose, RoleClass, Verb, DataMeaning, Effect)
    assert table("### Numbers") == [
        [kind.__name__, ", ".join(f"{each.value} {each.name}" for each in kind)] for kind in kinds
    ]


def test_the_page_lists_the_fields_of_the_other_structs() -> None:
    rows = table("### Request and record") + table("## Gate")
    structs = (Request, Record, Condition, SureDenial, Gate)
    assert rows == [[struct.__name__, ", ".join(struct.__struct_fields__)] for struct in structs]


def test_the_page_states_the_bounds() -> None:
    text = PAGE.read_text()
    sizes = f"{bounds.DEPTH_MAX} levels, {bounds.NODES_MAX} provisions and {bounds.TREE_BYTES_MAX} bytes"
    assert f"The tree has at most {sizes}." in text
    assert f"`steps(gate)` conditions, at most {gate_bounds.STEPS_MAX}." in text
    rows = {row[0]: int(row[1]) for row in table("Condensing keeps the meaning and shows less of the tree.")}
    assert rows == {
        "conditions in may_permit": gate_bounds.ENTRIES_MAX,
        "exceptions of a sure denial": gate_bounds.ENTRIES_MAX,
        "sure denials": gate_bounds.ENTRIES_MAX,
        "organisations in a condition": gate_bounds.ORGANISATIONS_MAX,
        "bytes of a gate": gate_bounds.GATE_BYTES_MAX,
    }
