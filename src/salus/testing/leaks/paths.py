"""The paths, one row each: what somebody who may not see the secret asks.

`{patient}`, `{secret}` … stand for ids of one patient, `{canary}` for the word in the secret. An answer says the same
of both patients, or it leaks. Paths that write come last: they leave things behind.
"""

from dataclasses import dataclass, field
from typing import Final

PATCH: Final = '[{"op":"replace","path":"/note","value":[{"text":"changed"}]}]'
JSON_PATCH: Final = "application/json-patch+json"
CONDITION: Final = (
    '{"resourceType":"Condition","code":{"text":"new"},"subject":{"reference":"Patient/{patient}"},'
    '"identifier":[{"system":"urn:salus:leaks","value":"{canary}"}]}'
)
NAMED: Final = CONDITION.replace('"resourceType":"Condition"', '"resourceType":"Condition","id":"{secret}"')
PROVENANCE: Final = (
    '{"resourceType":"Provenance","target":[{"reference":"Condition/{secret}"}],"recorded":"2020-01-01T00:00:00Z",'
    '"agent":[{"who":{"display":"x"}}]}'
)
FILE: Final = (
    '{"resourceType":"Binary","contentType":"text/plain","data":"eA==",'
    '"securityContext":{"reference":"Condition/{secret}"}}'
)
POINTERS: Final = "DocumentReference?_tag=urn:salus:made|pointer&patient={patient}"
DEPOSITS: Final = "Provenance?_tag=urn:salus:made|deposit"
BATCH: Final = '{"resourceType":"Bundle","type":"{kind}","entry":[{entry}]}'


@dataclass(frozen=True)
class Path:
    """One row.

    Args:
        name: what the path is; hint: what leaks when it does.
        headers: more fields; `content-type` is FHIR's JSON unless it says otherwise.
        follows: whether links to next pages are followed.
        awaits: whether it begins an export, which is waited for and fetched.
        is_whole: whether it is about all patients at once; then only the secret's words tell that it leaks.
    """

    name: str
    method: str
    url: str
    hint: str = "that there is a secret"
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    follows: bool = False
    awaits: bool = False
    is_whole: bool = False


def _get(name: str, url: str, hint: str = "that there is a secret", **headers: str) -> Path:
    return Path(name, "GET", url, hint, headers={key.replace("_", "-"): value for key, value in headers.items()})


def _whole(name: str, url: str) -> Path:
    return Path(name, "GET", url, "the secret itself", is_whole=True)


def _pages(name: str, url: str) -> Path:
    return Path(name, "GET", url, "by the number of pages", follows=True)


def _export(name: str, wanted: str, *, is_whole: bool = False) -> Path:
    fields = {"prefer": "respond-async", "accept": "application/fhir+json"}
    return Path(name, "GET", wanted, "the secret itself", headers=fields, awaits=True, is_whole=is_whole)


def _bundle(name: str, kind: str, entry: str) -> Path:
    return Path(name, "POST", "", body=BATCH.replace("{kind}", kind).replace("{entry}", entry))


