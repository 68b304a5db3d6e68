"""What others try at the signer page in a real browser: the portal itself, another site, whoever sees what is sent."""

import base64
import re
import secrets
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from playwright.sync_api import Browser, expect

from salus.contracts import patients
from salus.contracts.patients import AddKey, KeyKind
from salus.contracts.provisions import encode_tree
from salus.crypto.derive import branch, hkdf
from salus.crypto.hashing import tag_prefix
from salus.crypto.signing import SigningKey
from salus.ledger import transactions
from salus.ledger.encoding import decoder
from salus.ledger.fields import CommittedFields
from salus.ledger.identifiers import Digest, PublicKey
from salus.sdk.choice_presets import refuse, share
from salus.sdk.wallet import Wallet, signing_key
from tests.contracts.network import CHAIN
from tests.portal.signer.signer_tab import HOSPITAL, PRACTICE, Mary, tab
from tests.portal.signer.signer_world import MESSAGES, Device, data, text

pytestmark = pytest.mark.services

CHOICE = share([PRACTICE])
WRAP = tag_prefix("salus/signer/wrap/1")
DOES_NOT_FIT = "This passkey does not fit"
NOTHING = "This page has nothing to sign"
WRONG = "Something is wrong with the website"


def choice_item(mary: Mary, **more: Any) -> dict[str, Any]:
    """An item that files a choice."""
    return mary.item(tree=text(encode_tree(CHOICE)), replaces=None) | more


def opened(mary: Mary, *, prf: bytes, share: bytes) -> Wallet:
    """Mary's wallet, as docs/spec/signer.md says that it is wrapped."""
    device = mary.tab.device
    head, nonce, sealed = device.blob[:33], device.blob[33:45], device.blob[45:]
    unlocking = hkdf(prf + share, salt=head[1:], info=WRAP, length=32)
    content = AESGCM(unlocking).decrypt(nonce, sealed, WRAP + mary.tab.portal.account + device.id + head)
    wallet: Wallet = decoder(Wallet).decode(content)
    return wallet


@pytest.mark.promise("U3")
def test_the_blob_opens_with_passkey_and_share_and_with_neither_alone(mary: Mary) -> None:
    wallet = opened(mary, prf=mary.tab.prf, share=mary.tab.device.share)
    assert {each.pseudonym for each in wallet.relationships} == {mary.hospital, mary.practice}
    for each in wallet.relationships:
        row = patients.relationship_of(mary.reader(), each.pseudonym)
        assert row is not None
        assert signing_key(wallet, each).public == row.key
    for prf, share_ in ((bytes(32), mary.tab.device.share), (mary.tab.prf, bytes(32))):
        with pytest.raises(InvalidTag):
            opened(mary, prf=prf, share=share_)


@pytest.mark.promise("U3")
def test_no_secret_is_in_anything_that_was_sent_or_said(mary: Mary) -> None:
    mary.tab.sign("file-consent", [choice_item(mary)])
    wallet = opened(mary, prf=mary.tab.prf, share=mary.tab.device.share)
    keys = [branch(wallet.seed, "signing", each.pseudonym.hex(), "0") for each in wallet.relationships]
    received = [each.decode("latin-1") for each in mary.tab.portal.received]
    said = "\n".join([*mary.tab.sent, *mary.tab.console, *received])
    tokens = [each for each in re.findall(r"[\w-]{22,}", said, re.ASCII) if len(each) % 4 != 1]
    said += "".join(data(each).decode("latin-1") for each in tokens)
    public = signing_key(wallet, wallet.relationships[0]).public
    assert public.decode("latin-1") in said  # what is there, is found
    for secret in (wallet.seed, mary.tab.prf, *keys):
        for shown in (text(secret), base64.b64encode(secret).decode(), secret.hex(), secret.decode("latin-1")):
            assert shown not in said
    assert mary.tab.page.evaluate("[document.cookie, localStorage.length, sessionStorage.length]") == ["", 0, 0]


