"""A world so small that criteria keep meeting: its trees, requests and records, for the laws of provisions."""

from itertools import product

import msgspec
from hypothesis import strategies as st

from salus.contracts.provisions import (
    EARLIEST_S,
    LAST_DAY,
    LATEST_S,
    DataMeaning,
    DataReference,
    Provision,
    ProvisionType,
    Purpose,
    Record,
    Request,
    RoleClass,
    Verb,
    as_set,
)

ORGANISATIONS = ("A1", "B1", "C1")
ROLES = (RoleClass.CLINICAL, RoleClass.RESEARCH)
PURPOSES = (Purpose.TREAT, Purpose.HRESCH)
VERBS = (Verb.READ, Verb.EXPORT)
DAYS = range(4)
SECONDS = range(5)
LABELS = ("s|N", "s|PSY")
CLASSES = ("Composition", "Observation")
CODES = ("s|1", "s|2")
PERSONS = (b"1" * 32, b"2" * 32)
AUTHORS = (b"a" * 16, b"b" * 16)
RECORDS = (b"r" * 16, b"s" * 16, b"t" * 16)


def sets(values: tuple[object, ...]) -> list[tuple[object, ...]]:
    return [*((value,) for value in values), tuple(values[:2])]


def intervals(values: range, first: int, last: int) -> list[tuple[int, int]]:
    ends = product((first, *values), (*values, last))
    return [(start, end) for start, end in ends if start <= end and (start, end) != (first, last)]


REFERENCES = [
    DataReference(meaning, identifier)
    for meaning in DataMeaning
    for identifier in (AUTHORS if meaning is DataMeaning.AUTHORED_BY else RECORDS)
]
OPEN = [
    {name: values}
    for name, alphabet in (
        ("organisations", ORGANISATIONS), ("role_classes", ROLES), ("purposes", PURPOSES), ("verbs", VERBS))
    for values in sets(alphabet)
] + [{"valid_from_day": start, "valid_to_day": end} for start, end in intervals(DAYS, 0, LAST_DAY)]  # fmt: skip
CLOSED = [
    {name: values}
    for name, alphabet in (("labels", LABELS), ("classes", CLASSES), ("codes", CODES), ("persons", PERSONS))
    for values in sets(alphabet)
] + [
    *({"data_from_s": start, "data_to_s": end} for start, end in intervals(SECONDS, EARLIEST_S, LATEST_S)),
    *({"data": as_set(pair)} for pair in product(REFERENCES, REFERENCES)),
]  # fmt: skip
KINDS = {tuple(each): [other for other in OPEN + CLOSED if tuple(other) == tuple(each)] for each in OPEN + CLOSED}
OPEN_KINDS = [kind for kind in KINDS if KINDS[kind][0] in OPEN]
KINDS_OF_UNKNOWNS = [("persons",), ("data",), ("data_from_s", "data_to_s")]
LEVELS_MAX = 5


@st.composite
def trees(draw: st.DrawFn, *, closed: bool = True, nodes_max: int = 9) -> Provision:
    """A tree of up to nine provisions on up to five levels, each with few criteria, so that deep ones are reached."""
    kinds = st.sampled_from([*KINDS, *KINDS_OF_UNKNOWNS] if closed else OPEN_KINDS)
    count = draw(st.integers(1, nodes_max))
    levels, children = [1], [[] for _ in range(count)]
    for node in range(1, count):
        parent = draw(st.sampled_from([each for each in range(node) if levels[each] < LEVELS_MAX][-3:]))
        levels.append(levels[parent] + 1)
        children[parent].append(node)
    criteria = [
        [draw(st.sampled_from(KINDS[kind])) for kind in draw(st.lists(kinds, max_size=2))] for _ in range(count)
    ]
    types = draw(st.lists(st.sampled_from(ProvisionType), min_size=count, max_size=count))

    def built(node: int) -> Provision:
        fields = {name: value for each in criteria[node] for name, value in each.items()}
        return Provision(types[node], provisions=tuple(built(child) for child in children[node]), **fields)

    return built(0)


