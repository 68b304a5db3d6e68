"""Requests to every interaction of a FHIR server, each with something wrong in address, query, fields or body."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final
from urllib.parse import quote

from salus.api.fhir.call import Interaction
from salus.clinical.fhir.search.parameters import parameters_of
from salus.testing.fuzz import mutations
from salus.testing.fuzz.mutations import DATES, NUMBERS, REFERENCES, TEXTS, spoilt

IDS: Final = ("never", "", "..", "%2e%2e", "a" * 65, "a b", "%00", "$x", "_x", "\u00e9", "1;drop", "%2F", "*")
TYPES: Final = (
    "application/fhir+json",
    "application/json",
    "application/fhir+xml",
    "text/plain",
    "",
    "*/*",
    ";;",
    "a/b/c",
)
FIELDS: Final = {
    "accept": (*TYPES, "application/fhir+json;q=x", ",".join(["a/b"] * 300)),
    "if-match": ('W/"1"', 'W/"99999999999"', "*", "W/", '"x"', ""),
    "if-none-match": ('W/"1"', "*", "x"),
    "if-modified-since": ("Thu, 01 Jan 2099 00:00:00 GMT", "x", "9" * 400),
    "if-none-exist": ("identifier=x|y", "name=" + "a" * 3_000, "x", "", "&&&", "_id=never"),
    "prefer": ("return=minimal", "return=OperationOutcome", "handling=strict", "respond-async", ";", "return="),
    "x-request-id": ("x", "", "a" * 5_000, "\u00e9", "a b"),
    "range": ("bytes=0-1", "bytes=x", "bytes=99999999999999999999-"),
}
SHAPERS: Final = ("_count", "_sort", "_include", "_revinclude", "_total", "_summary", "_elements", "_format", "_pretty")
VALUES: Final = (
    *(*TEXTS, *DATES, *NUMBERS, *REFERENCES, "0", "-1", "1", "*", "true", "count", "json", "xml", "accurate", "a|b"),
    *(
        "|",
        "||",
        "a|b|c",
        ",",
        ",,,,",
        "\\,",
        "\\",
        "gt2020",
        "ap1",
        "lt",
        "5.4|http://unitsofmeasure.org|mg",
        "Patient:",
    ),
    *("Observation:subject", "*:*", "a" * 1_999, "(" * 500, "$", "a$b", ",".join(str(each) for each in range(300))),
)
MODIFIERS: Final = (
    "exact",
    "contains",
    "not",
    "missing",
    "text",
    "in",
    "below",
    "above",
    "identifier",
    "of-type",
    "x",
    "",
)
CHAINS: Final = (".name", ".identifier", ".name.x", ".", "..", ".subject.name", ":Patient.name", ":X.y")


@dataclass(frozen=True)
class Asked:
    """A request.

    Args:
        code: of the interaction; path: below the base, with the query.
    """

    code: str
    method: str
    path: str = field(repr=False)
    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)


def requests(
    chance: Random, interactions: Sequence[Interaction], resources: Sequence[dict[str, Any]]
) -> Iterator[Asked]:
    """Yield requests without end, each interaction as often as every other.

    Args:
        resources: some that the server takes, with ids; those with an id may be there.
    """
    while True:
        for each in chance.sample(interactions, len(interactions)):
            yield _asked(chance, each, resources)


def _asked(chance: Random, interaction: Interaction, resources: Sequence[dict[str, Any]]) -> Asked:
    resource = chance.choice(
        [each for each in resources if interaction.kind in ("", each["resourceType"])] or resources
    )
    kind = interaction.kind or str(resource["resourceType"])
    headers = {name: chance.choice(values) for name, values in FIELDS.items() if chance.random() < 0.12}
    body = b""
    if interaction.takes:
        body = spoilt(chance, _sent(chance, interaction, resource, resources))
        headers["content-type"] = chance.choice(TYPES) if chance.random() < 0.1 else "application/fhir+json"
        if interaction.method == "PATCH" and chance.random() < 0.7:
            headers["content-type"], body = "application/json-patch+json", _patch(chance)
    path = _path(chance, interaction, kind, str(resource.get("id", "never")))
    query = _query(chance, kind) if chance.random() < 0.8 else ""
    if interaction.takes_form:
        headers["content-type"] = chance.choice(TYPES) if chance.random() < 0.1 else "application/x-www-form-urlencoded"
        body, query = query.encode("utf-8", "surrogatepass"), ""
    return Asked(interaction.code, interaction.method, f"{path}{'?' * bool(query)}{query}", headers, body)


def _path(chance: Random, interaction: Interaction, kind: str, logical_id: str) -> str:
    named = {
        "kind": chance.choice(("Nothing", "patient", "Parameters", "")) if chance.random() < 0.05 else kind,
        "id": chance.choice(IDS) if chance.random() < 0.3 else logical_id,
        "version": chance.choice(("1", "2", "0", "-1", "x", "9" * 30)),
        "within": chance.choice(("Observation", "Condition", "*", "X", "Patient")),
    }
    path = interaction.path
    for name in _names(path):
        path = path.replace("{" + name + "}", quote(named.get(name, chance.choice(IDS)), safe="%$*"))
    return path


def _names(path: str) -> list[str]:
    return [part.partition("}")[0] for part in path.split("{")[1:]]


def _query(chance: Random, kind: str) -> str:
    names = [*SHAPERS, *sorted(parameters_of(kind)), "x", "_has:Observation:patient:code"]
    return "&".join(_parameter(chance, chance.choice(names)) for _ in range(chance.choice((1, 1, 2, 3, 70))))


def _parameter(chance: Random, name: str) -> str:
    if chance.random() < 0.2:
        name += ":" + chance.choice(MODIFIERS)
    if chance.random() < 0.15:
        name += chance.choice(CHAINS) * chance.choice((1, 2, 9))
    return f"{quote(name)}={quote(chance.choice(VALUES), errors='replace')}"


def _sent(
    chance: Random, interaction: Interaction, resource: dict[str, Any], resources: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """What would be right, before it is spoilt."""
    if interaction.code == "transaction":
        entries = [_entry(chance, chance.choice(resources)) for _ in range(chance.choice((0, 1, 2, 5, 20)))]
        return {"resourceType": "Bundle", "type": chance.choice(("batch", "transaction")), "entry": entries}
    if interaction.code.startswith("$") and chance.random() < 0.6:
        values: list[dict[str, Any]] = [{"resource": resource}, {"valueUri": "urn:x"}, {"valueString": "x"}, {}]
        parameters = [
            {"name": chance.choice(("resource", "url", "code", "system", "profile", "consent", "patient", "x")), **each}
            for each in chance.sample(values, 2)
        ]
        return {"resourceType": "Parameters", "parameter": parameters}
    return resource


def _entry(chance: Random, resource: dict[str, Any]) -> dict[str, Any]:
    kind = resource["resourceType"]
    method = chance.choice(("POST", "PUT", "GET", "DELETE", "PATCH", "HEAD", "X"))
    url = chance.choice((kind, f"{kind}/{resource.get('id', 'x')}", f"{kind}?_id=x", "", "/", "?", "Patient/../x"))
    entry: dict[str, Any] = {"request": {"method": method, "url": url}, "fullUrl": f"urn:uuid:{chance.randrange(9)}"}
    return entry | ({"resource": resource} if method in ("POST", "PUT") else {})


def _patch(chance: Random) -> bytes:
    paths = (
        "",
        "/",
        "/status",
        "/name/0/family",
        "/x/y",
        "/id",
        "/resourceType",
        "/meta",
        "/~1~2",
        "/entry/-",
        "/" * 99,
    )
    steps = [
        {
            "op": chance.choice(("add", "remove", "replace", "copy", "move", "test", "x")),
            "path": chance.choice(paths),
            "from": chance.choice(paths),
            "value": chance.choice((*mutations.OTHERS, *TEXTS)),
        }
        for _ in range(chance.choice((0, 1, 3, 40)))
    ]
    return mutations.written(steps)
