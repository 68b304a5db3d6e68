"""The signer page in Chromium, with a virtual passkey: each kind of request, signed and taken by the real machine."""

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from salus.contracts import consent, patients, residuals
from salus.contracts.consent import FileConsent
from salus.contracts.patients import Actor
from salus.contracts.provisions import Provision, Purpose, RoleClass, encode_tree, gate
from salus.contracts.residuals import CertifiedSession, choice_tree, reason_words
from salus.contracts.ticket_bearers import read_bearer
from salus.crypto.signing import SigningKey
from salus.ledger import transactions
from salus.ledger.encoding import decoder
from salus.ledger.fields import CommittedFields
from salus.ledger.identifiers import Pseudonym, PublicKey
from salus.sdk.choice_presets import share
from tests.contracts.network import CHAIN, key
from tests.portal.signer.signer_tab import HOSPITAL, PRACTICE, Mary, co_signed, tab
from tests.portal.signer.signer_vectors import vectors
from tests.portal.signer.signer_world import MESSAGES, Portal, data, text

pytestmark = pytest.mark.services

CHECK = (Path(__file__).parent / "check.js").read_text(encoding="utf-8").replace("export async", "async")
RESIDUAL = decoder(CommittedFields)
SESSION = decoder(CertifiedSession)
CHOICE = share([PRACTICE], except_labels=["PSY"])


def opened_message(raw: str, kind: type[transactions.Message]) -> Any:
    """The one message of a transaction."""
    (message,) = transactions.decode(data(raw), chain=CHAIN, messages=MESSAGES).messages
    assert isinstance(message, kind)
    return message


def test_the_key_is_the_patients_at_both_custodians(mary: Mary) -> None:
    rows = [patients.relationship_of(mary.reader(), each) for each in (mary.hospital, mary.practice)]
    assert [(row.custodian, row.holder, row.closed_at_s) for row in rows] == [
        (HOSPITAL, patients.Holder.PATIENT, 0),
        (PRACTICE, patients.Holder.PATIENT, 0),
    ]
    assert rows[0].key != rows[1].key


def test_sessions_are_certified_by_each_pseudonyms_own_key(mary: Mary) -> None:
    now_s = mary.tab.portal.ledger.time_s
    keys = {each: SigningKey.generate() for each in (mary.hospital, mary.practice)}
    times = {"from_s": now_s, "until_s": now_s + 12 * 3600}
    signed = mary.tab.sign("session", [mary.item(each, key=text(own.public), **times) for each, own in keys.items()])
    for each in signed:
        pseudonym = Pseudonym(data(each["pseudonym"]))
        session = SESSION.decode(data(each["session"]))
        row = patients.relationship_of(mary.reader(), pseudonym)
        assert row is not None
        session.verify(row.key)
        assert session.session == residuals.Session(
            PublicKey(keys[pseudonym].public), row.custodian, now_s, now_s + 12 * 3600
        )


def file_choice(mary: Mary, tree: Provision = CHOICE, **more: Any) -> dict[str, Any]:
    """File a choice at the hospital."""
    (signed,) = mary.tab.sign("file-consent", [mary.item(tree=text(encode_tree(tree)), replaces=None, **more)])
    return signed


def test_a_choice_is_filed_with_the_gate_and_the_rules_that_were_shown(mary: Mary) -> None:
    address = mary.tab.open("file-consent", [mary.item(tree=text(encode_tree(CHOICE)), replaces=None)])
    assert mary.tab.lines() == [
        "Clinicians and pharmacists at Elm Practice (A81001) may see your records, for your care or emergency care.",
        "But not: records about mental health.",
    ]
    expect(mary.tab.page.get_by_role("heading", level=2)).to_have_text("For your records at Riverside Hospital (RX1)")
    (signed,) = mary.tab.approve(address)["items"]
    assert mary.tab.portal.submit(data(signed["transaction"])) == 0
    filed = opened_message(signed["transaction"], FileConsent)
    kept = RESIDUAL.decode(data(signed["residual"]))
    assert (choice_tree(kept), kept.root(), filed.gate) == (CHOICE, filed.commitment, gate(CHOICE))
    (row,) = [each for each in consent.choices(mary.reader(), mary.hospital).choices if each.choice == filed.choice]
    assert row.actor is Actor.PATIENT


