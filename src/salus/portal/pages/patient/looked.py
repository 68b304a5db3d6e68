"""Who has looked: one line for what somebody did in half a day, each opened to what was given, and to its proof."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import segno
from starlette.responses import Response

from salus.node.services import derived, looks, looks_elsewhere, own_history
from salus.node.services.choices_elsewhere import Place
from salus.node.services.collect import Sought
from salus.node.services.looks import Line, Look, Looks, Opened
from salus.node.services.own_elsewhere import Elsewhere
from salus.node.services.own_history import ReceiptName
from salus.portal import files
from salus.portal.answered import AGAIN
from salus.portal.call import Call, Error, Page, Person
from salus.portal.pages.patient.choice_sentences import ALONE, CLASSES
from salus.portal.pages.patient.looked_filter import filter_of, organisations_of, people_of
from salus.portal.pages.patient.signing import places, sign_challenge
from salus.portal.paging import PAGE_ENTRIES, number_of, pages
from salus.portal.verifier.links import VERIFIER, fits_qr, receipt_link
from salus.portal.words import Words

WORDS_MAX: Final = 2000
HALF_DAY: Final = 12
NUMBER_LENGTH_MAX: Final = 12


def _(english: str) -> str:
    """Mark words for translation."""
    return english


PURPOSES: Final = {
    "treat": _("to care for you"),
    "etreat": _("to care for you in an emergency"),
    "btg": _("in an emergency, without asking you first"),
    "patrqt": _("because you asked"),
    "hpaymt": _("to be paid for your care"),
    "hresch": _("for research"),
    "pubhlth": _("to protect everyone’s health"),
    "hlegal": _("for a court or a lawyer"),
}
TO_HELP: Final = _("to help you")
ROLES: Final = {
    "clinical": _("A doctor, nurse or other clinician"),
    "pharmacy": _("A pharmacist"),
    "administrative": _("Somebody in the office"),
    "patient_side": _("Somebody on your side"),
    "insurer": _("An insurer"),
    "research": _("A researcher"),
    "officer": _("The privacy officer"),
    "system": _("A computer system"),
}
GIVEN: Final = {**ALONE, **CLASSES, "Patient": _("who you are")}
VERBS: Final = {
    "read": _("asked to read your record"),
    "search": _("searched in your record"),
    "export": _("asked to take a copy of your record"),
    "subscribe": _("asked to be told of what is new in your record"),
}
REASONS: Final = {
    "patient_denies": _("your choice says no"),
    "nothing_permits": _("you have not let them"),
    "custodian_policy_forbids": _("our rules do not allow it"),
    "network_policy_forbids": _("the rules of the network do not allow it"),
    "role_not_held": _("they may not ask in that role"),
    "requester_suspended": _("their organisation is shut out at the moment"),
    "emergencies_unreviewed": _("too many emergencies of theirs are not checked yet"),
    "emergency_not_clinical": _("only clinicians may do that in an emergency"),
}


@dataclass(frozen=True)
class LookRow:
    """A line of the list, in words."""

    href: str
    who: str = field(repr=False)
    what: str
    when: str
    mark: str
    colour: str


@dataclass(frozen=True)
class _OneLook:
    """A look, and what is known of it at one moment: what comes while a page is made is on the next one.

    Args:
        others: the looks that the list says with it in one line.
        answer: how far it has come with the organisation that knows what was given: the page has words for each.
        history: the file that this organisation gave; empty where it has not come, or this one knows.
    """

    opened: Opened
    others: tuple[Look, ...] = ()
    answer: str = ""
    history: bytes = field(default=b"", repr=False)


def show(call: Call) -> Response:
    """The list, grouped and filtered; its pages stay as they are while more comes."""
    found, asked, number = _looks(call), filter_of(call), number_of(call)
    if found is None:
        is_known = derived.has_patient(call.portal.node, call.owner.pseudonym)
        title = call.words("Who has looked")
        return call.page("pages/patient/looked.html", title=title, is_hidden=is_known, is_unknown=not is_known)
    people, newest, start = found.people(), found.newest, (number - 1) * PAGE_ENTRIES
    groups = found.groups(asked.wanted(people), hours=HALF_DAY)
    upto = asked.upto or newest
    return call.page(
        "pages/patient/looked.html",
        title=call.words("Who has looked"),
        errors=asked.errors(call.words),
        rows=[_row(call.words, each) for each in found.lines(groups[start : start + PAGE_ENTRIES])],
        asked=asked,
        people=people_of(call.words, asked, people),
        organisations=organisations_of(call.words, asked, found.organisations()),
        names=call.words.listed([call.portal.title, *found.elsewhere]),
        has_newer=newest > upto,
        is_empty=not (groups or asked.narrows or asked.only or asked.is_own),
        pages=pages(call, number, has_more=len(groups) > start + PAGE_ENTRIES, upto=upto),
    )


def show_one(call: Call, *errors: Error) -> Response:
    """One of them, with what was given."""
    one = _opened(call)
    if one is None:
        return call.page("layouts/missing.html", title=call.words("Page not found"), status=404)
    words, opened, look = call.words, one.opened, one.opened.look
    return call.page(
        "pages/patient/look.html",
        title=words("Details"),
        back="/looked",
        errors=errors,
        row=_row_of(words, look, who=_named(words, look, opened.person), count=1),
        why=opened.person.justification,
        given=given(words, opened.released),
        withheld=0 if look.is_patient or look.is_helper else opened.withheld_count,
        others=[(f"/looked/{each.number}", words.moment(each.at_s)) for each in one.others],
        proofs=[f"/looked/{look.number}/check/{each.part}" for each in _receipts(call, opened)],
        held_by=look.held_by,
        is_reviewed_here=look.is_emergency and not look.held_by,
        review=opened.review,
        answer=one.answer,
        can_question=_asked_at(call, look) is not None,
        officer_of=look.held_by or call.portal.title,
        entered=call.form.get("words", ""),
    )


def question(call: Call) -> Response:
    """Tell the privacy officer that it does not look right."""
    one, said = _opened(call), call.form.get("words", "").strip()
    place = None if one is None else _asked_at(call, one.opened.look)
    if one is None or place is None:
        return call.page("layouts/missing.html", title=call.words("Page not found"), status=404)
    if not said or len(said) > WORDS_MAX:
        return show_one(call, Error("words", call.words("Say in a few words what does not look right")))
    return sign_challenge(call, place, one.opened.look.permit, said)


def given(words: Words, released: Iterable[tuple[str, int]]) -> list[str]:
    """How many records of each kind were given out, in words; kinds that have no name of their own are one."""
    counts: Counter[str] = Counter()
    for kind, count in released:
        counts[GIVEN.get(kind, _("other records"))] += count
    return [f"{words(name)}: {count}" for name, count in counts.items()]


def check(call: Call) -> Response:
    """The proof of it, ready to be checked: behind the `#` of a link, which goes to no server, and as a file."""
    proof, number, part = _proof(call), _number(call.path["number"]), _number(call.path["part"])
    if proof is None:
        return call.page("layouts/missing.html", title=call.words("Page not found"), status=404)
    link = receipt_link(VERIFIER, proof)
    address = f"{call.portal.settings.origin}{link}"
    return call.page(
        "pages/patient/look_check.html",
        title=call.words("Check this yourself"),
        back=f"/looked/{number}",
        link=link,
        code=segno.make(address, error="l").svg_data_uri(scale=4, border=4) if fits_qr(address) else "",
        file=f"/looked/{number}/receipt/{part}",
    )


def receipt(call: Call) -> Response:
    """The file that proves it, to be checked by anybody."""
    proof = _proof(call)
    if proof is None:
        return call.page("layouts/missing.html", title=call.words("Page not found"), status=404)
    return files.saved(proof, name="receipt.salus")


def ask(call: Call) -> Response:
    """Ask the patient's other organisations for what only they know of looks."""
    others = histories(call)
    collection = others.begin()
    for each in others.answers():
        if each.state in AGAIN:
            others.again(each.place)
    call.portal.sessions.change(call.signed_in, histories=collection)
    return call.go(f"/looked/{_number(call.path['number'])}")


