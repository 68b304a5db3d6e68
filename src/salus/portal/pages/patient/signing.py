"""Signing: each thing that a patient decides goes out here, one function a message.

In assisted mode the organisation's key signs, and what is shown says so. Where the patient's own device holds the key,
the browser goes to the signer page, and what came of it is an ending, on the page to which the browser comes back.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from starlette.responses import Response

from salus.node.acting import Delegate
from salus.node.errors import Refusal, Refused
from salus.node.services import (
    challenges,
    choices_elsewhere,
    deliver,
    looks,
    patient_helpers,
    sharing,
    signer_choices,
)
from salus.node.services.choices_elsewhere import Place
from salus.node.services.sharing import InForce, Wanted
from salus.node.services.signer_answers import Answered, Part, Signed
from salus.node.services.signer_devices import Device
from salus.node.services.signer_requests import (
    AcceptKey,
    BeginEnrolment,
    FileChoice,
    Item,
    Kind,
    SigningRequest,
    WithdrawChoice,
)
from salus.node.services.signings import Collected
from salus.portal.call import Call
from salus.portal.refusals import Said
from salus.portal.rendering import go

T = TypeVar("T", bound=Part)


@dataclass(frozen=True)
class Ending:
    """What is done with what a device signed; `back` is the page for whoever signed nothing."""

    back: str
    act: Callable[[Call, Collected], Response]


def to_signer(
    call: Call,
    kind: Kind,
    items: Sequence[Item],
    *,
    ending: str,
    devices: Sequence[Device] = (),
    known: bytes = b"",
) -> Response:
    """Send the browser to the signer page.

    Args:
        ending: the name of what is done with the answer, one of those of the page `signed`; known: what that needs.
        devices: with which the person may sign; none is each that acts for all that the items are about.

    Raises:
        Refused: CHOICE_UNFIT: no device that is known here acts for all that is to be signed.
    """
    about = [each.pseudonym for each in items if not isinstance(each, AcceptKey | BeginEnrolment)]
    ids = tuple(each.id for each in devices or call.portal.devices.acting(call.signed_in.account, *about))
    if not (call.portal.settings.signer and ids):
        raise Said(Refusal.CHOICE_UNFIT, without_device(call))
    return ask_signer(call, request_of(call, kind, items, ids), ending=ending, known=known)


def without_device(call: Call) -> str:
    """Return why no device can sign here, and what to do."""
    if call.portal.settings.signer and call.portal.devices.acting(call.signed_in.account, call.owner.pseudonym):
        return call.words("None of your devices opens all of these organisations. See which device opens which")
    return call.words("Your own device signs this for you. You set it up on another website, so do it there")


def request_of(call: Call, kind: Kind, items: Sequence[Item], devices: tuple[bytes, ...]) -> SigningRequest:
    """Return a request of whoever is signed in, with devices by their ids."""
    portal, account = call.portal, call.signed_in.account
    return SigningRequest(
        kind=kind,
        chain=portal.node.chain,
        account=account,
        time_s=portal.node.clock(),
        devices=portal.devices.kept(account, devices),
        items=tuple(items),
        language=call.words.language,
        person=call.owner.name[:64] if kind is Kind.CREATE else "",
    )


def ask_signer(call: Call, request: SigningRequest, *, ending: str, known: bytes = b"") -> Response:
    """Lay out a request for this browser's session, and send the browser to the signer page."""
    session, pseudonym = call.signed_in.bearer.lookup, call.owner.pseudonym
    name = call.portal.signings.ask(request, session=session, pseudonym=pseudonym, ending=ending, known=known)
    return go(f"{call.portal.settings.signer}/#{name}")


def part_of(collected: Collected, kind: type[T]) -> tuple[T, ...]:
    """Return what was signed, all of one kind, in the order of the items."""
    assert isinstance(collected.answer, Answered), "who signed nothing is told so before"
    parts = tuple(each for each in collected.answer.parts if isinstance(each, kind))
    assert len(parts) == len(collected.answer.parts), "an answer has the parts of its kind"
    return parts


