"""Every row of the decision table in docs/spec/provisions.md, on trees alone, and each row against the tree's gate.

The page is the source: what a clinician reads there is what runs here.
"""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from salus.clinical.labels import label
from salus.contracts.provisions import (
    EARLIEST_S,
    LATEST_S,
    DataMeaning,
    DataReference,
    Effect,
    Provision,
    ProvisionInvalid,
    ProvisionType,
    Purpose,
    Record,
    Request,
    RoleClass,
    Verb,
    as_set,
    check,
    check_gate,
    explain,
    gate,
    may_permit,
    outcome,
    surely_denies,
)

PAGE = Path(__file__).resolve().parents[2] / "docs" / "spec" / "provisions.md"
DAY = "2026-03-01"
HEADER = "| case | choice | who asks | record | outcome | by |"
ROWS_MIN = 80


class Row(NamedTuple):
    case: str
    choice: str
    asks: str
    record: str
    outcome: str
    by: str


def rows() -> list[Row]:
    table = PAGE.read_text().split(HEADER)[1].strip().splitlines()[1:]
    return [Row(*(cell.strip() for cell in line.strip("|").split("|"))) for line in table]


def choices() -> dict[str, Provision]:
    """Read the block of choices: a name at the margin, then a provision on each line, two spaces for each level."""
    block = PAGE.read_text().split("```choices\n")[1].split("```")[0]
    found = {}
    for part in block.strip().split("\n\n"):
        name, *lines = part.splitlines()
        (found[name],) = provisions([line.removeprefix("  ") for line in lines])
    return found


def provisions(lines: list[str]) -> tuple[Provision, ...]:
    read: list[Provision] = []
    for place, line in enumerate(lines):
        if line.startswith("  "):
            continue
        below = lines[place + 1 :]
        end = next((index for index, each in enumerate(below) if not each.startswith("  ")), len(below))
        children = provisions([each.removeprefix("  ") for each in below[:end]])
        read.append(provision(line, children))
    return tuple(read)


def provision(line: str, children: tuple[Provision, ...]) -> Provision:
    kind, _, text = line.partition(" ")
    fields: dict[str, object] = {}
    references = []
    for criterion in filter(None, text.split(", ")):
        key, _, value = criterion.partition(" ")
        if key in MEANINGS:
            references += [DataReference(MEANINGS[key], identifier(name)) for name in value.split(" or ")]
        else:
            name, read = CRITERIA[key]
            fields[name] = read(value)
    return Provision(ProvisionType[kind.upper()], data=as_set(references), provisions=children, **fields)


def request(text: str) -> Request:
    words = text.split()
    organisation, role, purpose, verb = words[:4]
    said = dict(zip(words[4::2], words[5::2], strict=True))
    assert said.keys() <= {"on", "by"}
    return Request(
        organisation,
        RoleClass[role.upper()],
        Purpose[purpose],
        Verb[verb.upper()],
        day(said.get("on", DAY)),
        person(said["by"]) if "by" in said else b"",
    )


def record(text: str) -> Record:
    kind, *facts = text.split(", ")
    said = dict(fact.split(" ", 1) for fact in facts)
    from_s, to_s = period(said.pop("period")) if "period" in said else (EARLIEST_S, LATEST_S)
    ids = as_set((identifier(said.pop("id", "unnamed")), *identifiers(said.pop("supersedes", ""))))
    fields = {FACTS[name][0]: FACTS[name][1](value) for name, value in said.items()}
    return Record(ids, (kind,), period_from_s=from_s, period_to_s=to_s, **fields)


def day(text: str) -> int:
    return (date.fromisoformat(text) - date(1970, 1, 1)).days


def period(text: str) -> tuple[int, int]:
    start, _, end = text.partition(" to ")
    return extent(start)[0], LATEST_S if end == "later" else extent(end or start)[1]


def extent(text: str) -> tuple[int, int]:
    """First and last second of a year, a day or a second."""
    first = datetime.fromisoformat(text if len(text) > 4 else f"{text}-01-01").replace(tzinfo=UTC)
    after = {4: first.replace(year=first.year + 1), 10: first + timedelta(days=1), 19: first + timedelta(seconds=1)}
    return int(first.timestamp()), int(after[len(text)].timestamp()) - 1


def identifier(name: str) -> bytes:
    return name.encode().ljust(16, b".")


def person(name: str) -> bytes:
    return name.encode().ljust(32, b".")


def tokens(values: str) -> tuple[str, ...]:
    """Labels as records carry them; the page writes the code alone."""
    return as_set(label(code) for code in texts(values))


def identifiers(names: str) -> tuple[bytes, ...]:
    return as_set(identifier(name) for name in names.split(" and ") if name)


def texts(values: str) -> tuple[str, ...]:
    return as_set(value.replace("#", "|") for value in values.replace(" and ", " or ").split(" or "))


