"""Passkeys: what a browser is asked, and what it answers; for scripts of ours, each with the form's token."""

import secrets
from typing import Any, Final

import msgspec
from starlette.responses import Response

from salus.node.errors import Refusal, Refused
from salus.node.services.passkeys import CHALLENGE_BYTES
from salus.portal.call import Call, Page, Person
from salus.portal.pages.entrance.sign_in import signed_in
from salus.portal.rendering import KEPT_OUT


def ask(call: Call) -> Response:
    """What any passkey of this portal is to sign."""
    return _asked(call, call.portal.passkeys.ask(challenge=_remembered(call)))


def sign_in(call: Call) -> Response:
    """A passkey has signed."""
    challenge, answer = _taken(call), _answer(call)
    account = call.portal.passkeys.sign_in(answer, challenge=challenge, address=call.address)
    return signed_in(call, account, way="passkey", passkey=call.portal.passkeys.name_of(answer))


def ask_new(call: Call) -> Response:
    """What a new passkey is made from."""
    options = call.portal.passkeys.ask_new(call.signed_in.account, name=call.owner.name, challenge=_remembered(call))
    return _asked(call, options)


def add(call: Call) -> Response:
    """A passkey was made; of a session that ended meanwhile, as by a new password, it is not kept."""
    challenge = _taken(call)
    name = call.form.get("device", "").strip()[:80] or call.words("A device")
    account = call.signed_in.account
    owner = call.portal.accounts.find(account)  # who signs in, also while they act for somebody else
    pseudonym = owner.pseudonym if owner is not None else call.owner.pseudonym
    answer = _answer(call)
    call.portal.passkeys.add(account, answer, challenge=challenge, name=name, pseudonym=pseudonym)
    made = call.portal.passkeys.name_of(answer)
    if not call.portal.sessions.stands(call.signed_in):
        call.portal.passkeys.remove(account, made)
        raise Refused(Refusal.SIGN_IN_UNFIT, "this session has ended: sign in again")
    passkey = call.signed_in.state.passkey or made
    return call.go("/devices", notice=call.words("You can now sign in with this device"), passkey=passkey)


def _remembered(call: Call) -> bytes:
    challenge = secrets.token_bytes(CHALLENGE_BYTES)
    assert call.session is not None, "a form's token was this session's"
    call.portal.sessions.change(call.session, challenge=challenge)
    return challenge


def _taken(call: Call) -> bytes:
    """Return what was asked, once: the same answer counts no second time."""
    assert call.session is not None, "a form's token was this session's"
    challenge = call.session.state.challenge
    call.portal.sessions.change(call.session, challenge=b"")
    if not challenge:
        raise Refused(Refusal.SIGN_IN_UNFIT, "this passkey was not asked for: go back and try again")
    return challenge


def _answer(call: Call) -> Any:
    try:
        return msgspec.json.decode(call.form.get("answer", ""))
    except (msgspec.DecodeError, RecursionError) as error:
        raise Refused(Refusal.SIGN_IN_UNFIT, "the browser answered what this page cannot read: try again") from error


def _asked(_call: Call, options: dict[str, object]) -> Response:
    return Response(msgspec.json.encode(options, enc_hook=dict), headers=KEPT_OUT, media_type="application/json")


PAGES: Final = (
    Page("/sign-in/passkey/ask", Person.ANYBODY, None, ask),
    Page("/sign-in/passkey", Person.ANYBODY, None, sign_in),
    Page("/devices/passkey/ask", Person.SIGNED_IN, None, ask_new),
    Page("/devices/passkey", Person.SIGNED_IN, None, add),
)
