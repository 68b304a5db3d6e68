"""What a verifier says when a proof does not hold: which checklist, which step, and words for people."""

from enum import StrEnum


class Checklist(StrEnum):
    """The checklists of the verifier, by the word that a failure names; permanent."""

    BUNDLE = "bundle"
    STATE = "state"
    SKIP = "skip"
    OUTCOME = "outcome"
    ROW = "row"
    HISTORY = "history"
    CONSISTENCY = "consistency"
    RECEIPT = "receipt"


class VerificationFailed(Exception):
    """A claim does not follow from what is trusted.

    Args:
        checklist: which list of steps; they are numbered in the docstring of the function that walks it.
        step: the number of the step that failed; permanent within its list.
        words: what was expected, what came, what to do.
    """

    def __init__(self, checklist: Checklist, step: int, words: str) -> None:
        super().__init__(f"{checklist} check, step {step}: {words}")
        self.checklist = checklist
        self.step = step
        self.words = words


class Steps:
    """The failures of one checklist."""

    __slots__ = ("_checklist",)

    def __init__(self, checklist: Checklist) -> None:
        self._checklist = checklist

    def fail(self, step: int, words: str) -> VerificationFailed:
        """Return the failure of a step, to be raised."""
        return VerificationFailed(self._checklist, step, words)

    def require(self, step: int, holds: bool, words: str) -> None:
        """Raise VerificationFailed unless a step holds."""
        if not holds:
            raise self.fail(step, words)
