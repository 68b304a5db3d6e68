"""FHIR XML: the value that JSON has, both ways, over all examples; and one row for each thing that is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from salus.clinical.fhir import Fault, FhirRejected
from salus.clinical.fhir.exact_json import read_exact, write_exact
from salus.clinical.fhir.xml import read_xml, write_xml
from salus.clinical.fhir.xml import reading as reading_module


def literals(value: Any) -> Any:
    """The same value with each decimal as its literal."""
    if isinstance(value, dict):
        return {name: literals(each) for name, each in value.items()}
    if isinstance(value, list):
        return [literals(each) for each in value]
    return f"decimal {value.literal}" if hasattr(value, "literal") else value


def patient(inside: str, root: str = 'Patient xmlns="http://hl7.org/fhir"') -> bytes:
    return f"<{root}>{inside}</Patient>".encode()


DIV = '<div xmlns="http://www.w3.org/1999/xhtml">{}</div>'

SAME = {
    "values": ('<active value="true"/><multipleBirthInteger value="2"/>', {"active": True, "multipleBirthInteger": 2}),
    "an id": (
        '<id value="a"/><name id="n"><family value="F"/></name>', {"id": "a", "name": [{"id": "n", "family": "F"}]}),
    "an extension with its address": (
        '<extension url="u"><valueDecimal value="1.50"/></extension>',
        {"extension": [{"url": "u", "valueDecimal": "decimal 1.50"}]}),
    "an extension on a value": (
        '<birthDate id="b" value="1970"><extension url="u"><valueCode value="c"/></extension></birthDate>',
        {"birthDate": "1970", "_birthDate": {"id": "b", "extension": [{"url": "u", "valueCode": "c"}]}}),
    "an extension without a value": (
        '<birthDate><extension url="u"><valueCode value="c"/></extension></birthDate>',
        {"_birthDate": {"extension": [{"url": "u", "valueCode": "c"}]}}),
    "repeated values, some with ids, some without values": (
        '<name><given value="A"/><given id="x" value="B"/><given id="y"/><given value="C"/></name>',
        {"name": [{"given": ["A", "B", None, "C"], "_given": [None, {"id": "x"}, {"id": "y"}, None]}]}),
    "no value but the first": (
        '<name><given id="x"/><given value="B"/></name>',
        {"name": [{"given": [None, "B"], "_given": [{"id": "x"}, None]}]}),
    "a contained resource": (
        '<contained><Basic><id value="b"/></Basic></contained>',
        {"contained": [{"resourceType": "Basic", "id": "b"}]}),
    "narrative as it stands": (
        '<text><status value="generated"/>' + DIV.format("<p class='a'>&lt;  &#160;<br /></p>\n") + "</text>",
        {"text": {"status": "generated", "div": DIV.format("<p class='a'>&lt;  &#160;<br /></p>\n")}}),
    "narrative without content": (
        '<text><div title="a>b" xmlns="http://www.w3.org/1999/xhtml"/></text>',
        {"text": {"div": '<div title="a>b" xmlns="http://www.w3.org/1999/xhtml"/>'}}),
    "characters that XML would change": (
        '<name><family value="a&#10;b&#9;c&#13;&quot;&amp;&lt;ä🙂"/></name>',
        {"name": [{"family": 'a\nb\tc\r"&<ä🙂'}]}),
}  # fmt: skip


@pytest.mark.parametrize(("inside", "want"), SAME.values(), ids=SAME)
def test_one_value_both_ways(inside: str, want: dict[str, Any]) -> None:
    found = read_xml(patient(inside))
    assert literals(found) == {"resourceType": "Patient", **want}
    assert literals(read_xml(write_xml(found))) == literals(found)


READ_ONLY = {
    "comments are dropped": ("<!-- a --><active value='true'/>", {"active": True}),
    "elements in another order": ("<gender value='male'/><active value='true'/>", {"gender": "male", "active": True}),
    "a number that JSON cannot say stays text": ("<multipleBirthInteger value='02'/>", {"multipleBirthInteger": "02"}),
    "a truth value that is none stays text": ("<active value='TRUE'/>", {"active": "TRUE"}),
}


@pytest.mark.parametrize(("inside", "want"), READ_ONLY.values(), ids=READ_ONLY)
def test_read(inside: str, want: dict[str, Any]) -> None:
    assert read_xml(patient(inside)) == {"resourceType": "Patient", **want}


def test_a_prefix_and_the_place_of_a_schema_mean_nothing() -> None:
    source = (
        b'<f:Patient xmlns:f="http://hl7.org/fhir" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        b'xsi:schemaLocation="http://hl7.org/fhir patient.xsd"><f:active value="true"/></f:Patient>'
    )
    assert read_xml(source) == {"resourceType": "Patient", "active": True}


def test_order_when_it_is_asked_for() -> None:
    source = patient("<gender value='male'/><active value='true'/>")
    with pytest.raises(FhirRejected, match="in FHIR's order"):
        read_xml(source, in_order=True)


BOMB = '<!DOCTYPE Patient [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
OUTSIDE = '<!DOCTYPE Patient SYSTEM "file:///etc/passwd">'

REFUSED = {
    "nothing": (b"", Fault.NOT_XML),
    "cut off": (patient("")[:-2], Fault.NOT_XML),
    "two documents": (patient("") * 2, Fault.NOT_XML),
    "not UTF-8": (patient("<id value='\xe9'/>").decode().encode("latin-1"), Fault.NOT_XML),
    "another encoding": (b'<?xml version="1.0" encoding="ISO-8859-1"?>' + patient(""), Fault.NOT_XML),
    "UTF-16": (patient("").decode().encode("utf-16"), Fault.NOT_XML),
    "JSON": (b"{}", Fault.NOT_XML),
    "an undefined entity": (patient("<id value='&nbsp;'/>"), Fault.NOT_XML),
    "entities that grow": (BOMB.encode() + patient("<id value='&b;'/>"), Fault.XML_FORBIDDEN),
    "a file of this machine": (OUTSIDE.encode() + patient(""), Fault.XML_FORBIDDEN),
    "an instruction": (b"<?xml-stylesheet href='x'?>" + patient(""), Fault.XML_FORBIDDEN),
    "an instruction inside": (patient("<?php x ?>"), Fault.XML_FORBIDDEN),
    "an instruction in narrative": (patient("<text>" + DIV.format("<?a b?>") + "</text>"), Fault.XML_FORBIDDEN),
    "too deep": (patient("<extension url='a'>" * 200), Fault.TOO_DEEP),
    "narrative too deep": (patient("<text>" + DIV.format("<p>" * 70 + "</p>" * 70) + "</text>"), Fault.NOT_FHIR_XML),
    "another root": (b"<html/>", Fault.NOT_FHIR_XML),
    "no namespace": (b"<Patient/>", Fault.NOT_FHIR_XML),
    "a type that is none": (b'<Smith xmlns="http://hl7.org/fhir"/>', Fault.NOT_FHIR_XML),
    "an element that the type has not": (patient("<smith value='a'/>"), Fault.NOT_FHIR_XML),
    "an element of another namespace": (patient("<active xmlns='urn:x' value='true'/>"), Fault.NOT_FHIR_XML),
    "narrative in FHIR's namespace": (patient("<text><div>a</div></text>"), Fault.NOT_FHIR_XML),
    "an element in XHTML's namespace": (
        patient("<active xmlns='http://www.w3.org/1999/xhtml' value='true'/>"), Fault.NOT_FHIR_XML),
    "FHIR inside narrative": (
        patient("<text>" + DIV.format("<id xmlns='http://hl7.org/fhir' value='a'/>") + "</text>"), Fault.NOT_FHIR_XML),
    "narrative with a prefix": (
        patient("<text><x:div xmlns:x='http://www.w3.org/1999/xhtml'>a</x:div></text>"), Fault.NOT_FHIR_XML),
    "an attribute that the element has not": (patient("<active value='true' smith='a'/>"), Fault.NOT_FHIR_XML),
    "a value where children are due": (patient("<name value='smith'/>"), Fault.NOT_FHIR_XML),
    "text": (patient("smith"), Fault.NOT_FHIR_XML),
    "one element twice": (patient("<active value='true'/><active value='true'/>"), Fault.NOT_FHIR_XML),
    "two resources in one container": (patient("<contained><Basic/><Basic/></contained>"), Fault.NOT_FHIR_XML),
    "a data type for a resource": (patient("<contained><HumanName/></contained>"), Fault.NOT_FHIR_XML),
}  # fmt: skip


@pytest.mark.promise("P4")
@pytest.mark.parametrize(("source", "fault"), REFUSED.values(), ids=REFUSED)
def test_refused(source: bytes, fault: Fault) -> None:
    with pytest.raises(FhirRejected) as refusal:
        read_xml(source)
    assert refusal.value.fault is fault
    assert "smith" not in str(refusal.value).lower()


def test_too_large_is_refused_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading_module, "XML_BYTES_MAX", 10)
    with pytest.raises(FhirRejected) as refusal:
        read_xml(b"<" * 11)
    assert refusal.value.fault is Fault.TOO_LARGE


UNTOLD: dict[str, Any] = {
    "no resource": [],
    "no type": {"active": True},
    "a property that the type has not": {"resourceType": "Patient", "smith": 1},
    "an object for a value": {"resourceType": "Patient", "active": {"smith": 1}},
    "a value for an object": {"resourceType": "Patient", "maritalStatus": "smith"},
    "a value for an array": {"resourceType": "Patient", "name": "smith"},
    "something beside an object": {"resourceType": "Patient", "maritalStatus": {}, "_maritalStatus": {}},
    "an address that is no text": {"resourceType": "Patient", "extension": [{"url": 1}]},
    "a control character": {"resourceType": "Patient", "gender": "smith\x0b"},
    "narrative that is not well formed": {"resourceType": "Patient", "text": {"div": "<div>smith"}},
    "narrative that is another element": {"resourceType": "Patient", "text": {"div": "<smith/>"}},
    "two elements for narrative": {"resourceType": "Patient", "text": {"div": DIV.format("a") * 2}},
    "narrative with a document type": {"resourceType": "Patient", "text": {"div": "<!DOCTYPE div>" + DIV.format("a")}},
}


@pytest.mark.promise("P4")
@pytest.mark.parametrize("value", UNTOLD.values(), ids=UNTOLD)
def test_what_xml_cannot_say(value: Any) -> None:
    with pytest.raises(FhirRejected) as refusal:
        write_xml(value)
    assert refusal.value.fault is Fault.NO_XML_FORM
    assert "smith" not in str(refusal.value).lower()


def test_entities_of_xhtml_become_their_characters() -> None:
    value = {"resourceType": "Basic", "text": {"status": "generated", "div": DIV.format("a&nbsp;b&amp;")}}
    assert read_xml(write_xml(value))["text"]["div"] == DIV.format("a\xa0b&amp;")


def test_every_official_example_from_json_to_xml_and_back(shared_data: Path) -> None:
    files = sorted((shared_data / "fhir" / "r4-examples").glob("*.json"))
    assert len(files) > 300
    differing = []
    for file in files:
        value = read_exact(file.read_bytes())
        if literals(read_xml(write_xml(value), in_order=True)) != literals(value):
            differing.append(file.stem)
    assert differing == []


OUT_OF_ORDER = {"UKCore-Questionnaire-EOLPlan-Example"}  # an extension after linkId


def test_every_uk_core_example_from_xml_to_json_and_back(shared_data: Path) -> None:
    files = sorted((shared_data / "fhir" / "uk-core").glob("*.xml"))
    assert len(files) > 60
    for file in files:
        value = read_xml(file.read_bytes(), in_order=file.stem not in OUT_OF_ORDER)
        assert literals(read_exact(write_exact(value))) == literals(value), file.name
        assert literals(read_xml(write_xml(value), in_order=True)) == literals(value), file.name