def test_a_request_is_good_once(mary: Mary) -> None:
    address = mary.tab.open("file-consent", [choice_item(mary)])
    mary.tab.approve(address)
    mary.tab.page.goto(address)
    assert mary.tab.problem() == NOTHING
    another = mary.tab.portal.ask(mary.tab.portal.request("file-consent", [choice_item(mary)], mary.tab.device))
    mary.tab.page.goto(another)  # in the tab that shows the problem
    assert mary.tab.lines() != []


def test_another_site_gets_no_request_and_uses_none_up(mary: Mary) -> None:
    address = mary.tab.portal.ask(mary.tab.portal.request("file-consent", [choice_item(mary)], mary.tab.device))
    place = f"{mary.tab.portal.origin}/signing/{address.partition('#')[2]}"
    other = mary.tab.portal.origin.replace("portal.", "other.")
    mary.tab.page.goto(f"{other}/?of=about:blank")
    for options in ("{}", "{method: 'POST', body: '{}'}", "{mode: 'no-cors'}"):
        said = mary.tab.page.evaluate(
            f"fetch('{place}', {options}).then((answer) => answer.text()).catch((error) => error.name)"
        )
        assert said in {"TypeError", ""}  # an opaque answer has no text
    mary.tab.page.goto(address)
    assert mary.tab.lines() != []


def test_nobody_shows_the_page_inside_another(mary: Mary) -> None:
    address = mary.tab.portal.ask(mary.tab.portal.request("file-consent", [choice_item(mary)], mary.tab.device))
    other = mary.tab.portal.origin.replace("portal.", "other.")
    mary.tab.page.goto(f"{other}/?of={address.replace('#', '%23')}")
    (inner,) = mary.tab.page.frames[1:]
    inner.wait_for_url("chrome-error://chromewebdata/")  # at first it has no address
    assert address.partition("#")[2] in mary.tab.portal.asked


def test_a_huge_request_is_not_read(mary: Mary) -> None:
    mary.tab.page.goto("about:blank")
    mary.tab.page.goto(mary.tab.portal.ask(b" " * 262_145))
    assert mary.tab.problem() == NOTHING


def test_a_request_that_does_not_fit_is_refused_and_the_portal_told(mary: Mary) -> None:
    address = mary.tab.open("file-consent", [choice_item(mary)], chain="salus-other")
    assert mary.tab.problem() == WRONG
    mary.tab.page.get_by_role("button", name="Go back").click()
    expect(mary.tab.page).to_have_title("Done")
    assert mary.tab.portal.answer_to(address) == {"format": 1, "refused": "request"}


@pytest.mark.parametrize("by_s", [86_400, -86_400])
def test_whose_clock_is_wrong_by_a_day_signs_nothing_and_reads_what_to_put_right(mary: Mary, by_s: int) -> None:
    now_s = mary.tab.portal.ledger.time_s
    mary.tab.page.clock.set_fixed_time(now_s + by_s)
    try:
        address = mary.tab.open("file-consent", [choice_item(mary)])
        assert mary.tab.problem() == "This device and the website do not have the same time"
        mary.tab.page.get_by_role("button", name="Go back").click()
        expect(mary.tab.page).to_have_title("Done")
    finally:
        mary.tab.page.clock.set_fixed_time(now_s)
    assert mary.tab.portal.answer_to(address) == {"format": 1, "refused": "clock"}


def swapped(mary: Mary, **other: bytes) -> dict[str, Any]:
    """Mary's device with something of another in it."""
    given = {name: getattr(mary.tab.device, name) for name in ("id", "share", "credential", "blob")}
    return Device(**given | other).shown()


