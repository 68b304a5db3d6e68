"""Admit: the request of a new member is put to the vote; first it follows the ledger (L7)."""

from typing import Final

from starlette.responses import Response

from salus.node.config import SettingsUnfit
from salus.node.services import govern
from salus.portal.call import Call, Error, Page, Person
from salus.portal.settings import BODY_BYTES_MAX

REQUEST_BYTES_MAX: Final = 2_000_000


def show(call: Call, *errors: Error) -> Response:
    """Choose the file."""
    title = call.words("Propose a new member")
    return call.page("pages/operator/admit.html", title=title, back="/network", errors=errors)


def answer(call: Call) -> Response:
    """A request came; this organisation is in favour."""
    words, file = call.words, call.files.get("request")
    if file is None or not file.content:
        return show(call, Error("request", words("Choose the file with the request")))
    try:
        proposed = govern.propose_request(call.portal.node, file.content)
    except SettingsUnfit as error:
        said = words("This request cannot be used: %(why)s") % {"why": error}
        return show(call, Error("request", said))
    said = "It is carried: our vote was enough" if proposed.is_carried else "It is proposed: the others vote now"
    return call.go("/network", notice=words(said))


PAGE = Page(
    "/network/admit",
    Person.OPERATOR,
    show,
    answer,
    body_bytes_max=REQUEST_BYTES_MAX + BODY_BYTES_MAX,
    takes_files=True,
)
