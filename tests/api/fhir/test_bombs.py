"""Small requests that would be much work, and large ones: refused within limits, soon, and nothing is stored."""

import json
import time
from collections.abc import Callable, Iterator

import pytest

from salus.api.fhir.settings import FhirSettings
from tests.api.fhir.fhir_world import BASE, FHIR_JSON, Hospital, ask, hospital, observation

XML = "application/fhir+xml"
JSON_PATCH = "application/json-patch+json"
FORM = "application/x-www-form-urlencoded"
SOON_S = 10.0
"""Of the processor: far above what each takes (under a second), far below what it takes where a bomb goes off."""
SPACE = 'xmlns="http://hl7.org/fhir"'


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    settings = FhirSettings(BASE, body_bytes_max=8_000_000, entries_max=500)
    with hospital(tmp_path_factory.mktemp("fhir"), settings) as made:
        assert ask(made, "feed", "PUT", "/Observation/o", observation(id="o", note=[{"text": "x"}])).status == 201
        yield made


def raw(**more: str) -> bytes:
    """An Observation with some elements as they stand."""
    inside = ",".join(f'"{name}":{value}' for name, value in more.items())
    return json.dumps(observation()).encode()[:-1] + b"," + inside.encode() + b"}"


def nested(depth: int) -> bytes:
    return raw(extension="[" * depth + "]" * depth)


def nested_xml(depth: int) -> bytes:
    one = '<extension url="urn:x">'
    return f"<Basic {SPACE}>{one * depth}{'</extension>' * depth}</Basic>".encode()


def laughs() -> bytes:
    levels = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    return f'<!DOCTYPE x [<!ENTITY l0 "lol">{levels}]><Basic {SPACE}><id value="&l9;"/></Basic>'.encode()


def outside() -> bytes:
    return f'<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><Basic {SPACE}><id value="&f;"/></Basic>'.encode()


def keys(count: int) -> bytes:
    """An object of many keys, the last one twice."""
    return raw(**{f"k{n}": "1" for n in range(count)}, last="1")[:-1] + b',"last":1}'


def bundle(kind: str, count: int) -> bytes:
    entry = {"request": {"method": "GET", "url": "Patient/never"}}
    return json.dumps({"resourceType": "Bundle", "type": kind, "entry": [entry] * count}).encode()


def doubling(times: int) -> bytes:
    """A patch that copies a list into itself, again and again."""
    step = {"op": "copy", "from": "/note", "path": "/note/0/extension"}
    return json.dumps([step] * times).encode()


def growing(times: int) -> bytes:
    """A patch that adds to what it has added, fifty levels at a time, and then tests all of it."""
    inside: object = 1
    for _ in range(50):
        inside = {"x": inside}
    steps: list[dict] = [{"op": "add", "path": "/note/0" + "/x" * 50 * n, "value": inside} for n in range(times)]
    return json.dumps([*steps, {"op": "test", "path": "/note/0", "value": inside}]).encode()


def narrative(inside: str) -> bytes:
    div = f"<div xmlns='http://www.w3.org/1999/xhtml'>{inside}</div>"
    return raw(text=json.dumps({"status": "generated", "div": div}))


BODIES: dict[str, tuple[Callable[[], bytes], str, int]] = {
    "nesting of JSON beyond what a resource needs": (lambda: nested(200), FHIR_JSON, 400),
    "nesting of JSON without end": (lambda: nested(500_000), FHIR_JSON, 400),
    "nesting of XML without end": (lambda: nested_xml(100_000), XML, 400),
    "entities that expand": (laughs, XML, 400),
    "an entity from outside": (outside, XML, 400),
    "a number of a million digits": (lambda: raw(valueInteger="9" * 1_000_000), FHIR_JSON, 400),
    "a fraction of a million digits": (
        lambda: raw(valueQuantity='{"value":0.' + "1" * 1_000_000 + "}"),
        FHIR_JSON,
        400,
    ),
    "an exponent beyond reason": (lambda: raw(valueQuantity='{"value":1e999999999}'), FHIR_JSON, 400),
    "a string above the limit of a body": (lambda: raw(valueString=f'"{"a" * 9_000_000}"'), FHIR_JSON, 413),
    "a string above the limit of a string": (lambda: raw(valueString=f'"{"a" * 2_000_000}"'), FHIR_JSON, 422),
    "two hundred thousand keys, one of them twice": (lambda: keys(200_000), FHIR_JSON, 400),
    "a hundred thousand unknown elements": (lambda: keys(100_000).replace(b',"last":1}', b"}"), FHIR_JSON, 422),
    "a date that is a million digits": (lambda: raw(effectiveDateTime=f'"{"1" * 1_000_000}"'), FHIR_JSON, 422),
    "base64 that is none at its end": (
        lambda: raw(extension=json.dumps([{"url": "urn:x", "valueBase64Binary": "A" * 1_000_000 + "!"}])),
        FHIR_JSON,
        422,
    ),
    "an address of spaces": (lambda: raw(implicitRules=f'"urn:{" " * 500_000}x"'), FHIR_JSON, 422),
    "text of white space only": (lambda: raw(valueString=f'"{" " * 500_000}"'), FHIR_JSON, 422),
    "narrative that opens and never closes": (lambda: narrative("<p>" * 50_000), FHIR_JSON, 422),
    "narrative of attributes without end": (lambda: narrative("<p " + "a='b' " * 50_000), FHIR_JSON, 422),
    "narrative with entities": (lambda: narrative("&lol;" * 50_000), FHIR_JSON, 422),
    "an id that is long": (lambda: raw(id=f'"{"a" * 1_000_000}"'), FHIR_JSON, 201),  # a create makes its own
}