def histories(call: Call) -> Elsewhere:
    """Return the other custodians of whoever is signed in, for their histories."""
    portal, state, about = call.portal, call.signed_in.state, call.owner.pseudonym
    asked, of = state.histories, state.held[1:]
    return Elsewhere(portal.node, portal.collections, of, about=about, collection=asked, sought=Sought.HISTORY)


def _answer(others: Elsewhere, custodian: str) -> str:
    found = [each for each in others.answers() if each.custodian.organisation == custodian]
    if any(each.is_cut for each in found):
        return "refused"
    return found[0].state.name.lower() if found else ""


def _asked_at(call: Call, look: Look) -> Place | None:
    """Whose officer can answer for it: that of the organisation whose records were asked for; None for nobody."""
    if look.is_patient or not look.permit:
        return None
    code = look.custodian or call.portal.node.organisation
    return next((each for each in places(call) if each.custodian == code), None)


def _proof(call: Call) -> bytes | None:
    """The file of the receipt that is asked for; None where there is none."""
    one, part = _opened(call), _number(call.path["part"])
    name = next((each for each in (_receipts(call, one.opened) if one else ()) if each.part == part), None)
    if one is None or name is None:
        return None
    if one.opened.look.custodian:
        return looks_elsewhere.receipt_file(one.opened.look, one.history, name.part)
    return own_history.receipt_file(call.portal.node, call.login, call.owner.pseudonym, name)


