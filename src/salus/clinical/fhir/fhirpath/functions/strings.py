"""Functions on strings. Patterns are matched in linear time, whatever the pattern and the text (RE2).

Source: FHIRPath 2.0.0, 5.6; encode, escape, trim, split, join and matchesFull as in its standard for trial use.
"""

from __future__ import annotations

import base64
import binascii
import html
import json
from functools import lru_cache
from typing import Any

import re2

from salus.clinical.fhir.fhirpath.environment import Environment, bounded_text
from salus.clinical.fhir.fhirpath.faults import PathFault, PathRejected
from salus.clinical.fhir.fhirpath.functions.collections import whole_number
from salus.clinical.fhir.fhirpath.functions.function import Function
from salus.clinical.fhir.fhirpath.nodes import Items, Node, text_of
from salus.clinical.fhir.fhirpath.operators import singleton

PATTERN_CHARS_MAX = 1_000
PATTERN_BYTES_MAX = 8 << 20  # memory of one compiled pattern


def text(items: Items) -> str | None:
    """The one string; None when there is nothing.

    Raises:
        PathRejected: WRONG_COUNT, WRONG_TYPE.
    """
    item = singleton(items)
    if item is None or (item.__class__ is Node and item.value is None):
        return None
    found = text_of(item)
    if found is None:
        raise PathRejected(PathFault.WRONG_TYPE, expected="a string", came="another type")
    return found


def texts(*arguments: Items) -> tuple[str, ...] | None:
    """One string of each argument; None when any is empty."""
    found = tuple(text(each) for each in arguments)
    return None if None in found else found  # type: ignore[return-value]  # None was just excluded


def index_of(env: Environment, items: Items, part: Items) -> Items:
    """Where a part begins; -1 when it is not there."""
    found = texts(items, part)
    return [] if found is None else [found[0].find(found[1])]


def last_index_of(env: Environment, items: Items, part: Items) -> Items:
    """Where a part begins for the last time."""
    found = texts(items, part)
    return [] if found is None else [found[0].rfind(found[1])]


def substring(env: Environment, items: Items, start: Items, *length: Items) -> Items:
    """A part by its place."""
    whole = text(items)
    if whole is None or not start:
        return []
    begin = whole_number(start)
    if not 0 <= begin < len(whole):
        return []
    if not length or not length[0]:
        return [whole[begin:]]
    return [whole[begin : begin + max(0, whole_number(length[0]))]]