@pytest.mark.parametrize("what", ["share", "device", "account", "bit of the blob", "custodian", "unknown pseudonym"])
def test_what_belongs_to_another_opens_or_signs_nothing(mary: Mary, what: str) -> None:
    blob = mary.tab.device.blob
    others: dict[str, dict[str, Any]] = {
        "share": {"devices": [swapped(mary, share=bytes(32))]},
        "device": {"devices": [swapped(mary, id=bytes(16))]},
        "account": {"account": text(bytes(16))},
        "bit of the blob": {"devices": [swapped(mary, blob=blob[:-1] + bytes([blob[-1] ^ 1]))]},
    }
    items = {"custodian": {"custodian": PRACTICE}, "unknown pseudonym": {"pseudonym": text(secrets.token_bytes(16))}}
    address = mary.tab.open("file-consent", [choice_item(mary, **items.get(what, {}))], **others.get(what, {}))
    mary.tab.page.get_by_role("button", name="Approve with your passkey").click()
    assert mary.tab.problem() == DOES_NOT_FIT
    assert mary.tab.portal.answer_to(address) == {}


def test_rules_that_this_device_did_not_file_are_said_to_be_the_portals_word(mary: Mary) -> None:
    """The portal shows harmless rules with the id and the voucher of a choice that was filed with others."""
    (filed,) = mary.tab.sign("file-consent", [choice_item(mary, tree=text(encode_tree(refuse([PRACTICE]))))])
    item = mary.item(tree=text(encode_tree(CHOICE)), choice=filed["choice"], voucher=filed["voucher"])
    address = mary.tab.open("withdraw-consent", [item])
    mary.tab.page.get_by_role("button", name="Approve with your passkey").click()
    expect(mary.tab.page.get_by_role("main")).to_contain_text("This device did not make this choice")
    assert mary.tab.portal.answer_to(address) == {}
    mary.tab.page.get_by_role("button", name="Do not approve").click()
    expect(mary.tab.page).to_have_title("Done")
    assert mary.tab.portal.answer_to(address) == {"format": 1, "refused": "person"}


def test_a_key_of_somebody_else_is_not_accepted(mary: Mary) -> None:
    theirs = SigningKey.generate()
    message = AddKey(mary.hospital, PublicKey(theirs.public), KeyKind.DEVICE, 0, Digest(bytes(32)))
    terms = {"chain": CHAIN, "expires_at_s": mary.tab.portal.ledger.time_s + 60, "nonce": bytes(16)}
    body = transactions.unsigned([message], signers=[PublicKey(bytes(32)), PublicKey(theirs.public)], **terms)
    mary.tab.open("accept-key", [{"custodian": HOSPITAL, "body": text(body)}])
    mary.tab.page.get_by_role("button", name="Approve with your passkey").click()
    assert mary.tab.problem() == DOES_NOT_FIT


@pytest.mark.promise("P7")
def test_choices_at_two_custodians_share_nothing(mary: Mary) -> None:
    items = [choice_item(mary), choice_item(mary) | mary.item(mary.practice)]
    signed = mary.tab.sign("file-consent", items)
    sets = []
    for each in signed:
        transaction = transactions.decode(data(each["transaction"]), chain=CHAIN, messages=MESSAGES)
        (message,) = transaction.messages
        residual = decoder(CommittedFields).decode(data(each["residual"]))
        assert residual.root() == message.commitment  # type: ignore[attr-defined]
        sets.append({*transaction.body.signers, transaction.body.nonce, message.pseudonym, residual.secret,  # type: ignore[attr-defined]
                     residual.root(), data(each["choice"]), data(each["voucher"])})  # fmt: skip
    assert len(sets[0]) == len(sets[1]) == 7
    assert not sets[0] & sets[1]


def test_who_does_not_verify_to_the_passkey_signs_nothing(browser: Browser, mary: Mary) -> None:
    with tab(browser, mary.tab.portal, is_verified=False) as stranger:
        address = stranger.open("create", [])
        stranger.page.get_by_role("button", name="Approve with your passkey").click()
        expect(stranger.page.get_by_role("alert")).to_have_text("Your passkey was not used. You can try again.")
        assert mary.tab.portal.answer_to(address) == {}
