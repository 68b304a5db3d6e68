"""Genesis (docs/spec/contracts.md, Genesis): the first rows of a document, from its bytes."""

from collections.abc import Iterator
from typing import Any

from salus.testing.auditor.canonical import decode
from salus.testing.auditor.gates import gate_of, is_fit_tree
from salus.testing.auditor.hashes import sha256
from salus.testing.auditor.view import Row, Rows, row_key


def first_rows(document: bytes) -> tuple[str, int, Rows]:
    """Return chain, time of genesis in seconds, and the first rows of a valid document."""
    _format, chain, time_s, network, founders, policies, validators = _fields(decode(document))
    rows: Rows = {row_key("membership.network", 0): network}
    for founder in founders:
        rows.update(_founder_rows(founder, time_s))
    for organisation, key, power in validators:
        rows[row_key("membership.validators", organisation)] = [key, power]
    for organisation, provisions in policies:
        assert all(map(is_fit_tree, provisions)), "a valid document has fit policies"
        gates = [gate_of(tree) for tree in provisions]
        rows[row_key("membership.policies", organisation)] = [1, provisions, gates]
    return chain, time_s, rows


def _founder_rows(founder: Row, time_s: int) -> Iterator[tuple[bytes, Any]]:
    organisation, name, role_classes, access, endpoint, keys = founder
    yield row_key("membership.organisations", organisation), [name, role_classes, access, endpoint, time_s, 0]
    for use, key in keys:
        yield row_key("membership.keys", [organisation, use]), [key, []]
        yield row_key("membership.owners", sha256(key)), [organisation, use]


def _fields(document: Any) -> Any:
    assert isinstance(document, list), "a genesis document is an array"
    return document
