"""How we tell you: of which notices, by e-mail to an address that is confirmed by a code, and on which browsers."""

from dataclasses import dataclass, field
from typing import Final

import msgspec
from starlette.responses import Response

from salus.node.outgoing_mail import is_address
from salus.node.services.telling import CODE_DIGITS, push_name
from salus.node.services.wishes import PushWay
from salus.portal.call import Call, Error, Page, Person
from salus.portal.pages.entrance.devices import device_of
from salus.portal.pages.patient.notices import GROUPS, KINDS

TAKEN_MAX: Final = 4_000


class PushKeys(msgspec.Struct, frozen=True):
    """Keys of a browser (Push API 7, PushSubscription.toJSON), in base64url."""

    p256dh: str
    auth: str


class PushSubscription(msgspec.Struct, frozen=True):
    """What a browser says of itself."""

    endpoint: str
    keys: PushKeys


_SUBSCRIPTION: Final = msgspec.json.Decoder(PushSubscription)


@dataclass(frozen=True)
class PushRow:
    """A browser that is told; `name` is how its form names it."""

    name: str = field(repr=False)
    device: str
    since: str


def show(call: Call, *errors: Error) -> Response:
    """The ways there are."""
    words, telling = call.words, call.portal.telling
    wanted = telling.wishes(call.owner.pseudonym)
    unwanted = {KINDS[each].group for each in KINDS if each in wanted.unwanted}
    return call.page(
        "pages/patient/notices_ways.html",
        title=words("How we tell you"),
        back="/notices",
        errors=errors,
        groups=[{"value": name, "text": words(said), "checked": name not in unwanted} for name, said in GROUPS.items()],
        has_mail=telling.mailer is not None,
        address=wanted.confirmed,
        pushes=[PushRow(push_name(each).hex(), each.device, words.day(each.since_s)) for each in wanted.pushes],
        push_key=telling.push.key.public if telling.push is not None else "",
    )


def answer(call: Call) -> Response:
    """Keep which notices are wanted, or stop one way."""
    telling, pseudonym = call.portal.telling, call.owner.pseudonym
    stop = call.form.get("stop", "")
    if stop == "mail":
        telling.stop_mail(pseudonym)
        return call.go("/notices/ways", notice=call.words("We send you no e-mails any more"))
    if stop:
        telling.stop_push(pseudonym, stop)
        return call.go("/notices/ways", notice=call.words("We tell you nothing on that device any more"))
    chosen = set(call.form.get("kinds", "").split("\n"))
    telling.choose(pseudonym, [kind for kind, said in KINDS.items() if said.group and said.group not in chosen])
    return call.go("/notices/ways", notice=call.words("We remember that"))


def show_mail(call: Call, *errors: Error) -> Response:
    """Ask for the address."""
    if call.portal.telling.mailer is None:
        return call.page("layouts/missing.html", title=call.words("Page not found"), status=404)
    return call.page(
        "pages/patient/notices_mail.html",
        title=call.words("Your e-mail address"),
        back="/notices/ways",
        errors=errors,
        entered=call.form.get("address", ""),
    )


def answer_mail(call: Call) -> Response:
    """Send it a code."""
    address = call.form.get("address", "").strip()
    if not is_address(address):
        return show_mail(call, Error("address", call.words("Enter an address, such as name@example.com")))
    call.portal.telling.begin_mail(call.owner.pseudonym, address, language=call.words.language)
    return call.go("/notices/code")


def show_code(call: Call, *errors: Error) -> Response:
    """Ask for the code."""
    pending = call.portal.telling.wishes(call.owner.pseudonym).pending
    if not pending:
        return call.go("/notices/ways")
    return call.page(
        "pages/patient/notices_code.html",
        title=call.words("Enter the code"),
        back="/notices/mail",
        errors=errors,
        address=pending,
        digits=CODE_DIGITS,
    )


def answer_code(call: Call) -> Response:
    """Confirm the address."""
    code = "".join(call.form.get("code", "").split())
    if not call.portal.telling.confirm_mail(call.owner.pseudonym, code[:CODE_DIGITS]):
        said = call.words("That is not the code, or it is too old. Look again, or ask for another")
        return show_code(call, Error("code", said))
    return call.go("/notices/ways", notice=call.words("We send you an e-mail when something changes"))


def answer_push(call: Call) -> Response:
    """Tell this browser."""
    try:
        came = _SUBSCRIPTION.decode(call.form.get("answer", "")[:TAKEN_MAX])
    except msgspec.DecodeError:
        return show(call, Error("push", call.words("This device did not let us. You can choose e-mail")))
    device, now_s = device_of(call, call.agent), call.portal.node.clock()
    way = PushWay(came.endpoint, came.keys.p256dh, came.keys.auth, device, now_s)
    call.portal.telling.begin_push(call.owner.pseudonym, way, language=call.words.language)
    return call.go("/notices/ways", notice=call.words("We tell you on this device when something changes"))


PAGES: Final = (
    Page("/notices/ways", Person.PATIENT, show, answer),
    Page("/notices/mail", Person.PATIENT, show_mail, answer_mail),
    Page("/notices/code", Person.PATIENT, show_code, answer_code),
    Page("/notices/push", Person.PATIENT, None, answer_push),
)
