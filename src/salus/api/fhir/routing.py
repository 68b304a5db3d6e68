"""From a method and an address to an interaction: the same table for requests and for the entries of a bundle."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

from salus.api.fhir.call import Interaction
from salus.api.fhir.failures import Failure, Issue

PARAMETERS_MAX = 200


@dataclass(frozen=True)
class Routed:
    """An interaction and what stands in the address."""

    interaction: Interaction
    at: dict[str, str]
    query: tuple[tuple[str, str], ...]


def route(interactions: Sequence[Interaction], method: str, url: str) -> Routed:
    """Return what a relative address asks for, such as `Observation?code=…`. Raises Failure: 404."""
    parts = urlsplit(url)
    path = "/" + parts.path.lstrip("/")
    for each in interactions:
        is_it = each.method == method and not each.is_alone
        found = _pattern(each.path).fullmatch(path) if is_it else None
        if found is not None and not parts.scheme and not parts.netloc:
            at = each.at({name: unquote(value) for name, value in found.groupdict().items()})
            if each.serves(at.get("kind", "")):
                return Routed(each, at, parameters(parts.query))
    words = "expected a method and an address that this server has, relative to its base: see /metadata"
    raise Failure(404, Issue("not-supported", "MSG_OP_NOT_ALLOWED", words))


def parameters(query: str) -> tuple[tuple[str, str], ...]:
    """Return the parameters of a query or a form, in order. Raises Failure: 400 when there are too many."""
    try:
        return tuple(parse_qsl(query, keep_blank_values=True, max_num_fields=PARAMETERS_MAX))
    except ValueError as error:
        words = f"expected at most {PARAMETERS_MAX} parameters: ask for less at once"
        raise Failure(400, Issue("too-costly", "MSG_PARAM_INVALID", words)) from error


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/$_][^/]*)", path.replace("$", r"\$")))