def deliver_signed(call: Call, signed: Signed) -> None:
    """Give what was signed to the custodian that it is about. Raises Refused and NotNow, as `deliver.deliver`."""
    portal = call.portal
    deliver.deliver(portal.node, portal.peers, signed.message.pseudonym, signed.raw, signed.residual)


def signs_alone(call: Call) -> bool:
    """Tell whether the patient's own device signs, and this organisation does not."""
    return sharing.holds_key(call.portal.node, call.owner.pseudonym)


def places(call: Call) -> list[Place]:
    """Return the organisations with whose records the patient decides here: this one first, and whom they reach."""
    portal, others = call.portal, call.signed_in.state.held[1:]
    return choices_elsewhere.places(portal.node, call.owner.pseudonym, others, title=portal.title)


def sign_choice(call: Call, wanted: Wanted, about: Sequence[Place], *, replaces: InForce | None = None) -> Response:
    """File a choice, in the place of another where that is given. Raises Refused and NotNow, as `sharing.file`.

    Args:
        about: whose records it is about; others' than this organisation's only where the patient's own device signs.
    """
    node, pseudonym = call.portal.node, call.owner.pseudonym
    choice = b"" if replaces is None else replaces.choice
    if isinstance(call.owner.acts_as, Delegate):
        patient_helpers.file(node, call.owner.acts_as, wanted, choice=choice)
        return _choice_made(call)
    if signs_alone(call):
        items = [signer_choices.to_file(node, each, wanted, replaces=replaces) for each in about]
        return to_signer(call, Kind.FILE_CONSENT, items, ending="choice")
    assert [each.custodian for each in about] == [node.organisation], "this organisation signs for its own records"
    sharing.file(node, call.login, pseudonym, wanted, choice=choice)
    return _choice_made(call)


def sign_withdrawal(call: Call, place: Place, choice: InForce) -> Response:
    """Withdraw a choice about somebody's records. Raises Refused and NotNow, as `sharing.withdraw`."""
    if isinstance(call.owner.acts_as, Delegate):
        patient_helpers.withdraw(call.portal.node, call.owner.acts_as, choice.choice)
        return _choice_ended(call, hides=sharing.hides(choice.tree))
    if signs_alone(call):
        item = signer_choices.to_withdraw(call.portal.node, place, choice)
        return to_signer(call, Kind.WITHDRAW_CONSENT, [item], ending="withdrawal")
    sharing.withdraw(call.portal.node, call.login, call.owner.pseudonym, choice.choice)
    return _choice_ended(call, hides=sharing.hides(choice.tree))


def sign_challenge(call: Call, place: Place, permit: bytes, said: str) -> Response:
    """Question a request for somebody's records. Raises Refused and NotNow, as `looks.question`.

    Args:
        place: whose; another than this organisation only where the patient's own device signs.
    """
    if signs_alone(call):
        item = challenges.to_sign(call.portal.node, place.custodian, place.pseudonym, permit, said)
        return to_signer(call, Kind.FILE_CHALLENGE, [item], ending="challenge")
    assert place.pseudonym == call.owner.pseudonym, "this organisation signs for its own records"
    looks.question(call.portal.node, call.login, call.owner.pseudonym, permit, said)
    return _challenge_sent(call)


def _choice_filed(call: Call, collected: Collected) -> Response:
    """Bring a choice to all that it is about; one that was to be changed and has ended meanwhile stays ended."""
    signed, node = part_of(collected, Signed), call.portal.node
    items = [each for each in collected.request.items if isinstance(each, FileChoice)]
    replaced = [(each.pseudonym, each.replaces.choice) for each in items if each.replaces is not None]
    if not all(sharing.is_in_force(node, pseudonym, choice) for pseudonym, choice in replaced):
        return had_ended(call)
    taken = [_is_taken(call, each, is_alone=len(signed) == 1) for each in signed]
    if all(taken):
        return _choice_made(call)
    names = {each.custodian: each.name for each in places(call)}
    done, undone = (
        [names.get(each.custodian, each.custodian) for each, holds in zip(items, taken, strict=True) if holds is wanted]
        for wanted in (True, False)
    )
    return _choice_made_in_part(call, done, undone)


