"""A choice as a file and in words: what is written is what is read, and each criterion has its words."""

import json
from datetime import date

import pytest
from hypothesis import given, settings

from salus.clinical.labels import label
from salus.contracts.provisions import (
    LAST_DAY,
    DataMeaning,
    DataReference,
    Provision,
    ProvisionInvalid,
    ProvisionType,
    Purpose,
    RoleClass,
    Verb,
)
from salus.ledger.identifiers import OrganisationId
from salus.sdk.choice_files import read_choice, write_choice
from salus.sdk.choice_presets import refuse, share
from salus.sdk.choice_words import CLASSES, PURPOSES, ROLE_CLASSES, VERBS, sentences
from tests.contracts.provisions_world import accepted, trees

PRACTICE = OrganisationId("Z99001")
CARERS = "Clinicians and pharmacists at Harrowmere Medical Centre"
TWO_CLASSES = "health problems or test results"
NAMES = {PRACTICE: "Harrowmere Medical Centre"}


@settings(deadline=None)
@given(trees().map(accepted))
def test_what_is_written_is_read_again(tree: Provision) -> None:
    assert read_choice(write_choice(tree)) == tree


def test_names_and_dates_as_people_write_them() -> None:
    text = """{
      "type": "deny", "purposes": ["hresch", "HPAYMT"], "labels": ["hiv"], "valid_to": "2027-03-31",
      "data_from": "2010", "data_to": "2015-02", "provisions": [{"type": "permit", "organisations": ["Z99001"]}]
    }"""
    tree = read_choice(text.encode())
    assert tree.purposes == (Purpose.HPAYMT, Purpose.HRESCH)
    assert tree.labels == (label("HIV"),)
    assert tree.valid_to_day == (date(2027, 3, 31) - date(1970, 1, 1)).days
    assert (tree.data_from_s, tree.data_to_s) == (1_262_304_000, 1_425_167_999)
    assert tree.provisions[0].organisations == (PRACTICE,)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "a provision in JSON"),
        ("[]", "a provision in JSON"),
        ('{"type": "allow"}', "a provision in JSON"),
        ('{"type": "deny", "who": ["x"]}', "unknown field"),
        ('{"type": "deny", "purposes": ["care"]}', "purposes among treat"),
        ('{"type": "deny", "labels": ["XXX"]}', "a label such as"),
        ('{"type": "deny", "labels": ["|PSY"]}', "security labels of the form system.code"),
        ('{"type": "deny", "codes": ["44054006"]}', "codes of the form system.code"),
        ('{"type": "deny", "classes": ["observation"]}', "write the type as records do: Observation"),
        ('{"type": "deny", "data": [{"meaning": "related", "id": "00"}]}', "references to single records"),
        ('{"type": "deny", "valid_to": "soon"}', "a day as YYYY-MM-DD"),
        ('{"type": "deny", "data_from": "2010-13"}', "a date or a time of FHIR"),
        ('{"type": "deny", "persons": ["xyz"]}', "an identifier in hexadecimal"),
        ('{"type": "deny", "persons": ["00"]}', "identifiers of certificates, 32 bytes"),
        ('{"type": "deny", "organisations": ["lower"]}', "organisation codes"),
        ("[" * 100_000, "a provision in JSON"),
    ],
)
def test_what_is_no_choice(text: str, words: str) -> None:
    with pytest.raises(ProvisionInvalid, match=words):
        read_choice(text.encode())


def test_presets() -> None:
    shared = share(["z99001"], except_labels=["PSY"], except_classes=["Binary"], until=date(2027, 3, 31))
    assert (shared.type, shared.organisations) == (ProvisionType.PERMIT, (PRACTICE,))
    assert [each.type for each in shared.provisions] == [ProvisionType.DENY, ProvisionType.DENY]
    assert share(["Z99001"]).valid_to_day == LAST_DAY
    assert share(["Z99001"]).provisions == ()
    assert refuse(["Z99001"]) == Provision(type=ProvisionType.DENY, organisations=(PRACTICE,))


CASES: dict[str, tuple[Provision, list[str]]] = {
    "share all": (
        share(["Z99001"]),
        [f"{CARERS} may see your records, for your care or emergency care."],
    ),
    "refuse one": (refuse(["A81001"]), ["Anybody at A81001 may not see your records."]),
    "nobody": (Provision(type=ProvisionType.DENY), ["Anybody may not see your records."]),
    "years and classes": (
        Provision(
            type=ProvisionType.DENY,
            classes=("Condition", "Observation"),
            data_from_s=1_262_304_000,
            role_classes=(RoleClass.INSURER,),
        ),
        [f"Insurers may not see {TWO_CLASSES} written from 1 January 2010, 00:00:00 GMT."],
    ),
    "verbs and exceptions of exceptions": (
        Provision(
            type=ProvisionType.PERMIT,
            verbs=(Verb.READ, Verb.EXPORT),
            purposes=(Purpose.HRESCH,),
            valid_from_day=20_000,
            provisions=(
                Provision(
                    type=ProvisionType.DENY,
                    labels=(label("HIV"), label("SEX")),
                    provisions=(Provision(type=ProvisionType.PERMIT, persons=(bytes(32),)),),
                ),
                Provision(type=ProvisionType.DENY, codes=("http://snomed.info/sct|1",)),
                Provision(type=ProvisionType.DENY, data=(DataReference(DataMeaning.INSTANCE, bytes(16)),)),
            ),
        ),
        [
            "Anybody may see or take out your records, for research, from 4 October 2024.",
            "But not: records about HIV or sexual health and having children.",
            "But yes: 1 named person.",
            "But not: records with this code.",
            "But not: 1 record that you named.",
        ],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_sentences(name: str) -> None:
    tree, expected = CASES[name]
    assert [each.words for each in sentences(tree, NAMES)] == expected


@settings(deadline=None)
@given(trees())
def test_each_provision_has_one_sentence_with_its_number(tree: Provision) -> None:
    def paths(at: Provision, path: str) -> list[str]:
        inner = [each for n, child in enumerate(at.provisions, start=1) for each in paths(child, f"{path}.{n}")]
        return [path, *inner]

    said = sentences(tree, NAMES)
    assert [each.path for each in said] == paths(tree, "1")
    assert all(each.words.endswith(".") and "  " not in each.words for each in said)


def test_every_purpose_role_and_verb_has_words() -> None:
    assert set(PURPOSES) == set(Purpose)
    assert set(ROLE_CLASSES) == set(RoleClass)
    assert set(VERBS) == set(Verb)
    assert json.dumps(CLASSES)
