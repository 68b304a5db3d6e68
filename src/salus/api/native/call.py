"""One operation of the native API, and one call of it, parsed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from salus.api.smart.access import Access
from salus.node.assemble import Node

FILE: Final = "application/octet-stream"


@dataclass(frozen=True)
class Call:
    """One call.

    Args:
        access: of the bearer; None where nobody has to sign in.
        at: what stands in the address.
        body: the JSON that was sent, as a value of the operation's type; None where nothing is sent.
    """

    node: Node
    base: str
    access: Access | None
    at: Mapping[str, str] = field(default_factory=dict)
    body: Any = field(default=None, repr=False)

    @property
    def granted(self) -> Access:
        """Who calls, of an operation with a scope."""
        assert self.access is not None, "the operation has a scope, so the gate was asked"
        return self.access


@dataclass(frozen=True)
class Operation:
    """One operation; routes and the OpenAPI document are made from these.

    Args:
        name: its operationId; words: what it does, in one line.
        path: below `/api/1`, with `{name}` for what stands in the address; `patterns` says what fits there.
        scope: which the token must have; empty where nobody has to sign in.
        is_about_one: whether the token has to be about one patient.
        takes: type of the JSON that is sent; None for nothing.
        gives: type of the JSON that is answered; None for nothing; bytes for a file.
        refuses: with which statuses, beside those that all have.
    """

    name: str
    method: str
    path: str
    words: str
    handler: Callable[[Call], Any]
    gives: Any
    scope: str = ""
    is_about_one: bool = False
    takes: Any = None
    status: int = 200
    refuses: tuple[int, ...] = ()
    patterns: Mapping[str, str] = field(default_factory=dict)

    @property
    def statuses(self) -> tuple[int, ...]:
        """Every status with which it answers, in order."""
        signed_in = (401, 403) if self.scope else ()
        sent = (400, 408, 413, 415) if self.takes is not None else ()
        return tuple(sorted({self.status, *signed_in, *sent, *self.refuses, 429, 503}))
