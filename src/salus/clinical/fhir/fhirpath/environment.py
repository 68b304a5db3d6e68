"""What an evaluation runs in: what the expression is about, what stands around it, and how much work is left."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from salus.clinical.fhir.fhirpath.faults import PathFault, PathRejected
from salus.clinical.fhir.fhirpath.nodes import Items, Node
from salus.clinical.fhir.fhirpath.types import Types

STEPS_MAX = 1_000_000  # about half a second
TEXT_CHARS_MAX = 1_000_000


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What an expression may ask of the world around the resource; what is not given is not known.

    Attributes:
        resolve: the resource that a reference means, or None.
        is_member: whether a coded element is in a value set (by URL); None when that cannot be told.
        conforms: whether an element conforms to a profile (by URL); None when that cannot be told.
        now: the time of `now()` and `today()`; None is the machine's clock.
        variables: what a specification adds, such as `%previous` and `%current` of a subscription's topic; an
            expression must be compiled with their names, and one that is not given is empty.
        steps: how much work one evaluation may be; None is STEPS_MAX.
    """

    resolve: Callable[[str], dict[str, Any] | None] | None = None
    is_member: Callable[[Node, str], bool | None] | None = None
    conforms: Callable[[Node, str], bool | None] | None = None
    now: datetime | None = None
    variables: Mapping[str, Node] = field(default_factory=dict)
    steps: int | None = None

    def time(self) -> datetime:
        """The time of this evaluation."""
        return self.now or datetime.now(UTC)


class Environment:
    """One evaluation. `this`, `index` and `total` change as functions walk through collections."""

    __slots__ = (
        "around",
        "context",
        "index",
        "inside",
        "resource",
        "root",
        "steps",
        "strict",
        "this",
        "total",
        "types",
    )

    def __init__(
        self,
        context: Node,
        *,
        types: Types,
        around: Surroundings,
        resource: Node | None,
        root: Node | None,
        strict: bool,
    ) -> None:
        """Begin at a node; `resource` and `root` are the node itself unless they are given."""
        self.this: Items = [context]
        self.index = 0
        self.total: Items = []
        self.inside: dict[int, Items] = {}  # what is inside an object, by its address: dom-3 asks many times
        self.context = context
        self.resource = resource or context
        self.root = root or self.resource
        self.types = types
        self.around = around
        self.strict = strict
        self.steps = STEPS_MAX if around.steps is None else around.steps

    def spend(self, steps: int) -> None:
        """Count work.

        Raises:
            PathRejected: TOO_COSTLY when more was done than one evaluation may.
        """
        self.steps -= steps
        if self.steps < 0:
            expected = f"an expression that ends within {self.around.steps or STEPS_MAX:,} steps"
            raise PathRejected(PathFault.TOO_COSTLY, expected=expected, came="one that goes on")


def bounded_text(env: Environment, text: str) -> str:
    """A string that was made, counted as work by its length.

    Raises:
        PathRejected: TOO_COSTLY above a million characters.
    """
    env.spend(1 + len(text) // 16)
    if len(text) > TEXT_CHARS_MAX:
        expected = f"a string of at most {TEXT_CHARS_MAX:,} characters"
        raise PathRejected(PathFault.TOO_COSTLY, expected=expected, came="a longer one")
    return text
