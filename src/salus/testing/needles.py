"""What would tell something of a person: their identifiers and records in every form that systems commonly write.

The scanner looks for these bytes where they must not be. Here is what is known; what to do with it is the scanner's.
"""

import base64
import hashlib
import json
from collections import defaultdict
from collections.abc import Collection, Container, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain

import msgspec

from salus.contracts import CONTRACTS
from salus.crypto.hashing import leaf_hash
from salus.engines.store import ENGINE_SPACES
from salus.ledger.state import SPACES
from salus.testing.population import SyntheticPerson
from salus.vault.vault import Vault

PREFIX_BYTES = 6
"""Shorter needles would be found in random bytes; short texts are looked for as texts instead."""
NAME_DIGITS = 32
HASH_BYTES = 16
"""A digest that was cut to this length still counts."""


@dataclass(frozen=True, slots=True)
class Needle:
    """Bytes that must not be there; `kind` says what they would tell."""

    kind: str
    value: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """Something that should not be there: where, what kind, at which byte of it."""

    place: str
    kind: str
    offset: int = 0


class Needles:
    """Everything to look for, by its first bytes, without distinction of upper and lower case.

    Args:
        public: texts that may be anywhere, such as the members' names; needles within one of them are left out.
    """

    def __init__(self, needles: Iterable[Needle], *, public: Collection[str] = ()) -> None:
        known = [text.lower().encode() for text in (*public, *table_names())]
        self._by_prefix: dict[bytes, list[Needle]] = defaultdict(list)
        for needle in needles:
            value = needle.value.lower()
            if len(value) >= PREFIX_BYTES and not any(value in text for text in known):
                self._by_prefix[value[:PREFIX_BYTES]].append(Needle(needle.kind, value))

    def __len__(self) -> int:
        """How many needles there are."""
        return sum(map(len, self._by_prefix.values()))

    def __iter__(self) -> Iterator[Needle]:
        """All of them, in lower case."""
        return chain.from_iterable(self._by_prefix.values())

    def found(
        self, place: str, data: bytes, *, shortest: int = PREFIX_BYTES, names: Container[bytes] = ()
    ) -> Iterator[Finding]:
        """Yield every needle in some bytes.

        Args:
            place: what a finding says of where it is.
            data: where to look.
            shortest: needles of fewer bytes are not looked for; the shortest turn up by chance in much sealed data.
            names: of `NAME_DIGITS` hexadecimal digits, drawn at random; what lies within one of them is passed over.
        """
        lower, prefixes = data.lower(), self._by_prefix
        for at in range(len(lower) - PREFIX_BYTES + 1):
            if lower[at : at + PREFIX_BYTES] in prefixes:
                for needle in prefixes[lower[at : at + PREFIX_BYTES]]:
                    end = at + len(needle.value)
                    if len(needle.value) < shortest or not lower.startswith(needle.value, at):
                        continue
                    if not any(lower[first : first + NAME_DIGITS] in names for first in _starts(at, end)):
                        yield Finding(place, needle.kind, at)

    def equal(self, place: str, data: bytes) -> Iterator[Finding]:
        """Yield every needle that is these bytes, from the first to the last."""
        value = data.lower()
        for needle in self._by_prefix.get(value[:PREFIX_BYTES], ()):
            if needle.value == value:
                yield Finding(place, needle.kind)


def _starts(at: int, end: int) -> range:
    """Where a name can begin that holds these bytes."""
    return range(max(0, end - NAME_DIGITS), at + 1)


# What is known of a person


def needles_of(person: SyntheticPerson) -> Iterator[Needle]:
    """Yield everything that would tell something of a person: identifiers in many forms, all texts, their hashes."""
    number, born = person.nhs_number.digits, person.birth_date
    for form in number_forms(number):
        yield Needle("NHS number", form)
    for form in date_forms(born):
        yield Needle("date of birth", form)
    for name in name_forms(person):
        yield Needle("name", name.encode())
        yield Needle("name", msgspec.msgpack.encode(name))  # a short name is told from chance by its length before it
    yield Needle("postcode", person.postcode.encode())
    yield Needle("postcode", person.postcode.replace(" ", "").encode())
    yield from hashes("identifier", [number, born, number + born, f"{number}|{born}", person.family, person.postcode])
    yield from hashes("name", name_forms(person))
    for chart in person.charts:
        for body in chart.resources:
            yield from resource_needles(body)


