"""What the compiler knows of a function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from salus.clinical.fhir.fhirpath.nodes import Items


@dataclass(frozen=True, slots=True)
class Function:
    """A function, how many arguments it takes (least and most), and whether they are closures."""

    run: Callable[..., Items]
    arguments: tuple[int, int] = (0, 0)
    is_lazy: bool = False
