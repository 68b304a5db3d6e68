"""Eleanor's own device in Python, as far as it signs choices and questions: what the signer page would answer."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any, Final

from starlette.testclient import TestClient

from salus.contracts.access import Challenge
from salus.contracts.consent import FileConsent, WithdrawConsent
from salus.contracts.provisions import gate
from salus.contracts.provisions.tree import decode_tree
from salus.contracts.residuals import commit_choice, reason
from salus.crypto.hashing import sha256
from salus.crypto.sealing import new_key
from salus.ledger.encoding import encode
from salus.ledger.identifiers import PermitId, Pseudonym
from salus.ledger.transactions import PatientMessage
from salus.node.services.signer_answers import NewBlob
from salus.node.services.signer_devices import DeviceKey
from salus.node.services.signer_requests import to_text
from salus.sdk.wallet import Wallet, sign, signing_key
from tests.portal.portal_world import Browser, Hospital
from tests.portal.signer.signer_world import data

SIGNER: Final = "https://signer.example"
BY_SIGNER: Final = {"origin": SIGNER}


def set_up(here: Hospital) -> None:
    """Let the portal know Eleanor's device, whose keys act at both custodians."""
    assert here.joined is not None
    account, devices, wallet = here.accounts["eleanor"], here.portal.devices, here.joined[1].wallet
    known = devices.begin(account, here.patient)
    keys = tuple(
        DeviceKey(each.custodian, each.pseudonym, signing_key(wallet, each).public) for each in wallet.relationships
    )
    devices.add(
        account, here.patient, NewBlob(known.id, b"passkey", secrets.token_bytes(100)), name="My phone", keys=keys
    )


def asked(here: Hospital, came: Any) -> tuple[str, dict[str, Any]]:
    """Fetch what a redirect to the signer page asks for; return its id as well."""
    assert came.status_code == 303, came.text
    origin, _, name = came.headers["location"].partition("/#")
    assert origin == SIGNER, came.headers["location"]
    return name, here.client().client.get(f"/signing/{name}", headers=BY_SIGNER).json()


def say_yes(here: Hospital, browser: Browser, came: Any) -> Any:
    """Sign what a redirect asks for, and come back; return where that leads to."""
    name, request = asked(here, came)
    return answer(here.client().client, here, browser, name, request)


def answer(page: TestClient, here: Hospital, browser: Browser, name: str, request: Mapping[str, Any]) -> Any:
    """Sign a request, and come back."""
    assert here.joined is not None
    items = [_signed(here.joined[1].wallet, request, each) for each in request["items"]]
    body = {"format": 1, "device": None, "items": items}
    posted = page.post(f"/signing/{name}", headers=BY_SIGNER, json=body)
    assert posted.status_code == 204, posted.text
    return browser.get(f"/signing/{name}/done")


def voucher(choice: bytes) -> bytes:
    """By which this device knows a choice again."""
    return bytes(sha256(b"voucher" + choice))


def _signed(wallet: Wallet, request: Mapping[str, Any], item: dict[str, Any]) -> dict[str, str]:
    (of,) = [each for each in wallet.relationships if each.pseudonym == data(item["pseudonym"])]
    assert of.custodian == item["custodian"]
    message, residual, more = _MESSAGES[request["kind"]](Pseudonym(of.pseudonym), item)
    raw = sign(wallet, of, message, time_s=request["time_s"])
    return {
        "pseudonym": item["pseudonym"],
        "transaction": to_text(raw),
        "residual": to_text(encode(residual)),
        **{name: to_text(each) for name, each in more.items()},
    }


def _filed(pseudonym: Pseudonym, item: dict[str, Any]) -> tuple[PatientMessage, Any, dict[str, bytes]]:
    tree, before = decode_tree(data(item["tree"])), item["replaces"]
    choice = data(before["choice"]) if before else secrets.token_bytes(16)
    residual = commit_choice(tree, secret=new_key())
    message = FileConsent(pseudonym, choice, gate(tree), residual.root(), 0)
    return message, residual, {"choice": choice, "voucher": voucher(choice)}


def _withdrawn(pseudonym: Pseudonym, item: dict[str, Any]) -> tuple[PatientMessage, Any, dict[str, bytes]]:
    why, choice = reason("withdrawn by the patient", new_key()), data(item["choice"])
    return WithdrawConsent(pseudonym, choice, why.root(), 0), why, {"choice": choice}


def _challenged(pseudonym: Pseudonym, item: dict[str, Any]) -> tuple[PatientMessage, Any, dict[str, bytes]]:
    why = reason(item["words"], new_key())
    return Challenge(pseudonym, PermitId(data(item["permit"])), why.root()), why, {}


_MESSAGES: Final = {"file-consent": _filed, "withdraw-consent": _withdrawn, "file-challenge": _challenged}
