"""The laws of DESIGN §5.1 on trees that hypothesis grows, over an alphabet so small that criteria keep meeting.

Beside each law stands what it is checked against: the law written out naively, every record of a small world, or every
value that a missing fact could have. The last tests count what the strategies reach, so that no law holds for lack of
cases.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from itertools import permutations, product

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from salus.contracts.provisions import (
    EARLIEST_S,
    LAST_DAY,
    LATEST_S,
    DataMeaning,
    DataReference,
    Effect,
    Gate,
    Provision,
    ProvisionType,
    Purpose,
    Record,
    Request,
    RoleClass,
    Verb,
    as_set,
    check,
    check_gate,
    combine,
    decode_tree,
    encode_tree,
    explain,
    gate,
    may_permit,
    outcome,
    steps,
    surely_denies,
)
from salus.contracts.provisions.gates import ENTRIES_MAX, ORGANISATIONS_MAX, STEPS_MAX
from salus.ledger.encoding import decoder, encode

ORGANISATIONS = ("A1", "B1", "C1")
ROLES = (RoleClass.CLINICAL, RoleClass.RESEARCH)
PURPOSES = (Purpose.TREAT, Purpose.HRESCH)
VERBS = (Verb.READ, Verb.EXPORT)
DAYS = range(4)
SECONDS = range(5)
LABELS = ("N", "PSY")
CLASSES = ("Composition", "Observation")
CODES = ("s|1", "s|2")
PERSONS = (b"1" * 16, b"2" * 16)
AUTHORS = (b"a" * 16, b"b" * 16)
RECORDS = (b"r" * 16, b"s" * 16, b"t" * 16)
EFFECTS = tuple(Effect)
SAFEST_FIRST = (Effect.DENY, Effect.NONE, Effect.PERMIT)

MANY = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


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
STRANGER = b"3" * 16
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
        CLASSES, ((), ("N",), ("PSY",), LABELS), ((), ("s|1",), CODES), ((EARLIEST_S, LATEST_S), (0, 0), (1, 3)),
        ((), (AUTHORS[0],)))
]  # fmt: skip


# 4. The law of one tree, and of several.


def holds(provision: Provision, request: Request, record: Record) -> set[bool]:
    """Whether a provision holds, over all values of what is not known; written as naively as can be."""
    of_request = [
        (provision.organisations, request.organisation), (provision.role_classes, request.role_class),
        (provision.purposes, request.purpose), (provision.verbs, request.verb),
    ]  # fmt: skip
    if any(wanted and value not in set(wanted) for wanted, value in of_request):
        return {False}
    if request.day not in range(provision.valid_from_day, provision.valid_to_day + 1):
        return {False}
    of_record = [
        (provision.labels, record.labels),
        (provision.classes, record.classes),
        (provision.codes, record.codes),
    ]
    if any(wanted and not set(wanted) & set(values) for wanted, values in of_record):
        return {False}
    persons = [request.person] if request.person else [*PERSONS, STRANGER]
    by_person = {not provision.persons or person in provision.persons for person in persons}
    seconds = range(max(record.period_from_s, -1), min(record.period_to_s, 5) + 1)
    by_period = {provision.data_from_s <= second <= provision.data_to_s for second in seconds}
    by_data = {
        not provision.data or any(meant(each, record, authors) for each in provision.data)
        for authors in ([record.authors] if record.authors else [(), *((each,) for each in AUTHORS)])
    }
    return {all(each) for each in product(by_person, by_period, by_data)}


def meant(reference: DataReference, record: Record, authors: tuple[bytes, ...]) -> bool:
    instances = {
        DataMeaning.INSTANCE: set(record.ids),
        DataMeaning.RELATED: set(record.ids) | set(record.referred_by),
        DataMeaning.DEPENDENTS: set(record.ids) | set(record.refers_to),
        DataMeaning.AUTHORED_BY: set(authors),
    }
    return reference.id in instances[reference.meaning]


def law(provision: Provision, effects_of_children: Iterable[Effect]) -> Effect:
    effects = set(effects_of_children)
    for effect in (Effect.DENY, Effect.PERMIT):
        if effect in effects:
            return effect
    return Effect.PERMIT if provision.type is ProvisionType.PERMIT else Effect.DENY


def possible(provision: Provision, request: Request, record: Record) -> set[Effect]:
    """Every outcome that the law could give, each unknown fact free in each provision."""
    found = set()
    if False in (held := holds(provision, request, record)):
        found.add(Effect.NONE)
    if True in held:
        children = [possible(child, request, record) for child in provision.provisions]
        found |= {law(provision, effects) for effects in product(*children)}
    return found


def safest(effects: Iterable[Effect]) -> Effect:
    return min(effects, key=SAFEST_FIRST.index)


@pytest.mark.promise("R1")
@MANY
@given(trees(), KNOWN_REQUESTS, KNOWN_THINGS)
def test_outcome_follows_the_law_when_everything_is_known(tree: Provision, request: Request, record: Record) -> None:
    assert {outcome(tree, request, record)} == possible(tree, request, record)


@pytest.mark.promise("R1")
@MANY
@given(trees(), REQUESTS, THINGS)
def test_outcome_is_the_safest_that_the_law_allows(tree: Provision, request: Request, record: Record) -> None:
    assert outcome(tree, request, record) is safest(possible(tree, request, record))


@MANY
@given(st.lists(st.sampled_from(EFFECTS), max_size=4), st.sampled_from(EFFECTS))
def test_several_trees_deny_if_any_denies(effects: list[Effect], default: Effect) -> None:
    want = Effect.DENY if Effect.DENY in effects else Effect.PERMIT if Effect.PERMIT in effects else default
    assert combine(effects, default) is want
    assert combine(reversed(effects), default) is want


@MANY
@given(trees(), REQUESTS, THINGS)
def test_explanation_names_the_provision_whose_type_it_is(tree: Provision, request: Request, record: Record) -> None:
    effect, path = explain(tree, request, record)
    assert effect is outcome(tree, request, record)
    if effect is Effect.NONE:
        assert path == ""
        return
    root, *steps_down = path.split(".")
    assert root == "1"
    provision = tree
    for step in steps_down:
        before, provision = provision.provisions[: int(step) - 1], provision.provisions[int(step) - 1]
        assert outcome(provision, request, record) is effect
        assert all(outcome(each, request, record) is not effect for each in before)
    assert provision.type.name == effect.name
    assert all(outcome(each, request, record) is Effect.NONE for each in provision.provisions)


# 1 to 3. The gate.


@pytest.mark.promise("R1", "P7")
@MANY
@given(trees(), REQUESTS, THINGS)
def test_what_permits_the_gate_may_permit(tree: Provision, request: Request, record: Record) -> None:
    if outcome(tree, request, record) is Effect.PERMIT:
        assert may_permit(gate(tree), request)


@pytest.mark.promise("R1", "P7")
@FEW
@given(trees(), st.sampled_from(ALL_REQUESTS), st.sampled_from((*PERSONS, STRANGER, b"")))
def test_over_every_record_of_a_small_world(tree: Provision, request: Request, person: bytes) -> None:
    opened = gate(tree)
    asked = msgspec.structs.replace(request, person=person)
    effects = {outcome(tree, asked, record) for record in SMALL_WORLD}
    if Effect.PERMIT in effects:
        assert may_permit(opened, request)
    if surely_denies(opened, request):
        assert effects == {Effect.DENY}


@pytest.mark.promise("R1")
@MANY
@given(trees(), REQUESTS, THINGS)
def test_what_the_gate_surely_denies_is_denied(tree: Provision, request: Request, record: Record) -> None:
    if surely_denies(gate(tree), request):
        assert outcome(tree, request, record) is Effect.DENY


@pytest.mark.promise("R1")
@MANY
@given(trees(closed=False), st.sampled_from(ALL_REQUESTS))
def test_of_an_open_tree_the_gate_knows_all(tree: Provision, request: Request) -> None:
    opened = gate(tree)
    assert is_within_bounds(opened)
    effect = outcome(tree, request, SMALL_WORLD[0])
    may, surely = may_permit(opened, request), surely_denies(opened, request)
    assert (effect is Effect.DENY) is surely
    assert (effect is Effect.PERMIT) is (may and not surely)


def is_within_bounds(opened: Gate) -> bool:
    """Three organisations, four days and two of the rest: far from sixteen different sure denials in a drawn tree."""
    lists = [opened.may_permit, opened.surely_denies, *(denial.exceptions for denial in opened.surely_denies)]
    return all(len(entries) < ENTRIES_MAX for entries in lists)


@pytest.mark.promise("R1")
@FEW
@given(st.lists(trees(nodes_max=4), max_size=4), REQUESTS, THINGS)
def test_several_choices_and_their_gates(choices: list[Provision], request: Request, record: Record) -> None:
    together = combine((outcome(tree, request, record) for tree in choices), Effect.NONE)
    opened = [gate(tree) for tree in choices]
    if together is Effect.PERMIT:
        assert any(may_permit(each, request) for each in opened)
    if any(surely_denies(each, request) for each in opened):
        assert together is Effect.DENY


# Over the bounds the gate errs to one side only.


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


@pytest.mark.promise("R1", "L6")
@FEW
@given(wide_trees(), st.lists(WIDE_REQUESTS, min_size=10, max_size=10))
def test_over_the_bounds_permits_widen_and_denials_give_way(tree: Provision, requests: list[Request]) -> None:
    check(tree)
    opened = gate(tree)
    check_gate(opened)
    assert steps(opened) <= STEPS_MAX
    for request in requests:
        effect = outcome(tree, request, SMALL_WORLD[0])
        if effect is Effect.PERMIT:
            assert may_permit(opened, request)
        if surely_denies(opened, request):
            assert effect is Effect.DENY


# 5. What is not known opens nothing.


@pytest.mark.promise("R1")
@MANY
@given(trees(), REQUESTS, THINGS)
def test_what_is_not_known_opens_nothing(tree: Provision, request: Request, record: Record) -> None:
    blind = msgspec.structs.replace(record, period_from_s=EARLIEST_S, period_to_s=LATEST_S, authors=())
    unnamed = msgspec.structs.replace(request, person=b"")
    known = outcome(tree, request, record)
    assert safest((outcome(tree, request, blind), known)) is outcome(tree, request, blind)
    assert safest((outcome(tree, unnamed, record), known)) is outcome(tree, unnamed, record)


@pytest.mark.promise("R1")
@MANY
@given(trees(), REQUESTS, THINGS, st.integers(0, 2), st.integers(0, 2))
def test_a_vaguer_period_opens_nothing(
    tree: Provision, request: Request, record: Record, sooner_s: int, later_s: int
) -> None:
    vaguer = msgspec.structs.replace(
        record, period_from_s=record.period_from_s - sooner_s, period_to_s=record.period_to_s + later_s
    )
    effects = (outcome(tree, request, vaguer), outcome(tree, request, record))
    assert safest(effects) is effects[0]


# The forms.


@pytest.mark.promise("P7")
@FEW
@given(trees())
def test_a_gate_shows_no_closed_criterion(tree: Provision) -> None:
    assert gate(with_other_closed_values(tree)) == gate(tree)


def with_other_closed_values(tree: Provision) -> Provision:
    others = {"labels": ("V",), "classes": ("Media",), "codes": ("t|9",), "persons": (b"9" * 32,)}
    changed = {name: values for name, values in others.items() if getattr(tree, name)}
    if tree.data:
        changed["data"] = (DataReference(DataMeaning.INSTANCE, b"9" * 16),)
    if (tree.data_from_s, tree.data_to_s) != (EARLIEST_S, LATEST_S):
        changed |= {"data_from_s": 77, "data_to_s": 78}
    children = tuple(with_other_closed_values(child) for child in tree.provisions)
    return msgspec.structs.replace(tree, provisions=children, **changed)


@pytest.mark.promise("L1")
@FEW
@given(trees())
def test_trees_and_gates_have_one_encoding(tree: Provision) -> None:
    assert decode_tree(encode_tree(tree)) == tree
    opened = gate(tree)
    check_gate(opened)
    assert decoder(Gate).decode(encode(opened)) == opened


@FEW
@given(trees(), st.randoms(use_true_random=False), REQUESTS, THINGS)
def test_the_order_of_exceptions_changes_no_outcome(tree: Provision, random, request: Request, record: Record) -> None:
    def shuffled(provision: Provision) -> Provision:
        children = [shuffled(child) for child in provision.provisions]
        random.shuffle(children)
        return msgspec.structs.replace(provision, provisions=tuple(children))

    assert outcome(shuffled(tree), request, record) is outcome(tree, request, record)
    assert gate(shuffled(tree)) == gate(tree)


@FEW
@given(trees(closed=False))
def test_a_gate_is_condensed(tree: Provision) -> None:
    """No entry covers another: each meets a request that the other does not, out of all requests there are to meet."""
    opened = gate(tree)
    for entries in (opened.may_permit, *(denial.exceptions for denial in opened.surely_denies)):
        met = [{request for request in ALL_REQUESTS if may_permit(Gate((entry,)), request)} for entry in entries]
        assert all(one and not (one <= other) for one, other in permutations(met, 2))
    for denial in opened.surely_denies:
        assert any(surely_denies(Gate((), (denial,)), request) for request in ALL_REQUESTS)


# What the strategies reach.


def reached(
    strategies: tuple[st.SearchStrategy[object], ...], name: Callable[..., Iterable[str]], examples: int
) -> Counter[str]:
    seen: Counter[str] = Counter()

    @settings(MANY, max_examples=examples, derandomize=True, database=None)
    @given(st.tuples(*strategies))
    def count(drawn: tuple[object, ...]) -> None:
        seen.update(name(*drawn))

    count()
    return seen


def test_strategies_reach_every_case() -> None:
    def names(tree: Provision, request: Request, record: Record) -> Iterable[str]:
        opened = gate(tree)
        effect, path = explain(tree, request, record)
        yield effect.name
        yield f"decided at level {path.count('.') + 1}" if path else "undecided"
        yield "may permit" if may_permit(opened, request) else "may not permit"
        yield "surely denies" if surely_denies(opened, request) else "does not surely deny"
        yield "one possible outcome" if len(possible(tree, request, record)) == 1 else "several possible outcomes"

    seen = reached((trees(), REQUESTS, THINGS), names, 400)
    wanted = {
        "NONE": 40, "DENY": 40, "PERMIT": 40, "may permit": 40, "may not permit": 40, "surely denies": 20,
        "does not surely deny": 40, "several possible outcomes": 20, "decided at level 1": 40, "decided at level 2": 15,
        "decided at level 3": 5,
    }  # fmt: skip
    assert {name: seen[name] for name in wanted if seen[name] < wanted[name]} == {}


def test_wide_strategy_goes_over_the_bounds() -> None:
    def names(tree: Provision) -> Iterable[str]:
        opened = gate(tree)
        yield from ("full permits",) * (len(opened.may_permit) == ENTRIES_MAX)
        yield from ("full denials",) * (len(opened.surely_denies) == ENTRIES_MAX)
        yield from ("full exceptions",) * any(len(each.exceptions) == ENTRIES_MAX for each in opened.surely_denies)
        yield from ("organisations",) * any(len(each.organisations) > ORGANISATIONS_MAX for each in tree.provisions)

    seen = reached((wide_trees(),), names, 60)
    wanted = ("full permits", "full denials", "full exceptions", "organisations")
    assert {name: seen[name] for name in wanted if seen[name] < 3} == {}
