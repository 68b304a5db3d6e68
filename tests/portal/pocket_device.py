"""A patient's device in Python: it says yes to all that the portal asks the signer page (docs/spec/signer.md)."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from salus.contracts import CONTRACTS
from salus.contracts.patients import AddKey, KeyKind, RemoveKey, TakeOverKey
from salus.contracts.residuals import Session, certify_session, reason
from salus.crypto.derive import branch
from salus.crypto.sealing import new_key
from salus.crypto.signing import SigningKey
from salus.ledger import transactions
from salus.ledger.encoding import decoder, encode
from salus.ledger.identifiers import Digest, Pseudonym, PublicKey
from salus.ledger.machine import message_decoder
from salus.ledger.transactions import Body, Message
from salus.node.services.signer_requests import to_text
from tests.portal.portal_world import Browser
from tests.portal.signer.signer_world import data

SIGNER: Final = "https://signer.example"
BY_SIGNER: Final = {"origin": SIGNER}
CHANGES_BLOB: Final = {"create", "new-key", "take-over"}
_BODY, _MESSAGES = decoder(Body), message_decoder(CONTRACTS)


@dataclass
class PocketDevice:
    """A device.

    Args:
        id: by which the portal knows it, once it was set up; asked: the last request that it said yes to.
    """

    seed: bytes = field(default_factory=new_key, repr=False)
    id: bytes = b""
    asked: dict[str, Any] = field(default_factory=dict, repr=False)

    def say_yes(self, browser: Browser, came: Any) -> Any:
        """Go to the signer page as the portal says, approve, and come back; return the page to which that leads."""
        return browser.get(f"/signing/{self.approve(browser, came)}/done")

    def approve(self, browser: Browser, came: Any) -> str:
        """Answer what is asked without coming back; return its id."""
        assert came.status_code == 303, came.text
        name = str(came.headers["location"].partition(f"{SIGNER}/#")[2])
        self.asked = browser.client.get(f"/signing/{name}", headers=BY_SIGNER).json()
        posted = browser.client.post(f"/signing/{name}", headers=BY_SIGNER, json=self._answer())
        assert posted.status_code == 204, posted.text
        return name

    def key(self, pseudonym: bytes) -> SigningKey:
        """Its key for a relationship."""
        return SigningKey.from_seed(branch(self.seed, "signing", pseudonym.hex(), "0"))

    def _answer(self) -> dict[str, Any]:
        known = [each for each in self.asked["devices"] if self.id in (b"", data(each["id"]))]
        assert known, "another device is asked"
        self.id = data(known[0]["id"])
        made = {"id": known[0]["id"], "credential": to_text(self.seed[:16]), "blob": to_text(secrets.token_bytes(99))}
        items = [_SIGN[self.asked["kind"]](self, each) for each in self.asked["items"]]
        return {"format": 1, "device": made if self.asked["kind"] in CHANGES_BLOB else None, "items": items}


def _made(device: PocketDevice, item: dict[str, Any]) -> dict[str, str]:
    return {"pseudonym": item["pseudonym"], "key": to_text(device.key(data(item["pseudonym"])).public)}


def _taken_over(device: PocketDevice, item: dict[str, Any]) -> dict[str, str]:
    own, pseudonym = device.key(data(item["pseudonym"])), Pseudonym(data(item["pseudonym"]))
    why = reason("taken over by the patient", new_key())
    message = TakeOverKey(pseudonym, PublicKey(own.public), Digest(b""), why.root())
    return _made(device, item) | _half(device, message, (data(item["key"]), own.public), own) | _opens(why)


def _certified(device: PocketDevice, item: dict[str, Any]) -> dict[str, str]:
    wanted = Session(PublicKey(data(item["key"])), item["custodian"], item["from_s"], item["until_s"])
    signed = certify_session(wanted, device.key(data(item["pseudonym"])))
    return {"pseudonym": item["pseudonym"], "session": to_text(encode(signed))}


def _let_act(device: PocketDevice, item: dict[str, Any]) -> dict[str, str]:
    own, added = device.key(data(item["pseudonym"])), PublicKey(data(item["key"]))
    why = reason("let act by the patient", new_key())
    message = AddKey(Pseudonym(data(item["pseudonym"])), added, KeyKind.DEVICE, 0, why.root())
    return {"pseudonym": item["pseudonym"]} | _half(device, message, (own.public, added), own) | _opens(why)


def _accepted(device: PocketDevice, item: dict[str, Any]) -> dict[str, str]:
    body = data(item["body"])
    pseudonym = _MESSAGES.decode(bytes(_BODY.decode(body).messages[0])).pseudonym
    signature = transactions.sign_body(body, device.key(pseudonym))
    return {"pseudonym": to_text(pseudonym), "signature": to_text(signature)}


def _removed(device: PocketDevice, item: dict[str, Any]) -> dict[str, str]:
    own, pseudonym = device.key(data(item["pseudonym"])), Pseudonym(data(item["pseudonym"]))
    why = reason("removed by the patient", new_key())
    raw = transactions.sign(
        [RemoveKey(pseudonym, PublicKey(data(item["key"])), why.root())], keys=[own], **_good_for(device)
    )
    return {"pseudonym": item["pseudonym"], "transaction": to_text(raw)} | _opens(why)


def _half(device: PocketDevice, message: Message, signers: tuple[bytes, bytes], own: SigningKey) -> dict[str, str]:
    body = transactions.unsigned([message], signers=tuple(map(PublicKey, signers)), **_good_for(device))
    return {"body": to_text(body), "signature": to_text(transactions.sign_body(body, own))}


def _good_for(device: PocketDevice) -> dict[str, Any]:
    expires_at_s, nonce = device.asked["time_s"] + 300, secrets.token_bytes(16)
    return {"chain": device.asked["chain"], "expires_at_s": expires_at_s, "nonce": nonce}


def _opens(why: Any) -> dict[str, str]:
    return {"residual": to_text(encode(why))}


_SIGN: Final[Mapping[str, Callable[[PocketDevice, dict[str, Any]], dict[str, str]]]] = {
    "create": _made,
    "new-key": _made,
    "take-over": _taken_over,
    "session": _certified,
    "add-key": _let_act,
    "accept-key": _accepted,
    "remove-key": _removed,
}
