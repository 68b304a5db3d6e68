"""Records (docs/spec/contracts.md, 3): batches and the exceptions among their entries.

A mark is [verified at, erased at, superseded by].
"""

from salus.testing.auditor import patients
from salus.testing.auditor.shapes import Message
from salus.testing.auditor.view import No, Row, View

RELATIONSHIP_ERASED, BATCH_SIZE_UNFIT, ENTRY_ERASED, ENTRY_SUPERSEDED, SUCCESSOR_UNFIT = 301, 302, 303, 304, 305
SIZES = tuple(4**power for power in range(9))
MARKS = "records.marks"


def register_batch(view: View, message: Message) -> Row:
    """301."""
    relationship = patients.require_custodian(view, message["pseudonym"], message["custodian"])
    view.need_organisation(message["custodian"])
    if relationship[5]:
        raise No(patients.RELATIONSHIP_CLOSED)
    if is_erased(view, message["pseudonym"]):
        raise No(RELATIONSHIP_ERASED)
    if message["size"] not in SIZES:
        raise No(BATCH_SIZE_UNFIT)
    return [301, message["pseudonym"], message["custodian"], message["root"], message["size"]]


def verify(view: View, message: Message) -> Row:
    """302."""
    mark = _require_entry(view, message)
    mark[0] = max(view.time_s, 1)
    _put(view, message, mark)
    return [302, message["pseudonym"], message["entry"], message["commitment"]]


def supersede(view: View, message: Message) -> Row:
    """303."""
    mark = _require_entry(view, message)
    if mark[2]:
        raise No(ENTRY_SUPERSEDED)
    successor = _mark(view, message["pseudonym"], message["by"])
    if message["by"] == message["entry"] or successor[1] or successor[2]:
        raise No(SUCCESSOR_UNFIT)
    mark[2] = message["by"]
    _put(view, message, mark)
    return [303, message["pseudonym"], message["entry"], message["by"], message["commitment"]]


def mark_erased(view: View, message: Message) -> Row:
    """304."""
    mark = _require_entry(view, message)
    mark[1] = max(view.time_s, 1)
    _put(view, message, mark)
    return [304, message["pseudonym"], message["entry"], message["commitment"]]


def erase_relationship(view: View, message: Message) -> Row:
    """305."""
    _require_writable(view, message)
    view.put("records.erasures", message["pseudonym"], [max(view.time_s, 1)])
    return [305, message["pseudonym"], message["custodian"], message["commitment"]]


def is_erased(view: View, pseudonym: bytes) -> bool:
    """Tell whether a relationship has a tombstone."""
    return view.get("records.erasures", pseudonym) is not None


def _require_writable(view: View, message: Message) -> None:
    patients.require_custodian(view, message["pseudonym"], message["custodian"])
    view.need_organisation(message["custodian"])
    if is_erased(view, message["pseudonym"]):
        raise No(RELATIONSHIP_ERASED)


def _require_entry(view: View, message: Message) -> Row:
    _require_writable(view, message)
    mark = _mark(view, message["pseudonym"], message["entry"])
    if mark[1]:
        raise No(ENTRY_ERASED)
    return mark


def _mark(view: View, pseudonym: bytes, entry: bytes) -> Row:
    return view.get(MARKS, [pseudonym, entry]) or [0, 0, b""]


def _put(view: View, message: Message, mark: Row) -> None:
    view.put(MARKS, [message["pseudonym"], message["entry"]], mark)