def test_a_choice_is_replaced_and_withdrawn(mary: Mary) -> None:
    first = file_choice(mary)
    assert mary.tab.portal.submit(data(first["transaction"])) == 0
    ended = {name: first[name] for name in ("choice", "voucher")} | {"tree": text(encode_tree(CHOICE))}
    closed = share([PRACTICE], except_classes=["Observation"])
    item = mary.item(tree=text(encode_tree(closed)), replaces=ended)
    (second,) = mary.tab.sign("file-consent", [item])
    assert mary.tab.portal.submit(data(second["transaction"])) == 0
    assert second["choice"] == first["choice"]
    withdrawn = {"choice": second["choice"], "voucher": second["voucher"], "tree": text(encode_tree(closed))}
    (third,) = mary.tab.sign("withdraw-consent", [mary.item(**withdrawn)])
    assert mary.tab.portal.submit(data(third["transaction"])) == 0
    assert data(first["choice"]) not in {each.choice for each in consent.choices(mary.reader(), mary.hospital).choices}
    assert reason_words(RESIDUAL.decode(data(third["residual"]))) == "withdrawn by the patient"


def test_a_ticket_is_issued_and_revoked(mary: Mary) -> None:
    now_s = mary.tab.portal.ledger.time_s
    item = mary.item(
        tree=text(encode_tree(CHOICE)),
        audience="https://riverside.example/FHIR/R4",
        resources=[{"type": "AllergyIntolerance", "interactions": ["read", "search"]}],
        uses_max=3,
        expires_at_s=now_s + 86_400,
    )
    address = mary.tab.open("issue-ticket", [item])
    assert mary.tab.lines()[2:] == [
        "It is for: allergies.",
        "The link can be used 3 times, until 2 March 2026, 09:00:00 GMT.",
    ]
    (signed,) = mary.tab.approve(address)["items"]
    assert mary.tab.portal.submit(data(signed["transaction"])) == 0
    bearer = read_bearer(signed["bearer"])
    assert (bearer.key.public, bearer.pseudonym) == (data(signed["ticket"]), mary.hospital)
    (revoked,) = mary.tab.sign("revoke-ticket", [mary.item(ticket=signed["ticket"])])
    assert mary.tab.portal.submit(data(revoked["transaction"])) == 0


def test_a_second_device_acts_once_the_person_has_typed_its_code_and_no_more_once_it_is_removed(
    mary: Mary, browser: Browser
) -> None:
    portal = mary.tab.portal
    with tab(browser, portal) as second:
        address = second.open("create", [mary.item()])
        second.page.get_by_role("button", name="Approve with your passkey").click()
        expect(second.page.get_by_role("heading", level=1)).to_have_text("Your code")
        code = second.page.locator(".code").inner_text()
        second.page.get_by_role("button", name="Continue").click()
        expect(second.page).to_have_title("Done")
        second.keep(portal.answer_to(address))
        (made,) = portal.answer_to(address)["items"]

        item = mary.item(key=made["key"], key_kind=1, expires_at_s=0, name="Tablet", terms=None)
        address = mary.tab.open("add-key", [item])
        mary.tab.page.get_by_label("Type the code").fill(code.lower())
        (added,) = mary.tab.approve(address)["items"]
        (accepted,) = second.sign("accept-key", [{"custodian": HOSPITAL, "body": added["body"]}])
        raw = transactions.assemble(data(added["body"]), [data(added["signature"]), data(accepted["signature"])])
        assert portal.submit(raw) == 0

        item = mary.item(tree=text(encode_tree(CHOICE)), replaces=None)
        (by_second,) = second.sign("file-consent", [item])
        assert portal.submit(data(by_second["transaction"])) == 0
        (removed,) = mary.tab.sign("remove-key", [mary.item(key=made["key"], name="Tablet")])
        assert portal.submit(data(removed["transaction"])) == 0
        (late,) = second.sign("file-consent", [item])
        assert portal.submit(data(late["transaction"])) == 11  # SignatureMissing


