"""Signing: each thing that a patient decides goes out here, one function a message.

In assisted mode the organisation's key signs, and what is shown says so. Where the patient's own device holds the key,
the browser goes to the signer page instead.
"""

from salus.node.errors import Refusal, Refused
from salus.node.services import looks, sharing
from salus.node.services.sharing import Wanted
from salus.portal.call import Call


def sign_choice(call: Call, wanted: Wanted) -> None:
    """File a choice. Raises Refused and NotNow, as `sharing.file`."""
    _require_assisted(call)
    sharing.file(call.portal.node, call.login, call.owner.pseudonym, wanted)


def sign_withdrawal(call: Call, choice: bytes) -> None:
    """Withdraw a choice. Raises Refused and NotNow, as `sharing.withdraw`."""
    _require_assisted(call)
    sharing.withdraw(call.portal.node, call.login, call.owner.pseudonym, choice)


def _require_assisted(call: Call) -> None:
    if sharing.holds_key(call.portal.node, call.owner.pseudonym):
        words = call.words("Your own device signs this for you. Open this page on the device with which you did before")
        raise Refused(Refusal.CHOICE_UNFIT, words)


def sign_challenge(call: Call, permit: bytes, said: str) -> None:
    """Question a request. Raises Refused and NotNow, as `looks.question`."""
    _require_assisted(call)
    looks.question(call.portal.node, call.login, call.owner.pseudonym, permit, said)
