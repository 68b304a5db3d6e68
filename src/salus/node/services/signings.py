"""Signings: what the portal asks the signer page, the page's one answer, and who may collect it (docs/spec/signer.md).

Promises: a request is given out once and answered once, within ten minutes; an answer is held against what was asked
before it is kept, and collected once, by the portal session that asked. A new wallet says from which it was made.
A wallet and its share never lie in one row.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import GenericAlias
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, delete, insert, select, update

from salus.crypto.hashing import sha256
from salus.ledger.identifiers import OrganisationId, Pseudonym
from salus.node import schema
from salus.node.assemble import Node
from salus.node.sealed_rows import SealedRows, row_decoder
from salus.node.services.accounts import AccountId
from salus.node.services.signer_answers import Answered, Declined, read_answer
from salus.node.services.signer_devices import SignerDevices
from salus.node.services.signer_requests import ITEM_OF, REQUEST_S, Kind, SigningRequest, to_text

ID_BYTES: Final = 16
ASKED, FETCHED, ANSWERED = 0, 1, 2
_TABLE: Final = "signing"
_ANSWER: Final = "signing-answer"
_COLUMNS: Final = schema.signings.c


class _Asked(msgspec.Struct, frozen=True, array_like=True):
    """A request as it is kept: of its devices, the ids alone."""

    kind: str
    account: bytes
    time_s: int
    language: str
    person: str
    devices: tuple[bytes, ...]
    items: bytes
    ending: str
    known: bytes
    bases: tuple[tuple[bytes, bytes], ...] = ()
    """Once it was given out: of each device the SHA-256 of the blob that the page has; a version before noted none."""


class _Answer(msgspec.Struct, frozen=True, array_like=True):
    raw: bytes


@dataclass(frozen=True)
class Collected:
    """What was asked and what was answered.

    Args:
        ending: which of the portal's endings goes on with it; known: what that needs to know besides.
    """

    request: SigningRequest
    answer: Answered | Declined
    ending: str
    known: bytes = field(repr=False)


class Signings:
    """The signing requests of one node, for all workers."""

    def __init__(self, node: Node, rows: SealedRows, devices: SignerDevices) -> None:
        self._node = node
        self._rows = rows
        self._devices = devices

    def ask(self, request: SigningRequest, *, session: bytes, pseudonym: Pseudonym, ending: str, known: bytes) -> str:
        """Lay out a request; return its id. What the same session asked before and never collected is forgotten.

        Args:
            session: the name of the portal session that asks.
        """
        name, now_s = to_text(secrets.token_bytes(ID_BYTES)), self._node.clock()
        asked = _Asked(
            kind=request.kind.value,
            account=request.account,
            time_s=request.time_s,
            language=request.language,
            person=request.person,
            devices=tuple(each.id for each in request.devices),
            items=msgspec.msgpack.encode(request.items),
            ending=ending,
            known=known,
        )
        lookup = self._rows.lookup(_TABLE, name)
        row = {
            "lookup": lookup,
            "session": session,
            "pseudonym": pseudonym,
            "stage": ASKED,
            "until_s": now_s + REQUEST_S,
            "sealed": self._rows.seal(_TABLE, lookup, asked),
            "answer": b"",
        }
        over = (_COLUMNS.session == session) | (_COLUMNS.until_s <= now_s)
        with self._node.vault.database.writing() as connection:
            connection.execute(delete(schema.signings).where(over))
            connection.execute(insert(schema.signings).values(row))
        return name

    def fetch(self, name: str, names: Mapping[str, str]) -> bytes | None:
        """Return a request as the page reads it, once; None for every id that is unknown, used or late.

        Args:
            names: what organisations are called.

        Raises:
            Refused: a device of it was removed meanwhile.
        """
        lookup = self._lookup(name)
        row = self._row((_COLUMNS.lookup == lookup) & (_COLUMNS.stage == ASKED))
        if row is None:
            return None
        asked, request = self._opened(row)
        given = msgspec.structs.replace(asked, bases=tuple((each.id, sha256(each.blob)) for each in request.devices))
        if not self._advance(lookup, {"stage": FETCHED, "sealed": self._rows.seal(_TABLE, lookup, given)}, stage=ASKED):
            return None
        return request.encode({OrganisationId(code): each for code, each in names.items()})

    def answer(self, name: str, raw: bytes) -> bool:
        """Keep what the page answered, once; False for every id that is unknown, not fetched, answered or late.

        Raises:
            Refused: it is no answer to what was asked; the request stays as it was.
        """
        lookup = self._lookup(name)
        row = self._row((_COLUMNS.lookup == lookup) & (_COLUMNS.stage == FETCHED))
        if row is None:
            return False
        read_answer(self._opened(row)[1], raw)
        kept = {"stage": ANSWERED, "answer": self._rows.seal(_ANSWER, lookup, _Answer(raw))}
        return self._advance(lookup, kept, stage=FETCHED)

    def collect(self, name: str, *, session: bytes) -> Collected | None:
        """Return what was answered, once, to the session that asked; None for everybody else and everything else."""
        lookup = self._lookup(name)
        own = (_COLUMNS.lookup == lookup) & (_COLUMNS.session == session)
        row = self._row(own & (_COLUMNS.stage == ANSWERED))
        if row is None:
            return None
        with self._node.vault.database.writing() as connection:
            if not connection.execute(delete(schema.signings).where(own)).rowcount:
                return None
        asked, request = self._opened(row)
        answer: _Answer = self._rows.open(_ANSWER, lookup, row.answer, row_decoder(_Answer).decode)
        return Collected(request, _based(read_answer(request, answer.raw), asked), asked.ending, asked.known)

    def _advance(self, lookup: bytes, values: dict[str, Any], *, stage: int) -> bool:
        """Bring a request on from a stage; False where somebody else was faster."""
        at = (_COLUMNS.lookup == lookup) & (_COLUMNS.stage == stage)
        with self._node.vault.database.writing() as connection:
            return bool(connection.execute(update(schema.signings).where(at).values(values)).rowcount)

    def _row(self, which: ColumnElement[bool]) -> Any:
        timely = _COLUMNS.until_s > self._node.clock()
        with self._node.vault.database.reading() as connection:
            return connection.execute(select(schema.signings).where(which & timely)).one_or_none()

    def _opened(self, row: Any) -> tuple[_Asked, SigningRequest]:
        asked: _Asked = self._rows.open(_TABLE, row.lookup, row.sealed, row_decoder(_Asked).decode)
        kind, account = Kind(asked.kind), AccountId(asked.account)
        request = SigningRequest(
            kind=kind,
            chain=self._node.chain,
            account=account,
            time_s=asked.time_s,
            devices=self._devices.kept(account, asked.devices),
            items=tuple(msgspec.msgpack.decode(asked.items, type=GenericAlias(list, (ITEM_OF[kind],)))),
            language=asked.language,
            person=asked.person,
        )
        return asked, request

    def _lookup(self, name: str) -> bytes:
        return self._rows.lookup(_TABLE, name)


def _based(answer: Answered | Declined, asked: _Asked) -> Answered | Declined:
    """An answer whose blob, where it has one, says from which it was made."""
    if isinstance(answer, Declined) or answer.device is None:
        return answer
    base = dict(asked.bases).get(answer.device.device, b"")
    return replace(answer, device=replace(answer.device, base=base))
