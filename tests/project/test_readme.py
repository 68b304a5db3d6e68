"""The commands in README.md exist: each `salus …` with its options, each `make …` with its target."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tools.source_tree import ROOT

README = ROOT / "README.md"
BLOCK = re.compile(r"^```[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
RUN = "from salus.cli import main; main()"


def code_lines(text: str) -> list[str]:
    """The lines of all code blocks, without prompts and with continued lines joined."""
    blocks = "\n".join(BLOCK.findall(text)).replace("\\\n", " ")
    return [line.strip().removeprefix("$ ").removeprefix("# ") for line in blocks.splitlines()]


def commands(program: str, text: str) -> list[list[str]]:
    """The arguments of each command of that program, up to a pipe, a redirection or a comment."""
    found = []
    for line in code_lines(text):
        if re.match(rf"(\.venv/bin/)?{program}\b", line):
            words = shlex.split(re.split(r"\s[|>&;#]", line)[0])
            found.append(words[1:])
    return found


@cache
def help_text(verbs: tuple[str, ...]) -> str:
    """What `salus VERBS --help` prints."""
    command = [sys.executable, "-c", RUN, *verbs, "--help"]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert result.returncode == 0, f"salus {' '.join(verbs)} --help: {result.stderr}"
    return result.stdout


def subcommands(verbs: tuple[str, ...]) -> set[str]:
    """The names under `Commands:` in a help text; none for a command that has no further ones."""
    _, _, listing = help_text(verbs).partition("Commands:")
    return set(re.findall(r"^\W{1,4}([a-z][a-z-]*)(?=\s|$)", listing, re.MULTILINE))


def faults(words: list[str]) -> list[str]:
    """What the program does not know of one command line."""
    verbs: tuple[str, ...] = ()
    for word in words:
        if word not in subcommands(verbs):
            break
        verbs += (word,)
    if not verbs and not (words and words[0].startswith("-")):
        return [f"salus has no command {words[:1]}"]
    options = [word.partition("=")[0] for word in words if word.startswith("-")]
    return [f"salus {' '.join(verbs)} has no option {each}" for each in options if not has_option(verbs, each)]


def has_option(verbs: tuple[str, ...], option: str) -> bool:
    """The option stands in the help text as a word."""
    return re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", help_text(verbs)) is not None


def pages() -> list[Path]:
    """README and what else tells people what to type, as far as it is written."""
    return [path for path in (README, ROOT / "CONTRIBUTING.md", ROOT / "docs" / "operating.md") if path.is_file()]


@pytest.mark.skipif(not README.is_file(), reason="README.md is not written yet")
def test_every_salus_command_exists() -> None:
    listed = [words for page in pages() for words in commands("salus", page.read_text(encoding="utf-8"))]
    assert listed
    assert [fault for words in listed for fault in faults(words)] == []


@pytest.mark.skipif(not README.is_file(), reason="README.md is not written yet")
def test_every_make_target_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    listed = [words for page in pages() for words in commands("make", page.read_text(encoding="utf-8"))]
    named = {word for words in listed for word in words if "=" not in word and not word.startswith("-")}
    assert named - targets == set()


def test_commands_are_read_from_code_blocks_only() -> None:
    block = "$ salus demo --exit  # stops\nmake demo EXIT=1\nsalus verify R \\\n  --trust F | less\n"
    text = f"salus not-code\n```sh\n{block}```\n"
    assert commands("salus", text) == [["demo", "--exit"], ["verify", "R", "--trust", "F"]]
    assert commands("make", text) == [["demo", "EXIT=1"]]