PATHS: Final = (
    # By name
    _get("read", "Condition/{secret}", "the secret itself"),
    _get("read in XML", "Condition/{secret}?_format=xml", "the secret itself"),
    _get("read a summary", "Condition/{secret}?_summary=true", "a part of the secret"),
    _get("read some elements", "Condition/{secret}?_elements=code", "a part of the secret"),
    _get("read when changed", "Condition/{secret}", if_none_match='W/"1"'),
    _get("read when newer", "Condition/{secret}", if_modified_since="Thu, 01 Jan 2099 00:00:00 GMT"),
    _get("read as another type", "Observation/{secret}"),
    _get("version", "Condition/{secret}/_history/1", "the secret itself"),
    _get("version that never was", "Condition/{secret}/_history/9"),
    _get("history of the secret", "Condition/{secret}/_history", "the secret itself"),
    _get("meta", "Condition/{secret}/$meta", "labels of the secret"),
    _get("unknown operation", "Condition/{secret}/$nothing"),
    _get("below it", "Condition/{secret}/Observation"),
    Path("head", "HEAD", "Condition/{secret}", "by status or length"),
    # Hits
    _get("search by id", "Condition?_id={secret}", "the secret itself"),
    _get("search by patient", "Condition?patient={patient}", "the secret itself"),
    _get("search by code", "Condition?patient={patient}&code={canary}", "that the code is there"),
    _get("search by system and code", "Condition?subject=Patient/{patient}&code=urn:salus:leaks|{canary}"),
    _get("search by words", "Condition?patient={patient}&code:text={canary}"),
    _get("search by identifier", "Condition?patient={patient}&identifier=urn:salus:leaks|{canary}"),
    _get("search by label", "Condition?patient={patient}&_security=PSY", "that something carries the label"),
    _get("search without the label", "Condition?patient={patient}&_security:not=PSY"),
    _get("search by date", "Condition?patient={patient}&recorded-date=2020-01-01"),
    _get("search by change", "Condition?patient={patient}&_lastUpdated=gt2000-01-01"),
    _get("search by what is there", "Condition?patient={patient}&code:missing=false"),
    _get("search by what is not", "Condition?patient={patient}&code:not=open"),
    _get("search by amount", "Observation?patient={patient}&value-quantity=gt50", "that a value is high"),
    _get("search by composite", "Observation?patient={patient}&code-value-quantity={canary}$gt50"),
    _get("search by encounter", "Condition?encounter=Encounter/{encounter}"),
    _get("search by text", "Condition?patient={patient}&_text={canary}"),
    _get("search by content", "Condition?patient={patient}&_content={canary}"),
    _get("search by filter", "Condition?patient={patient}&_filter=code eq {canary}"),
    _get("search in XML", "Condition?patient={patient}&_format=xml", "the secret itself"),
    Path(
        "posted search",
        "POST",
        "Condition/_search",
        "the secret itself",
        "patient={patient}",
        {"content-type": "application/x-www-form-urlencoded"},
    ),
    _get("search over types", "?_type=Condition,Observation&patient={patient}", "the secret itself"),
    _get("search over types by id", "?_type=Condition,Observation&_id={secret}", "the secret itself"),
    _get("search over all types", "?_id={secret},{measured}", "the secret itself"),
    _get("search over types by label", "?_type=Condition,Observation&patient={patient}&_security=PSY"),
    _pages("search over types in pages", "?_type=Condition,Observation&patient={patient}&_count=1&_sort=_id"),
    Path(
        "posted search over types",
        "POST",
        "_search",
        "the secret itself",
        "_type=Condition,Observation&patient={patient}",
        {"content-type": "application/x-www-form-urlencoded"},
    ),
    _get("compartment", "Patient/{patient}/Condition", "the secret itself"),
    _get("compartment of everything", "Patient/{patient}/*"),
    _get("compartment of an encounter", "Encounter/{encounter}/Condition"),
    _get("compartment of an encounter with everything", "Encounter/{encounter}/*"),
    _get(
        "compartment of a practitioner", "Practitioner/{practitioner}/Encounter?_has:Condition:encounter:_id={secret}"
    ),
    # Numbers
    _get("count", "Condition?patient={patient}&_summary=count", "by the total"),
    _get("total", "Condition?patient={patient}&_total=accurate&_count=1", "by the total"),
    _get("page of nothing", "Condition?patient={patient}&_count=0", "by the total"),
    _get("next link", "Condition?patient={patient}&_count=1", "by a link to another page"),
    _pages("pages in order", "Condition?patient={patient}&_count=1&_sort=_id"),
    _pages("pages in reverse", "Condition?patient={patient}&_count=1&_sort=-_id"),
    _pages("pages by date", "Observation?patient={patient}&_count=1&_sort=date"),
    # Through other resources
    _get("reverse chain", "Patient?_id={patient}&_has:Condition:patient:code={canary}", "that the code is there"),
    _get("reverse chain by id", "Patient?_id={patient}&_has:Condition:patient:_id={secret}"),
    _get("reverse chain by label", "Patient?_id={patient}&_has:Condition:patient:_security=PSY"),
    _get("reverse chain from an encounter", "Encounter?_id={encounter}&_has:Condition:encounter:code={canary}"),
    _get("reverse chain by value", "Patient?_id={patient}&_has:Observation:patient:value-quantity=gt50"),
    _get("chain through it", "List?_id={list}&item:Condition.code={canary}", "that the code is there"),
    _get("chain by its label", "List?_id={list}&item:Condition._security=PSY"),
    _get("include", "List?_id={list}&_include=List:item", "the secret itself"),
    _get("reverse include", "Patient?_id={patient}&_revinclude=Condition:patient", "the secret itself"),
    _get("reverse include from an encounter", "Encounter?_id={encounter}&_revinclude=Condition:encounter"),
    _get(
        "include from what was included",
        "Encounter?_id={encounter}&_include=Encounter:subject&_revinclude:iterate=Condition:patient",
        "the secret itself",
    ),
    # Whole charts and everything else
    _get("everything", "Patient/{patient}/$everything", "the secret itself"),
    _get("everything of a type", "Patient/{patient}/$everything?_type=Condition", "the secret itself"),
    _get("everything since", "Patient/{patient}/$everything?_since=2000-01-01", "the secret itself"),
    _pages("everything in pages", "Patient/{patient}/$everything?_count=2"),
    _get("everything of a time", "Patient/{patient}/$everything?start=2019-01-01&end=2021-01-01", "the secret itself"),
    _get("everything of an encounter", "Encounter/{encounter}/$everything"),
    _export("export of the server", "$export?_type=Condition", is_whole=True),
    _export("export of all patients", "Patient/$export?_type=Condition", is_whole=True),
    _export("export of a patient", "Patient/$export?patient=Patient/{patient}"),
    _export("export of a type", "Patient/$export?patient=Patient/{patient}&_type=Condition"),
    _export("export of some elements", "Patient/$export?patient=Patient/{patient}&_type=Condition&_elements=code"),
    _export("export by code", "Patient/$export?patient=Patient/{patient}&_typeFilter=Condition?code={canary}"),
    _export("export by label", "Patient/$export?patient=Patient/{patient}&_typeFilter=Condition?_security=PSY"),
    _export("export since", "Patient/$export?patient=Patient/{patient}&_since=2000-01-01T00:00:00Z"),
    _export("export in one's order", "Patient/$export?patient=Patient/{patient}&organizeOutputBy=Patient"),
    _get("history of the patient", "Patient/{patient}/_history"),
    _get("history of the secret since", "Condition/{secret}/_history?_since=2000-01-01", "the secret itself"),
    _get("history of the secret at a time", "Condition/{secret}/_history?_at=2099-01-01", "the secret itself"),
    _whole("history of the type", "Condition/_history?_count=1000"),
    _whole("history of the type since", "Observation/_history?_since=2000-01-01&_count=1000"),
    _whole("history of everything", "_history?_count=1000"),
    # What others are told
    _whole("subscriptions", "Subscription?_count=1000"),
    _whole("how subscriptions are", "Subscription/$status"),
    _get("sharing choices", "Consent?patient={patient}", "that a choice names what there is to hide"),
    _get("sharing choices in the chart", "Patient/{patient}/Consent"),
    _get("audit trail", "AuditEvent?patient={patient}", "by what was released, or kept back"),
    _get("audit trail of it", "AuditEvent?patient={patient}&entity=Condition/{secret}"),
    # What the server tells of records beside them
    _get("pointers", f"{POINTERS}&type=http://hl7.org/fhir/resource-types|Condition", "that it points to the secret"),
    _get("pointers counted", f"{POINTERS}&_summary=count", "by the total"),
    _get("pointers by label", f"{POINTERS}&security-label=PSY"),
    _get("pointers in the chart", "Patient/{patient}/DocumentReference?_tag=urn:salus:made|pointer&_summary=count"),
    _get("provenance of it", f"{DEPOSITS}&target=Condition/{{secret}}", "that the secret was stored"),
    _get("provenance counted", f"{DEPOSITS}&patient={{patient}}&_summary=count", "by the total"),
    _get("provenance along", "Condition?patient={patient}&_revinclude=Provenance:target", "that the secret was stored"),
    _get("provenance in the chart", "Patient/{patient}/$everything?_type=Provenance&_count=0", "by the total"),
    _export(
        "export of provenance",
        "Patient/$export?patient=Patient/{patient}&_type=Provenance"
        "&_typeFilter=Provenance?target=Condition/{condition},Condition/{secret}",
    ),
    _get("last n", "Observation/$lastn?patient={patient}&category=x"),
    _get("graph", "Patient/{patient}/$graphql?query={Condition{id}}"),
    _get("documents", "Patient/{patient}/$summary"),
    _bundle("batch of a read", "batch", '{"request":{"method":"GET","url":"Condition/{secret}"}}'),
    _bundle("batch of a search", "batch", '{"request":{"method":"GET","url":"Condition?patient={patient}"}}'),
    _bundle("transaction of a read", "transaction", '{"request":{"method":"GET","url":"Condition/{secret}"}}'),
    _bundle(
        "conditional reference",
        "transaction",
        '{"request":{"method":"POST","url":"List"},"resource":{"resourceType":"List","status":"current",'
        '"mode":"working","subject":{"reference":"Patient/{patient}"},'
        '"entry":[{"item":{"reference":"Condition?identifier=urn:salus:leaks|{canary}-none"}}]}}',
    ),
    # Writing
    Path("patch", "PATCH", "Condition/{secret}", body=PATCH, headers={"content-type": JSON_PATCH}),
    Path("update", "PUT", "Condition/{secret}", body=NAMED),
    Path("update of an old version", "PUT", "Condition/{secret}", body=NAMED, headers={"if-match": 'W/"7"'}),
    Path("delete", "DELETE", "Condition/{secret}"),
    Path(
        "conditional delete",
        "DELETE",
        "Condition?identifier=urn:salus:leaks|{canary}&patient={patient}",
    ),
    Path(
        "conditional patch",
        "PATCH",
        "Condition?identifier=urn:salus:leaks|{canary}&patient={patient}",
        body=PATCH,
        headers={"content-type": JSON_PATCH},
    ),
    Path(
        "conditional create",
        "POST",
        "Condition",
        body=CONDITION,
        headers={"if-none-exist": "identifier=urn:salus:leaks|{canary}&patient={patient}"},
    ),
    Path("a provenance of it", "POST", "Provenance", body=PROVENANCE),
    Path("a file beside it", "POST", "Binary", body=FILE),
)
