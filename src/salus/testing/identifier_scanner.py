"""Look for a person on a ledger: identifiers and clinical content in any common form (P1), and what links (P7).

Three ways, because each sees what the others miss: every byte against everything that is known of the people; every
text against what may be public; every value under one pseudonym against those under the others. A finding names the
place and the kind, and never repeats the identifier (P4). What it cannot find: a transformation that it does not know.
"""

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from salus.contracts.access import RequestAccess, ReviewEmergency
from salus.contracts.membership import KEYS, ORGANISATIONS
from salus.contracts.tickets import UseTicket
from salus.engines.base import Snapshot
from salus.engines.headers import decode_body_row
from salus.engines.store import BLOCKS, ENGINE_SPACES
from salus.ledger.identifiers import OrganisationId, Pseudonym
from salus.ledger.machine import message_tag
from salus.ledger.state import INDEXES, LEAVES, SPACES, STATE
from salus.testing.needles import Finding, Needles

LINKING_BYTES = 16
"""Values from this length on are drawn at random or computed from what is: equal ones are the same thing."""
PSEUDONYM_BYTES = 16
_SESSION_TAGS = frozenset(message_tag(kind) for kind in (UseTicket, RequestAccess, ReviewEmergency))
"""Messages that a session key signs."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose pseudonym it is: the person's number, and the custodian."""

    person: int
    custodian: OrganisationId


# Every byte


def scan_rows(snapshot: Snapshot, needles: Needles) -> Iterator[Finding]:
    """Look at every key and row of every space of a ledger."""
    for space in (*SPACES, *ENGINE_SPACES):
        for key, row in snapshot.items(space):
            yield from needles.found(space, key + b"\xff" + row)


def scan_files(folder: Path, needles: Needles) -> Iterator[Finding]:
    """Look at every byte of every file below a folder, also at what a database has freed and not yet overwritten."""
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        yield from needles.found(path.relative_to(folder).as_posix(), path.read_bytes())


# Every text


def scan_texts(snapshot: Snapshot, *, public: Collection[str]) -> Iterator[Finding]:
    """Report each text on a ledger that is not public: a ledger without free text has no other (P1)."""
    for unit in units(snapshot):
        for value in unit.values:
            if isinstance(value, str) and value not in public:
                yield Finding(unit.place, "text that is not public")


def public_texts(snapshot: Snapshot) -> set[str]:
    """Return what a network says of itself: chain, members, their names and addresses."""
    texts: set[str] = set()
    for key, row in snapshot.items(STATE):
        if key.startswith(ORGANISATIONS.name.encode() + b"\x00"):
            texts.update(each for each in flat((_key_of(key), _decode(row))) if isinstance(each, str))
    for block in _bodies(snapshot):
        texts.add(_decode(_decode(block)[0])[1])
    return texts


# Every value under a pseudonym


@dataclass(frozen=True, slots=True)
class Unit:
    """Values that stand together: a row with its key, a leaf, a message, a transaction.

    Args:
        own: what a transaction or a session gives to everything that it carries.
        passengers: what may be pseudonyms in the messages that a transaction carries, which have units of their own.
    """

    place: str
    values: list[Any]
    own: frozenset[bytes] = frozenset()
    passengers: frozenset[bytes] = frozenset()


def units(snapshot: Snapshot) -> Iterator[Unit]:
    """Yield all rows, leaves and transactions of a ledger, decoded without knowing their types."""
    for space in (STATE, INDEXES):
        for key, row in snapshot.items(space):
            yield Unit(f"{space}: {key[: key.index(0)].decode()}", list(flat((_key_of(key), _decode(row)))))
    for _, row in snapshot.items(LEAVES):
        height, time_s, transaction, index, code, data = _decode(row)
        yield Unit(
            LEAVES, [height, time_s, index, code, *flat(_decode(data)), transaction], own=frozenset([transaction])
        )
    for raw in _bodies(snapshot):
        yield from transaction_units(raw)


def transaction_units(raw: bytes) -> Iterator[Unit]:
    """Yield a transaction's messages one by one, then the envelope with the pseudonyms that travel in it.

    Signers count as under all those pseudonyms only where they are sessions; other keys are in their own message.
    """
    body_bytes, signatures = _decode(raw)
    version, chain, signers, expires_at_s, nonce, messages = _decode(body_bytes)
    own = frozenset([hashlib.sha256(body_bytes).digest(), nonce, *signatures])
    if any(message[0] in _SESSION_TAGS for message in messages):
        own |= frozenset(signers)
    passengers = frozenset(value for message in messages for value in flat(message) if _may_be_pseudonym(value))
    for message in messages:
        yield Unit("message", list(flat(message)))
    yield Unit("transaction", [version, chain, expires_at_s, *own], own, passengers)


def _may_be_pseudonym(value: object) -> bool:
    return isinstance(value, bytes) and len(value) == PSEUDONYM_BYTES


def scan_links(snapshot: Snapshot, owners: Mapping[Pseudonym, Owner]) -> list[Finding]:
    """Report what two pseudonyms share beyond what DESIGN §5.2 allows.

    Nothing under two pseudonyms of one person, nor two of them in one place; under pseudonyms of different persons at
    one custodian only members' keys, session keys, and the transaction that carries both.
    """
    findings: set[Finding] = set()
    holders: dict[bytes, set[Pseudonym]] = defaultdict(set)
    places: dict[bytes, str] = {}
    allowed: set[bytes] = set()
    for unit in units(snapshot):
        long = {value for value in unit.values if isinstance(value, bytes) and len(value) >= LINKING_BYTES}
        named = {Pseudonym(value) for value in long | unit.passengers if value in owners}
        allowed |= unit.own
        if _has_two_of_one(named, owners):
            findings.add(Finding(unit.place, "two pseudonyms of one person together"))
        for value in long - named if named else ():
            holders[value] |= named
            places.setdefault(value, unit.place)
    members = member_keys(snapshot)
    for value, named in holders.items():
        kind = _link(named, owners, is_allowed=value in allowed)
        if kind and value not in members:
            findings.add(Finding(places[value], kind))
    return sorted(findings)


def member_keys(snapshot: Snapshot) -> set[bytes]:
    """Return every key that a member has registered, with its hash, current or retired."""
    prefix = KEYS.name.encode() + b"\x00"
    keys: set[bytes] = set()
    for key, row in snapshot.items(STATE):
        if key.startswith(prefix):
            keys.update(value for value in flat(_decode(row)) if isinstance(value, bytes))
    return keys | {hashlib.sha256(key).digest() for key in keys}


def _has_two_of_one(named: set[Pseudonym], owners: Mapping[Pseudonym, Owner]) -> bool:
    return len({owners[each].person for each in named}) < len(named)


def _link(named: set[Pseudonym], owners: Mapping[Pseudonym, Owner], *, is_allowed: bool) -> str:
    if len(named) < 2:
        return ""
    if _has_two_of_one(named, owners):
        return "value shared by two pseudonyms of one person"
    if is_allowed and len({owners[each].custodian for each in named}) == 1:
        return ""
    return "value shared by pseudonyms of different persons"


def flat(value: object) -> Iterator[Any]:
    """Yield the values of a nested array."""
    if isinstance(value, list | tuple):
        yield from (each for item in value for each in flat(item))
    else:
        yield value


def _decode(data: bytes) -> Any:
    return msgspec.msgpack.decode(data)


def _key_of(key: bytes) -> Any:
    return _decode(key[key.index(0) + 1 :])


def _bodies(snapshot: Snapshot) -> Iterator[bytes]:
    for _, row in snapshot.items(BLOCKS):
        yield from decode_body_row(row)
