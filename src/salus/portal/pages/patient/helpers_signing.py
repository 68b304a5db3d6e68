"""Helpers, signed: by the organisation in assisted mode, else by the patient's own device on the signer page."""

from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

from salus.crypto.signing import SigningKey
from salus.node.services.patient_helpers import Help, HelperRow, code_of
from salus.node.services.signer_answers import HalfSigned, Signed
from salus.node.services.signer_requests import Kind
from salus.node.services.signings import Collected
from salus.portal.call import Call
from salus.portal.pages.patient.signing import Ending, part_of, signs_alone, to_signer

KEY: Final = "helper-key"
"""Among the answers of a session, which are sealed: the key that a helper is to have, until the patient has signed."""


def sign_helper(call: Call, wanted: Help) -> Response:
    """Let somebody help. Raises Refused and NotNow, as `Helpers.add`."""
    pseudonym, helpers = call.owner.pseudonym, call.portal.helpers
    if not signs_alone(call):
        return _code(call, helpers.add(call.login, pseudonym, wanted, patient=call.owner.name))
    key = key_of(call)
    return to_signer(
        call, Kind.ADD_KEY, [helpers.to_let_act(pseudonym, wanted, key)], ending="helper-added", known=key.seed
    )


def sign_helper_removed(call: Call, row: HelperRow) -> Response:
    """Let somebody help no more. Raises Refused and NotNow, as `Helpers.remove`."""
    pseudonym, helpers = call.owner.pseudonym, call.portal.helpers
    if not signs_alone(call):
        helpers.remove(call.login, pseudonym, row.key)
        return _ended(call)
    return to_signer(call, Kind.REMOVE_KEY, [helpers.to_stop(pseudonym, row)], ending="helper-removed")


def typed_code(call: Call) -> str:
    """Return the code that the signer page asks for; empty in assisted mode. The session keeps its key."""
    if not signs_alone(call):
        return ""
    answers = dict(call.signed_in.state.answers)
    key = key_of(call)
    if KEY not in answers:
        call.portal.sessions.change(call.signed_in, answers=(*answers.items(), (KEY, key.seed.hex())))
    return code_of(call.owner.pseudonym, key)


def key_of(call: Call) -> SigningKey:
    """Return the key that the helper is to have, or a new one."""
    kept = dict(call.signed_in.state.answers).get(KEY, "")
    return SigningKey.from_seed(bytes.fromhex(kept)) if kept else SigningKey.generate()


def _added(call: Call, collected: Collected) -> Response:
    (half,) = part_of(collected, HalfSigned)
    key = SigningKey.from_seed(collected.known)
    return _code(call, call.portal.helpers.take_signed(half, key, patient=call.owner.name))


def _removed(call: Call, collected: Collected) -> Response:
    (signed,) = part_of(collected, Signed)
    call.portal.helpers.stop_signed(signed)
    return _ended(call)


def _code(call: Call, code: str) -> Response:
    return call.go("/helpers/code", answers=(("code", code),))


def _ended(call: Call) -> Response:
    return call.go("/helpers", notice=call.words("They can see nothing more from now on"))


ENDINGS: Final[Mapping[str, Ending]] = {
    "helper-added": Ending("/helpers/check", _added),
    "helper-removed": Ending("/helpers", _removed),
}