def _receipts(call: Call, opened: Opened) -> tuple[ReceiptName, ...]:
    """The receipts of a look; none while records are hidden, since a receipt names all that it is of."""
    return () if call.hidden.has_records else opened.receipts


def _looks(call: Call) -> Looks | None:
    portal, elsewhere = call.portal, call.signed_in.state.held[1:]
    return looks.looks(portal.node, portal.responder, call.login, call.owner.pseudonym, elsewhere)


def _opened(call: Call) -> _OneLook | None:
    found = _looks(call)
    opened = None if found is None else found.open(_number(call.path["number"]), hidden=call.hidden)
    if found is None or opened is None:
        return None
    beside = tuple(found.beside(opened.look, hours=HALF_DAY))
    if not opened.look.custodian:
        return _OneLook(opened, beside)
    others, custodian = histories(call), opened.look.custodian
    history = b"" if call.hidden.has_records else others.history_of(custodian)
    if history:
        opened = looks_elsewhere.opened(call.portal.node, opened.look, history)
    return _OneLook(opened, beside, _answer(others, custodian), history)


def _number(text: str) -> int:
    """A number of an address; -1, which nothing has, for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= NUMBER_LENGTH_MAX else -1


def _row(words: Words, line: Line) -> LookRow:
    return _row_of(words, line.look, who=_named(words, line.look, line.person), count=line.count)


def _row_of(words: Words, look: Look, *, who: str, count: int) -> LookRow:
    if look.is_officer:
        said = words("looked at this list, to check it")
    else:
        asked, why = words(VERBS[look.verb]), words(TO_HELP if look.is_helper else PURPOSES[look.purpose])
        said = words("%(asked)s, %(why)s") % {"asked": asked, "why": why}
    if look.held_by:
        place = words("That was your record at %(organisation)s") % {"organisation": look.held_by}
        said = f"{said}. {place}"
    if look.reason:
        refused = words(REASONS.get(look.reason, _("the rules do not allow it")))
        said = words("%(said)s. They were refused: %(why)s") % {"said": said, "why": refused}
    if count > 1:
        said = words("%(said)s (%(count)s times)") % {"said": said, "count": count}
    mark, colour = (words("Refused"), "grey") if look.reason else ("", "")
    if look.is_emergency and not look.reason:
        mark, colour = words("Emergency"), "red"
    return LookRow(f"/looked/{look.number}", who, said, words.moment(look.at_s), mark, colour)


def _named(words: Words, look: Look, person: looks.Person) -> str:
    """Who it was: by name and role where that is known here."""
    if look.is_patient:
        return words("You")
    if person.is_helper:
        return words("%(name)s, who helps you") % {"name": person.name or words("Somebody")}
    who = f"{person.name} ({person.role})" if person.name and person.role else person.name
    who = who or words(ROLES.get(look.role_class, _("Somebody")))
    return words("%(who)s at %(organisation)s") % {"who": who, "organisation": look.organisation}


PAGES: Final = (
    Page("/looked", Person.PATIENT, show, listed="Who has looked"),
    Page("/looked/{number}", Person.PATIENT, show_one, question),
    Page("/looked/{number}/check/{part}", Person.PATIENT, check),
    Page("/looked/{number}/receipt/{part}", Person.PATIENT, receipt),
    Page("/looked/{number}/ask", Person.PATIENT, None, ask),
)