def versions(here: Hospital) -> str:
    return ask(here, "nurse", "GET", "/Observation/o").headers["etag"]


@pytest.mark.parametrize("name", BODIES)
def test_a_body_is_refused_soon(here: Hospital, name: str) -> None:
    make, media_type, status = BODIES[name]
    body, from_s = make(), time.process_time()
    kind = "Basic" if media_type == XML else "Observation"
    answer = ask(here, "feed", "POST", f"/{kind}", body, content_type=media_type, accept=FHIR_JSON)
    assert time.process_time() - from_s < SOON_S
    assert answer.status == status, answer.text[:500]
    if status >= 400:
        assert all(each["details"]["coding"][0]["code"] for each in answer.body["issue"])
        assert len(answer.text) < 1_000_000


@pytest.mark.parametrize("kind", ["batch", "transaction"])
def test_a_bundle_of_more_entries_than_the_operator_allows_is_refused(here: Hospital, kind: str) -> None:
    assert ask(here, "feed", "POST", "/", bundle(kind, 501)).status == 413
    assert ask(here, "feed", "POST", "/", bundle(kind, 10_000)).status == 413
    assert ask(here, "feed", "POST", "/", bundle("batch", 20)).status == 200


PATCHES = {
    "that copies a list into itself": (doubling(900), 400),
    "that adds to what it has added": (growing(60), 400),
    "of more steps than are allowed": (doubling(20_000), 400),
    "to a place without end": (json.dumps([{"op": "add", "path": "/x" * 100_000, "value": 1}]).encode(), 422),
    "with a value without end": (b'[{"op":"add","path":"/x","value":' + b"[" * 100_000 + b"]" * 100_000 + b"}]", 400),
}


@pytest.mark.parametrize(("patch", "status"), PATCHES.values(), ids=PATCHES)
def test_a_patch_is_refused_soon(here: Hospital, patch: bytes, status: int) -> None:
    before, from_s = versions(here), time.process_time()
    answer = ask(here, "nurse", "PATCH", "/Observation/o", patch, content_type=JSON_PATCH)
    assert time.process_time() - from_s < SOON_S
    assert (answer.status, versions(here)) == (status, before), answer.text[:500]


ALL = "&".join(f"code={','.join(f'{n}-{m}' for m in range(20))}" for n in range(64))
MOST = "&".join(f"code={','.join(f'{n}-{m}' for m in range(5))}" for n in range(64))
QUERIES = {
    "as many values in as many parameters as are allowed": (MOST, (200,)),
    "many values in many parameters": (ALL, (400,)),
    "more parameters than are allowed": ("&".join(["code=x"] * 199), (400,)),
    "more values than are allowed": ("code=" + ",".join(map(str, range(2_000))), (400,)),
    "a chain without end": ("subject" + ".subject" * 200 + "=x", (400,)),
    "reverse chains in one another": ("_has:Observation:subject:" * 40 + "code=x", (400,)),
    "reverse chains beside one another": ("&".join(["_has:Observation:subject:code=x"] * 40), (400,)),
    "a text that is hard for a pattern": ("code:text=" + "(a+)+" * 300 + "!", (200,)),
    "wild cards of SQL": ("code:text=" + "%25_" * 500, (200,)),
    "every include at once": ("&".join(["_include=*", "_revinclude=*"] * 30), (400,)),
    "an amount without end": ("value-quantity=" + "9" * 1_900, (200, 400)),
    "a page of everything": ("_count=99999999999999999999", (200, 400)),
}


@pytest.mark.parametrize(("query", "statuses"), QUERIES.values(), ids=QUERIES)
def test_a_search_is_answered_or_refused_soon(here: Hospital, query: str, statuses: tuple[int, ...]) -> None:
    from_s = time.process_time()
    answer = ask(
        here, "feed", "POST", "/Observation/_search", query.encode(), content_type=FORM, prefer="handling=strict"
    )
    assert time.process_time() - from_s < SOON_S
    assert answer.status in statuses, answer.text[:500]
