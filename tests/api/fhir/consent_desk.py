"""Sharing choices in a few words, a hospital where they are filed, and the reason of each answer."""

import datetime
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from salus.contracts import consent
from salus.contracts.access import AccessDenied, AccessPermitted
from salus.contracts.decision import Source
from salus.contracts.gathering import read_trail
from salus.contracts.provisions import Purpose, RoleClass
from salus.ledger.entries import entry_hash
from salus.ledger.identifiers import PermitId
from salus.ledger.receipts import WithheldField, decode_field
from salus.node.projections import resources
from salus.node.services.choices import withdraw_by_custodian
from salus.node.services.deposit import placed_entries
from salus.node.services.release import part_document
from salus.node.shapes import systems
from tests.api.fhir.fhir_world import Answer, Hospital, Someone, ask, hospital, observation
from tests.api.fhir.ledger_people import assisted, pseudonym_of

LOINC, SNOMED = "http://loinc.org", "http://snomed.info/sct"
LABELS = {
    **{code: {"system": systems.ACT_CODE, "code": code} for code in ("PSY", "HIV")},
    **{code: {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": code} for code in "RV"},
}
PEOPLE = {
    "nurse": (RoleClass.CLINICAL, Purpose.TREAT),
    "doctor": (RoleClass.CLINICAL, Purpose.TREAT),
    "clerk": (RoleClass.ADMINISTRATIVE, Purpose.TREAT),
    "ambulance": (RoleClass.CLINICAL, Purpose.ETREAT),
    "glass": (RoleClass.CLINICAL, Purpose.BTG),
    "biller": (RoleClass.ADMINISTRATIVE, Purpose.HPAYMT),
    "registry": (RoleClass.CLINICAL, Purpose.PUBHLTH),
    "officer": (RoleClass.OFFICER, Purpose.HLEGAL),
    "student": (RoleClass.CLINICAL, Purpose.HRESCH),
}


def coded(system: str, code: str) -> dict:
    return {"code": {"coding": [{"system": system, "code": code}]}}


def labelled(*codes: str) -> dict:
    return {"meta": {"security": [LABELS[code] for code in codes]}}


RECORDS = {
    "plain": observation(),
    "psy": observation(**labelled("PSY")),
    "hiv": observation(**labelled("HIV"), **coded(LOINC, "5221-7")),
    "both": observation(**labelled("PSY", "HIV")),
    "restricted": observation(**labelled("R")),
    "very": observation(**labelled("V")),
    "old": observation(effectiveDateTime="2010-05-01"),
    "new": observation(effectiveDateTime="2024-05-01T12:00:00Z"),
    "winter": observation(effectivePeriod={"start": "2019-12-01", "end": "2020-02-29"}),
    "problem": {
        "resourceType": "Condition",
        "subject": {"reference": "Patient/ann"},
        **coded(SNOMED, "38341003"),
        "clinicalStatus": {
            "coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}]
        },
    },
}


def one(system: str) -> Callable[[str], dict]:
    """Writes a code of a system."""
    return lambda code: {"system": system, "code": code}


CRITERIA: dict[str, tuple[str, Callable[[Any], dict]]] = {
    "label": ("securityLabel", LABELS.__getitem__),
    "sort": ("class", one(systems.RESOURCE_TYPES)),
    "code": ("code", lambda pair: coded(*pair)["code"]),
    "purpose": ("purpose", one(systems.ACT_REASON)),
    "verb": ("action", lambda code: {"coding": [one(systems.VERB)(code)]}),
    "action": ("action", lambda code: {"coding": [one(systems.CONSENT_ACTION)(code)]}),
    "record": ("data", lambda name: {"meaning": "instance", "reference": {"reference": name}}),
}
PERIODS = {"days": "period", "about": "dataPeriod"}


def rule(effect: str, *but: dict, **criteria: Any) -> dict:
    """A provision in a few words: what it is about, and in `but` its exceptions."""
    said: dict[str, object] = {"type": effect}
    for name, value in criteria.items():
        if name in CRITERIA:
            element, write = CRITERIA[name]
            said[element] = [write(each) for each in (value if isinstance(value, list) else [value])]
        elif name in PERIODS:
            said[PERIODS[name]] = value
        else:
            assert name in ("who", "role", "at"), name
    actors = actors_of(criteria)
    return said | ({"actor": actors} if actors else {}) | ({"provision": list(but)} if but else {})


def actors_of(criteria: dict) -> list[dict]:
    """Whom a provision names: people (`who`), a role (`role`), an organisation (`at`)."""
    role = {"coding": [{"system": systems.PARTICIPATION, "code": "IRCP"}]}
    if "role" in criteria:
        role = {"coding": [{"system": systems.ROLE_CLASS, "code": criteria["role"]}]}
    people = criteria.get("who", [])
    if people:
        return [
            {"role": role, "reference": {"who": each}} for each in ([people] if isinstance(people, str) else people)
        ]
    if "at" in criteria:
        return [{"role": role, "reference": systems.organisation(criteria["at"])}]
    return [{"role": role, "reference": {"display": "anybody"}}] if "role" in criteria else []


def deny(*but: dict, **criteria: Any) -> dict:
    return rule("deny", *but, **criteria)


def permit(*but: dict, **criteria: Any) -> dict:
    return rule("permit", *but, **criteria)


def day(offset: int) -> str:
    return f"day {offset:+d}"


@dataclass
class Desk:
    """The hospital, and which choices of Ann's are in force."""

    hospital: Hospital
    rules: list[dict] = field(default_factory=list)
    filed: dict[bytes, str] = field(default_factory=dict)
    consents: list[str] = field(default_factory=list)

    def lay(self, rules: list[dict]) -> None:
        """Withdraw what is in force and file these, each as a Consent."""
        if rules == self.rules and self.consents:
            return
        ann = pseudonym_of(self.hospital, "ann")
        for each in self.in_force():  # at the desk: a choice that denies everything keeps its Consent from Ann, too
            withdraw_by_custodian(self.hospital.node, ann, each.choice)
        self.rules, self.filed, self.consents = rules, {}, []
        for letter, each in zip("ABC", rules, strict=False):
            answer = self.post(each)
            assert answer.status == 201, answer.text
            self.consents.append(answer.body["id"])
            (new,) = (known.commitment for known in self.in_force() if known.commitment not in self.filed)
            self.filed[new] = letter

    def post(self, provision: dict) -> Answer:
        """File one rule; its type is the Consent's base rule."""
        said = self.written({name: each for name, each in provision.items() if name != "type"})
        base = {"permit": "OPTIN", "deny": "OPTOUT"}[provision["type"]]
        body = {
            "resourceType": "Consent",
            "status": "active",
            "scope": {"coding": [{"system": systems.CONSENT_SCOPE, "code": "patient-privacy"}]},
            "category": [{"coding": [{"system": systems.ACT_CODE, "code": "IDSCL"}]}],
            "patient": {"reference": "Patient/ann"},
            "policyRule": {"coding": [{"system": systems.ACT_CODE, "code": base}]},
        } | ({"provision": said} if said else {})
        return ask(self.hospital, "ann", "POST", "/Consent", body)

    def written(self, value: object) -> object:
        """With people by their certificates, and days by the calendar."""
        if isinstance(value, list):
            return [self.written(each) for each in value]
        if isinstance(value, dict) and "who" in value:
            certificate = self.hospital.tokens.people[value["who"]].login.session.certificate
            return {
                "type": "Practitioner",
                "identifier": {"system": systems.CERTIFICATE, "value": certificate.root().hex()},
            }
        if isinstance(value, dict):
            return {name: self.written(each) for name, each in value.items()}
        if isinstance(value, str) and value.startswith("day "):
            today = datetime.datetime.fromtimestamp(self.hospital.node.clock(), datetime.UTC).date()
            return (today + datetime.timedelta(days=int(value[4:]))).isoformat()
        return value

    def in_force(self) -> tuple[consent.Choice, ...]:
        with self.hospital.node.engine.snapshot() as reader:
            return consent.choices(reader, pseudonym_of(self.hospital, "ann")).choices

    def asked(self, who: str, record: str, how: str) -> tuple[str, str]:
        """Ask over HTTP; return whether the record goes, and the reason in the patient's history."""
        if who == "glass":  # a session of its own for each: three that nobody has reviewed are as many as one may have
            self.hospital.tokens.people[who] = Someone(self.hospital.login(who, *PEOPLE[who]))
        kind, before = RECORDS[record]["resourceType"], self.parts()
        if how == "read":
            answer = ask(self.hospital, who, "GET", f"/{kind}/{record}")
            assert answer.status in (200, 404), answer.text
            goes = answer.status == 200
        else:
            answer = ask(self.hospital, who, "GET", f"/{kind}?_id={record}")
            goes = bool(answer.body.get("entry"))
            assert answer.body["total"] == int(goes)
        return "goes" if goes else "stays", self.reason(record, before)

    def parts(self) -> set[tuple[bytes, int]]:
        journal = self.hospital.node.custodian_journal
        permits = journal.permits_of(pseudonym_of(self.hospital, "ann"))
        return {(each, part) for each in permits for part in range(1, len(journal.permit_lines(each)) + 1)}

    def reason(self, record: str, before: set[tuple[bytes, int]]) -> str:
        node, ann = self.hospital.node, pseudonym_of(self.hospital, "ann")
        with node.engine.snapshot() as reader:
            events = [each.outcome for each in read_trail(reader, ann)]
        asked = [each for each in events if isinstance(each, AccessPermitted | AccessDenied)]
        new = self.parts() - before
        if not new:
            assert isinstance(asked[-1], AccessDenied)
            return f"ledger: {asked[-1].reason.name.lower().replace('_', ' ')}"
        found = resources.find(node, RECORDS[record]["resourceType"], record)
        assert found is not None
        entries = {
            bytes(entry_hash(each.entry)) for each in placed_entries(node, ann) if each.entry.record == found.record
        }
        documents = [part_document(node, PermitId(name), part) for name, part in new]
        fields = [decode_field(value) for each in documents if each is not None for value in each.fields.values]
        for each in fields:
            if isinstance(each, WithheldField) and each.entry in entries:
                return f"{self.filed[each.rule]} {each.path}" if each.source == Source.CHOICE else "default"
        given = [each for each in asked if isinstance(each, AccessPermitted)]
        return given[-1].basis.name.lower().replace("_", " ")


@contextmanager
def desk_of(folder: Path) -> Iterator[Desk]:
    """Open the hospital with Ann's records and everybody who asks for them."""
    with hospital(folder) as made:
        for name, content in RECORDS.items():
            path = f"/{content['resourceType']}/{name}"
            assert ask(made, "feed", "PUT", path, content | {"id": name}).status == 201
        for name, (role_class, purpose) in PEOPLE.items():
            made.tokens.people[name] = Someone(made.login(name, role_class, purpose))
        assisted(made, "ann")
        yield Desk(made)