def accepted(tree: Provision) -> Provision:
    """The tree without the references that `check` refuses, though evaluation has an answer to them."""
    return msgspec.structs.replace(
        tree,
        data=tuple(each for each in tree.data if each.meaning is DataMeaning.INSTANCE),
        provisions=tuple(map(accepted, tree.provisions)),
    )


def some(values: tuple[object, ...]) -> st.SearchStrategy[tuple[object, ...]]:
    return st.sampled_from([(), *sets(values)])


def known(values: tuple[object, ...]) -> st.SearchStrategy[tuple[object, ...]]:
    return st.sampled_from(sets(values))


def requests(persons: tuple[bytes, ...]) -> st.SearchStrategy[Request]:
    fields = (ORGANISATIONS, ROLES, PURPOSES, VERBS, DAYS, persons)
    return st.builds(Request, *(st.sampled_from(values) for values in fields))


def things(extents: list[tuple[int, int]], authors: st.SearchStrategy[tuple[bytes, ...]]) -> st.SearchStrategy[Record]:
    def record(kind: str, extent: tuple[int, int], *rest: tuple[object, ...]) -> Record:
        labels, codes, written_by, refers_to, referred_by = rest
        return Record(RECORDS[:1], (kind,), labels, codes, *extent, written_by, refers_to, referred_by)

    return st.builds(record, st.sampled_from(CLASSES), st.sampled_from(extents), some(LABELS), some(CODES), authors,
                     some(RECORDS[1:]), some(RECORDS[1:]))  # fmt: skip


MOMENTS = [(second, second) for second in SECONDS]
EXTENTS = [(EARLIEST_S, LATEST_S)] * 5 + [
    *MOMENTS,
    *((start, end) for start, end in product(SECONDS, SECONDS) if start < end),
]
STRANGER = b"3" * 32
REQUESTS, KNOWN_REQUESTS = requests((*PERSONS, STRANGER, b"", b"")), requests((*PERSONS, STRANGER))
THINGS, KNOWN_THINGS = things(EXTENTS, some(AUTHORS)), things(MOMENTS, known(AUTHORS))
ALL_REQUESTS = [
    Request(*fields) for fields in product(
        (*ORGANISATIONS, "Z9"), (*ROLES, RoleClass.SYSTEM), (*PURPOSES, Purpose.BTG), (*VERBS, Verb.SEARCH),
        (*DAYS, LAST_DAY))
]  # fmt: skip
SMALL_WORLD = [
    Record((RECORDS[0],), (kind,), labels, codes, *extent, authors, (RECORDS[1],), (RECORDS[2],))
    for kind, labels, codes, extent, authors in product(
        CLASSES, ((), ("s|N",), ("s|PSY",), LABELS), ((), ("s|1",), CODES), ((EARLIEST_S, LATEST_S), (0, 0), (1, 3)),
        ((), (AUTHORS[0],)))
]  # fmt: skip


def leaf(kind: ProvisionType, organisations: tuple[str, ...], day: int, length: int) -> Provision:
    return Provision(kind, organisations=organisations, valid_from_day=day, valid_to_day=day + length)


FORTY_ORGANISATIONS = tuple(f"X{number:02}" for number in range(40))
LEAVES = st.builds(
    leaf, st.sampled_from(ProvisionType), st.lists(st.sampled_from(FORTY_ORGANISATIONS), max_size=40).map(as_set),
    st.integers(0, 40), st.integers(0, 2),
)  # fmt: skip


@st.composite
def wide_trees(draw: st.DrawFn) -> Provision:
    """Up to 63 leaves under a root or one level down: more permits, denials, exceptions and organisations than fit."""
    leaves = tuple(draw(st.lists(LEAVES, min_size=17, max_size=60)))
    root, inner = draw(st.sampled_from(ProvisionType)), draw(st.sampled_from(ProvisionType))
    cut = draw(st.integers(0, len(leaves)))
    middle = Provision(inner, valid_to_day=35, provisions=leaves[cut:])
    return Provision(root, provisions=(*leaves[:cut], middle))


WIDE_REQUESTS = st.builds(
    Request, st.sampled_from(FORTY_ORGANISATIONS[:3]), st.just(ROLES[0]), st.just(PURPOSES[0]), st.just(VERBS[0]),
    st.integers(0, 42),
)  # fmt: skip
