"""Which codes a value set has: one row for each way to say it, and for each way not to know it."""

from __future__ import annotations

import pytest

from salus.clinical.fhir.definitions import CodeSystem, Concept, Filter, Include, ValueSet, r4
from salus.clinical.fhir.definitions.expansion import Codes, Expander


def system(url: str, *concepts: Concept, content: str = "complete") -> CodeSystem:
    return CodeSystem(url, "", "", content, is_case_sensitive=True, concepts=concepts)


def below(code: str, parent: str) -> Concept:
    return Concept(code, parents=(parent,))


SYSTEM = system("urn:s", Concept("a"), below("a1", "a"), below("a11", "a1"), Concept("b"), below("b1", "b"))
UNSORTED = system("urn:u", below("c11", "c1"), below("c1", "c"), Concept("c"))
CIRCLE = system("urn:o", below("x", "y"), below("y", "x"), Concept("z"))
PART = system("urn:p", Concept("a"), content="fragment")
SYSTEMS = {each.url: each for each in (SYSTEM, UNSORTED, CIRCLE, PART)}


def listed(*codes: str) -> Include:
    return Include("urn:s", concepts=tuple(Concept(code) for code in codes))


def filtered(operation: str, value: str, *, by: str = "concept", of_system: str = "urn:s") -> Include:
    return Include(of_system, filters=(Filter(by, operation, value),))


def of(*sets: str) -> Include:
    return Include(value_sets=sets)


WHOLE = Include("urn:s")
SETS = {
    "urn:ab": ((listed("a", "b"),), ()),
    "urn:b": ((listed("b", "b1"),), ()),
    "urn:elsewhere": ((Include("http://loinc.org"),), ()),
    "urn:itself": ((of("urn:itself"), *[of("urn:itself")] * 20), ()),
}

EXPANDED: dict[str, tuple[tuple[Include, ...], tuple[Include, ...], set[str]]] = {
    "what is listed": ((listed("a", "x"),), (), {"a", "x"}),
    "a whole system": ((WHOLE,), (), {"a", "a1", "a11", "b", "b1"}),
    "several parts": ((listed("a"), listed("b")), (), {"a", "b"}),
    "a code and all below": ((filtered("is-a", "a"),), (), {"a", "a1", "a11"}),
    "all below a code": ((filtered("descendent-of", "a"),), (), {"a1", "a11"}),
    "all but a code and what is below": ((filtered("is-not-a", "a"),), (), {"b", "b1"}),
    "one code": ((filtered("=", "a1", by="code"),), (), {"a1"}),
    "two filters": (
        (Include("urn:s", filters=(Filter("concept", "is-a", "a"), Filter("concept", "is-not-a", "a1"))),), (), {"a"}),
    "what is left out": ((WHOLE,), (filtered("is-a", "a"),), {"b", "b1"}),
    "another set": ((of("urn:ab"),), (), {"a", "b"}),
    "what two sets share": ((of("urn:ab", "urn:b"),), (), {"b"}),
    "what a set and a system share": ((Include("urn:s", value_sets=("urn:b",)),), (), {"b", "b1"}),
    "a system that lists what is below first": ((filtered("is-a", "c", of_system="urn:u"),), (), {"c", "c1", "c11"}),
    "a system in a circle": ((filtered("is-a", "z", of_system="urn:o"),), (), {"z"}),
}  # fmt: skip

NOT_KNOWN: dict[str, tuple[tuple[Include, ...], tuple[Include, ...]]] = {
    "a system that is elsewhere": ((Include("http://loinc.org"),), ()),
    "a system that is not whole": ((Include("urn:p"),), ()),
    "a filter that is not understood": ((filtered("regex", "a.*"),), ()),
    "a set that is elsewhere": ((of("urn:unknown"),), ()),
    "a set that holds itself": ((of("urn:itself"),), ()),
    "a set of which something unknown is left out": ((WHOLE,), (of("urn:elsewhere"),)),
}


def codes(includes: tuple[Include, ...], excludes: tuple[Include, ...]) -> Codes:
    sets = {url: ValueSet(url, "", "", *parts) for url, parts in {**SETS, "urn:here": (includes, excludes)}.items()}
    return Expander(sets.get, SYSTEMS.get).codes("urn:here")


@pytest.mark.parametrize(("includes", "excludes", "want"), EXPANDED.values(), ids=EXPANDED)
def test_expanded(includes: tuple[Include, ...], excludes: tuple[Include, ...], want: set[str]) -> None:
    found = codes(includes, excludes)
    assert found.is_closed
    assert {code for _, code in found.known} == want
    assert not found.may_have("urn:s", "none")


@pytest.mark.parametrize(("includes", "excludes"), NOT_KNOWN.values(), ids=NOT_KNOWN)
def test_where_a_part_is_not_known_no_code_of_it_is_refused(
    includes: tuple[Include, ...], excludes: tuple[Include, ...]
) -> None:
    found = codes(includes, excludes)
    assert not found.is_closed
    assert all(found.may_have(each, "a") for each in found.open_systems or {"urn:s"})


def test_every_value_set_of_r4_ends() -> None:
    expander = Expander(r4().value_set, r4().code_system)
    found = {url: expander.codes(url) for url in r4().value_set_urls}
    closed = [url for url, each in found.items() if each.is_closed]
    assert len(closed) > 1000
    assert found["http://hl7.org/fhir/ValueSet/administrative-gender"].known == {
        ("http://hl7.org/fhir/administrative-gender", code) for code in ("male", "female", "other", "unknown")
    }