MEANINGS = {
    "record": DataMeaning.INSTANCE,
    "related": DataMeaning.RELATED,
    "dependents": DataMeaning.DEPENDENTS,
    "author": DataMeaning.AUTHORED_BY,
}
CRITERIA = {
    "organisation": ("organisations", texts),
    "role": ("role_classes", lambda value: as_set(RoleClass[name.upper()] for name in texts(value))),
    "purpose": ("purposes", lambda value: as_set(Purpose[name] for name in texts(value))),
    "verb": ("verbs", lambda value: as_set(Verb[name.upper()] for name in texts(value))),
    "from": ("valid_from_day", day),
    "until": ("valid_to_day", day),
    "data-from": ("data_from_s", lambda value: extent(value)[0]),
    "data-until": ("data_to_s", lambda value: extent(value)[1]),
    "label": ("labels", tokens),
    "class": ("classes", texts),
    "code": ("codes", texts),
    "person": ("persons", lambda value: as_set(person(name) for name in texts(value))),
}
FACTS = {
    "label": ("labels", tokens),
    "code": ("codes", texts),
    "author": ("authors", identifiers),
    "refers-to": ("refers_to", identifiers),
    "referred-by": ("referred_by", identifiers),
}
CHOICES = choices()
NOT_YET = {"letter-and-its-kin"}
"""Decided as the page says, and refused by `check` until records show what they refer to and who wrote them."""
ROWS = rows()


@pytest.mark.promise("R1", "R3")
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.case)
def test_decision(row: Row) -> None:
    got, path = explain(CHOICES[row.choice], request(row.asks), record(row.record))
    assert (got.name.lower(), path) == (row.outcome, row.by)


@pytest.mark.promise("R1", "P7")
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.case)
def test_gate_never_contradicts_the_decision(row: Row) -> None:
    tree, asks = CHOICES[row.choice], request(row.asks)
    opened = gate(tree)
    if row.outcome == "permit":
        assert may_permit(opened, asks)
    if surely_denies(opened, asks):
        assert row.outcome == "deny"


@pytest.mark.parametrize("name", CHOICES)
def test_every_choice_is_canonical_and_used(name: str) -> None:
    if name in NOT_YET:
        with pytest.raises(ProvisionInvalid, match="references to single records"):
            check(CHOICES[name])
    else:
        check(CHOICES[name])
    check_gate(gate(CHOICES[name]))
    assert any(row.choice == name for row in ROWS)


def test_every_provision_of_every_choice_decides_some_row() -> None:
    decided = {(row.choice, row.by) for row in ROWS if row.by}
    assert decided == {(name, path) for name, tree in CHOICES.items() for path in paths("1", tree)}


def paths(path: str, tree: Provision) -> list[str]:
    below = enumerate(tree.provisions, 1)
    return [path, *(each for index, child in below for each in paths(f"{path}.{index}", child))]


def test_table_is_large_and_its_cases_are_distinct() -> None:
    assert len(ROWS) >= ROWS_MIN
    assert len({row.case for row in ROWS}) == len(ROWS)
    assert {row.outcome for row in ROWS} == {"none", "deny", "permit"}


def test_explaining_and_deciding_agree_on_every_choice_and_question() -> None:
    asks, records = {row.asks for row in ROWS}, {row.record for row in ROWS}
    seen = set()
    for tree in CHOICES.values():
        for question, thing in ((request(a), record(r)) for a in sorted(asks)[::3] for r in sorted(records)[::3]):
            effect, path = explain(tree, question, thing)
            seen.add(effect)
            assert outcome(tree, question, thing) is effect
            assert bool(path) is (effect is not Effect.NONE)
    assert seen == set(Effect)


def test_rows_read_as_they_are_written() -> None:
    """The reader of the table is code too: one choice and one row, written out by hand."""
    assert CHOICES["no-psychiatry"] == Provision(
        ProvisionType.PERMIT,
        organisations=("A81001", "RX1"),
        purposes=(Purpose.TREAT,),
        provisions=(
            Provision(
                ProvisionType.DENY,
                labels=(label("PSY"),),
                provisions=(
                    Provision(
                        ProvisionType.PERMIT,
                        persons=(b"okafor".ljust(32, b"."),),
                        provisions=(Provision(ProvisionType.DENY, labels=(label("SDV"),)),),
                    ),
                ),
            ),
        ),
    )
    asked = request("RX1 clinical TREAT read on 1970-01-03 by hill")
    assert asked == Request("RX1", RoleClass.CLINICAL, Purpose.TREAT, Verb.READ, 2, b"hill".ljust(32, b"."))
    read = record("Composition, label PSY and N, period 1970, id a, supersedes b")
    assert read == Record(
        (b"a...............", b"b..............."), ("Composition",), tokens("N and PSY"), (), 0, 365 * 86_400 - 1
    )
    assert msgspec.structs.astuple(CHOICES["five-years"])[7:9] == (1_420_070_400, 1_577_836_799)