def _is_taken(call: Call, signed: Signed, *, is_alone: bool) -> bool:
    """Bring one choice of several; tell whether it holds. Raises Refused, where it is the only one."""
    try:
        return signer_choices.file(call.portal.node, call.portal.peers, call.owner.pseudonym, signed)
    except Refused:
        if is_alone:
            raise
        return False


def _choice_withdrawn(call: Call, collected: Collected) -> Response:
    (signed,) = part_of(collected, Signed)
    names = {each.pseudonym: each.name for each in places(call)}
    if signer_choices.withdraw(call.portal.node, call.portal.peers, signed):
        (ended,) = (each for each in collected.request.items if isinstance(each, WithdrawChoice))
        return _choice_ended(call, hides=sharing.hides(ended.tree))
    words = call.words
    said = words("%(organisation)s did not answer. Your choice still holds. Go back, and stop it again in a while.")
    said %= {"organisation": names.get(signed.message.pseudonym, call.portal.title)}
    title = words("Your choice has not ended")
    return call.page("pages/patient/unsigned.html", title=title, back="/sharing", said=said, status=503)


def _challenge_filed(call: Call, collected: Collected) -> Response:
    (signed,) = part_of(collected, Signed)
    deliver_signed(call, signed)
    others = places(call)[1:]
    elsewhere = {each.pseudonym: each.name for each in others}
    return _challenge_sent(call, elsewhere.get(signed.message.pseudonym, ""))


def had_ended(call: Call) -> Response:
    """Say of a choice that was to be stopped or changed that there is none any more."""
    return call.go("/sharing", not_done=call.words("That choice had ended before. Nothing was changed"), answers=())


def _choice_made(call: Call) -> Response:
    said = call.words("Your choice is made. It holds everywhere since %(when)s") % {"when": _now(call)}
    return _decided(call, said)


def _choice_made_in_part(call: Call, done: Sequence[str], undone: Sequence[str]) -> Response:
    """Say for whom a choice holds and for whom it does not; where nobody took it, the answers are kept."""
    words, back = call.words, "/sharing" if done else "/sharing/check"
    call.portal.collections.drop(call.signed_in.state.choices)
    call.portal.sessions.change(call.signed_in, choices=b"", **({"answers": ()} if done else {}))
    if done:
        title = words("Your choice does not hold everywhere yet")
        said = words(
            "Your choice holds for what %(done)s has written down. %(undone)s did not take it: make it again for them."
        )
    else:
        title = words("Your choice was not made")
        said = words("%(undone)s did not take it. Go back, and make it again in a while.")
    said %= {"done": words.listed(done), "undone": words.listed(undone)}
    return call.page("pages/patient/unsigned.html", title=title, back=back, said=said)


def _decided(call: Call, said: str) -> Response:
    """Go to the list of choices, for which other organisations are asked anew."""
    call.portal.collections.drop(call.signed_in.state.choices)
    return call.go("/sharing", notice=said, answers=(), choices=b"")


def _choice_ended(call: Call, *, hides: bool) -> Response:
    """Say since when; whoever stops hiding something is told no less than that."""
    said = call.words("Your choice has ended. Since %(when)s nobody is let in by it, anywhere")
    if hides:
        said = call.words("Your choice has ended. Since %(when)s it hides nothing any more, anywhere")
    return _decided(call, said % {"when": _now(call)})


def _challenge_sent(call: Call, elsewhere: str = "") -> Response:
    said = call.words("The privacy officer was told. They look at it and answer you")
    if elsewhere:
        told = call.words("The privacy officer of %(organisation)s was told. They look at it and answer you")
        said = told % {"organisation": elsewhere}
    return call.go("/looked", notice=said)


def _now(call: Call) -> str:
    return call.words.moment(call.portal.node.clock())


ENDINGS: Final[Mapping[str, Ending]] = {
    "choice": Ending("/sharing/check", _choice_filed),
    "withdrawal": Ending("/sharing", _choice_withdrawn),
    "challenge": Ending("/looked", _challenge_filed),
}
