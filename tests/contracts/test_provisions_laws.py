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
    LATEST_S,
    DataMeaning,
    DataReference,
    Effect,
    Gate,
    Provision,
    ProvisionType,
    Record,
    Request,
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
from tests.contracts.provisions_world import (
    ALL_REQUESTS,
    AUTHORS,
    KNOWN_REQUESTS,
    KNOWN_THINGS,
    PERSONS,
    REQUESTS,
    SMALL_WORLD,
    STRANGER,
    THINGS,
    WIDE_REQUESTS,
    accepted,
    trees,
    wide_trees,
)

EFFECTS = tuple(Effect)
SAFEST_FIRST = (Effect.DENY, Effect.NONE, Effect.PERMIT)
MANY = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


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
@given(trees().map(accepted))
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
