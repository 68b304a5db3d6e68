"""A code: how somebody takes up that they help a patient, as whoever they are here or as somebody new."""

from typing import Final

from starlette.responses import Response

from salus.node.errors import Refusal, Refused
from salus.node.services.accounts import PASSWORD_LENGTH_MIN
from salus.node.services.patient_helpers import patient_of
from salus.portal.call import Call, Error, Page, Person
from salus.portal.pages.entrance.sign_in import signed_in


def show(call: Call, *errors: Error) -> Response:
    """Ask for the code."""
    return call.page(
        "pages/helping/code.html",
        title=call.words("Enter your code"),
        back="/helping",
        errors=errors,
        entered=call.form.get("code", ""),
    )


def answer(call: Call) -> Response:
    """Take it up."""
    call.portal.accounts.count_try(call.address)
    try:
        found = call.portal.helpers.take_up(call.form.get("code", ""), call.signed_in.account)
    except Refused as refused:
        return show(call, _unfit(call, refused))
    said = call.words("You can now help %(name)s") % {"name": patient_of(found.account)}
    return call.go("/helping", notice=said)


def show_new(call: Call, *errors: Error) -> Response:
    """Ask for the code, and for a name and a password to sign in by from now on."""
    return call.page(
        "pages/helping/new.html",
        title=call.words("Start helping somebody"),
        back="/sign-in",
        errors=errors,
        entered=call.form,
    )


def answer_new(call: Call) -> Response:
    """Make an account, take the code up, and sign in.

    The code first, and again when it is used: without one that is good, nobody finds out which names are taken.
    """
    portal, form = call.portal, call.form
    portal.accounts.count_try(call.address)
    invited = portal.helpers.invited(form.get("code", ""))
    if invited is None:
        return show_new(call, Error("code", call.words("This code is not right, was used before, or is too old")))
    account = portal.accounts.add_helper(name=invited.account.name)
    try:
        portal.accounts.set_password(account, signs_in_as=form.get("name", ""), password=form.get("password", ""))
        portal.helpers.take_up(form.get("code", ""), account)
    except Refused as refused:
        portal.accounts.remove(account)
        if refused.refusal is Refusal.DELEGATE_UNFIT:
            return show_new(call, _unfit(call, refused))
        return show_new(call, *_unfit_account(call))
    return signed_in(call, account, way="password")


def _unfit(call: Call, refused: Refused) -> Error:
    if refused.refusal is not Refusal.DELEGATE_UNFIT:
        raise refused
    return Error("code", call.words("This code is not right, was used before, or is too old"))


def _unfit_account(call: Call) -> list[Error]:
    """What is wrong with a name and a password that make no account: the password is short, or the name is taken."""
    words, password = call.words, call.form.get("password", "")
    if len(password) < PASSWORD_LENGTH_MIN:
        return [Error("password", words("Enter a password of 12 letters or more"))]
    return [Error("name", words("Choose another name for signing in"))]


PAGES: Final = (
    Page("/helping/code", Person.SIGNED_IN, show, answer),
    Page("/helping/new", Person.ANYBODY, show_new, answer_new),
)
