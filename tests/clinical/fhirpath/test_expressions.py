"""What the official suite leaves out: a table of expressions with what each gives, and why others are refused."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from salus.clinical.fhir.fhirpath import (
    Node,
    PathFault,
    PathRejected,
    Surroundings,
    compile_expression,
    plain_values,
    r4_types,
    root_of,
)

PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "p",
    "contained": [{"resourceType": "Organization", "id": "o", "name": "Ward"}],
    "active": True,
    "_birthDate": {"extension": [{"url": "urn:x", "valueCode": "unknown"}]},
    "name": [
        {"family": "Smith", "given": ["Ann", None], "_given": [None, {"id": "g2"}]},
        {"use": "old", "period": {"start": "2001", "end": "2010-05"}},
    ],
    "managingOrganization": {"reference": "#o"},
    "generalPractitioner": [{"reference": "Practitioner/7"}, {"reference": "Organization/8"}],
    "contact": [{"name": {"family": "Bell"}}],
    "multipleBirthInteger": 2,
    "link": [{"other": {"reference": "#"}, "type": "seealso"}],
}
AROUND = Surroundings(
    resolve=lambda reference: {"resourceType": reference.partition("/")[0], "id": reference.partition("/")[2]},
    is_member=lambda node, url: node.value == "old" if url == "urn:uses" else None,
    now=datetime(2026, 11, 28, 15, 4, 5, 678000, UTC),
)

GIVES: dict[str, tuple[str, list[Any]]] = {
    "an element": ("Patient.name.family", ["Smith"]),
    "by its base type": ("DomainResource.name.family", ["Smith"]),
    "of another type": ("Observation.name.family", []),
    "a choice": ("multipleBirth", [2]),
    "a choice by type": ("multipleBirth.ofType(integer)", [2]),
    "a choice by another type": ("multipleBirth.ofType(boolean)", []),
    "a choice by its key": ("multipleBirthInteger", []),
    "a primitive without value": ("birthDate.exists()", [True]),
    "has no value": ("birthDate.hasValue()", [False]),
    "extension of a primitive": ("birthDate.extension('urn:x').value", ["unknown"]),
    "id of a primitive in an array": ("name.given.id", ["g2"]),
    "count with a valueless": ("name.given.count()", [2]),
    "escaped name": ("`name`.`family`", ["Smith"]),
    "inner type": ("contact.is(BackboneElement)", [True]),
    "its name": ("contact.type().name", ["BackboneElement"]),
    "elements of an inner type": ("contact.name.family", ["Bell"]),
    "a contained resource": ("contained.name", ["Ward"]),
    "its type": ("contained.where($this is Organization).id", ["o"]),
    "resolve inside": ("managingOrganization.resolve().name", ["Ward"]),
    "resolve to the whole": ("link.other.resolve().id", ["p"]),
    "resolve outside": ("generalPractitioner.where(resolve() is Practitioner).reference", ["Practitioner/7"]),
    "resource": ("%resource.id", ["p"]),
    "context": ("name.where(%context.active).count()", [2]),
    "member of": ("name.where(use.memberOf('urn:uses')).count()", [1]),
    "cannot be told": ("name.use.memberOf('urn:others')", []),
    "conforms to a base type": ("conformsTo('http://hl7.org/fhir/StructureDefinition/Patient')", [True]),
    "value set variable": ("%`vs-uses`", ["http://hl7.org/fhir/ValueSet/uses"]),
    "index": ("name[1].use", ["old"]),
    "index past the end": ("name[2].use", []),
    "index of each": ("name.select($index)", [0, 1]),
    "an inner loop keeps the outer index": ("name.select(iif(%resource.name.exists(true), $index, 9))", [0, 1]),
    "children": ("contact.children().type().name", ["HumanName"]),
    "descendants": ("contact.descendants().where($this is string)", ["Bell"]),
    "repeat": ("repeat(contact | name).count()", [4]),
    "all of nothing": ("photo.all(false)", [True]),
    "partial dates in order": ("name.period.where(start < end).exists()", [True]),
    "partial dates that overlap": ("@2010 < @2010-05", []),
    "dates that differ early": ("@2009 < @2010-05", [True]),
    "one zone missing, a day apart": ("@2020-01-01T00:00:00Z < @2020-01-03T00:00:00", [True]),
    "one zone missing, near": ("@2020-01-01T00:00:00Z < @2020-01-01T09:00:00", []),
    "zones": ("@2020-01-01T01:00:00+01:00 = @2020-01-01T00:00:00Z", [True]),
    "31 January and a month": ("(@2023-01-31 + 1 month).toString()", ["2023-02-28"]),
    "leap year": ("(@2024-01-31 + 1 month).toString()", ["2024-02-29"]),
    "back over a year": ("(@2024-03-31 - 1 month).toString()", ["2024-02-29"]),
    "months of a year": ("(@2014 + 23 months).toString()", ["2015"]),
    "hours over midnight": ("(@2014-12-31T23:30:00Z + 1 hour).toString()", ["2015-01-01T00:30:00Z"]),
    "a time wraps": ("(@T23:30 + 1 hour).toString()", ["00:30"]),
    "now": ("now().toString()", ["2026-11-28T15:04:05.678Z"]),
    "today": ("today().toString()", ["2026-11-28"]),
    "integers stay whole": ("7 div 2 * 2 + 7 mod 2", [7]),
    "decimals are exact": ("0.1 + 0.2 = 0.3", [True]),
    "digits are kept": ("1.50.toString()", ["1.50"]),
    "division by zero": ("1 / 0", []),
    "integer overflow": ("9223372036854775807 + 1", []),
    "quantity in another unit": ("1 'kg' = 1000 'g'", [True]),
    "pressure": ("100 'mm[Hg]' > 13 'kPa'", [True]),
    "concentration": ("1 'mmol/L' = 1000 'umol/L'", [True]),
    "inches": ("1 '[ft_i]' = 12 '[in_i]'", [True]),
    "per square metre": ("1 'kg/m2' = 1000 'g/m2'", [True]),
    "two spellings of a unit": ("1 'k[IU]/L' = 1 '[iU]/mL'", [True]),
    "cells": ("5 '10*9/L' = 5000 '{cells}/uL'", [True]),
    "annotation": ("1 '{score}' = 1 '1'", [True]),
    "other measures": ("1 'kg' = 1 'm'", []),
    "an unknown unit with itself": ("2 'furlong' > 1 'furlong'", [True]),
    "an unknown unit with another": ("2 'furlong' > 1 'm'", []),
    "a sum in two units": ("(1 'kg' + 500 'g').toString()", ["1.5 'kg'"]),
    "a calendar year is no UCUM year": ("1 year = 1 'a'", []),
    "but nearly": ("1 year ~ 1 'a'", [True]),
    "a year of months": ("1 year = 12 months", [True]),
    "and before or": ("true or true and false", [True]),
    "implies from nothing": ("{} implies true", [True]),
    "not looked at": ("false and (1 | 2)", [False]),
    "sort, nothing first": ("name.sort(-family).use", ["old"]),
    "sort by two keys, the first descending": ("name.sort(-use, family).family", ["Smith"]),
    "a month in quotes": ("(@2024-03-31 - 1 'month').toString()", ["2024-02-29"]),
    "sort by two keys": ("('b' | 'a').sort($this).join(',')", ["a,b"]),
    "a group in a replacement": ("'2020-05'.replaceMatches('(\\\\d+)-(\\\\d+)', '$2/$1')", ["05/2020"]),
    "a pattern over lines": ("'a\\nb'.matches('a.b')", [True]),
    "trace shows nothing": ("name.family.trace('n')", ["Smith"]),
    "two halves of a character": (r"'\ud83d\ude00'.length()", [1]),
    "half a character from JSON": (r"'\\ud800'.unescape('json')", []),
    "safe narrative": ("'<div xmlns=\"http://www.w3.org/1999/xhtml\"><p>x</p></div>'.htmlChecks()", [True]),
    "script": ("'<div xmlns=\"http://www.w3.org/1999/xhtml\"><script>x</script></div>'.htmlChecks()", [False]),
    "handler": ('\'<div xmlns="http://www.w3.org/1999/xhtml" onclick="x">x</div>\'.htmlChecks()', [False]),
    "active link": (
        '\'<div xmlns="http://www.w3.org/1999/xhtml"><a href="JavaScript:x">x</a></div>\'.htmlChecks()',
        [False],
    ),
    "entity bomb": (
        '\'<!DOCTYPE d [<!ENTITY a "aa">]><div xmlns="http://www.w3.org/1999/xhtml">&a;</div>\'.htmlChecks()',
        [False],
    ),
    "nothing to read": ("'<div xmlns=\"http://www.w3.org/1999/xhtml\"> <p/></div>'.htmlChecks()", [False]),
    "entity of HTML": ("'<div xmlns=\"http://www.w3.org/1999/xhtml\">a&nbsp;b</div>'.htmlChecks()", [True]),
}


@pytest.mark.parametrize(("expression", "expected"), GIVES.values(), ids=GIVES)
def test_gives(expression: str, expected: list[Any]) -> None:
    items = compile_expression(expression, r4_types()).items(root_of(PATIENT), around=AROUND)
    assert plain_values(items) == expected


REFUSED = {
    "cut off": ("name.", PathFault.SYNTAX, "at character 6: expected a name, came the end"),
    "two terms": ("name family", PathFault.SYNTAX, "came a word"),
    "unclosed": ("(name", PathFault.SYNTAX, "expected )"),
    "half a character": (r"'\ud800'.matches('a')", PathFault.SYNTAX, "whole characters"),
    "no such day": ("@2023-02-30", PathFault.SYNTAX, "a day and a time that exist"),
    "no such hour": ("@T24:00", PathFault.SYNTAX, "a day and a time that exist"),
    "strange character": ("name § 1", PathFault.SYNTAX, "at character 6"),
    "no such function": ("name.smith()", PathFault.UNKNOWN_FUNCTION, "a function of FHIRPath"),
    "too many arguments": ("name.count(1)", PathFault.BAD_ARGUMENT, "0 to 0 arguments of count()"),
    "no such type": ("name is Smith", PathFault.UNKNOWN_TYPE, "a type of FHIR"),
    "no name of a type": ("name.ofType(1)", PathFault.BAD_ARGUMENT, "the name of a type"),
    "no such variable": ("%smith", PathFault.UNKNOWN_VARIABLE, "a variable"),
    "several items": ("name.family.combine(name.family) + 'x'", PathFault.WRONG_COUNT, "at most one item, came 2"),
    "no order": ("'a' < 1", PathFault.WRONG_TYPE, "a string and an integer"),
    "no sum": ("true + 1", PathFault.WRONG_TYPE, "a boolean and an integer"),
    "a date and a length": ("@2020 + 1 'cm'", PathFault.WRONG_TYPE, "a calendar period"),
    "look-around": ("'a'.matches('(?=a)')", PathFault.BAD_PATTERN, "without look-around"),
    "back-reference": ("'aa'.matches('(a)\\\\1')", PathFault.BAD_PATTERN, "without look-around"),
    "no known profile": ("conformsTo('urn:Smith')", PathFault.BAD_ARGUMENT, "a profile that is known"),
    "no integer": ("name.skip('a')", PathFault.BAD_ARGUMENT, "an integer"),
}


@pytest.mark.parametrize(("expression", "fault", "words"), REFUSED.values(), ids=REFUSED)
def test_refused(expression: str, fault: PathFault, words: str) -> None:
    with pytest.raises(PathRejected) as refusal:
        compile_expression(expression, r4_types()).items(root_of(PATIENT))
    assert refusal.value.fault is fault
    assert words in str(refusal.value)
    assert "mith" not in str(refusal.value)  # P4: nothing of the resource or the expression


@pytest.mark.parametrize(
    "expression", ["nam.family", "name.given1", "Encounter.name", "multipleBirthInteger", "contained.nam"]
)
def test_strictly_a_wrong_name_is_refused(expression: str) -> None:
    with pytest.raises(PathRejected) as refusal:
        compile_expression(expression, r4_types(), strict=True).items(root_of(PATIENT))
    assert refusal.value.fault is PathFault.UNKNOWN_ELEMENT
    assert compile_expression(expression, r4_types()).items(root_of(PATIENT)) == []


STRICTLY_REFUSED = {
    "a place among children": ("Patient.children().skip(1)", PathFault.WRONG_TYPE, "has an order"),
    "a place among descendants": ("name.exists(descendants()[0].exists())", PathFault.WRONG_TYPE, "has an order"),
    "an element of another type": ("(deceased as Period).unit", PathFault.UNKNOWN_ELEMENT, "an element of Period"),
    "the same as a function": ("deceased.as(FHIR.Period).unit", PathFault.UNKNOWN_ELEMENT, "an element of Period"),
}


@pytest.mark.parametrize(("expression", "fault", "words"), STRICTLY_REFUSED.values(), ids=STRICTLY_REFUSED)
def test_strictly_refused_before_it_is_evaluated(expression: str, fault: PathFault, words: str) -> None:
    compile_expression(expression, r4_types())
    with pytest.raises(PathRejected) as refusal:
        compile_expression(expression, r4_types(), strict=True)
    assert refusal.value.fault is fault
    assert words in str(refusal.value)
    assert compile_expression("(deceased as Period).start", r4_types(), strict=True).items(root_of(PATIENT)) == []


def test_without_types_elements_are_found_by_name() -> None:
    assert plain_values(compile_expression("name.given.first()").items(root_of(PATIENT))) == ["Ann"]


def test_an_element_knows_its_place() -> None:
    (found,) = compile_expression("name.where(use = 'old').period", r4_types()).items(root_of(PATIENT))
    assert (found.type, found.key, found.index, found.owner) == ("Period", "period", None, PATIENT["name"][1])
    (given, _) = compile_expression("name.given", r4_types()).items(root_of(PATIENT))
    assert (given.key, given.index, given.owner) == ("given", 0, PATIENT["name"][0])


def test_an_exact_decimal_stays_what_it_is() -> None:
    node = Node(Decimal("1.10"), "decimal")
    assert plain_values(compile_expression("$this").items(node)) == [Decimal("1.10")]
    assert plain_values(compile_expression("$this.toString()").items(node)) == ["1.10"]


def test_a_verdict_has_three_answers() -> None:
    verdicts = [
        compile_expression(each).verdict(root_of(PATIENT)) for each in ("active", "active.not()", "nothing = 1")
    ]
    assert verdicts == [True, False, None]


def test_a_topic_compares_before_and_after(shared_data: Path) -> None:
    """The criterion of the subscription topic among the outside material."""
    folder = shared_data / "fhir" / "subscriptions-and-search"
    topic = (folder / "Basic-topic-encounter-complete-qualified.json").read_text(encoding="utf-8")
    text = "(%previous.empty() | (%previous.status != 'finished')) and (%current.status = 'finished')"
    assert text in topic
    names = frozenset(("previous", "current"))
    planned, finished = (root_of({"resourceType": "Encounter", "status": each}) for each in ("planned", "finished"))
    expression = compile_expression(text, r4_types(), variables=names)

    def verdict(**given: Node) -> bool | None:
        return expression.verdict(given["current"], around=Surroundings(variables=given))

    assert verdict(current=finished) is True
    assert verdict(current=planned) is False
    with pytest.raises(PathRejected) as refusal:  # (false | true) is no boolean, as the topic has it
        verdict(previous=planned, current=finished)
    assert refusal.value.fault is PathFault.WRONG_COUNT
    better = compile_expression(text.replace(" | ", " or "), r4_types(), variables=names)
    around = Surroundings(variables={"previous": planned, "current": finished})
    assert better.verdict(finished, around=around) is True


def test_permanent_numbers() -> None:
    assert [f"{each.value} {each.name}" for each in PathFault] == [
        "1 SYNTAX",
        "2 UNKNOWN_FUNCTION",
        "3 UNKNOWN_TYPE",
        "4 UNKNOWN_VARIABLE",
        "5 UNKNOWN_ELEMENT",
        "6 WRONG_COUNT",
        "7 WRONG_TYPE",
        "8 BAD_ARGUMENT",
        "9 BAD_PATTERN",
        "10 TOO_LONG",
        "11 TOO_COSTLY",
    ]
