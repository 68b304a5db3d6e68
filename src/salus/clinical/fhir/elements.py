"""Reading elements of a parsed resource by their FHIR path, whatever is missing or of another type on the way.

Works on what a JSON reader makes: dict, list, str, numbers, bool, None.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence


def values(node: object, path: str) -> Sequence[object]:
    """Each value at a dotted path such as `participant.actor`; arrays on the way are walked through."""
    if isinstance(node, dict):
        name, _, rest = path.partition(".")
        return below(node[name], rest) if name in node else ()
    if isinstance(node, list):
        return [value for item in node for value in values(item, path)]
    return ()


def present(content: Mapping[str, object], paths: Iterable[str]) -> Iterator[str]:
    """Those of some paths whose first element is there, in their order: most of many are not."""
    return (path for path in paths if path.partition(".")[0] in content)


def below(node: object, rest: str) -> Sequence[object]:
    """Go on along the rest of the path; at its end give out the value, or each of an array."""
    if rest:
        return values(node, rest)
    return node if isinstance(node, list) else (node,)


def texts(node: object, path: str) -> Iterator[str]:
    """Each string at a path."""
    return (value for value in values(node, path) if isinstance(value, str))


def objects(node: object, path: str) -> Iterator[Mapping[str, object]]:
    """Each object at a path."""
    return (value for value in values(node, path) if isinstance(value, dict))


def text(node: object, path: str) -> str | None:
    """The first string at a path; None when there is none."""
    return next(texts(node, path), None)
