"""Sign in: by passkey, at an outside provider, or by a name and a password, which works without JavaScript."""

from urllib.parse import urlsplit

from starlette.responses import Response

from salus.node.errors import Refusal, Refused
from salus.node.services.accounts import AccountId
from salus.portal.call import HOMES, Call, Error, Page, Person, local, person_of
from salus.portal.rendering import go


def show(call: Call) -> Response:
    """The page."""
    if call.account is not None:
        return call.go(HOMES.get(call.person, "/devices"))
    return _page(call)


def answer(call: Call) -> Response:
    """A name and a password came."""
    name, password = call.form.get("name", "").strip(), call.form.get("password", "")
    words = call.words
    missing = [
        Error(field, said)
        for field, value, said in (
            ("name", name, words("Enter your name for signing in")),
            ("password", password, words("Enter your password")),
        )
        if not value
    ]
    if missing:
        return _page(call, *missing)
    try:
        account = call.portal.accounts.sign_in(name, password, address=call.address)
    except Refused as refused:
        if refused.refusal is Refusal.TOO_MANY:
            return _page(call, Error("name", words("Too many tries. Wait 15 minutes, then try again")), status=429)
        return _page(call, Error("name", words("The name and the password do not match. Check both")))
    return signed_in(call, account, way="password")


def signed_in(call: Call, account: AccountId, *, way: str, level: str = "", passkey: bytes = b"") -> Response:
    """Begin a session as an account and go on to what was wanted; `passkey` is the one that signed, if one did.

    Raises:
        Refused: what the account acts by does not stand.
    """
    known = call.portal.accounts.find(account)
    if known is None:
        raise Refused(Refusal.ACCOUNT_UNFIT, "this account is no more: ask the organisation")
    wanted = call.session.state.next if call.session else ""
    response = go(local(wanted) if wanted else HOMES.get(person_of(known), "/devices"))
    portal, before = call.portal, call.session
    portal.sign_in(response, account, known, before, way=way, level=level, agent=call.agent, passkey=passkey)
    return response


def _page(call: Call, *errors: Error, status: int = 200) -> Response:
    providers = [{"name": each.name, "title": each.title} for each in call.portal.providers]
    return call.page(
        "pages/entrance/sign_in.html",
        title=call.words("Sign in"),
        errors=errors,
        status=status,
        goes_to=" ".join(_origin(each.authorization_endpoint) for each in call.portal.providers),
        providers=providers,
        entered=call.form.get("name", ""),
    )


def _origin(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"


PAGE = Page("/sign-in", Person.ANYBODY, show, answer)