def replace(env: Environment, items: Items, part: Items, by: Items) -> Items:
    """All occurrences of a part replaced."""
    found = texts(items, part, by)
    if found is None:
        return []
    whole, old, new = found
    env.spend((whole.count(old) * len(new)) // 16)  # before it is made
    return [bounded_text(env, whole.replace(old, new))]


@lru_cache(maxsize=512)
def pattern(source: str) -> Any:  # re2 has no types
    """A compiled pattern, in single-line mode.

    Raises:
        PathRejected: BAD_PATTERN when it is none, or needs look-around or back-references, which are never linear.
    """
    options = re2.Options()
    options.dot_nl = True
    options.log_errors = False
    options.max_mem = PATTERN_BYTES_MAX
    try:
        if len(source) <= PATTERN_CHARS_MAX:
            return re2.compile(source, options)
    except re2.error:
        pass
    expected = f"a regular expression of at most {PATTERN_CHARS_MAX} characters without look-around"
    raise PathRejected(PathFault.BAD_PATTERN, expected=expected, came="another")


def matches(env: Environment, items: Items, expression: Items) -> Items:
    """Whether a pattern is found in the string."""
    found = texts(items, expression)
    if found is None:
        return []
    env.spend(1 + len(found[0]) // 16)
    return [pattern(found[1]).search(found[0]) is not None]


def matches_full(env: Environment, items: Items, expression: Items) -> Items:
    """Whether a pattern is the whole string."""
    found = texts(items, expression)
    if found is None:
        return []
    env.spend(1 + len(found[0]) // 16)
    return [pattern(found[1]).fullmatch(found[0]) is not None]


def replace_matches(env: Environment, items: Items, expression: Items, by: Items) -> Items:
    """All occurrences of a pattern replaced; `$1` means the first group."""
    found = texts(items, expression, by)
    if found is None:
        return []
    whole, source, new = found
    if not source:
        return [whole]

    def replacement(match: Any) -> str:
        env.spend(8 + len(new) // 16)
        return expanded(match, new)

    return [bounded_text(env, pattern(source).sub(replacement, whole))]


def expanded(match: Any, template: str) -> str:
    """A replacement with its groups filled in."""
    if "$" not in template:
        return template
    for number in range(min(9, len(match.groups())), 0, -1):
        template = template.replace(f"${number}", match.group(number) or "")
    return template


def to_chars(env: Environment, items: Items) -> Items:
    """Each character."""
    whole = text(items)
    env.spend(len(whole or ""))
    return list(whole or "")


def split(env: Environment, items: Items, separator: Items) -> Items:
    """The parts between separators."""
    found = texts(items, separator)
    if found is None or not found[1]:
        return [] if found is None else [found[0]]
    parts = found[0].split(found[1])
    env.spend(len(parts))
    return list(parts)


def join(env: Environment, items: Items, *separator: Items) -> Items:
    """Strings with a separator between them; of nothing, nothing."""
    between = text(separator[0]) if separator else ""
    parts = [text([each]) or "" for each in items]
    env.spend(len(parts) * (1 + len(between or "") // 16))
    return [bounded_text(env, (between or "").join(parts))] if parts else []


def made(env: Environment, whole: str | None, change: Any) -> Items:
    """A string changed by a function; nothing where there is none, or where it cannot be."""
    if whole is None:
        return []
    try:
        return [bounded_text(env, change(whole))]
    except (ValueError, binascii.Error):
        return []


def from_json(quoted: str) -> str:
    """The string that JSON writes so; ValueError when it writes none, or half a character."""
    found = str(json.loads(quoted))
    found.encode()
    return found


ENCODERS = {
    "hex": lambda whole: whole.encode().hex(),
    "base64": lambda whole: base64.b64encode(whole.encode()).decode(),
    "urlbase64": lambda whole: base64.urlsafe_b64encode(whole.encode()).decode(),
}
DECODERS = {
    "hex": lambda whole: bytes.fromhex(whole).decode(),
    "base64": lambda whole: base64.b64decode(whole, validate=True).decode(),
    "urlbase64": lambda whole: base64.b64decode(whole, altchars=b"-_", validate=True).decode(),
}
ESCAPERS = {"html": html.escape, "json": lambda whole: json.dumps(whole, ensure_ascii=False)[1:-1]}
UNESCAPERS = {"html": html.unescape, "json": lambda whole: from_json('"' + whole.replace('"', '\\"') + '"')}


def by_name(table: dict[str, Any]) -> Function:
    """A function that changes a string in a way that its argument names; nothing for an unknown way."""

    def run(env: Environment, items: Items, name: Items) -> Items:
        change = table.get(text(name) or "")
        return [] if change is None else made(env, text(items), change)

    return Function(run, (1, 1))


def changed(change: Any) -> Function:
    """A function that changes a string."""
    return Function(lambda env, items: made(env, text(items), change))


def tested(test: Any) -> Function:
    """A function that tests a string against another."""

    def run(env: Environment, items: Items, other: Items) -> Items:
        found = texts(items, other)
        return [] if found is None else [test(*found)]

    return Function(run, (1, 1))


def length(env: Environment, items: Items) -> Items:
    """How many characters there are."""
    whole = text(items)
    return [] if whole is None else [len(whole)]


STRINGS = {
    "indexOf": Function(index_of, (1, 1)),
    "lastIndexOf": Function(last_index_of, (1, 1)),
    "substring": Function(substring, (1, 2)),
    "startsWith": tested(str.startswith),
    "endsWith": tested(str.endswith),
    "contains": tested(str.__contains__),
    "upper": changed(str.upper),
    "lower": changed(str.lower),
    "trim": changed(str.strip),
    "replace": Function(replace, (2, 2)),
    "matches": Function(matches, (1, 1)),
    "matchesFull": Function(matches_full, (1, 1)),
    "replaceMatches": Function(replace_matches, (2, 2)),
    "length": Function(length),
    "toChars": Function(to_chars),
    "split": Function(split, (1, 1)),
    "join": Function(join, (0, 1)),
    "encode": by_name(ENCODERS),
    "decode": by_name(DECODERS),
    "escape": by_name(ESCAPERS),
    "unescape": by_name(UNESCAPERS),
}