def number_forms(digits: str) -> Iterator[bytes]:
    """Yield the forms in which systems write an NHS number: text, packed, as an integer, in base64 and UTF-16."""
    spaced = f"{digits[:3]} {digits[3:6]} {digits[6:]}"
    for text in (digits, spaced, spaced.replace(" ", "-"), digits[::-1]):
        yield text.encode()
        yield text.encode("utf-16-le")
        yield text.encode("utf-16-be")
        yield text.encode().hex().encode()
    yield from base64_forms(digits.encode())
    number = int(digits)
    yield number.to_bytes(8, "big")
    yield number.to_bytes(8, "little")
    yield number.to_bytes(8, "big").hex().encode()
    yield msgspec.msgpack.encode(number)
    yield b"\x00" + bytes.fromhex(digits)  # packed decimal, after any leading zero byte


def base64_forms(data: bytes) -> Iterator[bytes]:
    """Yield the characters that are the same wherever the bytes stand within a base64 text."""
    for lead in range(3):
        encoded = base64.b64encode(bytes(lead) + data)
        first = -(-lead * 8 // 6)
        last = (lead + len(data)) * 8 // 6
        yield encoded[first:last]


def date_forms(iso: str) -> Iterator[bytes]:
    """Yield a date of birth as people and systems write it."""
    year, month, day = iso.split("-")
    for text in (iso, year + month + day, f"{day}/{month}/{year}", f"{day}-{month}-{year}", f"{day}{month}{year}"):
        yield text.encode()


def name_forms(person: SyntheticPerson) -> list[str]:
    """Return the ways to write the whole name, and its parts where they are long enough to be told from chance."""
    given, family = person.given[0], person.family
    whole = [f"{given} {family}", f"{family}, {given}", f"{family} {given}", f"{given}{family}", f"{family}{given}"]
    return [*whole, f"{given}.{family}", f"{family}^{given}", *person.given, family]


def resource_needles(body: bytes) -> Iterator[Needle]:
    """Yield the texts of a FHIR resource, its bytes, and their hashes."""
    texts = sorted(set(texts_of(json.loads(body))))
    for text in texts:
        yield Needle("text of a record", text.encode()[:64])
    yield from hashes("text of a record", texts)
    yield from (Needle("hash of a record", digest) for digest in digests(body))


def kept_needles(vault: Vault) -> Iterator[Needle]:
    """Yield what a vault keeps and its ledger must not have: ids, roots and salts of records, and what is sealed."""
    for relationship in vault.relationships():
        for record in vault.records(relationship):
            yield Needle("record id", record.record_id)
            yield Needle("root of a record", record.sealed_root)
            yield Needle("root of a record", record.content_root)
            yield Needle("salt of a record", record.content_salt)
            for segment in vault.sealed_segments(record.record_id, record.version):
                yield Needle("sealed bytes", segment[-HASH_BYTES:])


def texts_of(value: object) -> Iterator[str]:
    """Yield every text in a JSON value, codes both alone and with their system; keys are FHIR's own words."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        if isinstance(value.get("code"), str):
            yield f"{value.get('system', '')}|{value['code']}"
        yield from (text for each in value.values() for text in texts_of(each))
    elif isinstance(value, list):
        yield from (text for each in value for text in texts_of(each))


def hashes(kind: str, texts: Iterable[str]) -> Iterator[Needle]:
    """Yield unsalted digests of texts."""
    for text in texts:
        for digest in digests(text.encode()):
            yield Needle(f"unsalted hash of {kind}", digest)


def digests(data: bytes) -> tuple[bytes, ...]:
    """Return SHA-256, as bytes and in hexadecimal, and the leaf hash of RFC 9162, each cut to what still tells."""
    plain = hashlib.sha256(data).digest()
    return plain[:HASH_BYTES], plain.hex()[: 2 * HASH_BYTES].encode(), leaf_hash(data)[:HASH_BYTES]


def table_names() -> list[str]:
    """Return the names of spaces, tables and indexes, which are in every key of a store."""
    names = [name for contract in CONTRACTS for name in (*contract.tables, *contract.indexes)]
    return [*names, "machine.history", "machine.events", "machine.seen", *SPACES, *ENGINE_SPACES]
