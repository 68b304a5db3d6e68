"""The story of one patient, told step by step: the demo tells it over real processes, a test in one process.

Each step is a small function that does one thing on a stage, checks that it came out as promised, and says in plain
words what happened. A step whose promise is not kept raises `NotAsTold`: the story never goes on as if it were.
"""

from salus.testing.story.stage import NotAsTold, Stage, Told, tell
from salus.testing.story.steps import STEPS

__all__ = ["STEPS", "NotAsTold", "Stage", "Told", "tell"]