def test_a_code_of_another_key_is_refused_before_the_passkey(mary: Mary) -> None:
    item = mary.item(key=text(SigningKey.generate().public), key_kind=2, expires_at_s=0, name="Bob", terms=None)
    mary.tab.open("add-key", [item])
    mary.tab.page.get_by_label("Type the code").fill("ABCD EFGH IJKL MNOP")
    mary.tab.page.get_by_role("button", name="Approve with your passkey").click()
    expect(mary.tab.page.get_by_role("alert")).to_contain_text("This is not the code")
    assert mary.tab.page.title() == "Let somebody or something act for you – Salus"


def test_who_refuses_signs_nothing(mary: Mary) -> None:
    address = mary.tab.open(
        "withdraw-consent", [mary.item(choice=text(bytes(16)), tree=text(encode_tree(CHOICE)), voucher="")]
    )
    mary.tab.page.get_by_role("button", name="Do not approve").click()
    expect(mary.tab.page).to_have_title("Done")
    assert mary.tab.portal.answer_to(address) == {"format": 1, "refused": "person"}


def test_a_browser_without_prf_is_told_of_assisted_mode(browser: Browser, portal: Portal) -> None:
    with tab(browser, portal, has_prf=False) as opened:
        address = opened.open("create", [])
        opened.page.get_by_role("button", name="Approve with your passkey").click()
        assert opened.problem() == "This browser cannot keep your keys"
        expect(opened.page.get_by_role("main")).to_contain_text("to act for you")
        opened.page.get_by_role("button", name="Go back").click()
        expect(opened.page).to_have_title("Done")
        assert portal.answer_to(address) == {"format": 1, "refused": "unable"}


OTHER_BROWSERS = {
    "without passkeys": "delete window.PublicKeyCredential;",
    "without Ed25519": """
        const known = crypto.subtle.importKey.bind(crypto.subtle);
        SubtleCrypto.prototype.importKey = (format, key, algorithm, ...rest) =>
          algorithm === "Ed25519"
            ? Promise.reject(new DOMException("no such algorithm", "NotSupportedError"))
            : known(format, key, algorithm, ...rest);
    """,
}


@pytest.mark.parametrize("without", OTHER_BROWSERS)
def test_a_browser_that_cannot_sign_says_so_before_it_asks(browser: Browser, portal: Portal, without: str) -> None:
    with tab(browser, portal, script=OTHER_BROWSERS[without]) as opened:
        address = opened.open("create", [])
        assert opened.problem() == "This browser cannot keep your keys"
        assert portal.answer_to(address) == {}


def test_a_passkey_that_yields_only_when_it_is_used_is_used_at_once(browser: Browser, portal: Portal) -> None:
    hide = """
        const said = PublicKeyCredential.prototype.getClientExtensionResults;
        PublicKeyCredential.prototype.getClientExtensionResults = function () {
          const all = said.call(this);
          return this.response instanceof AuthenticatorAttestationResponse ? { prf: { enabled: true } } : all;
        };
    """
    with tab(browser, portal, script=hide) as opened:
        assert opened.sign("create", []) == []
        (enrolled,) = opened.sign("enrol", [{"custodian": HOSPITAL, "key": text(key("hospital").public)}])
        assert portal.submit(co_signed(enrolled, key("hospital"))) == 0


def test_everything_is_said_in_welsh(mary: Mary) -> None:
    tree = share([PRACTICE], role_classes=(RoleClass.CLINICAL,), purposes=(Purpose.HRESCH,), except_labels=["PSY"])
    mary.tab.open("file-consent", [mary.item(tree=text(encode_tree(tree)), replaces=None)], language="cy")
    assert mary.tab.page.locator("html").get_attribute("lang") == "cy"
    assert mary.tab.lines() == [
        "Caiff clinigwyr yn Elm Practice (A81001) weld eich cofnodion, ar gyfer ymchwil.",
        "Ond nid: cofnodion am iechyd meddwl.",
    ]


def test_chromium_makes_the_same_bytes_as_python(mary: Mary) -> None:
    mary.tab.page.goto(f"{mary.tab.portal.signer}/#")
    said = mary.tab.page.evaluate(
        f"async (vectors) => {{ {CHECK}; return check(vectors, (name) => import(`/${{name}}.js`)); }}",
        json.loads(json.dumps(vectors(trees=60))),
    )
    assert said["failures"] == []
    assert said["count"] > 120
