"""Download everything: for programs, for paper, or both with the letters and a list to check each file by."""

import hashlib
import io
import zipfile
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from starlette.responses import Response

from salus.clinical.fhir import circumstances
from salus.clinical.fhir.elements import text
from salus.clinical.fhir.renaming import instant
from salus.node.errors import Refusal, Refused
from salus.node.services import own_history
from salus.node.services.own_chart import Held, in_order
from salus.portal import files
from salus.portal.call import Call, Error, Page, Person
from salus.portal.pages.patient.entries import entry
from salus.portal.pages.patient.gathered import Gathered, gathered
from salus.portal.pages.patient.kinds import KINDS
from salus.portal.pages.patient.paper import paper

FORMATS: Final = ("zip", "pdf", "fhir")


def show(call: Call, *errors: Error) -> Response:
    """The page."""
    return call.page(
        "pages/patient/download.html",
        title=call.words("Download your record"),
        back="/record",
        errors=errors,
        answers=gathered(call).answers,
    )


def answer(call: Call) -> Response:
    """Give the file."""
    wanted = call.form.get("format", "")
    if wanted not in FORMATS:
        return show(call, Error("format", call.words("Choose what you want to download")))
    found = gathered(call)
    try:
        held = found.chart.everything()
    except Refused as refused:
        if refused.refusal is not Refusal.TOO_MANY:
            raise
        said = call.words("Your record is too large for one file. Ask %(organisation)s for a copy")
        return show(call, Error("format", said % {"organisation": call.portal.title}))
    now_s = call.portal.node.clock()
    day = instant(now_s)[:10]
    if wanted == "fhir":
        return files.saved(_bundle(held, now_s), name=f"my-record-{day}.json")
    if wanted == "pdf":
        return files.saved(_paper(call, found, held), name=f"my-record-{day}.pdf")
    return files.saved(_archive(call, found, held, now_s), name=f"my-record-{day}.zip")


def _bundle(held: Sequence[Held], now_s: int) -> bytes:
    """Every record as it was written, in one Bundle (FHIR R4 2.36, collection)."""
    entries = [{"resource": msgspec.Raw(each.body)} for each in held]
    bundle = {"resourceType": "Bundle", "type": "collection", "timestamp": instant(now_s), "entry": entries}
    return msgspec.json.encode(bundle)


def _paper(call: Call, found: Gathered, held: Sequence[Held]) -> bytes:
    words = call.words
    kinds = []
    for kind in KINDS:
        types = {name for name, _ in kind.types}
        theirs = in_order(each for each in held if each.content.get("resourceType") in types)
        if theirs:
            kinds.append((words(kind.title), [entry(words, each, found.chart) for each in theirs]))
    about = [
        call.owner.name,
        words("From %(organisation)s, %(when)s")
        % {"organisation": _names(call, found), "when": words.moment(call.portal.node.clock())},
        *([found.answers.missing] if found.answers and found.answers.missing else []),
    ]
    return paper(words, title=words("Health record"), about=about, kinds=kinds)


def _archive(call: Call, found: Gathered, held: Sequence[Held], now_s: int) -> bytes:
    """Both, the letters, who looked with its proofs, and a list with the SHA-256 of each file."""
    contents = {
        "record.json": _bundle(held, now_s),
        "record.pdf": _paper(call, found, held),
        **_history(call),
        **_letters(held),
    }
    listed = [
        {"name": name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in contents.items()
    ]
    manifest = {"made": instant(now_s), "from": call.portal.title, "files": listed, "others": _others(found)}
    contents["manifest.json"] = msgspec.json.format(msgspec.json.encode(manifest))
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return file.getvalue()


def _history(call: Call) -> Mapping[str, bytes]:
    """Who looked, with its proofs; nothing while records are hidden, or who looked is: it names them all."""
    if call.hidden.has_records or call.hidden.hides_page("/looked"):
        return {}
    return {"history.salus": own_history.history_file(call.portal.node, call.login, call.owner.pseudonym)}


def _names(call: Call, found: Gathered) -> str:
    return call.portal.title if found.answers is None else found.answers.names


def _others(found: Gathered) -> list[dict[str, object]]:
    """What the other custodians had answered: `came`, `part` of what there is, or why nothing of theirs is in it."""
    rows = found.answers.rows if found.answers is not None else ()
    return [{"name": each.name, "answer": each.code} for each in rows]


def _letters(held: Sequence[Held]) -> Mapping[str, bytes]:
    """The files of letters, with names that say nothing of what is in them but their order."""
    binaries = {f"Binary/{text(each.content, 'id')}": circumstances.binary_of(each.content) for each in held}
    letters = in_order(each for each in held if each.content.get("resourceType") == "DocumentReference")
    found: dict[str, bytes] = {}
    for each in (each for letter in letters for each in circumstances.attachments_of(letter.content)):
        kept = binaries.get(each.reference) if each.reference else each
        if kept is not None and kept.content:
            ending = files.SHOWN.get(files.essence(kept.content_type or each.content_type), ".bin")
            found[f"letters/{len(found) + 1:03}{ending}"] = kept.content
    return found


PAGES: Final = (Page("/record/download", Person.PATIENT, show, answer),)
